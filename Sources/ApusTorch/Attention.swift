internal import CTorch

// T queries, T' keys, H query heads, K key/value heads, E head size.

/// Where the sequences of a flat tensor lie: rows one after the other, perhaps with room between sequences.
///
/// The layers of a pass share one, so that a device gets the numbers once a pass.
package final class SequenceSpans {
    package let starts: [Int32]
    package let lengths: [Int32]
    /// The starts, and the end of the last.
    fileprivate let offsets: [Int32]
    private var uploaded: (offsets: Tensor, lengths: Tensor)?

    /// - Parameter bounds: Offsets of sequences without room between them, one more than there are sequences.
    package convenience init(_ bounds: [Int32]) {
        self.init(starts: Array(bounds.dropLast()), lengths: zip(bounds, bounds.dropFirst()).map { $1 - $0 })
    }

    /// - Precondition: As many starts as lengths.
    package init(starts: [Int32], lengths: [Int32]) {
        precondition(starts.count == lengths.count, "\(starts.count) starts and \(lengths.count) lengths of sequences")
        self.starts = starts
        self.lengths = lengths
        offsets = starts + [(starts.last ?? 0) + (lengths.last ?? 0)]
    }

    /// The numbers on a device; nil on the CPU, where attention reads them as they are.
    fileprivate func tensors(on device: Device) throws -> (offsets: Tensor, lengths: Tensor)? {
        guard device != .cpu else { return nil }
        if let uploaded, uploaded.offsets.device == device { return uploaded }
        let tensors = (offsets: try Tensor(offsets, device: device), lengths: try Tensor(lengths, device: device))
        uploaded = tensors
        return tensors
    }
}

/// Distances between a key and a query in groups, each a row of a bias table, as T5 makes them.
///
/// Half of the buckets stand for one distance each, the others for more and more of them up to `reach`, from which on all
/// are in the last. Raffel et al. 2019, <https://arxiv.org/abs/1910.10683>.
package struct DistanceBuckets: Sendable, Equatable {
    package var count: Int
    package var reach: Int
    /// Whether keys behind a query have buckets of their own; else all of them share that of distance 0.
    package var ofBothSides: Bool

    package init(count: Int, reach: Int = 128, ofBothSides: Bool) {
        self.count = count
        self.reach = reach
        self.ofBothSides = ofBothSides
    }
}

/// How a layer's attention weighs keys: `softmax(cap · tanh(q kᵀ · scale / cap) + bias)`.
///
/// A kernel that lacks a combination leaves it to ordinary products; none is passed over.
package struct AttentionOptions: Sendable, Equatable {
    /// What `q · k` is multiplied with.
    package var scale: Double
    /// The most keys that a token sees, its own counted; nil sets no limit.
    ///
    /// Where a token sees both sides, so many of each side.
    package var window: Int?
    /// The probability with which a weight is dropped while training.
    package var dropout = 0.0
    /// What scores come near to and never reach, as in Gemma 2; nil leaves them as they are.
    package var softCap: Double?
    /// For each query head what a key's score loses for each token between it and the query; nil for nothing.
    ///
    /// Press et al. 2021, <https://arxiv.org/abs/2108.12409>.
    package var slopes: [Float]?
    /// Whether what keys gain by `slopes` is computed as Falcon was trained: slope, the key's place from the start of its
    /// sequence and their product are rounded to bfloat16, whatever the type, and then multiplied by `scale`.
    package var roundsSlopes = false
    /// How distances share the rows of the bias table that goes with the queries; nil where there is none.
    package var buckets: DistanceBuckets?

    package init(scale: Double, window: Int? = nil, dropout: Double = 0) {
        self.scale = scale
        self.window = window
        self.dropout = dropout
    }

    /// - Parameter scale: By default `1 / √E`.
    package init(headSize: Int, scale: Double? = nil, window: Int? = nil, dropout: Double = 0) {
        self.init(scale: scale ?? 1 / Double(headSize).squareRoot(), window: window, dropout: dropout)
    }
}

