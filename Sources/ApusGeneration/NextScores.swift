import ApusLanguageModel
import ApusNN
import ApusTorch

/// What may follow several sequences, which go on token by token.
struct NextScores {
    private let model: CausalLanguageModel
    private var state: ModelState
    private var batch: TokenBatch

    /// - Parameter prompts: What is continued, or, by a model that reads a text whole, answered.
    init(_ model: CausalLanguageModel, behind prompts: [[Int32]]) {
        self.model = model
        state = ModelState(sequences: prompts.count)
        batch =
            model.trunk.startToken.map { TokenBatch(answering: prompts, start: $0) }
            ?? TokenBatch(continuing: prompts.map { ($0, 0) })
    }

    /// The scores of all tokens behind each sequence, [S, V].
    func callAsFunction() throws -> Tensor {
        let context = try model.context(for: batch, state: state)
        let hidden = try model.hiddenStates(batch, context)
        let last = try Tensor(batch.boundaries.dropFirst().map { $0 - 1 }, device: model.device)
        return try model.logits(hidden.indexed(0, last), context)
    }

    /// Goes on with some sequences, each by a token; one may be named several times.
    ///
    /// - Parameter whole: All tokens of the new sequence of a number, for models that must read them anew.
    mutating func goOn(
        _ next: [(sequence: Int, token: Int32)], whole: (_ number: Int) -> [Int32]
    ) throws {
        let kept = next.map(\.sequence)
        if kept != Array(state.lengths.indices) { try state.keep(kept) }
        if state.lengths.contains(where: { model.mustReadAnew(at: $0 + 1) }) {
            state = ModelState(sequences: next.count)
            batch = TokenBatch(continuing: next.indices.map { (whole($0), 0) })
        } else {
            batch = TokenBatch(continuing: zip(next, state.lengths).map { ([$0.token], $1) })
        }
    }
}
