package import ApusTorch
import Foundation

/// AdamW whose moments are of a low rank: gradients of matrices are projected on their largest singular vectors, which
/// are found anew every so many steps, and the step is projected back.
///
/// Zhao et al. 2024, <https://arxiv.org/abs/2403.03507>. For a gradient G [m, n] with m ≥ n: `R = G Pᵀ`, P [r, n] the
/// first right singular vectors; moments of R; `W ← W - η √(1-β₂ᵗ)/(1-β₁ᵗ) · s (M / (√V + ε)) P`, then `W ← W (1 - ηλ)`.
package final class GaLore: Optimizer {
    /// Which singular vectors a gradient is projected on.
    package enum Projection: String, Sendable, CaseIterable {
        /// Those of the shorter side.
        case std
        /// Those of the longer side.
        case reverseStd = "reverse_std"
        case right, left
        /// Those of both sides.
        case full
    }

    package struct Options: Sendable {
        package var rank = 128
        /// Steps after which the singular vectors are found anew.
        package var gap = 50
        package var scale = 1.0
        package var projection = Projection.std

        package init() {}
    }

    private let settings: AdamW.Settings
    private let options: Options
    private let projected: [Projected]
    private let plain: AdamW

    private struct Projected {
        let weight: MasterWeight
        let group: ParameterGroup
        /// [m, r] and [r, n]; nil on a side that is not projected.
        let left: Tensor?
        let right: Tensor?
        let average: Tensor
        let square: Tensor
        let step: Tensor
    }

    /// - Parameter isProjected: Chooses among the matrices by name.
    package init(
        _ groups: [ParameterGroup], settings: AdamW.Settings = AdamW.Settings(), options: Options,
        isProjected: (String) -> Bool
    ) throws {
        self.settings = settings
        self.options = options
        func isChosen(_ parameter: TrainedParameter) -> Bool {
            parameter.tensor.rank == 2 && isProjected(parameter.name)
        }
        projected = try groups.flatMap { group in
            try group.parameters.filter(isChosen).map { parameter in
                let (m, n) = (parameter.tensor.shape[0], parameter.tensor.shape[1])
                let sides = Self.sides(options.projection, m, n)
                let rank = min(options.rank, m, n)
                let weight = try MasterWeight(parameter)
                func zeros(_ shape: [Int]) throws -> Tensor {
                    try Tensor.zeros(shape, dtype: weight.values.dtype, device: weight.values.device)
                }
                let shape = [sides.left ? rank : m, sides.right ? rank : n]
                return Projected(
                    weight: weight, group: group, left: sides.left ? try zeros([m, rank]) : nil,
                    right: sides.right ? try zeros([rank, n]) : nil, average: try zeros(shape),
                    square: try zeros(shape), step: try Tensor.zeros([]))
            }
        }
        plain = try AdamW(
            groups.map { $0.with($0.parameters.filter { !isChosen($0) }) }.filter { !$0.parameters.isEmpty },
            settings: settings)
    }

    private static func sides(_ projection: Projection, _ m: Int, _ n: Int) -> (left: Bool, right: Bool) {
        switch projection {
        case .std: (m < n, m >= n)
        case .reverseStd: (m >= n, m < n)
        case .right: (false, true)
        case .left: (true, false)
        case .full: (true, true)
        }
    }

    package func step(rate: Double) throws {
        try withoutGradients {
            for one in projected {
                guard let gradient = try one.weight.gradient() else { continue }
                try follow(gradient, one, rate: rate * one.group.rateFactor)
            }
        }
        try plain.step(rate: rate)
    }

    private func follow(_ gradient: Tensor, _ one: Projected, rate: Double) throws {
        let done = Int(try one.step.item())
        if done % options.gap == 0 {
            let (u, _, v) = try gradient.singularValueDecomposition()  // [m, k], [k], [k, n]
            if let left = one.left { try left.copy(from: u.narrowed(1, start: 0, length: left.shape[1])) }
            if let right = one.right { try right.copy(from: v.narrowed(0, start: 0, length: right.shape[0])) }
        }
        try one.step.fill(Double(done + 1))
        var low = gradient
        if let left = one.left { low = try matmul(left.transposed(0, 1), low) }  // [r, n]
        if let right = one.right { low = try matmul(low, right.transposed(0, 1)) }  // [m, r]
        try one.average.multiply(by: settings.beta1)
        try one.average.add(low, scale: 1 - settings.beta1)
        try one.square.multiply(by: settings.beta2)
        try one.square.add(low * low, scale: 1 - settings.beta2)
        var update = try one.average / (sqrt(one.square) + settings.epsilon)
        if let left = one.left { update = try matmul(left, update) }
        if let right = one.right { update = try matmul(update, right) }  // [m, n]
        let count = Double(done + 1)
        let correction = (1 - pow(settings.beta2, count)).squareRoot() / (1 - pow(settings.beta1, count))
        try one.weight.values.add(update, scale: -rate * correction * options.scale)
        if one.group.decay > 0 { try one.weight.values.multiply(by: 1 - rate * one.group.decay) }
        try one.weight.publish()
    }

    package var state: [(name: String, tensor: Tensor)] {
        projected.flatMap { one in
            let name = one.weight.parameter.name
            return [
                ("exp_avg.\(name)", one.average), ("exp_avg_sq.\(name)", one.square), ("step.\(name)", one.step),
            ]
                + [("projector_left.\(name)", one.left), ("projector_right.\(name)", one.right)].compactMap {
                    name, side in
                    side.map { (name, $0) }
                } + one.weight.state
        } + plain.state
    }
}
