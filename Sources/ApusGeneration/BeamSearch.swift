package import ApusLanguageModel
import ApusNN
import ApusTorch
import Foundation

/// Reads an answer token by token, and knows where it ends though no end token comes.
package protocol AnswerReader {
    /// Adds a token.
    ///
    /// - Returns: Whether the answer ends with it.
    mutating func ends(with token: Int32) -> Bool
}

/// Finds an answer that is likely as a whole, by following several beginnings at once.
///
/// Of `B` beginnings and all their next tokens the best `B` that do not end go on; those that end are kept by
/// `Σ log p / length^penalty`, of which the best `B` stay. As `generate(num_beams:)` of `transformers` 5, without its draws;
/// what a reader ends there, a `StoppingCriteria` does.
package struct BeamSearch {
    /// When to stop though beginnings are left.
    package enum Stop: Sendable {
        /// As soon as there are as many answers as beams (`early_stopping: true`).
        case whenFull
        /// When the best beginning could not be among the answers if it ended now (`false`).
        case whenWorse
        /// When no beginning can be among the answers any more (`"never"`).
        case whenHopeless
    }

    /// An answer, and `Σ log p / length^penalty`.
    package struct Found: Sendable, Equatable {
        package let ids: [Int32]
        package let score: Float
    }

    private struct Beginning {
        var ids: [Int32]
        var score: Float
        /// The beginning it goes on from.
        var parent: Int
        /// Has read it.
        var reader: (any AnswerReader)?
        /// Whether it ends with an end token, where its reader says so, or at the limit.
        var isWhole = false
    }

    private let model: CausalLanguageModel
    private let sampling: Sampling
    private let endTokens: Set<Int32>
    private let count: Int
    private let lengthPenalty: Double
    private let stop: Stop
    private let reader: (any AnswerReader)?

    /// - Parameters:
    ///   - sampling: Its processors are used, and nothing else of it.
    ///   - count: How many beginnings are followed.
    ///   - reader: Reads each beginning from its first token on; nil where end tokens alone end answers.
    package init(
        _ model: CausalLanguageModel, sampling: Sampling, endTokens: Set<Int32>, count: Int, lengthPenalty: Double = 1,
        stop: Stop = .whenWorse, reader: (any AnswerReader)? = nil
    ) {
        self.model = model
        self.sampling = sampling
        self.endTokens = endTokens
        self.count = count
        self.lengthPenalty = lengthPenalty
        self.stop = stop
        self.reader = reader
    }

    /// What counts as −∞ in sums that must stay finite.
    private static let least: Float = -1e9

    /// Answers to a prompt, best first, without end tokens.
    ///
    /// - Parameter limit: The most tokens of an answer; also bounded by the length the model was made for.
    /// - Throws: `ModelError` for a prompt that is empty or too long, where scores are not numbers, and where no token may come.
    package func answers(to prompt: [Int32], limit: Int?) throws -> [Found] {
        try withoutGradients {
            let start = model.trunk.startToken
            let read = start.map { [$0] } ?? prompt
            let room = model.maximumLength - read.count
            guard !prompt.isEmpty, room > 0 else {
                throw ModelError(
                    "the prompt has \(prompt.count) tokens; the model takes from 1 to \(model.maximumLength - 1)")
            }
            let limit = min(limit ?? room, room)
            var next = NextScores(model, behind: [prompt])
            var running = [Beginning(ids: [], score: 0, parent: 0, reader: reader)]
            var found: [Beginning] = []
            for length in 0..<limit {
                let logits = try next()  // [B, V]
                var candidates = try running.indices.flatMap { index in
                    let place = SamplingPlace(
                        prompt: read, source: start == nil ? nil : prompt, answer: running[index].ids, limit: limit,
                        endTokens: endTokens)
                    let scores = try logSoftmax(logits.selected(0, index).to(.float32))
                    let processed = try sampling.processed(scores, at: place)
                    return try best(processed, behind: running[index], at: index)
                }
                candidates = Array(
                    candidates.enumerated().sorted { ($1.element.score, $0.offset) < ($0.element.score, $1.offset) }
                        .prefix(max(2, 1 + endTokens.count) * count).map(\.element))
                // A beginning that cannot go on is no harm, but all of them.
                guard let best = candidates.first, best.score > -.infinity else {
                    if found.isEmpty { throw ModelError.nothingAllowed }
                    break
                }
                for index in candidates.indices {
                    let token = candidates[index].ids[length]
                    let isEnd = endTokens.contains(token) || candidates[index].reader?.ends(with: token) ?? false
                    candidates[index].isWhole = isEnd || length + 1 == limit
                }
                collect(candidates.prefix(count).filter(\.isWhole), length: length + 1, into: &found)
                running = Array(candidates.filter { !$0.isWhole }.prefix(count))
                guard let first = running.first, goesOn(first, found, length: length + 1, limit: limit) else { break }
                try next.goOn(running.map { ($0.parent, $0.ids[length]) }) { prompt + running[$0].ids }
            }
            return found.map { Found(ids: $0.ids.filter { !endTokens.contains($0) }, score: $0.score) }
        }
    }

    /// The likeliest ways to go on from a beginning.
    private func best(_ scores: Tensor, behind beginning: Beginning, at index: Int) throws -> [Beginning] {
        let wanted = min(max(2, 1 + endTokens.count) * count, scores.count)
        let (values, ids) = try scores.top(wanted)
        let (numbers, tokens): ([Float], [Int32]) = (try values.values(), try ids.values())
        // NaN counts as the largest, and a single one makes NaN of all shares.
        guard let best = numbers.first, !best.isNaN else { throw ModelError.notNumbers }
        return zip(numbers, tokens).map {
            Beginning(
                ids: beginning.ids + [$1], score: beginning.score + $0, parent: index, reader: beginning.reader)
        }
    }

    /// Keeps the best of what was found before and now.
    private func collect(_ ended: [Beginning], length: Int, into found: inout [Beginning]) {
        if stop == .whenFull, found.count == count { return }
        let power = Float(pow(Double(length), lengthPenalty))
        found += ended.map { beginning in
            var beginning = beginning
            beginning.score /= power
            return beginning
        }
        found = Array(
            found.enumerated().sorted { ($1.element.score, $0.offset) < ($0.element.score, $1.offset) }
                .prefix(count).map(\.element))
    }

    private func goesOn(_ best: Beginning, _ found: [Beginning], length: Int, limit: Int) -> Bool {
        guard found.count == count else { return true }
        if stop == .whenFull { return false }
        let reached = stop == .whenHopeless && lengthPenalty > 0 ? limit : length
        let possible = best.score / Float(pow(Double(reached), lengthPenalty))
        return possible > found.map(\.score).min() ?? Self.least
    }
}
