package import ApusTorch
import Foundation

/// AdamW or SGD whose weights are averaged while they train, in place of a falling learning rate.
///
/// Gradients are taken at `y = (1-β₁) z + β₁ x`, where z takes the optimizer's steps and x is their weighted average, the
/// weights that are found. With `c = ηᵖ tʳ / Σ ηᵖ tʳ` and a step d of AdamW or SGD (decay at y added):
/// `y ← (1-c) y + c z + η (β₁(1-c) - 1) d`, `z ← z - η d`, `x = y + (1 - 1/β₁)(z - y)`. Defazio et al. 2024,
/// <https://arxiv.org/abs/2405.15682>; the arithmetic of the package `schedulefree`.
package final class ScheduleFree: AveragingOptimizer {
    package struct Settings: Sendable, Equatable {
        /// Whether steps are AdamW's; else SGD's.
        package var isAdaptive = true
        package var beta1 = 0.9
        package var beta2 = 0.95
        package var epsilon = 1e-8
        /// Steps in which its own learning rate rises.
        package var warmupSteps = 0
        /// p, the power of the learning rate in the weights of the average (`weight_lr_power`).
        package var ratePower = 2.0
        /// r, the power of the step in them.
        package var stepPower = 0.0

        package init() {}
    }

    private let settings: Settings
    private let groups: [Group]

    /// The entries' values are y; the model's tensors have y, or while it answers, x.
    private struct Group {
        let weights: [Weight]
        /// Steps done, the sum of the weights of the average, the highest learning rate.
        let figures: Tensor
        let decay: Double
        let rateFactor: Double
    }

    private struct Weight {
        let parameter: TrainedParameter
        let y: Tensor
        let z: Tensor
        let square: Tensor?
    }

    package init(_ groups: [ParameterGroup], settings: Settings = Settings()) throws {
        self.settings = settings
        self.groups = try groups.map { group in
            Group(
                weights: try group.parameters.map { parameter in
                    let dtype = parameter.tensor.dtype.isShortFloat ? DType.float32 : parameter.tensor.dtype
                    let y = try parameter.tensor.detached().to(dtype).cloned()
                    return Weight(
                        parameter: parameter, y: y, z: try y.cloned(),
                        square: settings.isAdaptive ? try Tensor.zeros(y.shape, dtype: dtype, device: y.device) : nil)
                },
                figures: try Tensor([0, 0, -1] as [Double]), decay: group.decay, rateFactor: group.rateFactor)
        }
    }

    package func step(rate: Double) throws {
        try withoutGradients {
            for group in groups {
                var figures: [Double] = try group.figures.values()
                let done = figures[0]
                var rate = rate * group.rateFactor
                if done < Double(settings.warmupSteps) { rate *= (done + 1) / Double(settings.warmupSteps) }
                figures[2] = max(rate, figures[2])
                let weight = pow(done + 1, settings.stepPower) * pow(figures[2], settings.ratePower)
                figures[1] += weight
                let share = figures[1] == 0 ? 0 : weight / figures[1]
                figures[0] += 1
                try group.figures.copy(from: Tensor(figures))
                for one in group.weights {
                    guard let gradient = one.parameter.gradient else { continue }
                    try move(one, gradient.to(one.y.dtype), rate, share, step: figures[0], decay: group.decay)
                    try one.parameter.tensor.copy(from: one.y)
                }
            }
        }
    }

    private func move(
        _ one: Weight, _ gradient: Tensor, _ rate: Double, _ share: Double, step: Double, decay: Double
    ) throws {
        var direction = gradient
        if let square = one.square {
            try square.average(gradient * gradient, keeping: settings.beta2)
            direction = try gradient / (sqrt(square / (1 - pow(settings.beta2, step))) + settings.epsilon)
        }
        if decay > 0 { direction = try direction + one.y * decay }
        try one.y.moveTowards(one.z, by: share)
        try one.y.add(direction, scale: rate * (settings.beta1 * (1 - share) - 1))
        try one.z.add(direction, scale: -rate)
    }

    package func useAverage() throws {
        try withoutGradients {
            for one in groups.flatMap(\.weights) {
                let x = try one.y.cloned()
                try x.moveTowards(one.z, by: 1 - 1 / settings.beta1)
                try one.parameter.tensor.copy(from: x)
            }
        }
    }

    package func useTraining() throws {
        try withoutGradients {
            for one in groups.flatMap(\.weights) { try one.parameter.tensor.copy(from: one.y) }
        }
    }

    package var state: [(name: String, tensor: Tensor)] {
        groups.enumerated().flatMap { index, group in
            [("schedule_free.\(index)", group.figures)]
                + group.weights.flatMap { one in
                    let name = one.parameter.name
                    return [("y.\(name)", one.y), ("z.\(name)", one.z)]
                        + (one.square.map { [("exp_avg_sq.\(name)", $0)] } ?? [])
                }
        }
    }
}
