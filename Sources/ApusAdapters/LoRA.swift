package import ApusNN
package import ApusTorch

/// `y + s · (B A drop(x) + c)`, s = α / r, or α / √r for rsLoRA; c is there with `lora_bias` alone.
///
/// Hu et al. 2021, <https://arxiv.org/abs/2106.09685>; Kalajdzievski 2023, <https://arxiv.org/abs/2312.03732>.
package final class LoRA: LinearAdapter {
    @Parameter("lora_A.weight") package var a: Tensor  // [rank, in]
    @Parameter("lora_B.weight") package var b: Tensor  // [out, rank]
    @Parameter("lora_B.bias") private var shift: Tensor?  // [out]

    package private(set) var rank: Int
    package private(set) var scale: Double
    private let dropout: Double
    /// Tells this adapter's random stream from the others'.
    private let stream: UInt64
    /// Sees what goes into the layer, while first values are made of data.
    var observer: ((Tensor) throws -> Void)?
    /// What it began with, where that is taken out of the base matrix.
    private(set) var began: LowRankFactors?
    /// Whether a file holds the change since then: what was taken out depends on more than the base matrix.
    private let storesChange: Bool

    package init(
        name: String, for base: Linear, rank: Int, scale: Double, dropout: Double,
        initializer: LoRAConfiguration.Initialization, hasBias: Bool = false, stream: UInt64
    ) {
        precondition(rank > 0, "the rank of LoRA must be positive")
        self.rank = rank
        self.scale = scale
        self.dropout = dropout
        self.stream = stream
        storesChange = initializer.storesChange
        super.init(name: name)
        let (first, second) = initializer.slots(rank: rank)
        $a.declare([rank, base.inputs], first)
        $b.declare([base.outputs, rank], second)
        if hasBias { $shift.declare([base.outputs]) }
    }

    package override var summary: String { "LoRA(rank \(rank))" }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        try observer?(x)
        let probability = context.isTraining ? dropout : 0
        let key = streamKey(context.randomKey, stream)
        guard let below else {
            let term = LowRankTerm(a: a, b: b, scale: scale, dropout: probability, key: key)
            let y = try base.product(x, base.bias, plus: term)
            return try shift.map { try y + ($0 * scale).to(y.dtype) } ?? y
        }
        let kept = try probability > 0 ? ApusTorch.dropout(x, probability: probability, key: key) : x
        return try below(x) + linear(linear(kept, a), b, shift) * scale
    }

    /// `W + s · B A`, summed in float32 or wider and rounded once.
    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        return try (matrix.to(wide) + matmul(b.to(wide), a.to(wide)) * scale).to(matrix.dtype)
    }

    package override var isStoredAsTrained: Bool { !storesChange }

    /// Of a change the values now beside those at the start: `B A - B₀ A₀ = [B, -B₀] [A; A₀]`.
    package override func stored() throws -> [(name: String, tensor: Tensor)] {
        guard storesChange else { return try super.stored() }
        return try change()
    }

    /// The factors of what has changed since the start, of twice the rank.
    func change() throws -> [(name: String, tensor: Tensor)] {
        guard let began else { return try super.stored() }
        return [
            ("lora_A.weight", try concatenated([a.detached(), began.a])),
            ("lora_B.weight", try concatenated([b.detached(), -began.b], axis: 1)),
        ]
    }

    package override var changesBias: Bool { shift != nil }

    package override func merged(intoBias bias: Tensor) throws -> Tensor {
        let wide = bias.dtype.atLeastFloat32
        return try shift.map { try (bias.to(wide) + $0.to(wide) * scale).to(bias.dtype) } ?? bias
    }
}

extension LoRA {
    /// The inputs of the layer.
    var inputCount: Int { $a.shape?[1] ?? 0 }

    /// Begins with values that stand for a part of the base matrix.
    func begin(_ factors: LowRankFactors) throws {
        try $a.fill(factors.a.to(a.dtype).contiguous())
        try $b.fill(factors.b.to(b.dtype).contiguous())
        began = LowRankFactors(a: try a.detached().cloned(), b: try b.detached().cloned())
    }

    /// Begins with other rows of A, of which there may be more or fewer, and B zero.
    func begin(_ rows: Tensor, scale: Double) throws {
        let (outputs, dtype, device) = (b.shape[0], a.dtype, a.device)
        rank = rows.shape[0]
        self.scale = scale
        $a.declare(rows.shape)
        $b.declare([outputs, rank])
        try $a.fill(rows.to(dtype).contiguous())
        try $b.fill(Tensor.zeros([outputs, rank], dtype: dtype, device: device))
    }

