package import ApusTorch

/// `g ← g + λw`, `b ← μb + (1-δ)g`, `w ← w - ηb`, or with Nesterov's momentum `w ← w - η(g + μb)`.
///
/// The first b is g, and without momentum nothing is remembered. The arithmetic of `torch.optim.SGD`.
package final class SGD: Optimizer {
    package struct Settings: Sendable, Equatable {
        package var momentum = 0.0
        package var dampening = 0.0
        package var isNesterov = false

        package init() {}
    }

    private let settings: Settings
    private let weights: WeightList

    package init(_ groups: [ParameterGroup], settings: Settings = Settings()) throws {
        self.settings = settings
        weights = try WeightList(groups) { shape in
            settings.momentum > 0 ? ["momentum_buffer": shape, "step": []] : [:]
        }
    }

    package func step(rate: Double) throws {
        try weights.move(rate: rate) { entry, gradient, rate in
            guard settings.momentum > 0 else {
                // The same as decay in the gradient, without a copy of it.
                if entry.decay > 0 { try entry.values.multiply(by: 1 - rate * entry.decay) }
                return try entry.values.add(gradient, scale: -rate)
            }
            let gradient = try entry.decay > 0 ? gradient + entry.values * entry.decay : gradient
            let buffer = entry["momentum_buffer"]
            if try entry.nextStep() == 1 {
                try buffer.copy(from: gradient)
            } else {
                try buffer.multiply(by: settings.momentum)
                try buffer.add(gradient, scale: 1 - settings.dampening)
            }
            try entry.values.add(
                settings.isNesterov ? gradient + buffer * settings.momentum : buffer, scale: -rate)
        }
    }

    package var state: [(name: String, tensor: Tensor)] { weights.state }
}
