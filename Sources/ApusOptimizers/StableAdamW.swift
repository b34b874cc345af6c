package import ApusTorch
import Foundation

/// AdamW whose steps are shorter where a gradient is large beside its second moment.
///
/// With β̂ = (βᵗ-β)/(βᵗ-1): `m ← β̂₁m + (1-β̂₁)g`, `v ← β̂₂v + (1-β̂₂)g²`, `η ← η / max(1, rms(g / √max(v, ε²)))`,
/// `w ← (1-ηλ) w - η m / (√v + ε)`. Wortsman et al. 2023, <https://arxiv.org/abs/2304.13013>; the arithmetic of
/// `optimi.StableAdamW`.
package final class StableAdamW: Optimizer {
    private let settings: AdamW.Settings
    private let weights: WeightList

    package init(_ groups: [ParameterGroup], settings: AdamW.Settings = AdamW.Settings()) throws {
        self.settings = settings
        weights = try WeightList(groups) { ["exp_avg": $0, "exp_avg_sq": $0, "step": []] }
    }

    package func step(rate: Double) throws {
        try weights.move(rate: rate) { entry, gradient, rate in
            let step = try entry.nextStep()
            func withoutBias(_ beta: Double) -> Double { (pow(beta, step) - beta) / (pow(beta, step) - 1) }
            let (mean, square) = (entry["exp_avg"], entry["exp_avg_sq"])
            try mean.average(gradient, keeping: withoutBias(settings.beta1))
            try square.average(gradient * gradient, keeping: withoutBias(settings.beta2))
            let least = settings.epsilon * settings.epsilon
            let floor = try square.masked(by: square.isLess(than: least), with: least)
            let size = try (gradient * gradient / floor).mean().item().squareRoot()
            let rate = rate / max(1, size)
            if entry.decay > 0 { try entry.values.multiply(by: 1 - rate * entry.decay) }
            try entry.values.add(mean / (sqrt(square) + settings.epsilon), scale: -rate)
        }
    }

    package var state: [(name: String, tensor: Tensor)] { weights.state }
}
