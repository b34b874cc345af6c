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

/// A row for each token of several sequences, laid out by `TokenPlaces`.
struct TokenRows {
    private var rows: Tensor?
    private var starts: [Int] = []

    var isEmpty: Bool { rows == nil }

    /// Rows of dropped sequences are left where they are until the storage grows.
    mutating func keep(_ sequences: [Int]) { if rows != nil { starts = sequences.map { starts[$0] } } }

    /// All rows, with those of the pass's tokens in their places.
    ///
    /// - Parameter front: What lies in front of each sequence, where these are the first rows.
    mutating func adding(_ x: Tensor, at places: TokenPlaces, behind front: Tensor? = nil) throws -> Tensor {
        let all = try moved(to: places, like: x, or: front)
        try all.copyRows(places.rows(on: x.device), from: x)
        rows = all
        starts = places.starts
        return all
    }

    /// The storage if it is laid out by `places`, else one that is, with what was in it, or at first what is in `front`.
    private func moved(to places: TokenPlaces, like x: Tensor, or front: Tensor?) throws -> Tensor {
        if let rows, starts == places.starts, rows.shape[0] == places.rowCount { return rows }
        let grown = try Tensor.empty([places.rowCount] + x.shape.dropFirst(), dtype: x.dtype, device: x.device)
        guard let rows else {
            if let front {
                for start in places.starts {
                    try grown.narrowed(0, start: start, length: front.shape[0]).copy(from: front)
                }
            }
            return grown
        }
        for (index, length) in places.lengths.enumerated() where length > 0 {
            try grown.narrowed(0, start: places.starts[index], length: length)
                .copy(from: rows.narrowed(0, start: starts[index], length: length))
        }
        return grown
    }
}

/// The keys and values of one layer's attention, [rows, K, E] each.
final class KeyValueState: LayerState {
    private var keys = TokenRows()
    private var values = TokenRows()

    init(sequences: Int) {}

    func keep(_ sequences: [Int]) {
        keys.keep(sequences)
        values.keep(sequences)
    }

    /// Adds the new tokens of each sequence and attends to all of its tokens: [T, H, E].
    ///
    /// - Parameter prefix: What each sequence, which begins with the first call, sees in front of it from then on; asked for
    ///   in that call alone.
    func attend(
        _ q: Tensor, _ k: Tensor, _ v: Tensor, behind prefix: () throws -> AttentionPrefix?, queries: SequenceSpans,
        at places: TokenPlaces, _ options: AttentionOptions, biases: Tensor?, sinks: Tensor?
    ) throws -> Tensor {
        let prefix = try keys.isEmpty ? prefix() : nil
        let allKeys = try keys.adding(k, at: places, behind: prefix?.keys)
        let allValues = try values.adding(v, at: places, behind: prefix?.values)
        return try attention(
            q, allKeys, allValues, queries: queries, keys: places.spans, isCausal: true, options, biases: biases,
            sinks: sinks)
    }
}

/// What the keys and values of one layer are made from, [rows, C]: a short row for each token.
final class LatentState: LayerState {
    private var latents = TokenRows()

    init(sequences: Int) {}

    func keep(_ sequences: [Int]) { latents.keep(sequences) }

    /// Adds the new tokens of each sequence and attends to all of its tokens: [T, H, E].
    func attend(
        _ q: Tensor, _ latent: Tensor, expand: (Tensor) throws -> (keys: Tensor, values: Tensor),
        queries: SequenceSpans, at places: TokenPlaces, _ options: AttentionOptions
    ) throws -> Tensor {
        let (keys, values) = try expand(latents.adding(latent, at: places))
        return try attention(q, keys, values, queries: queries, keys: places.spans, isCausal: true, options)
    }
}
