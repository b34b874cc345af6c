import Foundation

/// What `generate` of `transformers` does to the scores before a token is chosen, greedily or by a draw, in its order.
package struct LogitsProcessors: Sendable, Equatable {
    /// A number that is added to the score of the last id where the others stand before it (`sequence_bias`).
    package struct SequenceBias: Sendable, Equatable {
        package let ids: [Int32]
        package let bias: Float

        package init(ids: [Int32], bias: Float) {
            self.ids = ids
            self.bias = bias
        }
    }

    /// Added to scores; of two for the same ids the last counts.
    package var sequenceBiases: [SequenceBias] = []
    /// Favours what the prompt holds (`encoder_repetition_penalty`): divides its negative scores, multiplies the others.
    package var promptPenalty = 1.0
    /// Divides the score of tokens that were seen (multiplies negative ones).
    ///
    /// Keskar et al. 2019, <https://arxiv.org/abs/1909.05858>.
    package var repetitionPenalty = 1.0
    /// No run of this many tokens comes twice; 0 allows all.
    package var noRepeatSize = 0
    /// No run of this many tokens of the prompt comes again; 0 allows all.
    package var noPromptRepeatSize = 0
    /// Sequences that never come.
    package var badWords: [[Int32]] = []
    /// No end token before prompt and answer have this many tokens.
    package var minimumLength = 0
    /// No end token before the answer has this many tokens.
    package var minimumNewTokens = 0
    /// The first token after a prompt of one token.
    package var forcedFirst: Int32?
    /// The tokens of which one is the last that there is room for.
    package var forcedLast: [Int32] = []
    /// Whether what is not a number becomes 0, and the infinite finite.
    package var removesInvalid = false
    /// Whether scores become logarithms of probabilities again at the end, which only sums over an answer notice.
    package var renormalizes = false
    /// Makes end tokens likelier by a power of `factor` after `start` tokens of the answer.
    package var lengthDecay: LengthDecay?
    /// Tokens that never come.
    package var suppressed: [Int32] = []
    /// Tokens that never come first.
    package var suppressedFirst: [Int32] = []

    package struct LengthDecay: Sendable, Equatable {
        package let start: Int
        package let factor: Double

        package init(start: Int, factor: Double) {
            self.start = start
            self.factor = factor
        }
    }

    package init() {}

    var areIdle: Bool { self == LogitsProcessors() }

    /// Changes the scores [V] of what may follow a place.
    func process(_ scores: inout [Float], at place: SamplingPlace) {
        add(sequenceBiases, to: &scores, at: place)
        penalize(place.question, by: 1 / promptPenalty, in: &scores)
        if repetitionPenalty != 1 { penalize(place.prompt + place.answer, by: repetitionPenalty, in: &scores) }
        if noRepeatSize > 0 {
            let all = place.prompt + place.answer
            forbidRuns(of: noRepeatSize, of: all, after: all, in: &scores)
        }
        if noPromptRepeatSize > 0 {
            forbidRuns(of: noPromptRepeatSize, of: place.question, after: place.prompt + place.answer, in: &scores)
        }
        // To forbid the end is the business of the shortest length.
        let bad = badWords.filter { $0.count != 1 || !place.endTokens.contains($0[0]) }
        add(bad.map { SequenceBias(ids: $0, bias: -.infinity) }, to: &scores, at: place)
        if place.count < minimumLength || place.answer.count < minimumNewTokens {
            set(Array(place.endTokens), to: -.infinity, in: &scores)
        }
        if let forcedFirst, place.count == 1 { force([forcedFirst], in: &scores) }
        if !forcedLast.isEmpty, place.answer.count == place.limit - 1 { force(forcedLast, in: &scores) }
        if removesInvalid {
            for index in scores.indices {
                let score = scores[index]
                let largest = Float.greatestFiniteMagnitude
                scores[index] = score.isNaN ? 0 : min(max(score, -largest), largest)
            }
        }
        favourEnd(in: &scores, at: place)
        set(suppressed, to: -.infinity, in: &scores)
        let first = place.prompt.count > 1 || forcedFirst == nil ? 0 : 1
        if place.answer.count == first { set(suppressedFirst, to: -.infinity, in: &scores) }
        if renormalizes { normalize(&scores) }
    }

    /// `s − log Σ eˢ`; scores of which none is finite stay.
    private func normalize(_ scores: inout [Float]) {
        guard let largest = scores.max(), largest.isFinite else { return }
        let sum = scores.reduce(0.0) { $0 + exp(Double($1 - largest)) }
        let shift = Float(Double(largest) + log(sum))
        for index in scores.indices { scores[index] -= shift }
    }

    private func set(_ ids: [Int32], to value: Float, in scores: inout [Float]) {
        for id in ids where scores.indices.contains(Int(id)) { scores[Int(id)] = value }
    }

    private func force(_ ids: [Int32], in scores: inout [Float]) {
        scores = Array(repeating: -.infinity, count: scores.count)
        set(ids, to: 0, in: &scores)
    }

    private func add(_ biases: [SequenceBias], to scores: inout [Float], at place: SamplingPlace) {
        guard !biases.isEmpty else { return }
        var sums: [Int: Float] = [:]
        let all = place.prompt + place.answer
        let distinct = Dictionary(biases.map { ($0.ids, $0.bias) }) { _, last in last }
        for (ids, bias) in distinct {
            guard let last = ids.last, scores.indices.contains(Int(last)) else { continue }
            if ids.count == 1 || all.suffix(ids.count - 1).elementsEqual(ids.dropLast()) {
                sums[Int(last), default: 0] += bias
            }
        }
        for (index, bias) in sums { scores[index] += bias }
    }

    private func penalize(_ seen: [Int32], by penalty: Double, in scores: inout [Float]) {
        guard penalty != 1 else { return }
        let penalty = Float(penalty)
        for id in Set(seen) where scores.indices.contains(Int(id)) {
            let score = scores[Int(id)]
            scores[Int(id)] = score < 0 ? score * penalty : score / penalty
        }
    }

    /// Forbids what followed the last `size` − 1 tokens wherever they stood before.
    private func forbidRuns(
        of size: Int, of text: [Int32], after all: [Int32], in scores: inout [Float]
    ) {
        guard all.count >= size, text.count >= size else { return }
        let beginning = all.suffix(size - 1)
        for start in 0...text.count - size where text[start..<start + size - 1].elementsEqual(beginning) {
            set([text[start + size - 1]], to: -.infinity, in: &scores)
        }
    }

    private func favourEnd(in scores: inout [Float], at place: SamplingPlace) {
        guard let lengthDecay, place.answer.count > lengthDecay.start else { return }
        let growth = Float(pow(lengthDecay.factor, Double(place.answer.count - lengthDecay.start)) - 1)
        for id in place.endTokens where scores.indices.contains(Int(id)) && scores[Int(id)].isFinite {
            scores[Int(id)] += abs(scores[Int(id)]) * growth
        }
    }
}
