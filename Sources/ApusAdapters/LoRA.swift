public import ApusNN
public import ApusTorch

/// `y + s · B A drop(x)`, s = α / r, or α / √r for rsLoRA.
///
/// Hu et al. 2021, <https://arxiv.org/abs/2106.09685>; Kalajdzievski 2023, <https://arxiv.org/abs/2312.03732>.
public final class LoRA: LinearAdapter {
    @Parameter("lora_A.weight") package var a: Tensor  // [rank, in]
    @Parameter("lora_B.weight") package var b: Tensor  // [out, rank]

    package let rank: Int
    package let scale: Double
    private let dropout: Double
    /// Tells this adapter's random stream from the others'.
    private let stream: UInt64

    package init(
        for base: Linear, rank: Int, scale: Double, dropout: Double, initializer: LoRAConfiguration.Initialization,
        stream: UInt64
    ) {
        precondition(rank > 0, "the rank of LoRA must be positive")
        self.rank = rank
        self.scale = scale
        self.dropout = dropout
        self.stream = stream
        super.init()
        switch initializer {
        case .standard:
            $a.declare([rank, base.inputs], .kaimingUniform)
            $b.declare([base.outputs, rank], .zeros)  // the adapted model starts as the base model
        case .gaussian:
            $a.declare([rank, base.inputs], .normal(deviation: 1 / Double(rank)))
            $b.declare([base.outputs, rank], .zeros)
        case .random:
            $a.declare([rank, base.inputs], .kaimingUniform)
            $b.declare([base.outputs, rank], .kaimingUniform)
        }
    }

    public override func callAsFunction(_ x: Tensor, base: Linear, _ context: ForwardContext) throws -> Tensor {
        try loraLinear(
            x, base.weight, base.bias, a: a, b: b, scale: scale, dropout: context.isTraining ? dropout : 0,
            key: streamKey(context.randomKey, stream))
    }

    /// `W + s · B A`, summed in float32 and rounded once.
    public override func merged(into weight: Tensor) throws -> Tensor {
        let delta = try matmul(b.to(.float32), a.to(.float32)) * scale  // [out, in]
        return try (weight.to(.float32) + delta).to(weight.dtype)
    }
}
