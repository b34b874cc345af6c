package import ApusNN
package import ApusTorch

/// `m / ‖W + s B A‖ · (W + s B A) x + b`: LoRA turns the rows of the matrix, m says how long they are.
///
/// The norms are constants to the gradient. Liu et al. 2024, <https://arxiv.org/abs/2402.09353>, section 4.3.
package final class DoRA: LinearAdapter {
    @Parameter("lora_A.weight") var a: Tensor  // [rank, in]
    @Parameter("lora_B.weight") var b: Tensor  // [out, rank]
    @Parameter("lora_magnitude_vector") var magnitude: Tensor  // [out]

    private let rank: Int
    private let scale: Double
    private let dropout: Double
    private let stream: UInt64

    package init(
        name: String, for base: Linear, rank: Int, scale: Double, dropout: Double,
        initializer: LoRAConfiguration.Initialization, stream: UInt64
    ) {
        self.rank = rank
        self.scale = scale
        self.dropout = dropout
        self.stream = stream
        super.init(name: name)
        let (first, second) = initializer.slots(rank: rank)
        $a.declare([rank, base.inputs], first)
        $b.declare([base.outputs, rank], second)
        $magnitude.declare([base.outputs], .ones)
    }

    package override var summary: String { "DoRA(rank \(rank))" }

    /// The rows begin as long as they are.
    func start(on base: Linear) throws {
        try $magnitude.fill(withoutGradients { try lengths(base.matrix.to(a.dtype)) })
    }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        let share = try (magnitude / withoutGradients { try lengths(base.matrix.to(a.dtype)) })  // [out]
        func low(_ x: Tensor) throws -> Tensor { try linear(linear(x.to(a.dtype), a), b) * scale }
        guard context.isTraining, dropout > 0 else {
            let plain = try below?(x) ?? base.product(x)  // [T, out]
            let bare = try below == nil ? plain : base.bias.map { try plain - $0 } ?? plain
            let turned = try (share * (bare.to(a.dtype) + low(x))).to(x.dtype)
            return try base.bias.map { try turned + $0 } ?? turned
        }
        // PEFT drops from what is scaled and not from what the layer gives by itself.
        let kept = try ApusTorch.dropout(x, probability: dropout, key: streamKey(context.randomKey, stream))
        let added = try (share - 1) * base.product(kept).to(a.dtype) + share * low(kept)
        return try (below?(x) ?? base.plain(x)) + added.to(x.dtype)
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        let turned = try matrix.to(wide) + matmul(b.to(wide), a.to(wide)) * scale
        let share = try magnitude.to(wide) / sqrt(turned.power(2).sum(1))
        return try (share.unsqueezed(1) * turned).to(matrix.dtype)
    }

    /// ‖W + s B A‖ of each row, [out].
    private func lengths(_ matrix: Tensor) throws -> Tensor {
        try sqrt((matrix + matmul(b, a) * scale).power(2).sum(1))
    }
}
