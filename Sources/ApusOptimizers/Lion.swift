package import ApusTorch

/// Steps of one size in the direction of the sign of a momentum.
///
/// `w ← (1-ηλ) w - η sign(β₁m + (1-β₁)g)`, `m ← β₂m + (1-β₂)g`. Chen et al. 2023, <https://arxiv.org/abs/2302.06675>; the
/// arithmetic is that of bitsandbytes on a CPU.
package final class Lion: Optimizer {
    private let settings: AdamW.Settings
    private let weights: WeightList

    /// - Parameter settings: Of which ε is not used.
    package init(
        _ groups: [ParameterGroup], settings: AdamW.Settings = AdamW.Settings(), memory: StateMemory = .plain
    ) throws {
        self.settings = settings
        weights = try WeightList(groups, memory: memory) { ["exp_avg": $0] }
    }

    package func step(rate: Double) throws {
        try weights.move(rate: rate) { entry, gradient, rate in
            try entry.follow(gradient, momentum: entry["exp_avg"], rate: rate, settings: settings)
        }
    }

    package var state: [(name: String, tensor: Tensor)] { weights.state }
}

/// Lion whose momentum is bytes in blocks of 256, bit-equal to bitsandbytes' on a CPU.
///
/// Dettmers et al. 2022, <https://arxiv.org/abs/2110.02861>. Parameters of fewer than 4096 elements keep float32.
package final class Lion8Bit: Optimizer {
    private let settings: AdamW.Settings
    private let coded: WeightList
    private let plain: Lion
    private let moments: [ByteCoded]
    private let code: Tensor
    private let memory: StateMemory

    package init(
        _ groups: [ParameterGroup], settings: AdamW.Settings = AdamW.Settings(), memory: StateMemory = .plain
    ) throws {
        self.settings = settings
        self.memory = memory
        func parts(_ chosen: (TrainedParameter) -> Bool) -> [ParameterGroup] {
            groups.map { $0.with($0.parameters.filter(chosen)) }.filter { !$0.parameters.isEmpty }
        }
        coded = try WeightList(parts { $0.tensor.count >= AdamW8Bit.leastCount }) { _ in [:] }
        plain = try Lion(parts { $0.tensor.count < AdamW8Bit.leastCount }, settings: settings)
        moments = try coded.entries.map { entry in
            let (values, blocks) = (entry.values, (entry.values.count + AdamW8Bit.block - 1) / AdamW8Bit.block)
            return ByteCoded(
                bytes: try memory.zeros(values.shape, dtype: .uint8, device: values.device),
                absmax: try Tensor.zeros([blocks], device: values.device))
        }
        code = try Tensor(DynamicCode.signed)
    }

    package func step(rate: Double) throws {
        var places = [ObjectIdentifier: ByteCoded]()
        for (entry, moment) in zip(coded.entries, moments) { places[ObjectIdentifier(entry.values)] = moment }
        try coded.move(rate: rate) { entry, gradient, rate in
            guard let kept = places[ObjectIdentifier(entry.values)] else { return }
            let momentum = try kept.decoded(code: code, block: AdamW8Bit.block)
            try entry.follow(gradient.to(.float32), momentum: momentum, rate: rate, settings: settings)
            let bytes = try ByteCoded(momentum, code: code, block: AdamW8Bit.block)
            try kept.bytes.copy(from: bytes.bytes)
            try kept.absmax.copy(from: bytes.absmax)
            memory.release([kept.bytes])
        }
        try plain.step(rate: rate)
    }

    package var state: [(name: String, tensor: Tensor)] {
        zip(coded.entries, moments).flatMap { entry, moment in
            let name = entry.weight.parameter.name
            return [("exp_avg.\(name)", moment.bytes), ("exp_avg_absmax.\(name)", moment.absmax)] + entry.weight.state
        } + plain.state
    }
}

extension WeightList.Entry {
    /// A step of Lion, which changes the momentum too.
    fileprivate func follow(
        _ gradient: Tensor, momentum: Tensor, rate: Double, settings: AdamW.Settings
    ) throws {
        if decay > 0 { try values.multiply(by: 1 - rate * decay) }
        try values.add((momentum * settings.beta1 + gradient * (1 - settings.beta1)).signs(), scale: -rate)
        try momentum.average(gradient, keeping: settings.beta2)
    }
}
