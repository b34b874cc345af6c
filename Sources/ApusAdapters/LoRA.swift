package import ApusNN
package import ApusTorch

/// `y + s · B A drop(x)`, s = α / r, or α / √r for rsLoRA.
///
/// Hu et al. 2021, <https://arxiv.org/abs/2106.09685>; Kalajdzievski 2023, <https://arxiv.org/abs/2312.03732>.
package final class LoRA: LinearAdapter {
    @Parameter("lora_A.weight") package var a: Tensor  // [rank, in]
    @Parameter("lora_B.weight") package var b: Tensor  // [out, rank]

    package let rank: Int
    package let scale: Double
    private let dropout: Double
    /// Tells this adapter's random stream from the others'.
    private let stream: UInt64

    package init(
        name: String, for base: Linear, rank: Int, scale: Double, dropout: Double,
        initializer: LoRAConfiguration.Initialization, stream: UInt64
    ) {
        precondition(rank > 0, "the rank of LoRA must be positive")
        self.rank = rank
        self.scale = scale
        self.dropout = dropout
        self.stream = stream
        super.init(name: name)
        let (first, second) = initializer.slots(rank: rank)
        $a.declare([rank, base.inputs], first)
        $b.declare([base.outputs, rank], second)
    }

    package override var summary: String { "LoRA(rank \(rank))" }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        let probability = context.isTraining ? dropout : 0
        let key = streamKey(context.randomKey, stream)
        guard let below else {
            if let quantized = base.storage as? any QuantizedStorage {
                let term = LowRankTerm(a: a, b: b, scale: scale, dropout: probability, key: key)
                return try quantized.product(x, base.bias, plus: term)
            }
            return try loraLinear(
                x, base.matrix, base.bias, a: a, b: b, scale: scale, dropout: probability, key: key)
        }
        let kept = try probability > 0 ? ApusTorch.dropout(x, probability: probability, key: key) : x
        return try below(x) + linear(linear(kept, a), b) * scale
    }

    /// `W + s · B A`, summed in float32 or wider and rounded once.
    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        return try (matrix.to(wide) + matmul(b.to(wide), a.to(wide)) * scale).to(matrix.dtype)
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
    /// First values of A and B, unless PiSSA or OLoRA make others of the base matrix.
    func slots(rank: Int) -> (a: Initializer, b: Initializer) {
        switch self {
        case .gaussian: (.normal(deviation: 1 / Double(rank)), .zeros)
        case .random: (.kaimingUniform, .kaimingUniform)
        default: (.kaimingUniform, .zeros)  // the adapted model starts as the base model
        }
    }
}
