package import ApusTorch
import Foundation

/// An optimizer that follows each gradient while the backward pass runs, so that few of them are there at a time.
package protocol BackwardOptimizer: Optimizer {
    /// Before the gradients of a step.
    func beginStep() throws

    /// Moves a parameter along a gradient.
    func follow(_ gradient: Tensor, of parameter: TrainedParameter, rate: Double) throws
}

extension BackwardOptimizer {
    package func beginStep() throws {}

    /// Everything is followed in the pass.
    package func step(rate: Double) throws {}
}

/// `w ← (1 - ηλ) w - η g`, each w as soon as its g is complete.
///
/// Sums are float32, and what is kept is the tensor alone, also of 16 bits. Lv et al. 2023, <https://arxiv.org/abs/2306.09782>.
package final class LOMO: BackwardOptimizer {
    private let groups: [ObjectIdentifier: ParameterGroup]

    package init(_ groups: [ParameterGroup]) { self.groups = byParameter(groups) }

    package func follow(_ gradient: Tensor, of parameter: TrainedParameter, rate: Double) throws {
        guard let group = groups[ObjectIdentifier(parameter)] else { return }
        let rate = rate * group.rateFactor
        try parameter.moved { values in
            if group.decay > 0 { try values.multiply(by: 1 - rate * group.decay) }
            try values.add(gradient.to(values.dtype), scale: -rate)
        }
    }

    package var state: [(name: String, tensor: Tensor)] { [] }
}

/// Steps of a size that follows that of the parameter and of its gradients, each as soon as its gradient is complete.
///
/// For a matrix [m, n] with β = 1 - t^-0.8: `r ← β r + (1-β) meanₙ(g²)`, `c ← β c + (1-β) meanₘ(g²)`, `u = g / √(r c / mean(r))`,
/// `w ← w - η max(10⁻³, rms(w)) u / max(1, rms(u))`; vectors keep a second moment for each element. Lv et al. 2023,
/// <https://arxiv.org/abs/2310.10195>.
package final class AdaLOMO: BackwardOptimizer {
    private let groups: [ObjectIdentifier: ParameterGroup]
    private let moments: [ObjectIdentifier: Moments]
    private let order: [TrainedParameter]
    private let count: Tensor

    private struct Moments {
        /// [m] of a matrix, or the shape of the parameter.
        let rows: Tensor
        /// [n].
        let columns: Tensor?
    }

    package init(_ groups: [ParameterGroup]) throws {
        self.groups = byParameter(groups)
        order = groups.flatMap(\.parameters)
        moments = try Dictionary(
            uniqueKeysWithValues: order.map { parameter in
                let (shape, device) = (parameter.tensor.shape, parameter.tensor.device)
                let isMatrix = shape.count == 2
                return (
                    ObjectIdentifier(parameter),
                    Moments(
                        rows: try Tensor.zeros(
                            isMatrix ? [shape[0]] : shape, dtype: Self.type(of: parameter), device: device),
                        columns: isMatrix
                            ? try Tensor.zeros([shape[1]], dtype: Self.type(of: parameter), device: device) : nil)
                )
            })
        count = try Tensor.zeros([])
    }

    private static func type(of parameter: TrainedParameter) -> DType {
        parameter.tensor.dtype.isShortFloat ? .float32 : parameter.tensor.dtype
    }

    package func beginStep() throws { try count.fill(count.item() + 1) }

    package func follow(_ gradient: Tensor, of parameter: TrainedParameter, rate: Double) throws {
        guard let group = groups[ObjectIdentifier(parameter)], let moments = moments[ObjectIdentifier(parameter)]
        else { return }
        let gradient = try gradient.to(moments.rows.dtype)
        let beta = try 1 - pow(count.item(), -0.8)
        func average(_ moment: Tensor, _ value: Tensor) throws {
            try moment.multiply(by: beta)
            try moment.add(value, scale: 1 - beta)
        }
        let squares = try gradient.power(2) + 1e-30
        var update: Tensor
        if let columns = moments.columns {
            try average(moments.rows, squares.mean(1))
            try average(columns, squares.mean(0))
            let shares = try moments.rows / moments.rows.mean()
            update = try gradient * (shares.power(-0.5).unsqueezed(1) * columns.power(-0.5).unsqueezed(0))
        } else {
            try average(moments.rows, squares)
            update = try gradient * moments.rows.power(-0.5)
        }
        update = try update / Swift.max(1, Self.size(of: update))
        try parameter.moved { values in
            let rate = try rate * group.rateFactor * Swift.max(1e-3, Self.size(of: values))
            if group.decay > 0 { try values.multiply(by: 1 - rate * group.decay) }
            try values.add(update, scale: -rate)
        }
    }

    /// The root of the mean square.
    private static func size(of tensor: Tensor) throws -> Double { try tensor.power(2).mean().item().squareRoot() }

    package var state: [(name: String, tensor: Tensor)] {
        order.flatMap { parameter -> [(name: String, tensor: Tensor)] in
            guard let moments = moments[ObjectIdentifier(parameter)] else { return [] }
            guard let columns = moments.columns else { return [("exp_avg_sq.\(parameter.name)", moments.rows)] }
            return [("exp_avg_sq_row.\(parameter.name)", moments.rows), ("exp_avg_sq_col.\(parameter.name)", columns)]
        } + [("step", count)]
    }
}

private func byParameter(_ groups: [ParameterGroup]) -> [ObjectIdentifier: ParameterGroup] {
    var found: [ObjectIdentifier: ParameterGroup] = [:]
    for group in groups { for parameter in group.parameters { found[ObjectIdentifier(parameter)] = group } }
    return found
}

extension TrainedParameter {
    /// Changes the values in float32 or wider, and rounds them into the tensor.
    fileprivate func moved(_ change: (Tensor) throws -> Void) throws {
        try withoutGradients {
            guard tensor.dtype.isShortFloat else { return try change(tensor) }
            let values = try tensor.detached().to(.float32)
            try change(values)
            try tensor.copy(from: values)
        }
    }
}
