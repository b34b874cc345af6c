import ApusTorch

/// Keys and values of the tokens that several sequences have seen so far, per layer.
package final class KVCache {
    private struct Entry {
        var keys: Tensor  // [capacity, K, E]
        var values: Tensor
        var count = 0
    }

    private var entries: [[Entry?]]  // [layer][sequence]

    package init(layers: Int, sequences: Int) {
        entries = Array(repeating: Array(repeating: nil, count: sequences), count: layers)
    }

    /// How many positions each sequence holds.
    package var lengths: [Int] { entries.first?.map { $0?.count ?? 0 } ?? [] }

    /// Drops sequences; the others keep their order.
    package func keep(_ sequences: [Int]) {
        entries = entries.map { layer in sequences.map { layer[$0] } }
    }

    /// Adds the new tokens of each sequence and attends to all of its tokens: [T, H, E].
    func attend(
        _ q: Tensor, _ k: Tensor, _ v: Tensor, bounds: [Int32], layer: Int, scale: Double, window: Int?
    ) throws -> Tensor {
        var mixed: [Tensor] = []
        for sequence in 0..<(bounds.count - 1) {
            let (start, length) = (Int(bounds[sequence]), Int(bounds[sequence + 1] - bounds[sequence]))
            func part(_ x: Tensor) throws -> Tensor { try x.narrowed(0, start: start, length: length) }
            let entry = try appended(part(k), part(v), to: entries[layer][sequence])
            entries[layer][sequence] = entry
            mixed.append(
                try attention(
                    part(q), entry.keys.narrowed(0, start: 0, length: entry.count),
                    entry.values.narrowed(0, start: 0, length: entry.count), queryBounds: [0, Int32(length)],
                    keyBounds: [0, Int32(entry.count)], isCausal: true, window: window, scale: scale))
        }
        return mixed.count == 1 ? mixed[0] : try concatenated(mixed)
    }

    private func appended(_ k: Tensor, _ v: Tensor, to entry: Entry?) throws -> Entry {
        let added = k.shape[0]
        var grown: Entry
        if let entry, entry.count + added <= entry.keys.shape[0] {
            grown = entry
        } else {
            // Doubling keeps the copying linear in the length of the text.
            let old = entry?.count ?? 0
            let capacity = max(64, 2 * (old + added))
            let shape = [capacity] + k.shape.dropFirst()
            grown = Entry(
                keys: try Tensor.empty(shape, dtype: k.dtype, device: k.device),
                values: try Tensor.empty(shape, dtype: v.dtype, device: v.device), count: old)
            if let entry, old > 0 {
                try grown.keys.narrowed(0, start: 0, length: old)
                    .copy(from: entry.keys.narrowed(0, start: 0, length: old))
                try grown.values.narrowed(0, start: 0, length: old)
                    .copy(from: entry.values.narrowed(0, start: 0, length: old))
            }
        }
        try grown.keys.narrowed(0, start: grown.count, length: added).copy(from: k)
        try grown.values.narrowed(0, start: grown.count, length: added).copy(from: v)
        grown.count += added
        return grown
    }
}
