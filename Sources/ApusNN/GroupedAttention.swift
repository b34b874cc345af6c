import ApusTorch

/// Shifted sparse attention: the tokens of a sequence see those of their group alone, and half of the heads have groups
/// that begin half a group later.
///
/// A group is a share of the sequence; the last one takes what is left. Tokens of the second half of the heads are moved
/// to the front by half a group and what falls off goes to the end, so that the last group of those holds the end of the
/// sequence and its beginning. Chen et al. 2023, <https://arxiv.org/abs/2309.12307>, section 3.2.
struct GroupedAttention {
    /// The bounds of the groups of all sequences.
    private let bounds: [Int32]
    /// For each place the token that is moved there, and the other way round.
    private let moved: [Int64]
    private let back: [Int64]

    init(_ sequences: [Int32], share: Double) {
        var (bounds, moved): ([Int32], [Int64]) = ([0], [])
        for (start, end) in zip(sequences, sequences.dropFirst()) where end > start {
            let count = Int(end - start)
            let group = max(1, Int(Double(count) * share))
            for first in stride(from: group, to: count, by: group) { bounds.append(start + Int32(first)) }
            bounds.append(end)
            let shift = (group + 1) / 2
            moved += (0..<count).map { Int64(Int(start) + ($0 + shift) % count) }
        }
        var back = [Int64](repeating: 0, count: moved.count)
        for (place, token) in moved.enumerated() { back[Int(token)] = Int64(place) }
        (self.bounds, self.moved, self.back) = (bounds, moved, back)
    }

    /// Attention of q [T, H, E] over k, v [T, K, E]: [T, H, E].
    func callAsFunction(
        _ q: Tensor, _ k: Tensor, _ v: Tensor, _ options: AttentionOptions, sinks: Tensor?, keys: (UInt64, UInt64)
    ) throws -> Tensor {
        let heads = q.shape[1]
        let spans = SequenceSpans(bounds)
        func part(_ x: Tensor, isSecond: Bool) throws -> Tensor {
            var x = x
            if x.shape[1] % 2 == 1, x.shape[1] < heads {
                // Heads that share a key are cut apart.
                let (rows, shared) = (x.shape[0], x.shape[1])
                x = try x.unsqueezed(2).expanded([rows, shared, heads / shared, x.shape[2]])
                    .reshaped([rows, heads, x.shape[2]])  // [T, H, E]
            }
            let half = x.shape[1] / 2
            let own = try x.narrowed(1, start: isSecond ? half : 0, length: isSecond ? x.shape[1] - half : half)
            return try isSecond ? own.indexed(0, Tensor(moved, device: x.device)) : own.contiguous()
        }
        func half(isSecond: Bool) throws -> Tensor {
            let first = heads / 2
            let own = try sinks?.narrowed(0, start: isSecond ? first : 0, length: isSecond ? heads - first : first)
            return try attention(
                part(q, isSecond: isSecond), part(k, isSecond: isSecond), part(v, isSecond: isSecond), queries: spans,
                keys: spans, isCausal: true, options, sinks: own, key: isSecond ? keys.1 : keys.0)
        }
        guard heads > 1 else { return try half(isSecond: true).indexed(0, Tensor(back, device: q.device)) }
        let shifted = try half(isSecond: true).indexed(0, Tensor(back, device: q.device))
        return try concatenated([half(isSecond: false), shifted], axis: 1)  // [T, H, E]
    }
}
