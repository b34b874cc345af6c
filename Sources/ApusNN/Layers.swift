public import ApusTorch

/// A table of vectors, one per token id: ids [T] → [T, D].
public final class Embedding: Module {
    @Parameter("weight") public var weight: Tensor  // [V, D]

    public init(_ vocabulary: Int, _ width: Int, initializer: Initializer = .normal(deviation: 0.02)) {
        super.init()
        $weight.declare([vocabulary, width], initializer)
    }

    package func callAsFunction(_ ids: Tensor) throws -> Tensor { try embedding(ids, weight) }
}

/// `w · x / √(mean(x²) + ε)` over the last axis.
public final class RMSNorm: Module {
    @Parameter("weight") public var weight: Tensor  // [D]
    private let epsilon: Double

    public init(_ width: Int, epsilon: Double) {
        self.epsilon = epsilon
        super.init()
        $weight.declare([width], .ones)
    }

    package func callAsFunction(_ x: Tensor) throws -> Tensor { try rmsNorm(x, weight, epsilon: epsilon) }
}

/// `(x - mean) / √(variance + ε) · w + b` over the last axis.
public final class LayerNorm: Module {
    @Parameter("weight") public var weight: Tensor  // [D]
    @Parameter("bias") public var bias: Tensor  // [D]
    private let epsilon: Double

    public init(_ width: Int, epsilon: Double) {
        self.epsilon = epsilon
        super.init()
        $weight.declare([width], .ones)
        $bias.declare([width])
    }

    package func callAsFunction(_ x: Tensor) throws -> Tensor { try layerNorm(x, weight, bias, epsilon: epsilon) }
}

/// `down(silu(gate(x)) · up(x))`, the feed-forward part of Llama and its relatives.
public final class SwiGLU: Module {
    @Child("gate_proj") var gate: Linear
    @Child("up_proj") var up: Linear
    @Child("down_proj") var down: Linear

    public init(width: Int, hidden: Int, bias: Bool = false, initializer: Initializer = .kaimingUniform) {
        super.init()
        gate = Linear(width, hidden, bias: bias, initializer: initializer)
        up = Linear(width, hidden, bias: bias, initializer: initializer)
        down = Linear(hidden, width, bias: bias, initializer: initializer)
    }

    package func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        try down(swiglu(gate: gate(x, context), up: up(x, context)), context)
    }
}
