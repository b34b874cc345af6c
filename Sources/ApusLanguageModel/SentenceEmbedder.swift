package import ApusNN
package import ApusTorch

// T tokens, S sequences, D width, P pooled width.

/// How the hidden states of a sequence become one vector, as sentence-transformers pools them.
///
/// Reimers and Gurevych 2019, <https://arxiv.org/abs/1908.10084>.
package struct SentencePooling: Sendable, Equatable {
    /// By the name that a `1_Pooling/config.json` has for it; vectors of several are laid side by side in this order.
    package enum Mode: String, Sendable, CaseIterable {
        /// The first token.
        case firstToken = "cls"
        /// The largest value of each feature.
        case largest = "max"
        case mean
        /// The sum over the root of the count of tokens.
        case meanOverRoot = "mean_sqrt_len_tokens"
        case lastToken = "lasttoken"
    }

    package let modes: [Mode]
    /// Whether vectors are brought to length 1.
    package let normalizes: Bool

    package init(_ modes: [Mode], normalizes: Bool) {
        self.modes = modes
        self.normalizes = normalizes
    }

    /// Hidden states [T, D] to one vector for each sequence, [S, P] in float32.
    package func callAsFunction(_ hidden: Tensor, _ batch: TokenBatch) throws -> Tensor {
        let hidden = try hidden.to(.float32)  // [T, D]
        let parts = try modes.map { try pooled(hidden, batch, $0) }
        let vectors = try parts.count == 1 ? parts[0] : concatenated(parts, axis: 1)  // [S, P]
        return try normalizes ? vectors.rowsNormalized() : vectors
    }

    private func pooled(_ hidden: Tensor, _ batch: TokenBatch, _ mode: Mode) throws -> Tensor {
        let device = hidden.device
        switch mode {
        case .firstToken: return try hidden.indexed(0, Tensor(batch.firstRows, device: device))  // [S, D]
        case .lastToken: return try hidden.indexed(0, Tensor(batch.lastRows, device: device))  // [S, D]
        case .mean: return try sums(hidden, batch) { 1 / Float($0) }
        case .meanOverRoot: return try sums(hidden, batch) { 1 / Float($0).squareRoot() }
        case .largest:
            return try stacked(
                zip(batch.boundaries, batch.boundaries.dropFirst()).map { start, end in
                    try hidden.narrowed(0, start: Int(start), length: Int(end - start)).max(0)  // [D]
                })  // [S, D]
        }
    }

    /// The sum of each sequence's rows times a weight that depends on their count, as one product with [S, T].
    private func sums(_ hidden: Tensor, _ batch: TokenBatch, weight: (Int) -> Float) throws -> Tensor {
        let (sequences, tokens) = (batch.sequenceCount, batch.tokens.count)
        var weights = [Float](repeating: 0, count: sequences * tokens)
        for sequence in 0..<sequences {
            let rows = Int(batch.boundaries[sequence])..<Int(batch.boundaries[sequence + 1])
            for row in rows { weights[sequence * tokens + row] = weight(rows.count) }
        }
        return try matmul(Tensor(weights, shape: [sequences, tokens], device: hidden.device), hidden)  // [S, D]
    }
}

/// A model that turns texts into vectors whose nearness is that of their meanings.
package struct SentenceEmbedder {
    package let model: any TextModel
    package let pooling: SentencePooling

    package init(_ model: any TextModel, _ pooling: SentencePooling) {
        self.model = model
        self.pooling = pooling
    }

    /// One vector for each sequence, [S, P] in float32.
    package func callAsFunction(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        try pooling(model.hiddenStates(batch, context), batch)
    }
}

extension Tensor {
    /// The rows of [N, D] brought to length 1; a row of zeros stays one.
    package func rowsNormalized() throws -> Tensor {
        // What is added vanishes beside any length that can be told from zero, and keeps the gradient at zero finite.
        try self / sqrt(power(2).sum(1, keepAxis: true) + 1e-24)
    }
}
