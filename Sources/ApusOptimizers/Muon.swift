package import ApusTorch
import Foundation

/// Momentum whose matrices are made nearly orthogonal, beside AdamW for all that is no matrix inside the model.
///
/// `b ← μb + g`, `u = NS(g + μb)`, `w ← (1-ηλ) w - 0.2 √max(m, n) η u` for a matrix [m, n]. NS are five steps of a quintic
/// Newton–Schulz iteration in bfloat16, which draws singular values to about 1. Jordan et al. 2024,
/// <https://kellerjordan.github.io/posts/muon>; Liu et al. 2025, <https://arxiv.org/abs/2502.16982>, whose program (Moonlight) is
/// what ms-swift runs. Its AdamW, too, differs from `AdamW`: ε stands beside √v before the correction of its bias, and every
/// parameter decays.
package final class Muon: Optimizer {
    package struct Settings: Sendable, Equatable {
        package var momentum = 0.95
        package var isNesterov = true
        /// Steps of the iteration.
        package var steps = 5
        /// Of the parameters that are no matrices inside the model.
        package var adam = AdamW.Settings()

        package init() {}
    }

    private let settings: Settings
    private let matrices: WeightList
    private let others: WeightList

    /// - Parameter orthogonalizes: Whether a matrix of that name is moved so; what is no matrix never is.
    package init(
        _ groups: [ParameterGroup], settings: Settings = Settings(), orthogonalizes: (String) -> Bool
    ) throws {
        func isMatrix(_ parameter: TrainedParameter) -> Bool {
            parameter.tensor.shape.count == 2 && orthogonalizes(parameter.name)
        }
        self.settings = settings
        matrices = try WeightList(groups.map { $0.with($0.parameters.filter(isMatrix)) }) { ["momentum_buffer": $0] }
        others = try WeightList(groups.map { $0.with($0.parameters.filter { !isMatrix($0) }) }) {
            ["exp_avg": $0, "exp_avg_sq": $0, "step": []]
        }
    }

    package func step(rate: Double) throws {
        try matrices.move(rate: rate) { entry, gradient, rate in
            let buffer = entry["momentum_buffer"]
            try buffer.multiply(by: settings.momentum)
            try buffer.add(gradient)
            let direction = try settings.isNesterov ? gradient + buffer * settings.momentum : buffer
            let update = try Self.orthogonalized(direction, steps: settings.steps).to(entry.values.dtype)
            let size = Double(entry.values.shape.max() ?? 1)
            if entry.decay > 0 { try entry.values.multiply(by: 1 - rate * entry.decay) }
            try entry.values.add(update, scale: -rate * 0.2 * size.squareRoot())
        }
        let adam = settings.adam
        try others.move(rate: rate) { entry, gradient, rate in
            let step = try entry.nextStep()
            try entry["exp_avg"].average(gradient, keeping: adam.beta1)
            try entry["exp_avg_sq"].average(gradient * gradient, keeping: adam.beta2)
            let update = try entry["exp_avg"] / (sqrt(entry["exp_avg_sq"]) + adam.epsilon)
            let scale = (1 - pow(adam.beta1, step)) / (1 - pow(adam.beta2, step)).squareRoot()
            if entry.decay > 0 { try entry.values.multiply(by: 1 - rate * entry.decay) }
            try entry.values.add(update, scale: -rate / scale)
        }
    }

    /// About `U Vᵀ` of a matrix [m, n] = `U S Vᵀ`, in bfloat16.
    static func orthogonalized(_ matrix: Tensor, steps: Int) throws -> Tensor {
        let isTall = matrix.shape[0] > matrix.shape[1]
        let short = try matrix.to(.bfloat16)
        var x = try isTall ? short.transposed(0, 1) : short
        // The norm and its ε are numbers of bfloat16 there.
        x = try x / (totalNorm([x]).to(.bfloat16) + 1e-7)
        for _ in 0..<steps {
            let square = try matmul(x, x.transposed(0, 1))
            let both = try square * -4.7750 + matmul(square * 2.0315, square)
            x = try x * 3.4445 + matmul(both, x)
        }
        return try isTall ? x.transposed(0, 1) : x
    }

    package var state: [(name: String, tensor: Tensor)] { matrices.state + others.state }
}
