package import ApusTorch

// T tokens, S sequences, H heads, E size of a key, F size of a value, C tokens of a chunk, N chunks.

/// Linear attention whose memory forgets and corrects itself, the gated delta rule.
///
/// Each head has a matrix M [E, F]: `M ← exp(g_t) M`, then `M ← M + k_t (β_t (v_t - Mᵀ k_t))ᵀ`, and `o_t = Mᵀ q_t`. Tokens
/// are taken in chunks: what those of one chunk tell each other is one triangular system, solved for all chunks at once,
/// and only the memory goes from chunk to chunk. Yang, Kautz, Hatamizadeh 2024, <https://arxiv.org/abs/2412.06464>.
package struct GatedDeltaRule {
    package let queries: Tensor  // [T, H, E]
    package let keys: Tensor  // [T, H, E]
    package let values: Tensor  // [T, H, F]
    /// g, not above zero, [T, H].
    package let decay: Tensor
    /// β, [T, H].
    package let rate: Tensor

    /// - Precondition: All of one type, wide enough to sum in.
    package init(queries: Tensor, keys: Tensor, values: Tensor, decay: Tensor, rate: Tensor) {
        (self.queries, self.keys, self.values, self.decay, self.rate) = (queries, keys, values, decay, rate)
    }

    /// What tokens read, [T, H, F], and the memory of each sequence behind its last token.
    ///
    /// - Parameters:
    ///   - memory: That of the pass before, [S, H, E, F]; nil is all zeros.
    ///   - keepsMemory: Whether a pass comes after this one.
    ///   - chunk: The most tokens of a chunk, C.
    package func callAsFunction(
        bounds: [Int32], memory: Tensor?, keepsMemory: Bool, chunk: Int = 64
    ) throws -> (outputs: Tensor, memory: Tensor?) {
        let plan = DeltaChunks(bounds, most: chunk)
        let device = values.device
        let rows = try Tensor(plan.rows, device: device)
        func packed(_ x: Tensor) throws -> Tensor {  // [T, H, …] → [N, H, C, …]
            let zeros = try Tensor.zeros([1] + x.shape.dropFirst(), dtype: x.dtype, device: device)
            return try concatenated([x, zeros]).indexed(0, rows)
                .reshaped([plan.count, plan.size] + x.shape.dropFirst()).transposed(1, 2).contiguous()
        }

        let (q, k, v) = try (packed(queries), packed(keys), packed(values))
        let beta = try packed(rate).unsqueezed(3)  // [N, H, C, 1]
        let decays = try packed(decay).cumulativeSum(2)  // [N, H, C]
        let grown = try exp(decays).unsqueezed(3)  // [N, H, C, 1]
        let places = try Tensor.arange(0..<plan.size, device: device)
        let isLater = try places.unsqueezed(1).isLess(than: places.unsqueezed(0))  // [C, C]
        let between = try exp(
            (decays.unsqueezed(3) - decays.unsqueezed(2)).masked(by: isLater, with: -.infinity))  // [N, H, C, C]
        let turned = try k.transposed(2, 3)  // [N, H, E, C]
        let ratedKeys = try k * beta
        let system = try matmul(ratedKeys, turned) * between  // [N, H, C, C]
        let within = try matmul(q, turned) * between
        let own = try (v * beta).divided(byUnitLower: system)  // [N, H, C, F]

        // The rest is about memory, which chunks that begin and end with a short text have not.
        var (outputs, left): (Tensor, Tensor?)
        if memory == nil, !keepsMemory, plan.stepCounts.count <= 1 {
            (outputs, left) = (try matmul(within, own), nil)
        } else {
            let end = plan.size - 1
            let rest = try exp(decays.narrowed(2, start: end, length: 1) - decays).unsqueezed(3)  // [N, H, C, 1]
            let chunks = Chunks(
                within: within, own: own, read: try (ratedKeys * grown).divided(byUnitLower: system),
                queries: try q * grown, written: try (k * rest).transposed(2, 3),
                kept: try grown.narrowed(2, start: end, length: 1))
            (outputs, left) = try scan(chunks, plan, memory, keepsMemory)
        }
        outputs = try outputs.transposed(1, 2)
            .reshaped([plan.count * plan.size, values.shape[1], values.shape[2]])
        return (try outputs.indexed(0, Tensor(plan.places, device: device)), left)
    }

    /// What is known of chunks before the memory comes to them.
    private struct Chunks {
        /// What queries read of the chunk's own tokens, [N, H, C, C].
        let within: Tensor
        /// What tokens write if the memory is empty, [N, H, C, F].
        let own: Tensor
        /// What of the memory tokens take back before they write, [N, H, C, E].
        let read: Tensor
        /// [N, H, C, E].
        let queries: Tensor
        /// [N, H, E, C].
        let written: Tensor
        /// How much of the memory is left behind the chunk, [N, H, 1, 1].
        let kept: Tensor
    }

    /// The memory through the chunks of all sequences, one step for the first chunks, one for the second, and so on.
    private func scan(
        _ chunks: Chunks, _ plan: DeltaChunks, _ memory: Tensor?, _ keepsMemory: Bool
    ) throws -> (outputs: Tensor, memory: Tensor?) {
        let (heads, keySize, valueSize) = (values.shape[1], keys.shape[2], values.shape[2])
        let device = values.device
        var state =
            try memory.map { try $0.to(values.dtype).indexed(0, Tensor(plan.order, device: device)) }
            ?? Tensor.zeros([plan.order.count, heads, keySize, valueSize], dtype: values.dtype, device: device)
        var outputs: [Tensor] = []
        var finished: [Tensor] = []
        var start = 0
        for count in plan.stepCounts {
            if count < state.shape[0] {
                finished.insert(try state.narrowed(0, start: count, length: state.shape[0] - count), at: 0)
                state = try state.narrowed(0, start: 0, length: count)
            }
            func part(_ x: Tensor) throws -> Tensor { try x.narrowed(0, start: start, length: count) }
            let written = try part(chunks.own) - matmul(part(chunks.read), state)  // [n, H, C, F]
            outputs.append(try matmul(part(chunks.queries), state) + matmul(part(chunks.within), written))
            if keepsMemory || start + count < plan.count {
                state = try state * part(chunks.kept) + matmul(part(chunks.written), written)
            }
            start += count
        }
        let all = try outputs.isEmpty ? chunks.own : concatenated(outputs)
        guard keepsMemory else { return (all, nil) }
        let back = try Tensor(plan.orderBack, device: device)
        return (all, try concatenated([state] + finished).indexed(0, back))
    }
}

