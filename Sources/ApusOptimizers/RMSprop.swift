package import ApusTorch

/// Gradients divided by the root of their running mean square.
///
/// `g ← g + λw`, `v ← αv + (1-α)g²`, `w ← w - η g / (√v + ε)`; centred, v loses the square of the running mean; with a
/// momentum, `b ← μb + g / (√v + ε)` is followed instead. Tieleman and Hinton 2012 (lecture 6.5 of Neural Networks for Machine
/// Learning); the arithmetic of `torch.optim.RMSprop`.
package final class RMSprop: Optimizer {
    package struct Settings: Sendable, Equatable {
        /// α, the decay of the mean square.
        package var decay = 0.99
        package var epsilon = 1e-8
        package var momentum = 0.0
        package var isCentered = false

        package init() {}
    }

    private let settings: Settings
    private let weights: WeightList

    package init(_ groups: [ParameterGroup], settings: Settings = Settings()) throws {
        self.settings = settings
        weights = try WeightList(groups) { shape in
            var memory = ["square_avg": shape]
            if settings.isCentered { memory["grad_avg"] = shape }
            if settings.momentum > 0 { memory["momentum_buffer"] = shape }
            return memory
        }
    }

    package func step(rate: Double) throws {
        try weights.move(rate: rate) { entry, gradient, rate in
            let gradient = try entry.decay > 0 ? gradient + entry.values * entry.decay : gradient
            try entry["square_avg"].average(gradient * gradient, keeping: settings.decay)
            var square = entry["square_avg"]
            if settings.isCentered {
                let mean = entry["grad_avg"]
                try mean.average(gradient, keeping: settings.decay)
                square = try square - mean * mean
            }
            let update = try gradient / (sqrt(square) + settings.epsilon)
            guard settings.momentum > 0 else { return try entry.values.add(update, scale: -rate) }
            let buffer = entry["momentum_buffer"]
            try buffer.multiply(by: settings.momentum)
            try buffer.add(update)
            try entry.values.add(buffer, scale: -rate)
        }
    }

    package var state: [(name: String, tensor: Tensor)] { weights.state }
}