/// Attention inside each sequence of a flat batch: [T, H, E] — q [T, H, E], k and v [T', K, E], H a multiple of K.
///
/// - Parameters:
///   - queries: The sequences of `q`, without room between them.
///   - keys: The same for `k` and `v`, which may lie apart. Other ones than the queries' are a cache or, where
///     `isCausal` is false, cross-attention.
///   - isCausal: Whether a query sees only keys up to its own. The queries are the last positions of their sequence.
///   - biases: A row for each bucket of `options`, [buckets, H]; it is given a gradient.
///   - sinks: Of each query head a score beside those of the keys, which takes its share of the weights and has no value,
///     [H]; it is given a gradient.
///   - key: Decides which weights are dropped.
/// - Throws: `TorchError` where shapes, spans and options do not fit each other.
package func attention(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, queries: SequenceSpans, keys: SequenceSpans, isCausal: Bool,
    _ options: AttentionOptions, biases: Tensor? = nil, sinks: Tensor? = nil, key: UInt64 = 0
) throws -> Tensor {
    func refuse(_ message: String) -> TorchError {
        TorchError(kind: .invalidOperation, message: "attention: \(message)")
    }
    guard queries.starts.count == keys.starts.count else {
        throw refuse("\(queries.starts.count) sequences of queries and \(keys.starts.count) of keys")
    }
    guard zip(queries.offsets.dropFirst(), queries.offsets).map(-) == queries.lengths else {
        throw refuse("there is room between the sequences of queries")
    }
    // Zero stands for none below.
    if let window = options.window, window < 1 { throw refuse("a window of \(window) keys leaves nothing to see") }
    if let cap = options.softCap, cap <= 0 { throw refuse("a soft cap of \(cap) leaves no scores") }
    let (uploadedQueries, uploadedKeys) = (try queries.tensors(on: q.device), try keys.tensors(on: q.device))
    return try withHandle(ifPresent: uploadedQueries?.offsets) { queryTensor in
        try withHandle(ifPresent: uploadedKeys?.offsets) { keyTensor in
            try withHandle(ifPresent: uploadedKeys?.lengths) { lengthTensor in
                try queries.offsets.withUnsafeBufferPointer { bounds in
                    try keys.starts.withUnsafeBufferPointer { starts in
                        try keys.lengths.withUnsafeBufferPointer { lengths in
                            try (options.slopes ?? []).withUnsafeBufferPointer { slopes in
                                var plain = ct_attention_options()
                                plain.count = Int32(starts.count)
                                plain.query_bounds = bounds.baseAddress
                                plain.key_starts = starts.baseAddress
                                plain.key_lengths = lengths.baseAddress
                                plain.query_tensor = queryTensor
                                plain.key_tensor = keyTensor
                                plain.key_length_tensor = lengthTensor
                                plain.causal = isCausal
                                plain.window = Int64(options.window ?? 0)
                                plain.scale = options.scale
                                plain.dropout = options.dropout
                                plain.key = key
                                plain.soft_cap = options.softCap ?? 0
                                plain.slopes = options.slopes == nil ? nil : slopes.baseAddress
                                plain.slope_count = Int32(slopes.count)
                                plain.rounds_slopes = options.roundsSlopes
                                plain.bucket_count = Int64(options.buckets?.count ?? 0)
                                plain.bucket_reach = Int64(options.buckets?.reach ?? 0)
                                plain.buckets_both_sides = options.buckets?.ofBothSides ?? false
                                return try Tensor(
                                    owning: withHandles(q, k, v) { q, k, v in
                                        withHandle(ifPresent: biases) { biases in
                                            withHandle(ifPresent: sinks) { ct_attention(q, k, v, biases, $0, &plain) }
                                        }
                                    })
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The same with offsets that no other call shares.
package func attention(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, queryBounds: [Int32], keyBounds: [Int32], isCausal: Bool,
    window: Int? = nil, scale: Double, dropout: Double = 0, key: UInt64 = 0
) throws -> Tensor {
    try attention(
        q, k, v, queries: SequenceSpans(queryBounds), keys: SequenceSpans(keyBounds), isCausal: isCausal,
        AttentionOptions(scale: scale, window: window, dropout: dropout), key: key)
}
