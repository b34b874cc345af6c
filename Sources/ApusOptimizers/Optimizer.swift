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
    ///
    /// As in `Trainer.get_decay_parameter_names`, a LayerNorm is known by what it is (`ln_1` of GPT-2), and other norms by
    /// their names.
    package static func decaying(_ parameters: [TrainedParameter], _ decay: Double) -> [ParameterGroup] {
        func isExempt(_ parameter: TrainedParameter) -> Bool {
            let parts = parameter.name.lowercased().split(separator: ".")
            return parameter.isOfLayerNorm || parts.contains { $0.contains("bias") }
                || parts.dropLast().contains { $0.contains("norm") }
        }
        return alike(parameters, decay).flatMap { group in
            [
                group.with(group.parameters.filter { !isExempt($0) }),
                ParameterGroup(
                    group.parameters.filter(isExempt), decay: 0, rateFactor: group.rateFactor),
            ].filter { !$0.parameters.isEmpty }
        }
    }

    /// One group of each multiple of the learning rate, all with the same decay.
    package static func alike(_ parameters: [TrainedParameter], _ decay: Double) -> [ParameterGroup] {
        var factors: [Double] = []
        for factor in parameters.map(\.rateFactor) where !factors.contains(factor) { factors.append(factor) }
        return factors.map { factor in
            ParameterGroup(parameters.filter { $0.rateFactor == factor }, decay: decay, rateFactor: factor)
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

extension Optimizer {
    /// The bytes of what is remembered beside the values that are moved.
    package var rememberedBytes: Int {
        get throws { try state.reduce(0) { $1.name.hasPrefix(MasterWeight.prefix) ? $0 : $0 + $1.tensor.byteCount } }
    }
}

/// An optimizer whose weights in training are not the ones that it has found.
///
/// While the model answers or is saved, it has the found ones.
package protocol AveragingOptimizer: Optimizer {
    /// Puts the weights that were found into the model.
    func useAverage() throws

    /// Puts those back that training goes on with, to the bit.
    func useTraining() throws
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
