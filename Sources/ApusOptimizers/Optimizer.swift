package import ApusNN
package import ApusTorch

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
///
/// A parameter of 16 bits is moved in float32, with whatever the optimizer remembers of it, and rounded into its tensor.
package protocol Optimizer: ResumableState {
    /// One update with the gradients that the parameters hold.
    func step(rate: Double) throws
}

/// `w ← w - η (g + λ w)`.
package final class SGD: Optimizer {
    private let groups: [(weights: [MasterWeight], decay: Double)]

    package init(_ groups: [ParameterGroup]) throws {
        self.groups = try groups.map { (try $0.parameters.map(MasterWeight.init), $0.decay) }
    }

    package func step(rate: Double) throws {
        try withoutGradients {
            for (weights, decay) in groups {
                for weight in weights {
                    guard let gradient = try weight.gradient() else { continue }
                    if decay > 0 { try weight.values.multiply(by: 1 - rate * decay) }
                    try weight.values.add(gradient, scale: -rate)
                    try weight.publish()
                }
            }
        }
    }

    package var state: [(name: String, tensor: Tensor)] { groups.flatMap { $0.weights.flatMap(\.state) } }
}

/// Scales all gradients so that their common 2-norm is at most `maximum`, and returns the norm before.
///
/// The same arithmetic as `torch.nn.utils.clip_grad_norm_`: factor = maximum / (norm + 1e-6), at most 1.
package func clipGradients(of parameters: [TrainedParameter], to maximum: Double) throws -> Tensor {
    let gradients = parameters.compactMap(\.gradient)
    guard !gradients.isEmpty else { return try Tensor.zeros([]) }
    let norm = try totalNorm(gradients)
    if maximum > 0 {
        let factor = try (norm + 1e-6).power(-1) * maximum
        let one = try Tensor.ones([], dtype: norm.dtype, device: norm.device)
        try scaleAll(gradients, by: select(factor.isLess(than: 1), factor, one))
    }
    return norm
}