/// How the tokens of a flat batch lie in chunks of equal size.
///
/// Sequences with more chunks come first, and the first chunks of all come before the second ones, so that the chunks of a
/// step lie side by side and belong to the first sequences.
struct DeltaChunks {
    /// Tokens of a chunk, C.
    let size: Int
    /// Sequences, those with more chunks first.
    let order: [Int64]
    /// For each step how many sequences have a chunk.
    let stepCounts: [Int]
    /// The token at each place of each chunk, [N · C]; T where there is none.
    let rows: [Int64]
    /// The place of each token, [T].
    let places: [Int64]

    /// Chunks, N.
    var count: Int { rows.count / size }

    /// For each sequence its number in `order`.
    var orderBack: [Int64] {
        var back = order
        for (place, sequence) in order.enumerated() { back[Int(sequence)] = Int64(place) }
        return back
    }

    init(_ bounds: [Int32], most: Int) {
        let lengths = zip(bounds, bounds.dropFirst()).map { Int($1 - $0) }
        let size = max(1, min(most, lengths.max() ?? 1))
        let chunks = lengths.map { ($0 + size - 1) / size }
        let order = chunks.indices.sorted { (chunks[$1], $0) < (chunks[$0], $1) }
        let tokens = Int(bounds.last ?? 0)
        let counts = (0..<(chunks.max() ?? 0)).map { step in chunks.count { $0 > step } }
        var rows: [Int64] = []
        var places = [Int64](repeating: 0, count: tokens)
        for (step, count) in counts.enumerated() {
            for sequence in order.prefix(count) {
                let start = Int(bounds[sequence]) + step * size
                let end = min(start + size, Int(bounds[sequence + 1]))
                for row in start..<end {
                    places[row] = Int64(rows.count)
                    rows.append(Int64(row))
                }
                rows += Array(repeating: Int64(tokens), count: size - (end - start))
            }
        }
        self.size = size
        self.order = order.map(Int64.init)
        stepCounts = counts
        self.rows = rows
        self.places = places
    }
}
