package import ApusLanguageModel
import ApusNN
package import ApusText
package import ApusTorch

/// An answer of a model, as it was drawn.
package struct SampledAnswer: Sendable, Equatable {
    /// Without the token that ended it.
    package var tokens: [Int32] = []
    /// The token that ended it; nil where something else did.
    package var end: Int32?
    /// Whether it ended because it may be no longer.
    package var isCut = false
    /// `log p` of each token, and behind them of the one that ended it, by the scores over the temperature; empty where
    /// nobody asked.
    package var logProbabilities: [Double] = []
    /// Why there is no next token, where that is so; the answer is none then.
    package var failure: ModelError?

    package init() {}

    /// What is learned of it: the token that ended it too.
    package var learned: [Int32] { tokens + (end.map { [$0] } ?? []) }
}

/// Continues token sequences with a model, or answers them where an encoder reads them first: ids in, ids out.
package struct TokenGenerator {
    private let model: CausalLanguageModel
    private let sampling: Sampling
    private let endTokens: Set<Int32>
    private let constraint: TokenConstraint?

    /// - Parameters:
    ///   - endTokens: An answer ends before any of these.
    ///   - constraint: What answers are held to.
    package init(
        _ model: CausalLanguageModel, sampling: Sampling, endTokens: Set<Int32>, constraint: TokenConstraint? = nil
    ) {
        self.model = model
        self.sampling = sampling
        // A token without a row has no score either.
        self.endTokens = endTokens.filter { (0..<model.vocabularySize).contains(Int($0)) }
        self.constraint = constraint
    }

    /// Answers to several prompts, all in one flat batch.
    ///
    /// - Parameters: As for `sampled`.
    /// - Returns: The answers without end tokens.
    /// - Throws: Also the failure of an answer.
    package func answers(
        to prompts: [[Int32]], limit: Int?, draws: [UInt64]? = nil,
        onToken: (_ prompt: Int, _ token: Int32) throws -> Bool = { _, _ in true },
        onScores: ((_ prompt: Int, _ token: Int32, _ scores: Tensor) throws -> Void)? = nil
    ) throws -> [[Int32]] {
        try sampled(prompts, limit: limit, draws: draws, onToken: onToken, onScores: onScores).map {
            if let failure = $0.failure { throw failure }
            return $0.tokens
        }
    }

    /// Answers to several prompts, all in one flat batch; prompts that are equal are read once.
    ///
    /// - Parameters:
    ///   - limit: The most tokens of an answer; also bounded by the length the model was made for.
    ///   - draws: Names the random stream of each prompt, so that a prompt's answer does not depend on its company.
    ///   - isMeasured: Whether it is told how probable the tokens were.
    ///   - onToken: Sees each token as it comes, with the number of its prompt; false ends that answer.
    ///   - onScores: Sees the model's scores [V] from which each token of an answer was chosen, before `onToken` does.
    package func sampled(
        _ prompts: [[Int32]], limit: Int?, draws: [UInt64]? = nil, isMeasured: Bool = false,
        onToken: (_ prompt: Int, _ token: Int32) throws -> Bool = { _, _ in true },
        onScores: ((_ prompt: Int, _ token: Int32, _ scores: Tensor) throws -> Void)? = nil
    ) throws -> [SampledAnswer] {
        try withoutGradients {
            var answers = Array(repeating: SampledAnswer(), count: prompts.count)
            var states = Array(repeating: constraint?.start ?? 0, count: prompts.count)
            let start = model.trunk.startToken
            let limits = try prompts.map { prompt in
                guard !prompt.isEmpty else { throw ModelError("the prompt is empty; there is nothing to continue") }
                let room = model.maximumLength - (start == nil ? prompt.count : 1)
                guard room > 0 else {
                    throw ModelError(
                        "the prompt has \(prompt.count) tokens; the model was made for \(model.maximumLength)")
                }
                return min(limit ?? room, room)
            }
            // Which answers go on, each behind a sequence of the batch.
            var active: [(prompt: Int, sequence: Int)] = []
            var read: [[Int32]] = []
            var numbers: [[Int32]: Int] = [:]
            for prompt in prompts.indices where limits[prompt] > 0 {
                let sequence = numbers[prompts[prompt]] ?? read.count
                if sequence == read.count {
                    numbers[prompts[prompt]] = sequence
                    read.append(prompts[prompt])
                }
                active.append((prompt, sequence))
            }
            guard !active.isEmpty else { return answers }
            var next = NextScores(model, behind: read)
            while true {
                let logits = try next()  // [S, V]
                var chosen: [(prompt: Int, sequence: Int, token: Int32)] = []
                var continuing: [(prompt: Int, sequence: Int, token: Int32)] = []
                for (prompt, sequence) in active {
                    let before = answers[prompt].tokens
                    let draw = streamKey(draws?[prompt] ?? UInt64(prompt), UInt64(before.count))
                    let place = SamplingPlace(
                        prompt: start.map { [$0] } ?? prompts[prompt], source: start == nil ? nil : prompts[prompt],
                        answer: before, limit: limits[prompt], endTokens: endTokens)
                    let allowed = constraint.map { choices(in: $0, states[prompt]) }
                    if allowed?.isEmpty == true { continue }
                    let scores = try logits.selected(0, sequence)
                    let token: Int32
                    do {
                        token = try sampling.token(scores, at: place, draw: draw, among: allowed)
                    } catch let error as ModelError {
                        answers[prompt].failure = error
                        continue
                    }
                    chosen.append((prompt, sequence, token))
                    if endTokens.contains(token) {
                        answers[prompt].end = token
                        continue
                    }
                    answers[prompt].tokens.append(token)
                    if let constraint { states[prompt] = constraint.next(states[prompt], token) }
                    try onScores?(prompt, token, scores)
                    if try onToken(prompt, token) {
                        if before.count + 1 < limits[prompt] {
                            continuing.append((prompt, sequence, token))
                        } else {
                            answers[prompt].isCut = true
                        }
                    }
                }
                if isMeasured, !chosen.isEmpty {
                    let measured = try logProbabilities(of: chosen.map { ($0.sequence, $0.token) }, logits)
                    for (answer, value) in zip(chosen, measured) {
                        answers[answer.prompt].logProbabilities.append(value)
                    }
                }
                if continuing.isEmpty { return answers }
                try next.goOn(continuing.map { ($0.sequence, $0.token) }) { number in
                    let prompt = continuing[number].prompt
                    return prompts[prompt] + answers[prompt].tokens
                }
                active = continuing.indices.map { (continuing[$0].prompt, $0) }
            }
        }
    }

    /// `log softmax(scores / temperature)` of some tokens behind some sequences.
    private func logProbabilities(of chosen: [(sequence: Int, token: Int32)], _ logits: Tensor) throws -> [Double] {
        let ids = try Tensor(chosen.map(\.token), device: logits.device).to(.int64)
        let rows = try logits.indexed(0, Tensor(chosen.map { Int32($0.sequence) }, device: logits.device)).to(.float32)
        let warmth = sampling.temperature
        let scores = try logSoftmax(warmth == 1 || warmth == 0 ? rows : rows / warmth)
        let values: [Float] = try scores.gathered(1, ids.unsqueezed(1)).squeezed(1).values()
        return values.map(Double.init)
    }

    /// What may come next; nothing ends the answer.
    private func choices(in constraint: TokenConstraint, _ state: Int32) -> [Int32] {
        let tokens = constraint.tokens(after: state)
        return constraint.mayEnd(state) && !tokens.isEmpty ? tokens + endTokens : tokens
    }
}
