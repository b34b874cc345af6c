import ApusTorch

/// What one layer remembers of several sequences from pass to pass: keys and values, or whatever else its kind needs.
package protocol LayerState: AnyObject {
    init(sequences: Int)

    /// Drops sequences; the others keep their order.
    func keep(_ sequences: [Int]) throws
}

/// What a model remembers of several sequences between the passes of a generation: the states of its layers.
///
/// A layer asks for the state of its own kind and is given an empty one at first.
package final class ModelState {
    private struct Key: Hashable {
        let layer: Int
        let kind: ObjectIdentifier
    }

    private var layers: [Key: any LayerState] = [:]
    /// How many tokens of each sequence have been seen.
    package private(set) var lengths: [Int]

    package init(sequences: Int) { lengths = Array(repeating: 0, count: sequences) }

    /// The state of a layer.
    package func of<State: LayerState>(_ layer: Int, make: (_ sequences: Int) -> State) -> State {
        let key = Key(layer: layer, kind: ObjectIdentifier(State.self))
        if let state = layers[key] as? State { return state }
        let state = make(lengths.count)
        layers[key] = state
        return state
    }

    /// Drops sequences; the others keep their order.
    package func keep(_ sequences: [Int]) throws {
        lengths = sequences.map { lengths[$0] }
        for state in layers.values { try state.keep(sequences) }
    }

    /// Notes the tokens of a pass once all layers have seen them.
    package func advance(over bounds: [Int32]) {
        for index in lengths.indices { lengths[index] += Int(bounds[index + 1] - bounds[index]) }
    }
}

/// The keys and values of one layer's attention.
package final class KeyValueState: LayerState {
    private struct Entry {
        var keys: Tensor  // [capacity, K, E]
        var values: Tensor
        var count = 0
    }

    private var entries: [Entry?]

    package init(sequences: Int) { entries = Array(repeating: nil, count: sequences) }

    package func keep(_ sequences: [Int]) { entries = sequences.map { entries[$0] } }

    /// Adds the new tokens of each sequence and attends to all of its tokens: [T, H, E].
    ///
    /// - Parameter prefix: What a sequence that begins here sees in front of it from now on.
    func attend(
        _ q: Tensor, _ k: Tensor, _ v: Tensor, bounds: [Int32], prefix: AttentionPrefix?, _ options: AttentionOptions
    ) throws -> Tensor {
        var mixed: [Tensor] = []
        for sequence in 0..<(bounds.count - 1) {
            let (start, length) = (Int(bounds[sequence]), Int(bounds[sequence + 1] - bounds[sequence]))
            func part(_ x: Tensor) throws -> Tensor { try x.narrowed(0, start: start, length: length) }
            let before = try entries[sequence] ?? prefix.map { try appended($0.keys, $0.values, to: nil, like: k) }
            let entry = try appended(part(k), part(v), to: before, like: k)
            entries[sequence] = entry
            mixed.append(
                try attention(
                    part(q), entry.keys.narrowed(0, start: 0, length: entry.count),
                    entry.values.narrowed(0, start: 0, length: entry.count), queryBounds: [0, Int32(length)],
                    keyBounds: [0, Int32(entry.count)], isCausal: true, window: options.window, scale: options.scale))
        }
        return mixed.count == 1 ? mixed[0] : try concatenated(mixed)
    }

    private func appended(_ k: Tensor, _ v: Tensor, to entry: Entry?, like own: Tensor) throws -> Entry {
        let added = k.shape[0]
        var grown: Entry
        if let entry, entry.count + added <= entry.keys.shape[0] {
            grown = entry
        } else {
            // Doubling keeps the copying linear in the length of the text.
            let old = entry?.count ?? 0
            let capacity = max(64, 2 * (old + added))
            func empty(_ x: Tensor) throws -> Tensor {
                try Tensor.empty([capacity] + x.shape.dropFirst(), dtype: own.dtype, device: x.device)
            }
            grown = Entry(keys: try empty(k), values: try empty(v), count: old)
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
