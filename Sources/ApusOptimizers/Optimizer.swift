package import ApusTorch

/// A trained tensor and its name.
package struct TrainedParameter {
    package let name: String
    package let tensor: Tensor

    package init(name: String, tensor: Tensor) {
        self.name = name
        self.tensor = tensor
    }
}

/// Parameters that share a weight decay.
package struct ParameterGroup {
    package let parameters: [TrainedParameter]
    package let decay: Double

    package init(_ parameters: [TrainedParameter], decay: Double) {
        self.parameters = parameters
        self.decay = decay
    }

    /// The Trainer's two groups: biases and norms are not decayed.
    package static func decaying(_ parameters: [TrainedParameter], _ decay: Double) -> [ParameterGroup] {
        func isExempt(_ name: String) -> Bool {
            let parts = name.lowercased().split(separator: ".")
            return name.hasSuffix("bias") || parts.dropLast().contains { $0.contains("norm") }
        }
        return [
            ParameterGroup(parameters.filter { !isExempt($0.name) }, decay: decay),
            ParameterGroup(parameters.filter { isExempt($0.name) }, decay: 0),
        ].filter { !$0.parameters.isEmpty }
    }
}

/// Moves parameters along their gradients.
package protocol Optimizer: AnyObject {
    /// One update with the gradients that the tensors hold.
    func step(rate: Double) throws

    /// What a resumed run needs, by name; loading copies into these tensors.
    var state: [(name: String, tensor: Tensor)] { get }
}

/// `w ← w - η (g + λ w)`.
package final class SGD: Optimizer {
    private let groups: [ParameterGroup]

    package init(_ groups: [ParameterGroup]) { self.groups = groups }

    package func step(rate: Double) throws {
        try withoutGradients {
            for group in groups {
                for parameter in group.parameters {
                    guard let gradient = parameter.tensor.gradient else { continue }
                    if group.decay > 0 { try parameter.tensor.multiply(by: 1 - rate * group.decay) }
                    try parameter.tensor.add(gradient, scale: -rate)
                }
            }
        }
    }

    package var state: [(name: String, tensor: Tensor)] { [] }
}

/// Scales all gradients so that their common 2-norm is at most `maximum`, and returns the norm before.
///
/// The same arithmetic as `torch.nn.utils.clip_grad_norm_`: factor = maximum / (norm + 1e-6), at most 1.
package func clipGradients(of parameters: [TrainedParameter], to maximum: Double) throws -> Tensor {
    let gradients = parameters.compactMap(\.tensor.gradient)
    guard !gradients.isEmpty else { return try Tensor.zeros([]) }
    let norm = try totalNorm(gradients)
    if maximum > 0 {
        let factor = try (norm + 1e-6).power(-1) * maximum
        let one = try Tensor.ones([], dtype: norm.dtype, device: norm.device)
        try scaleAll(gradients, by: select(factor.isLess(than: 1), factor, one))
    }
    return norm
}
