package import ApusTorch
import Foundation

/// AdamW with a second, slower first moment.
///
/// `m ← β₁m + (1-β₁)g`, `s ← β₃s + (1-β₃)g`, `v ← β₂v + (1-β₂)g²`, `w ← (1-ηλ) w - η (m̂ + αs) / (√v̂ + ε)`. Over the first
/// steps α may grow to its value in a line, and β₃ from β₁ to its own so that the half-life grows in a line. Pagliardini et al.
/// 2024, <https://arxiv.org/abs/2409.03137>; the arithmetic is that of bitsandbytes on a CPU.
package final class AdEMAMix: Optimizer {
    package struct Settings: Sendable, Equatable {
        package var beta1 = 0.9
        package var beta2 = 0.999
        package var beta3 = 0.9999
        package var alpha = 5.0
        package var epsilon = 1e-8
        /// The steps over which α grows; nil begins with its value.
        package var alphaSteps: Int?
        /// The steps over which β₃ grows; nil begins with its value.
        package var beta3Steps: Int?

        package init() {}

        func alpha(at step: Double) -> Double { alphaSteps.map { min(step * alpha / Double($0), alpha) } ?? alpha }

        func beta3(at step: Double) -> Double {
            guard let beta3Steps else { return beta3 }
            let (fast, slow, share) = (log(beta1), log(beta3), step / Double(beta3Steps))
            return min(exp(fast * slow / ((1 - share) * slow + share * fast)), beta3)
        }
    }

    private let settings: Settings
    private let weights: WeightList

    package init(
        _ groups: [ParameterGroup], settings: Settings = Settings(), memory: StateMemory = .plain
    ) throws {
        self.settings = settings
        weights = try WeightList(groups, memory: memory) {
            ["exp_avg": $0, "exp_avg_slow": $0, "exp_avg_sq": $0, "step": []]
        }
    }

    package func step(rate: Double) throws {
        try weights.move(rate: rate) { entry, gradient, rate in
            let step = try entry.nextStep()
            let (fast, slow, square) = (entry["exp_avg"], entry["exp_avg_slow"], entry["exp_avg_sq"])
            try fast.average(gradient, keeping: settings.beta1)
            try slow.average(gradient, keeping: settings.beta3(at: step))
            try square.average(gradient * gradient, keeping: settings.beta2)
            if entry.decay > 0 { try entry.values.multiply(by: 1 - rate * entry.decay) }
            let momentum = try fast * (1 / (1 - pow(settings.beta1, step))) + slow * settings.alpha(at: step)
            let size = try sqrt(square) * (1 / (1 - pow(settings.beta2, step)).squareRoot()) + settings.epsilon
            try entry.values.add(momentum / size, scale: -rate)
        }
    }

    package var state: [(name: String, tensor: Tensor)] { weights.state }
}
