package import ApusNN
package import ApusTorch

/// What a run will need at its peak, from shapes alone, in bytes.
package struct MemoryForecast: Sendable, Equatable {
    package let weights: Int
    package let trained: Int
    package let activations: Int
    package let logits: Int
    /// A matrix that is kept in fewer bits, while it is multiplied.
    package let matrix: Int
    /// The program and the libraries it runs on.
    package static let process = 330 << 20

    package var total: Int { Self.process + weights + trained + activations + logits + matrix }

    /// - Parameters:
    ///   - weightBytes: Of the model without adapters.
    ///   - largestMatrix: Elements of the largest matrix that is kept in fewer bits, 0 where none is.
    ///   - trainedCount: Elements of the trained parameters.
    ///   - trainedDType: Their type, which the gradient has too. Of 16 bits there are, beside the tensors, the values that
    ///     are moved and their gradients in float32.
    ///   - tokens: Tokens of the largest micro-batch.
    ///   - targets: Its targets.
    ///   - scoredRows: Rows whose scores of the vocabulary exist at a time.
    ///   - adaptedRank: The rank of the adapters, 0 without.
    ///   - keptCount: Numbers in float32 that adapters keep for the backward pass whatever the tokens.
    ///   - keptOfToken: Numbers that they keep of each token, beside what their rank says.
    ///   - stateBytes: What the optimizer remembers in memory.
    ///   - heldGradients: Elements whose gradients are there at a time; nil is all.
    ///   - keepsMasters: Whether the values that are moved are kept beside tensors of 16 bits.
    package init(
        shape: TransformerSizes, weightBytes: Int, largestMatrix: Int = 0, dtype: DType, trainedCount: Int,
        trainedDType: DType, tokens: Int, targets: Int,
        scoredRows: Int = rowsAtATime(on: .cpu), adaptedRank: Int, keptCount: Int = 0, keptOfToken: Int = 0,
        checkpointsLayers: Bool, stateBytes: Int,
        heldGradients: Int? = nil, keepsMasters: Bool = true
    ) {
        weights = weightBytes
        // Larger ones are made in parts of so many numbers (Sources/CTorch/fused/quantized_linear.cpp), in float32.
        matrix = min(largestMatrix, 1 << 24) * 4
        let wide = trainedDType.isShortFloat ? 4 : 0
        let values = trainedDType.size + (keepsMasters ? wide : 0)
        trained = trainedCount * values + stateBytes + (heldGradients ?? trainedCount) * (trainedDType.size + wide)
        // What one layer keeps for its backward pass: the inputs of its products, q, k, v, the attention's output,
        // gate and up; and, beside them, what the widest operation makes while it runs.
        let queries = shape.heads * shape.headSize
        let shared = shape.keyValueHeads * shape.headSize
        let kept = 4 * shape.width + 2 * queries + 2 * shared + 3 * shape.hidden + 7 * adaptedRank
        let transient = 3 * shape.hidden + 4 * shape.width
        let layers = checkpointsLayers ? shape.width * shape.layers + kept : kept * shape.layers
        activations = tokens * (layers + transient + keptOfToken) * dtype.size + keptCount * 4
        logits = min(scoredRows, targets) * shape.vocabulary * dtype.size + 2 * targets * shape.width * dtype.size
    }
}
