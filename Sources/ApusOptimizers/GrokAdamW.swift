package import ApusTorch
import Foundation

/// AdamW that follows, beside a gradient, its slow part more strongly, so that what generalises is found sooner.
///
/// For the i-th weight of its group, from 0: `g ← g / max(1, ‖g‖/c)`, `e ← αe + (1-α)g`, `u = g + λₑe`,
/// `b = β₁(1-γ)ⁱ`, `m ← bm + (1-b)u`, `v ← β₂v + (1-β₂)u²`, `w ← (1-ηλ) w - η √(1-β₂ᵗ)/(1-β₁ᵗ) m / (√v + ε)`. The arithmetic
/// of the package `grokadamw` (Hartford 2024) as the Trainer runs it: without losses to compare, α does not change. It is after
/// Lee et al. 2024, <https://arxiv.org/abs/2405.20233>.
package final class GrokAdamW: Optimizer {
    package struct Settings: Sendable, Equatable {
        package var beta1 = 0.9
        package var beta2 = 0.999
        package var epsilon = 1e-8
        /// α, what is kept of the slow part.
        package var kept = 0.98
        /// λₑ, how strongly the slow part counts.
        package var amplification = 2.0
        /// γ, by what share β₁ falls from weight to weight.
        package var layerDecay = 0.1
        /// c, the norm to which each gradient is clipped; 0 leaves it.
        package var maximumNorm = 1.0

        package init() {}
    }

    private let settings: Settings
    private let groups: [WeightList]

    package init(_ groups: [ParameterGroup], settings: Settings = Settings()) throws {
        self.settings = settings
        self.groups = try groups.map { group in
            try WeightList([group]) { ["exp_avg": $0, "exp_avg_sq": $0, "grok_ema": $0, "step": []] }
        }
    }

    package func step(rate: Double) throws {
        for group in groups {
            var place = 0
            try group.move(rate: rate) { entry, gradient, rate in
                try follow(gradient, entry, place: place, rate: rate)
                place += 1
            }
        }
    }

    private func follow(_ gradient: Tensor, _ entry: WeightList.Entry, place: Int, rate: Double) throws {
        let step = try entry.nextStep()
        var gradient = gradient
        if settings.maximumNorm > 0 {
            let factor = settings.maximumNorm / (try totalNorm([gradient]).item() + 1e-6)
            if factor < 1 { gradient = try gradient * factor }
        }
        let (mean, square, slow) = (entry["exp_avg"], entry["exp_avg_sq"], entry["grok_ema"])
        try slow.average(gradient, keeping: settings.kept)
        let amplified = try gradient + slow * settings.amplification
        try mean.average(amplified, keeping: settings.beta1 * pow(1 - settings.layerDecay, Double(place)))
        try square.average(amplified * amplified, keeping: settings.beta2)
        let correction = (1 - pow(settings.beta2, step)).squareRoot() / (1 - pow(settings.beta1, step))
        try entry.values.multiply(by: 1 - rate * entry.decay)
        try entry.values.add(mean / (sqrt(square) + settings.epsilon), scale: -rate * correction)
    }

    package var state: [(name: String, tensor: Tensor)] { groups.flatMap(\.state) }
}
