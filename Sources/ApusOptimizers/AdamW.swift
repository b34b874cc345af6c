package import ApusTorch

/// Adam with decoupled weight decay.
///
/// Loshchilov and Hutter 2019, <https://arxiv.org/abs/1711.05101>.
///
/// `m ← β₁m + (1-β₁)g`, `v ← β₂v + (1-β₂)g²`, `w ← w - η(m̂ / (√v̂ + ε) + λw)`, one fused pass over all parameters. Of a
/// parameter of 16 bits, w, m and v are float32.
package final class AdamW: Optimizer {
    package struct Settings: Sendable, Equatable {
        package var beta1 = 0.9
        package var beta2 = 0.95
        package var epsilon = 1e-8

        package init() {}
    }

    private let settings: Settings
    private let groups: [Group]

    private struct Group {
        let weights: [MasterWeight]
        let averages: [Tensor]
        let squares: [Tensor]
        let steps: [Tensor]
        let decay: Double
        let rateFactor: Double

        init(_ group: ParameterGroup, memory: StateMemory) throws {
            let weights = try group.parameters.map(MasterWeight.init)
            func zeros() throws -> [Tensor] {
                try weights.map {
                    try memory.zeros($0.values.shape, dtype: $0.values.dtype, device: $0.values.device)
                }
            }
            self.weights = weights
            averages = try zeros()
            squares = try zeros()
            steps = try weights.map { try Tensor.zeros([], device: $0.values.device) }
            decay = group.decay
            rateFactor = group.rateFactor
        }
    }

    private let memory: StateMemory

    package init(
        _ groups: [ParameterGroup], settings: Settings = Settings(), memory: StateMemory = .plain
    ) throws {
        self.settings = settings
        self.memory = memory
        self.groups = try groups.map { try Group($0, memory: memory) }
    }

    package func step(rate: Double) throws {
        for group in groups {
            // A parameter that took no part in the loss has no gradient and is left as it is.
            var active: [Int] = []
            var gradients: [Tensor] = []
            for (index, weight) in group.weights.enumerated() {
                guard let gradient = try weight.gradient() else { continue }
                active.append(index)
                gradients.append(gradient)
            }
            // What is paged is touched parameter by parameter.
            let passes = memory.isPaged ? active.indices.map { $0..<$0 + 1 } : [0..<active.count]
            for pass in passes where !pass.isEmpty {
                let (indices, gradients) = (active[pass], Array(gradients[pass]))
                let (averages, squares) = (indices.map { group.averages[$0] }, indices.map { group.squares[$0] })
                try fusedAdamW(
                    parameters: indices.map { group.weights[$0].values }, gradients: gradients, averages: averages,
                    squares: squares, steps: indices.map { group.steps[$0] }, rate: rate * group.rateFactor,
                    beta1: settings.beta1, beta2: settings.beta2, decay: group.decay, epsilon: settings.epsilon)
                for index in indices { try group.weights[index].publish() }
                memory.release(averages + squares)
            }
        }
    }

    package var state: [(name: String, tensor: Tensor)] {
        groups.flatMap { group in
            group.weights.indices.flatMap { index in
                let name = group.weights[index].parameter.name
                return [
                    ("exp_avg.\(name)", group.averages[index]), ("exp_avg_sq.\(name)", group.squares[index]),
                    ("step.\(name)", group.steps[index]),
                ] + group.weights[index].state
            }
        }
    }
}
