import ApusNN
import ApusTorch

/// How many triples AdaLoRA's layers may have at each step, and which.
///
/// The budget falls by `b(t) = b_T + (b_0 - b_T) (1 - (t - t_i) / (T - t_f - t_i))³`. A triple is as important as its
/// singular value and the means over its vectors are, and a number as important as the product of two running means:
/// `Ī ← β₁ Ī + (1 - β₁) |w ∂L/∂w|` and `Ū ← β₂ Ū + (1 - β₂) |I - Ī|`.
final class RankBudget: StepParticipant {
    private struct Importance {
        let slot: ParameterSlot
        let mean: Tensor
        let uncertainty: Tensor

        func score() throws -> Tensor { try mean * uncertainty }
    }

    private struct Layer {
        let path: String
        let adapter: AdaLoRA
        let a: Importance
        let b: Importance
        let e: Importance
        /// 1 where a triple is left, [r, 1].
        let mask: Tensor
    }

    private let configuration: AdaLoRAConfiguration
    private let totalSteps: Int
    private let layers: [Layer]
    /// Whether any triple was taken away yet, [1].
    private let hasChosen: Tensor
    /// Whether the ranks are the last ones, [1]; the step that was to fix them may have been skipped.
    private let isFinal: Tensor

    init(_ configuration: AdaLoRAConfiguration, _ parts: [AdapterPart], totalSteps: Int) throws {
        self.configuration = configuration
        self.totalSteps = totalSteps
        layers = try parts.compactMap { part in
            guard let adapter = part.adapter as? AdaLoRA else { return nil }
            func importance(_ slot: ParameterSlot) throws -> Importance {
                guard let tensor = slot.tensor, !tensor.dtype.isShortFloat else {
                    throw AdapterError("AdaLoRA weighs importance in float32; leave --lora_dtype out")
                }
                func zeros() throws -> Tensor {
                    try Tensor.zeros(tensor.shape, dtype: tensor.dtype, device: tensor.device)
                }
                return Importance(slot: slot, mean: try zeros(), uncertainty: try zeros())
            }
            let e = try importance(adapter.$e)
            return Layer(
                path: part.path, adapter: adapter, a: try importance(adapter.$a), b: try importance(adapter.$b), e: e,
                mask: try Tensor.ones(adapter.e.shape, dtype: adapter.e.dtype, device: adapter.e.device))
        }
        hasChosen = try Tensor.zeros([1], device: layers.first?.adapter.e.device ?? .cpu)
        isFinal = try Tensor.zeros([1], device: hasChosen.device)
        for layer in layers { layer.adapter.budget = self }
    }

    /// Which triples of an adapter are left; nil before any was taken away.
    func mask(of adapter: AdaLoRA) throws -> [Bool]? {
        guard try hasChosen.item() > 0, let layer = layers.first(where: { $0.adapter === adapter }) else { return nil }
        return try layer.mask.to(.float32).to(.cpu).values(as: Float.self).map { $0 > 0 }
    }

    var state: [(name: String, tensor: Tensor)] {
        [("adalora.has_chosen", hasChosen), ("adalora.is_final", isFinal)]
            + layers.flatMap { layer in
                [("mask", layer.mask)].map { ("adalora.\($0).\(layer.path)", $1) }
                    + [("A", layer.a), ("B", layer.b), ("E", layer.e)].flatMap { name, part in
                        [
                            ("adalora.mean.\(layer.path).\(name)", part.mean),
                            ("adalora.uncertainty.\(layer.path).\(name)", part.uncertainty),
                        ]
                    }
            }
    }

    /// `λ / 2n Σ (‖A Aᵀ - I‖ + ‖Bᵀ B - I‖)` over n layers.
    func penalty() throws -> Tensor? {
        guard configuration.penalty > 0 else { return nil }
        let norms = try layers.flatMap { layer in
            let (a, b) = (layer.adapter.a, layer.adapter.b)
            return try [matmul(a, a.transposed(0, 1)), matmul(b.transposed(0, 1), b)].map { square in
                let count = square.shape[0]
                let one = try Tensor.arange(0..<count, device: square.device)
                let identity = try one.unsqueezed(0).isEqual(to: one.unsqueezed(1)).to(square.dtype)
                return try sqrt((square - identity).power(2).sum())
            }
        }
        guard !norms.isEmpty else { return nil }
        return try stacked(norms).sum() * (configuration.penalty / Double(norms.count))
    }

    func stepped(to step: Int) throws {
        try withoutGradients {
            let last = totalSteps - configuration.end
            if step < last {
                try weigh()
                let budget = budget(at: step)
                guard budget.isChosen else { return }
                try choose(budget.triples)
            } else if try isFinal.item() == 0 {
                try choose(budget(at: last).triples)
                try forget()
                try isFinal.fill(1)
            }
            try hide()
        }
    }

    private func budget(at step: Int) -> (triples: Int, isChosen: Bool) {
        let first = layers.count * configuration.firstRank
        let target = layers.count * configuration.targetRank
        let (start, last) = (configuration.start, totalSteps - configuration.end)
        if step <= start { return (first, false) }
        if step > last { return (target, true) }
        let left = 1 - Double(step - start) / Double(last - start)
        let triples = Int(Double(first - target) * (left * left * left) + Double(target))
        return (triples, step % configuration.interval == 0)
    }

    private func weigh() throws {
        for part in layers.flatMap({ [$0.a, $0.b, $0.e] }) {
            guard let tensor = part.slot.tensor, let gradient = tensor.gradient else { continue }
            let now = try abs(tensor.detached() * gradient)
            try part.mean.copy(from: part.mean * configuration.beta1 + now * (1 - configuration.beta1))
            try part.uncertainty.copy(
                from: part.uncertainty * configuration.beta2 + abs(now - part.mean) * (1 - configuration.beta2))
        }
    }

    /// Keeps the most important triples of all layers.
    private func choose(_ triples: Int) throws {
        let scores = try layers.map { layer in
            try layer.e.score().reshaped([-1]) + (layer.a.score().mean(1) + layer.b.score().mean(0))  // [r]
        }
        let values = try scores.map { try $0.to(.float64).to(.cpu).values(as: Double.self) }
        let taken = values.reduce(0) { $0 + $1.count } - triples
        let threshold = taken > 0 ? values.flatMap { $0 }.sorted()[taken - 1] : -Double.infinity
        for (layer, scores) in zip(layers, values) {
            let left = try Tensor(scores.map { $0 <= threshold ? Float(0) : 1 }, shape: [scores.count, 1])
            try layer.mask.copy(from: left.to(layer.mask.dtype))
        }
        try hasChosen.fill(1)
    }

    private func forget() throws {
        for part in layers.flatMap({ [$0.a, $0.b, $0.e] }) {
            try part.mean.fill(0)
            try part.uncertainty.fill(0)
        }
    }

    /// Singular values of what was taken away are zero.
    private func hide() throws {
        guard try hasChosen.item() > 0 else { return }
        for layer in layers {
            if let e = layer.e.slot.tensor { try e.copy(from: e.detached() * layer.mask) }
        }
    }
}
