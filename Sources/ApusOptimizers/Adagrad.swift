package import ApusTorch

/// Steps that shrink with all squared gradients there were.
///
/// `g ← g + λw`, `s ← s + g²`, `w ← w - η / (1 + (t-1)γ) · g / (√s + ε)`. Duchi et al. 2011,
/// <https://jmlr.org/papers/v12/duchi11a.html>; the arithmetic of `torch.optim.Adagrad`.
package final class Adagrad: Optimizer {
    package struct Settings: Sendable, Equatable {
        /// γ, by which the learning rate shrinks.
        package var rateDecay = 0.0
        package var epsilon = 1e-10

        package init() {}
    }

    private let settings: Settings
    private let weights: WeightList

    package init(_ groups: [ParameterGroup], settings: Settings = Settings()) throws {
        self.settings = settings
        weights = try WeightList(groups) { ["sum": $0, "step": []] }
    }

    package func step(rate: Double) throws {
        try weights.move(rate: rate) { entry, gradient, rate in
            let gradient = try entry.decay > 0 ? gradient + entry.values * entry.decay : gradient
            let rate = rate / (1 + (try entry.nextStep() - 1) * settings.rateDecay)
            try entry["sum"].add(gradient * gradient)
            try entry.values.add(gradient / (sqrt(entry["sum"]) + settings.epsilon), scale: -rate)
        }
    }

    package var state: [(name: String, tensor: Tensor)] { weights.state }
}
