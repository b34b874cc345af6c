import ApusLanguageModel
import ApusNN
import ApusTorch

// N targets of all sequences, S sequences.

/// How probable a model finds the targets of a batch.
struct TokenScores {
    /// `-log p` of each target, [N]; its gradient reaches the model where gradients are recorded.
    let losses: Tensor
    /// The same on the host.
    let values: [Double]
    /// The mean over the vocabulary of the scores behind each target, on the host.
    let meanLogits: [Double]
    /// The entropy of what may stand in the place of each target, on the host; none where nobody asked.
    let entropies: [Double]
    /// What a head expects before each target, [N]; nil without one.
    let expected: Tensor?

    /// - Parameter temperature: What scores are divided by.
    init(
        _ model: CausalLanguageModel, _ batch: TokenBatch, _ context: ForwardContext, temperature: Double = 1,
        asksEntropy: Bool = false, head: ValueHead? = nil
    ) throws {
        let hidden = try model.hiddenStates(batch, context)  // [T, D]
        let rows = try hidden.indexed(0, Tensor(batch.targets.rows, device: hidden.device))  // [N, D]
        let labels = try Tensor(batch.targets.labels, device: hidden.device)
        let means: Tensor
        (losses, means) = try model.head.tokenLosses(rows, labels: labels, temperature: temperature, context)
        values = try losses.values()
        meanLogits = try means.values()
        entropies =
            asksEntropy ? try model.head.entropies(rows, temperature: temperature, context).values() : []
        expected = try head?(rows)
    }
}

extension TokenBatch {
    /// Some of the sequences as a batch of their own, without what is known of them as wholes.
    func sequences(_ range: Range<Int>) -> TokenBatch {
        let (start, end) = (boundaries[range.lowerBound], boundaries[range.upperBound])
        let own = targets.rows.indices.filter { (start..<end).contains(targets.rows[$0]) }
        return TokenBatch(
            range.map { Array(tokens[Int(boundaries[$0])..<Int(boundaries[$0 + 1])]) },
            targets: TokenTargets(
                rows: own.map { targets.rows[$0] - start }, labels: own.map { targets.labels[$0] }))
    }
}

extension ForwardContext {
    /// The pass of a step over a batch, as preferences are learned: nothing is dropped, so that a model is at first its
    /// own reference.
    func undropped(_ batch: TokenBatch, of model: any TextModel) throws -> ForwardContext {
        try model.context(
            for: batch, adapters: adapters, checkpointsLayers: checkpointsLayers, randomKey: randomKey,
            groupsAttention: isTraining)
    }
}

/// A scalar of a value that was computed on the host, whose gradient with respect to `x` was too.
///
/// - Parameter gradient: One number for each element of `x`.
func planned(_ value: Double, gradient: [Double], of x: Tensor) throws -> Tensor {
    func made(_ numbers: [Double], _ shape: [Int]) throws -> Tensor {
        // What a device cannot hold is rounded.
        try Tensor(numbers, shape: shape).to(x.device == .mps ? .float32 : .float64).to(x.device)
    }
    return try carrying(made([value], []), gradient: made(gradient, x.shape), of: x)
}