    /// Makes room for what the state of a run knows of the start.
    func reserveStart() throws {
        guard began == nil else { return }
        func room(_ like: Tensor) throws -> Tensor {
            try Tensor.zeros(like.shape, dtype: like.dtype, device: like.device)
        }
        began = LowRankFactors(a: try room(a), b: try room(b))
    }

    /// - Throws: `AdapterError` where a matrix has fewer singular values than are asked of it.
    func checkRank(of base: Linear, _ option: String, _ path: String, times: Int = 1) throws {
        guard times * rank <= min(base.inputs, base.outputs) else {
            throw AdapterError(
                "\(option): \(path) is a matrix of \(base.outputs) × \(base.inputs), which has no \(times * rank) singular "
                    + "values; give a lower rank")
        }
    }
}

/// `E[id] + s · B A[:, id]`: LoRA on a table of vectors; in DoRA each channel times `m / ‖E + s (B A)ᵀ‖` of its column.
package final class LoRAEmbedding: EmbeddingAdapter {
    @Parameter("lora_embedding_A") package var a: Tensor  // [rank, V]
    @Parameter("lora_embedding_B") package var b: Tensor  // [D, rank]
    @Parameter("lora_magnitude_vector") private var magnitude: Tensor?  // [D]

    package let rank: Int
    package let scale: Double

    /// The adapted table starts as the base table: A is zero, B is drawn, as in PEFT.
    package init(name: String, for base: Embedding, rank: Int, scale: Double, isDecomposed: Bool) {
        self.rank = rank
        self.scale = scale
        super.init(name: name)
        $a.declare([rank, base.count])
        $b.declare([base.width, rank], .normal(deviation: 1))
        if isDecomposed { $magnitude.declare([base.width], .ones) }
    }

    package override var summary: String { "\($magnitude.isDeclared ? "DoRA" : "LoRA")(rank \(rank))" }

    /// The columns begin as long as they are.
    func start(on base: Embedding) throws {
        guard $magnitude.isDeclared else { return }
        try $magnitude.fill(withoutGradients { try lengths(base.weight.to(a.dtype)) })
    }

    package override func callAsFunction(
        _ ids: Tensor, on base: Embedding, below: Tensor, _ context: ForwardContext
    ) throws -> Tensor {
        let low = try embedding(ids, a.transposed(0, 1))  // [T, r]
        let sum = try below + linear(low, b).to(below.dtype) * scale
        guard let magnitude else { return sum }
        let share = try magnitude / withoutGradients { try lengths(base.weight.to(a.dtype)) }
        return try (share * sum.to(a.dtype)).to(below.dtype)
    }

    package override func merged(into table: Tensor) throws -> Tensor {
        let wide = table.dtype.atLeastFloat32
        let delta = try matmul(b.to(wide), a.to(wide)).transposed(0, 1) * scale  // [V, D]
        let sum = try table.to(wide) + delta
        guard let magnitude else { return try sum.to(table.dtype) }
        return try (magnitude.to(wide) / lengths(table.to(wide)) * sum).to(table.dtype)
    }

    /// ‖E + s (B A)ᵀ‖ of each column, [D].
    private func lengths(_ table: Tensor) throws -> Tensor {
        let delta = try matmul(b.to(table.dtype), a.to(table.dtype)).transposed(0, 1) * scale
        return try sqrt((table + delta).power(2).sum(0))
    }
}

extension DType {
    /// The type to sum in: float32, or the own where that is wider.
    var atLeastFloat32: DType { self == .float64 ? .float64 : .float32 }
}

extension LoRAConfiguration.Initialization {
    /// Whether what is taken out of the base matrix depends on data, so that a file alone could not take it out again.
    var storesChange: Bool { self == .corda || self == .gradients }

    /// First values of A and B, unless PiSSA or OLoRA make others of the base matrix.
    func slots(rank: Int) -> (a: Initializer, b: Initializer) {
        switch self {
        case .gaussian: (.normal(deviation: 1 / Double(rank)), .zeros)
        case .random: (.kaimingUniform, .kaimingUniform)
        default: (.kaimingUniform, .zeros)  // the adapted model starts as the base model
        }
    }
}
