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
        /// The mean in which a token counts as often as its place says: the first once, the second twice.
        case weightedMean = "weightedmean"
        case lastToken = "lasttoken"
    }

    package let modes: [Mode]
    /// Whether vectors are brought to length 1.
    package let normalizes: Bool
    /// The tokens at the beginning that are left out, those of a prompt; a text that has no others keeps them.
    package var skippedTokens = 0

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
        let starts = batch.boundaries.map(Int.init)
        let rows = zip(starts, starts.dropFirst()).map { start, end in
            start + skippedTokens < end ? start + skippedTokens..<end : start..<end
        }
        switch mode {
        case .firstToken:
            return try hidden.indexed(0, Tensor(rows.map { Int32($0.lowerBound) }, device: device))  // [S, D]
        case .lastToken: return try hidden.indexed(0, Tensor(batch.lastRows, device: device))  // [S, D]
        case .mean: return try sums(hidden, rows) { kept, _ in 1 / Float(kept.count) }
        case .meanOverRoot: return try sums(hidden, rows) { kept, _ in 1 / Float(kept.count).squareRoot() }
        case .weightedMean:
            return try sums(hidden, rows, starts) { places, place in
                Float(place) / Float((places.lowerBound + places.upperBound - 1) * places.count / 2)
            }
        case .largest:
            return try stacked(
                rows.map { try hidden.narrowed(0, start: $0.lowerBound, length: $0.count).max(0) })  // [S, D]
        }
    }

    /// The sum of each sequence's rows times weights, as one product with [S, T].
    ///
    /// - Parameters:
    ///   - starts: Where the places of the rows are counted from; by default from 1 at the first of them.
    ///   - weight: From the places of a sequence's rows, the first of which is 1, and one place.
    private func sums(
        _ hidden: Tensor, _ rows: [Range<Int>], _ starts: [Int]? = nil, weight: (Range<Int>, Int) -> Float
    ) throws -> Tensor {
        let tokens = hidden.shape[0]
        var weights = [Float](repeating: 0, count: rows.count * tokens)
        for (sequence, rows) in rows.enumerated() {
            let shift = 1 - (starts?[sequence] ?? rows.lowerBound)
            let places = rows.lowerBound + shift..<rows.upperBound + shift
            for place in places { weights[sequence * tokens + place - shift] = weight(places, place) }
        }
        return try matmul(Tensor(weights, shape: [rows.count, tokens], device: hidden.device), hidden)  // [S, D]
    }
}

/// A model that turns texts into vectors whose nearness is that of their meanings.
package struct SentenceEmbedder {
    package let model: any TextModel
    package let pooling: SentencePooling
    /// What the pooled vectors pass through, in this order.
    package let projections: [SentenceProjection]

    package init(_ model: any TextModel, _ pooling: SentencePooling, projections: [SentenceProjection] = []) {
        self.model = model
        self.pooling = pooling
        self.projections = projections
    }

    /// One vector for each sequence, [S, P] in float32.
    ///
    /// - Throws: `ModelError` for a sequence without tokens.
    package func callAsFunction(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        try batch.checkTokens()
        let (hidden, whole) = try model.allHiddenStates(batch, context)
        return try projections.reduce(pooling(hidden, whole)) { try $1($0) }
    }
}

extension Tensor {
    /// The rows of [N, D] brought to length 1; a row of zeros stays one.
    package func rowsNormalized() throws -> Tensor {
        // What is added vanishes beside any length that can be told from zero, and keeps the gradient at zero finite.
        try self / sqrt(power(2).sum(1, keepAxis: true) + 1e-24)
    }
}
