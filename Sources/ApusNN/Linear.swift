public import ApusTorch

/// `y = x Wᵀ + b`, with whatever adapter hangs on it — x [T, in], y [T, out].
public final class Linear: Module {
    @Parameter("weight") public var weight: Tensor  // [out, in]
    @Parameter("bias") public var bias: Tensor?  // [out]
    @Child("adapter") package var adapter: LinearAdapter?

    public let inputs: Int
    public let outputs: Int

    public init(_ inputs: Int, _ outputs: Int, bias: Bool = true, initializer: Initializer = .kaimingUniform) {
        self.inputs = inputs
        self.outputs = outputs
        super.init()
        $weight.declare([outputs, inputs], initializer)
        if bias { $bias.declare([outputs]) }
        adapter = nil
    }

    package func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        guard let adapter, context.usesAdapters else { return try linear(x, weight, bias) }
        return try adapter(x, base: self, context)
    }
}

/// What can hang on a `Linear`: LoRA and its relatives.
open class LinearAdapter: Module {
    /// The output of the base layer and the adapter together.
    open func callAsFunction(_ x: Tensor, base: Linear, _ context: ForwardContext) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it computes")
    }

    /// The weight of a plain layer that computes the same.
    open func merged(into weight: Tensor) throws -> Tensor {
        preconditionFailure("\(type(of: self)) cannot be merged")
    }
}
