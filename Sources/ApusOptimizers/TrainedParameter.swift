package import ApusTorch

/// A trained tensor, its name, and its gradient in a type that can hold sums.
///
/// The gradients of a step's micro-batches are summed in float32 where the tensor has 16 bits: sums in 16 bits lose what
/// is small beside them, and float16 ends at 65504.
package final class TrainedParameter {
    package let name: String
    package let tensor: Tensor
    /// What its learning rate is of the run's.
    package let rateFactor: Double
    /// Whether it belongs to a LayerNorm, which its name need not say.
    package let isOfLayerNorm: Bool
    private var sum: Tensor?

    package init(name: String, tensor: Tensor, rateFactor: Double = 1, isOfLayerNorm: Bool = false) {
        self.name = name
        self.tensor = tensor
        self.rateFactor = rateFactor
        self.isOfLayerNorm = isOfLayerNorm
    }

    /// What the micro-batches since `clearGradient()` add up to.
    package var gradient: Tensor? { sum ?? tensor.gradient }

    /// Takes up what `backward()` has left at a tensor of 16 bits; to be called after each.
    package func collectGradient() throws {
        guard tensor.dtype.isShortFloat, let part = tensor.gradient else { return }
        try withoutGradients {
            if let sum { try sum.add(part) } else { sum = try part.to(.float32) }
        }
        tensor.clearGradient()
    }

    package func clearGradient() {
        sum = nil
        tensor.clearGradient()
    }
}

/// The values that an optimizer moves: a trained tensor itself, or, of one with 16 bits, a copy in float32.
///
/// An update is often smaller than the distance of neighbouring numbers in 16 bits, and would be lost. Micikevicius et
/// al. 2017, <https://arxiv.org/abs/1710.03740>.
struct MasterWeight {
    let parameter: TrainedParameter
    let values: Tensor

    init(_ parameter: TrainedParameter) throws {
        self.parameter = parameter
        let tensor = parameter.tensor
        values = try tensor.dtype.isShortFloat ? tensor.detached().to(.float32) : tensor
    }

    /// The gradient in the type of the values.
    func gradient() throws -> Tensor? {
        guard let gradient = parameter.gradient else { return nil }
        return gradient.dtype == values.dtype ? gradient : try gradient.to(values.dtype)
    }

    /// Rounds the values into the tensor that the model uses.
    func publish() throws {
        if values !== parameter.tensor { try withoutGradients { try parameter.tensor.copy(from: values) } }
    }

    var state: [(name: String, tensor: Tensor)] {
        values === parameter.tensor ? [] : [(Self.prefix + parameter.name, values)]
    }

    static let prefix = "master."
}
