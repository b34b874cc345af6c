public import ApusTorch

/// A table of vectors, one per token id, with whatever adapters hang on it: ids [T] → [T, D].
public final class Embedding: Module {
    @Parameter("weight") public var weight: Tensor  // [V, D]
    @Child("adapters") package var adapters: [EmbeddingAdapter]

    public let count: Int
    public let width: Int
    private let padding: Int32?

    /// - Parameter padding: The id whose vector no text trains.
    public init(
        _ count: Int, _ width: Int, initializer: Initializer = .normal(deviation: 0.02), padding: Int32? = nil
    ) {
        self.count = count
        self.width = width
        self.padding = padding
        super.init()
        $weight.declare([count, width], initializer)
        adapters = []
    }

    package func callAsFunction(_ ids: Tensor, _ context: ForwardContext) throws -> Tensor {
        var vectors = try embedding(ids, weight)  // [T, D]
        if let padding, vectors.requiresGradient {
            let isPadding = try ids.isEqual(to: Tensor([padding], device: ids.device).to(ids.dtype)).unsqueezed(1)
            vectors = try select(isPadding, vectors.detached(), vectors)
        }
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

    public override func plain(_ x: Tensor) throws -> Tensor {
        try rmsNorm(x, weight.asWide(as: x), epsilon: epsilon)
    }

    public override func callAsFunction(_ x: Tensor, with parameters: [String: Tensor]) throws -> Tensor {
        try rmsNorm(x, (parameters["weight"] ?? weight).asWide(as: x), epsilon: epsilon)
    }
}

/// `(offset + w) · x / √(mean(x²) + ε)` over the last axis, multiplied in float32 and rounded once.
///
/// `RMSNorm` rounds before it multiplies with w; in float32 the two are the same.
package final class WideRMSNorm: Norm {
    @Parameter("weight") private var weight: Tensor  // [D]
    private let epsilon: Double
    private let offset: Double

    /// - Parameter offset: What is added to the weights: 1 where they begin at 0, as in Gemma.
    package init(_ width: Int, epsilon: Double, offset: Double = 0) {
        self.epsilon = epsilon
        self.offset = offset
        super.init()
        $weight.declare([width], .constant(1 - offset))
    }

    package override func plain(_ x: Tensor) throws -> Tensor { try scaled(x, weight) }

    package override func callAsFunction(_ x: Tensor, with parameters: [String: Tensor]) throws -> Tensor {
        try scaled(x, parameters["weight"] ?? weight)
    }

    private func scaled(_ x: Tensor, _ weight: Tensor) throws -> Tensor {
        let wide: DType = x.dtype.isShortFloat ? .float32 : x.dtype
        let factor = try weight.to(wide)
        return try rmsNorm(x.to(wide), offset == 0 ? factor : factor + offset, epsilon: epsilon).to(x.dtype)
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
        let weight = try weight.asWide(as: x)
        let bias =
            try bias?.asWide(as: x) ?? Tensor.zeros(weight.shape, dtype: weight.dtype, device: weight.device)
        return try layerNorm(x, weight, bias, epsilon: epsilon)
    }
}

extension Module {
    /// The names of the parameters of every `LayerNorm` in this tree, whatever it is called; an RMS norm is none.
    package var layerNormParameters: Set<String> {
        Set(
            modules().filter { $0.module is LayerNorm }.flatMap { path, norm in
                norm.slots().parameters.map { Self.joined(path, $0.name) }
            })
    }
}

extension Tensor {
    /// A norm's weights in the type of what it norms, where that is wider: heads compute in float32 over 16 bits.
    fileprivate func asWide(as x: Tensor) throws -> Tensor {
        dtype == x.dtype || x.dtype.isShortFloat ? self : try to(x.dtype)
    }
}

/// One of the layers that a trunk runs through: [T, D] → [T, D].
open class TransformerLayer: Module {
    /// Whether the class of `transformers` registers the layer's norms behind its other parts, whenever they compute.
    open var registersNormsLast: Bool { false }

    open func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it computes")
    }
}

/// A part of a layer that turns rows into rows, [T, D] → [T, D]: attention, or a feed-forward part.
open class Sublayer: Module {
    open func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it computes")
    }
}

/// Attention and a feed-forward part, each behind a norm and around a residual, by Llama's names:
/// `h = x + s · attention(norm(x))`, `y = h + s · mlp(norm(h))`.
package final class PreNormLayer: TransformerLayer {
    @Child("input_layernorm") var attentionNorm: Norm
    @Child("self_attn") var attention: Sublayer
    @Child("post_attention_layernorm") var feedForwardNorm: Norm
    @Child("mlp") var feedForward: Sublayer

    /// What the parts are called on disk.
    package struct Names: Sendable {
        package var attentionNorm = "input_layernorm"
        package var attention = "self_attn"
        package var feedForwardNorm = "post_attention_layernorm"
        package var feedForward = "mlp"
        /// Whether the original's norms are registered behind the other parts.
        package var registersNormsLast = true

        package init() {}
    }

    private let branchScale: Double
    package override var registersNormsLast: Bool { normsAreLast }
    private let normsAreLast: Bool

    /// - Parameters:
    ///   - norm: Makes each of the two norms.
    ///   - branchScale: What both parts give is multiplied with before it is added, s.
    package init(
        _ norm: () -> Norm, attention: Sublayer, feedForward: Sublayer, branchScale: Double = 1,
        names: Names = Names()
    ) {
        self.branchScale = branchScale
        normsAreLast = names.registersNormsLast
        super.init()
        _attentionNorm = Child(wrappedValue: norm(), names.attentionNorm)
        _attention = Child(wrappedValue: attention, names.attention)
        _feedForwardNorm = Child(wrappedValue: norm(), names.feedForwardNorm)
        _feedForward = Child(wrappedValue: feedForward, names.feedForward)
    }

    package convenience init(width: Int, normEpsilon: Double, attention: Sublayer, feedForward: Sublayer) {
        self.init({ RMSNorm(width, epsilon: normEpsilon) }, attention: attention, feedForward: feedForward)
    }

    package override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let h = try x + branch(attention(attentionNorm(x, context), context))  // [T, D]
        return try h + branch(feedForward(feedForwardNorm(h, context), context))
    }

    private func branch(_ y: Tensor) throws -> Tensor { branchScale == 1 ? y : try y * branchScale }
}
