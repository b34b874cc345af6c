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
    private var squares: Squares?

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

    /// What is scaled, and what was dropped from.
    package override func keptCountOfToken(on base: Linear) -> Int { base.outputs + (dropout > 0 ? base.inputs : 0) }

    /// The rows begin as long as they are.
    func start(on base: Linear) throws {
        try $magnitude.fill(withoutGradients { try sqrt(ownSquares(base)) })
    }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        let share = try magnitude / lengths(base)  // [out]
        let term = LowRankTerm(a: a, b: b, scale: scale, dropout: 0, key: 0)
        // PEFT drops from what is scaled and not from what the layer gives by itself.
        let kept =
            try context.isTraining && dropout > 0
            ? ApusTorch.dropout(x, probability: dropout, key: streamKey(context.randomKey, stream)) : nil
        guard let below else {
            let turned = try share * base.product(kept ?? x, nil, plus: term)  // [T, out]
            guard let kept else { return try (base.bias.map { try turned + $0 } ?? turned).to(x.dtype) }
            // What the layer gives by itself, less what it gives of the part that is scaled.
            return try base.product(x - kept, base.bias) + turned.to(x.dtype)
        }
        func low(_ x: Tensor) throws -> Tensor { try linear(linear(x.to(a.dtype), a), b) * scale }
        let plain = try below(x)
        guard let kept else {
            let bare = try base.bias.map { try plain - $0 } ?? plain
            let turned = try (share * (bare.to(a.dtype) + low(x))).to(x.dtype)
            return try base.bias.map { try turned + $0 } ?? turned
        }
        let added = try (share - 1) * base.product(kept).to(a.dtype) + share * low(kept)
        return try plain + added.to(x.dtype)
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        let turned = try matrix.to(wide) + matmul(b.to(wide), a.to(wide)) * scale
        let share = try magnitude.to(wide) / sqrt(turned.power(2).sum(1))
        return try (share.unsqueezed(1) * turned).to(matrix.dtype)
    }

    /// ‖W + s B A‖ of each row, [out], without the matrix: `‖W‖² + 2 s ⟨W Aᵀ, B⟩ + s² ⟨B A Aᵀ, B⟩`.
    private func lengths(_ base: Linear) throws -> Tensor {
        try withoutGradients {
            let crossed = try base.product(a).transposed(0, 1)  // [out, r]
            let own = try matmul(b, matmul(a, a.transposed(0, 1)))  // [out, r]
            let added = try ((crossed * (2 * scale) + own * (scale * scale)) * b).sum(1)
            return try sqrt(ownSquares(base) + added)
        }
    }

    /// ‖W‖² of each row, [out], which stays as long as the matrix does.
    private func ownSquares(_ base: Linear) throws -> Tensor {
        let source = (base.storage as? TiedWeight)?.embedding.$weight.tensor ?? base.$weight.tensor
        if let squares, base.isQuantized || squares.source === source { return squares.values }
        let values = try base.matrix.to(a.dtype).power(2).sum(1)
        squares = Squares(values: values, source: source)
        return values
    }
}

/// Lengths of rows, and the matrix that they are of.
private struct Squares {
    let values: Tensor
    weak var source: Tensor?
}

extension Linear {
    /// `x Wᵀ + b` and a low-rank term, in one operation.
    func product(_ x: Tensor, _ bias: Tensor?, plus term: LowRankTerm) throws -> Tensor {
        if let quantized = storage as? any QuantizedStorage { return try quantized.product(x, bias, plus: term) }
        return try loraLinear(
            x, matrix, bias, a: term.a, b: term.b, scale: term.scale, dropout: term.dropout, key: term.key)
    }
}
