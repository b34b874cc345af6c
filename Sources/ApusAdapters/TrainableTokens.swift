import ApusJSON
package import ApusNN
package import ApusTorch

/// Rows of a table of words in place of some of its own: `trainable_tokens_delta`, which begins as they are.
package final class TrainableTokens: EmbeddingAdapter {
    @Parameter("trainable_tokens_delta") var rows: Tensor  // [n, D]
    /// The row of each token, or -1.
    @Constant("token_rows") private var places: Tensor  // [V]

    let ids: [Int]

    init(name: String, for base: Embedding, ids: [Int], isRandom: Bool) {
        self.ids = ids
        super.init(name: name)
        $rows.declare([ids.count, base.width], isRandom ? .normal(deviation: 1) : .zeros)
        $places.declare([base.count])
    }

    package override var summary: String { "TrainableTokens(\(ids.count))" }

    func draw() throws {
        var rows = [Int](repeating: -1, count: $places.count)
        for (row, id) in ids.enumerated() { rows[id] = row }
        try $places.fill(Tensor(rows))
    }

    package override func callAsFunction(
        _ ids: Tensor, on base: Embedding, below: Tensor, _ context: ForwardContext
    ) throws -> Tensor {
        let place = try places.indexed(0, ids)  // [T]
        let isOther = try place.isLess(than: 0)
        let own = try embedding(place.masked(by: isOther, with: 0), rows)  // [T, D]
        return try select(isOther.unsqueezed(1), below, own.to(below.dtype))
    }

    package override func merged(into table: Tensor) throws -> Tensor { try replaced(ids, of: table, by: rows) }
}

/// The same for a head that is the table: it has the rows of the table's adapter.
package final class TiedTokens: LinearAdapter {
    private let table: Shared<TrainableTokens>
    /// PEFT's own method stores the rows under the head's name too.
    private let isStored: Bool

    init(name: String, _ table: TrainableTokens, isStored: Bool) {
        self.table = Shared(table)
        self.isStored = isStored
        super.init(name: name)
    }

    package override var summary: String { "TrainableTokens(\(table.part.ids.count))" }
    package override var followsTable: Bool { true }
    package override var repeatedNames: [String] { ["trainable_tokens_delta"] }

    package override func stored() throws -> [(name: String, tensor: Tensor)] {
        isStored ? try table.part.stored() : []
    }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        try replacedOutputs(table.part.ids, of: below?(x) ?? base.plain(x), by: table.part.rows, x, base)
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        try replaced(table.part.ids, of: matrix, by: table.part.rows)
    }
}

/// The same rows under another name that a table has in `transformers`.
final class RepeatedTokens: SharedAdapter {
    private let table: Shared<TrainableTokens>
    private let isStored: Bool

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init(name: String) { preconditionFailure("made of the table's adapter") }

    init(name: String, _ table: TrainableTokens, isStored: Bool) {
        self.table = Shared(table)
        self.isStored = isStored
        super.init(name: name)
    }

    override var repeatedNames: [String] { ["trainable_tokens_delta"] }

    override func stored() throws -> [(name: String, tensor: Tensor)] { isStored ? try table.part.stored() : [] }
}

/// Rows of a linear layer's matrix in place of some of its own.
package final class TrainableOutputs: LinearAdapter {
    @Parameter("trainable_tokens_delta") var rows: Tensor  // [n, in]

    let ids: [Int]

    init(name: String, for base: Linear, ids: [Int], isRandom: Bool) {
        self.ids = ids
        super.init(name: name)
        $rows.declare([ids.count, base.inputs], isRandom ? .normal(deviation: 1) : .zeros)
    }

    package override var summary: String { "TrainableTokens(\(ids.count))" }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        try replacedOutputs(ids, of: below?(x) ?? base.plain(x), by: rows, x, base)
    }

    package override func merged(into matrix: Tensor) throws -> Tensor { try replaced(ids, of: matrix, by: rows) }
}

/// A matrix with other rows at some places.
private func replaced(_ ids: [Int], of matrix: Tensor, by rows: Tensor) throws -> Tensor {
    let places = try Tensor(ids, device: matrix.device).unsqueezed(1).expanded(rows.shape)  // [n, D]
    return try matrix.scattered(0, places.contiguous(), rows.to(matrix.dtype))
}

/// Outputs [T, out] with those of other rows of the matrix at some places.
private func replacedOutputs(
    _ ids: [Int], of outputs: Tensor, by rows: Tensor, _ x: Tensor, _ base: Linear
) throws -> Tensor {
    var own = try linear(x.to(rows.dtype), rows)  // [T, n]
    let places = try Tensor(ids, device: x.device)
    if let bias = base.bias { own = try own + bias.indexed(0, places) }
    return try outputs.scattered(-1, places.expanded(own.shape).contiguous(), own.to(outputs.dtype))
}
