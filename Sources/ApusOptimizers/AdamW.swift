package import ApusTorch

/// Adam with decoupled weight decay.
///
/// Loshchilov and Hutter 2019, <https://arxiv.org/abs/1711.05101>.
///
/// `m ← β₁m + (1-β₁)g`, `v ← β₂v + (1-β₂)g²`, `w ← w - η(m̂ / (√v̂ + ε) + λw)`, one fused pass over all parameters.
package final class AdamW: Optimizer {
    package struct Settings: Sendable, Equatable {
        package var beta1 = 0.9
        package var beta2 = 0.95
        package var epsilon = 1e-8

        package init() {}
    }

    private let settings: Settings
    private let groups: [ParameterGroup]
    private var states: [State]

    private struct State {
        let averages: [Tensor]
        let squares: [Tensor]
        let steps: [Tensor]
    }

    package init(_ groups: [ParameterGroup], settings: Settings = Settings()) throws {
        self.groups = groups
        self.settings = settings
        states = try groups.map { group in
            func zeros() throws -> [Tensor] {
                try group.parameters.map {
                    try Tensor.zeros($0.tensor.shape, dtype: $0.tensor.dtype, device: $0.tensor.device)
                }
            }
            return State(
                averages: try zeros(), squares: try zeros(),
                steps: try group.parameters.map { try Tensor.zeros([], device: $0.tensor.device) })
        }
    }

    package func step(rate: Double) throws {
        for (group, state) in zip(groups, states) {
            // A parameter that took no part in the loss has no gradient and is left as it is.
            let active = group.parameters.indices.filter { group.parameters[$0].tensor.gradient != nil }
            guard !active.isEmpty else { continue }
            try fusedAdamW(
                parameters: active.map { group.parameters[$0].tensor },
                gradients: active.compactMap { group.parameters[$0].tensor.gradient },
                averages: active.map { state.averages[$0] }, squares: active.map { state.squares[$0] },
                steps: active.map { state.steps[$0] }, rate: rate, beta1: settings.beta1, beta2: settings.beta2,
                decay: group.decay, epsilon: settings.epsilon)
        }
    }

    package var state: [(name: String, tensor: Tensor)] {
        zip(groups, states).flatMap { group, state in
            group.parameters.indices.flatMap { index in
                let name = group.parameters[index].name
                return [
                    ("exp_avg.\(name)", state.averages[index]), ("exp_avg_sq.\(name)", state.squares[index]),
                    ("step.\(name)", state.steps[index]),
                ]
            }
        }
    }
}
