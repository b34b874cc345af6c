import ApusTorch

/// Where the tokens of a pass go, and where those of before lie, in storages that keep a row for each token.
///
/// The sequences lie one behind the other with room to grow behind each, so that nothing moves when a token is added and
/// one call of attention reads all of them.
final class TokenPlaces {
    let starts: [Int]
    /// The rows of before: what prompts put in front, and the tokens.
    let lengths: [Int]
    let rowCount: Int
    /// All tokens, those of this pass too.
    let spans: SequenceSpans

    private let added: [Int]
    private var rows: Tensor?

    init(starts: [Int], lengths: [Int], added: [Int], rowCount: Int) {
        self.starts = starts
        self.lengths = lengths
        self.added = added
        self.rowCount = rowCount
        spans = SequenceSpans(starts: starts.map(Int32.init), lengths: zip(lengths, added).map { Int32($0 + $1) })
    }

    /// The rows of the pass's tokens, [T].
    func rows(on device: Device) throws -> Tensor {
        if let rows, rows.device == device { return rows }
        let numbers = starts.indices.flatMap { index in
            (0..<added[index]).map { Int64(starts[index] + lengths[index] + $0) }
        }
        let made = try Tensor(numbers, device: device)
        rows = made
        return made
    }
}

/// The keys and values of one layer's attention.
final class KeyValueState: LayerState {
    private var storage: (keys: Tensor, values: Tensor)?  // [rows, K, E]
    private var starts: [Int] = []

    init(sequences: Int) {}

    /// Rows of dropped sequences are left where they are until the storage grows.
    func keep(_ sequences: [Int]) { if storage != nil { starts = sequences.map { starts[$0] } } }

    /// Adds the new tokens of each sequence and attends to all of its tokens: [T, H, E].
    ///
    /// - Parameter prefix: What each sequence, which begins with the first call, sees in front of it from then on; asked for
    ///   in that call alone.
    func attend(
        _ q: Tensor, _ k: Tensor, _ v: Tensor, behind prefix: () throws -> AttentionPrefix?, queries: SequenceSpans,
        at places: TokenPlaces, _ options: AttentionOptions, biases: Tensor?
    ) throws -> Tensor {
        let prefix = try storage == nil ? prefix() : nil
        let keys = try moved(storage?.keys, to: places, like: k, or: prefix?.keys)
        let values = try moved(storage?.values, to: places, like: v, or: prefix?.values)
        let rows = try places.rows(on: k.device)
        try keys.copyRows(rows, from: k)
        try values.copyRows(rows, from: v)
        storage = (keys, values)
        starts = places.starts
        return try attention(
            q, keys, values, queries: queries, keys: places.spans, isCausal: true, options, biases: biases)
    }

    /// The storage if it is laid out by `places`, else one that is, with what was in it, or at first what is in `front`.
    private func moved(_ old: Tensor?, to places: TokenPlaces, like x: Tensor, or front: Tensor?) throws -> Tensor {
        if let old, starts == places.starts, old.shape[0] == places.rowCount { return old }
        let grown = try Tensor.empty([places.rowCount] + x.shape.dropFirst(), dtype: x.dtype, device: x.device)
        guard let old else {
            if let front {
                for start in places.starts {
                    try grown.narrowed(0, start: start, length: front.shape[0]).copy(from: front)
                }
            }
            return grown
        }
        for (index, length) in places.lengths.enumerated() where length > 0 {
            try grown.narrowed(0, start: places.starts[index], length: length)
                .copy(from: old.narrowed(0, start: starts[index], length: length))
        }
        return grown
    }
}
