import ApusNN
import ApusTorch

/// `x Wᵀ + b` inside an adapter: what PyTorch calls `Linear`, with its first values, and no place to hang adapters on.
final class DenseLayer: Module {
    @Parameter("weight") private var weight: Tensor  // [out, in]
    @Parameter("bias") private var bias: Tensor  // [out]

    init(_ inputs: Int, _ outputs: Int, weight initializer: Initializer = .kaimingUniform, bias: Initializer? = nil) {
        super.init()
        $weight.declare([outputs, inputs], initializer)
        $bias.declare([outputs], bias ?? .uniform(bound: 1 / Double(inputs).squareRoot()))
    }

    var dtype: DType { weight.dtype }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try linear(x, weight, bias) }
}
