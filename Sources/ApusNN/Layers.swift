public import ApusTorch

/// A table of vectors, one per token id, with whatever adapters hang on it: ids [T] → [T, D].
public final class Embedding: Module {
    @Parameter("weight") public var weight: Tensor  // [V, D]
    @Child("adapters") package var adapters: [EmbeddingAdapter]

    public let count: Int
    public let width: Int

    public init(_ count: Int, _ width: Int, initializer: Initializer = .normal(deviation: 0.02)) {
        self.count = count
        self.width = width
        super.init()
        $weight.declare([count, width], initializer)
        adapters = []
    }

    package func callAsFunction(_ ids: Tensor, _ context: ForwardContext) throws -> Tensor {
        var vectors = try embedding(ids, weight)  // [T, D]
        for adapter in adapters where context.adapters.contains(adapter.name) {
            vectors = try adapter(ids, on: self, below: vectors, context)
        }
        return vectors
    }
}

/// Brings the last axis to a common scale, with whatever adapters hang on it.
open class Norm: Module {
    @Child("adapters") package var adapters: [NormAdapter]

    public override init() {
        super.init()
        adapters = []
    }

    package func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let active = adapters.filter { context.adapters.contains($0.name) }
        guard let adapter = active.first else { return try plain(x) }
        guard active.count == 1 else {
            throw TorchError(
                kind: .invalidOperation,
                message:
                    "the adapters \(active.map(\.name).joined(separator: ", ")) each take a norm's place; one can at a time"
            )
        }
        return try adapter(x, on: self, context)
    }

    /// The norm without adapters.
    open func plain(_ x: Tensor) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it computes")
    }

    /// The norm with other parameters, by their names, in the place of its own.
    open func callAsFunction(_ x: Tensor, with parameters: [String: Tensor]) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it computes with other parameters")
    }
}

/// `w · x / √(mean(x²) + ε)` over the last axis.
public final class RMSNorm: Norm {
    @Parameter("weight") public var weight: Tensor  // [D]
    private let epsilon: Double

    public init(_ width: Int, epsilon: Double) {
        self.epsilon = epsilon
        super.init()
        $weight.declare([width], .ones)
    }

    public override func plain(_ x: Tensor) throws -> Tensor { try rmsNorm(x, weight, epsilon: epsilon) }

    public override func callAsFunction(_ x: Tensor, with parameters: [String: Tensor]) throws -> Tensor {
        try rmsNorm(x, parameters["weight"] ?? weight, epsilon: epsilon)
    }
}

/// `(x - mean) / √(variance + ε) · w + b` over the last axis; some have no b.
public final class LayerNorm: Norm {
    @Parameter("weight") public var weight: Tensor  // [D]
    @Parameter("bias") public var bias: Tensor?  // [D]
    private let epsilon: Double

    public init(_ width: Int, epsilon: Double, bias: Bool = true) {
        self.epsilon = epsilon
        super.init()
        $weight.declare([width], .ones)
        if bias { $bias.declare([width]) }
    }

    public override func plain(_ x: Tensor) throws -> Tensor { try normed(x, weight, bias) }

    public override func callAsFunction(_ x: Tensor, with parameters: [String: Tensor]) throws -> Tensor {
        try normed(x, parameters["weight"] ?? weight, parameters["bias"] ?? bias)
    }

    private func normed(_ x: Tensor, _ weight: Tensor, _ bias: Tensor?) throws -> Tensor {
        let bias = try bias ?? Tensor.zeros(weight.shape, dtype: weight.dtype, device: weight.device)
        return try layerNorm(x, weight, bias, epsilon: epsilon)
    }
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

/// One of the layers that a trunk runs through: [T, D] → [T, D].
open class TransformerLayer: Module {
    open func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it computes")
    }
}

/// Attention and SwiGLU, each behind a norm and around a residual, by Llama's names:
/// `h = x + attention(norm(x))`, `y = h + mlp(norm(h))`.
package final class PreNormLayer: TransformerLayer {
    @Child("input_layernorm") var attentionNorm: RMSNorm
    @Child("self_attn") var attention: GroupedQueryAttention
    @Child("post_attention_layernorm") var feedForwardNorm: RMSNorm
    @Child("mlp") var feedForward: SwiGLU

    package init(width: Int, normEpsilon: Double, attention: GroupedQueryAttention, feedForward: SwiGLU) {
        super.init()
        attentionNorm = RMSNorm(width, epsilon: normEpsilon)
        self.attention = attention
        feedForwardNorm = RMSNorm(width, epsilon: normEpsilon)
        self.feedForward = feedForward
    }

    package override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let h = try x + attention(attentionNorm(x, context), context)  // [T, D]
        return try h + feedForward(feedForwardNorm(h, context), context)
    }
}
