package import ApusLanguageModel
import ApusNN
package import ApusText
package import ApusTorch

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
        self.endTokens = endTokens
        self.constraint = constraint
    }

    /// Answers to several prompts, all in one flat batch.
    ///
    /// - Parameters:
    ///   - limit: The most tokens of an answer; also bounded by the length the model was made for.
    ///   - draws: Names the random stream of each prompt, so that a prompt's answer does not depend on its company.
    ///   - onToken: Sees each token as it comes, with the number of its prompt; false ends that answer.
    ///   - onScores: Sees the model's scores [V] from which each token of an answer was chosen, before `onToken` does.
    /// - Returns: The answers without end tokens.
    package func answers(
        to prompts: [[Int32]], limit: Int?, draws: [UInt64]? = nil,
        onToken: (_ prompt: Int, _ token: Int32) throws -> Bool = { _, _ in true },
        onScores: ((_ prompt: Int, _ token: Int32, _ scores: Tensor) throws -> Void)? = nil
    ) throws -> [[Int32]] {
        try withoutGradients {
            var answers = Array(repeating: [Int32](), count: prompts.count)
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
            var active = prompts.indices.filter { limits[$0] > 0 }
            guard !active.isEmpty else { return answers }
            var next = NextScores(model, behind: active.map { prompts[$0] })
            while true {
                let logits = try next()  // [S, V]
                var continuing: [(sequence: Int, token: Int32)] = []
                for (row, prompt) in active.enumerated() {
                    let draw = streamKey(draws?[prompt] ?? UInt64(prompt), UInt64(answers[prompt].count))
                    let place = SamplingPlace(
                        prompt: start.map { [$0] } ?? prompts[prompt], source: start == nil ? nil : prompts[prompt],
                        answer: answers[prompt], limit: limits[prompt], endTokens: endTokens)
                    let allowed = constraint.map { choices(in: $0, states[prompt]) }
                    if allowed?.isEmpty == true { continue }
                    let scores = try logits.selected(0, row)
                    let token = try sampling.token(scores, at: place, draw: draw, among: allowed)
                    if endTokens.contains(token) { continue }
                    answers[prompt].append(token)
                    if let constraint { states[prompt] = constraint.next(states[prompt], token) }
                    try onScores?(prompt, token, scores)
                    if try onToken(prompt, token), answers[prompt].count < limits[prompt] {
                        continuing.append((row, token))
                    }
                }
                if continuing.isEmpty { return answers }
                active = continuing.map { active[$0.sequence] }
                try next.goOn(continuing) { prompts[active[$0]] + answers[active[$0]] }
            }
        }
    }

    /// What may come next; nothing ends the answer.
    private func choices(in constraint: TokenConstraint, _ state: Int32) -> [Int32] {
        let tokens = constraint.tokens(after: state)
        return constraint.mayEnd(state) && !tokens.isEmpty ? tokens + endTokens : tokens
    }
}
