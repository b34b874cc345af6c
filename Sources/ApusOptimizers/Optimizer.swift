package import ApusNN
package import ApusTorch

/// Parameters that share a weight decay and a multiple of the learning rate.
package struct ParameterGroup {
    package let parameters: [TrainedParameter]
    package let decay: Double
    package let rateFactor: Double

    package init(_ parameters: [TrainedParameter], decay: Double, rateFactor: Double = 1) {
        self.parameters = parameters
        self.decay = decay
        self.rateFactor = rateFactor
    }

    /// The Trainer's two groups, of each multiple of the learning rate: biases and norms are not decayed.
    package static func decaying(_ parameters: [TrainedParameter], _ decay: Double) -> [ParameterGroup] {
        func isExempt(_ name: String) -> Bool {
            let parts = name.lowercased().split(separator: ".")
            return parts.contains { $0.contains("bias") } || parts.dropLast().contains { $0.contains("norm") }
        }
        var factors: [Double] = []
        for factor in parameters.map(\.rateFactor) where !factors.contains(factor) { factors.append(factor) }
        return factors.flatMap { factor in
            let alike = parameters.filter { $0.rateFactor == factor }
            return [
                ParameterGroup(alike.filter { !isExempt($0.name) }, decay: decay, rateFactor: factor),
                ParameterGroup(alike.filter { isExempt($0.name) }, decay: 0, rateFactor: factor),
            ].filter { !$0.parameters.isEmpty }
        }
    }

    /// The same for other parameters.
    func with(_ parameters: [TrainedParameter]) -> ParameterGroup {
        ParameterGroup(parameters, decay: decay, rateFactor: rateFactor)
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
    private let groups: [(weights: [MasterWeight], group: ParameterGroup)]

    package init(_ groups: [ParameterGroup]) throws {
        self.groups = try groups.map { (try $0.parameters.map(MasterWeight.init), $0) }
    }

    package func step(rate: Double) throws {
        try withoutGradients {
            for (weights, group) in groups {
                let rate = rate * group.rateFactor
                for weight in weights {
                    guard let gradient = try weight.gradient() else { continue }
                    if group.decay > 0 { try weight.values.multiply(by: 1 - rate * group.decay) }
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
