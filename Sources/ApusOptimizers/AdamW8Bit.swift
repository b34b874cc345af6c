package import ApusTorch

/// Adam with decoupled weight decay whose moments are bytes: blocks of 256 share a scale, and each byte names an entry
/// of a code that is dense around zero.
///
/// Dettmers et al. 2022, <https://arxiv.org/abs/2110.02861>. The formula is that of `AdamW`; the moments are bit-equal
/// to bitsandbytes' on a CPU. As there, parameters of fewer than 4096 elements keep moments in float32.
package final class AdamW8Bit: Optimizer {
    static let block = 256
    static let leastCount = 4096

    private let settings: AdamW.Settings
    private let coded: [Coded]
    private let plain: AdamW
    private let codes: (Tensor, Tensor)
    private let memory: StateMemory

    private struct Coded {
        let weight: MasterWeight
        let average: ByteCoded
        let square: ByteCoded
        let step: Tensor
        let group: ParameterGroup
    }

    package init(
        _ groups: [ParameterGroup], settings: AdamW.Settings = AdamW.Settings(), memory: StateMemory = .plain
    ) throws {
        self.settings = settings
        func isLarge(_ parameter: TrainedParameter) -> Bool { parameter.tensor.count >= Self.leastCount }
        coded = try groups.flatMap { group in
            try group.parameters.filter(isLarge).map { parameter in
                func zeros() throws -> ByteCoded {
                    let blocks = (parameter.tensor.count + Self.block - 1) / Self.block
                    return ByteCoded(
                        bytes: try memory.zeros(parameter.tensor.shape, dtype: .uint8, device: parameter.tensor.device),
                        absmax: try Tensor.zeros([blocks], device: parameter.tensor.device))
                }
                return Coded(
                    weight: try MasterWeight(parameter), average: try zeros(), square: try zeros(),
                    step: try Tensor.zeros([]), group: group)
            }
        }
        plain = try AdamW(
            groups.map { $0.with($0.parameters.filter { !isLarge($0) }) }.filter { !$0.parameters.isEmpty },
            settings: settings)
        codes = (try Tensor(DynamicCode.signed), try Tensor(DynamicCode.unsigned))
        self.memory = memory
    }

    package func step(rate: Double) throws {
        for one in coded {
            guard let gradient = try one.weight.gradient() else { continue }
            let count = try one.step.item() + 1
            try one.step.fill(count)
            try adamW8Bit(
                one.weight.values, gradient: gradient, average: one.average, square: one.square, codes: codes,
                step: Int(count), rate: rate * one.group.rateFactor, beta1: settings.beta1, beta2: settings.beta2,
                decay: one.group.decay, epsilon: settings.epsilon)
            try one.weight.publish()
            memory.release([one.average.bytes, one.square.bytes])
        }
        try plain.step(rate: rate)
    }

    package var state: [(name: String, tensor: Tensor)] {
        coded.flatMap { one in
            let name = one.weight.parameter.name
            return [
                ("exp_avg.\(name)", one.average.bytes), ("exp_avg_absmax.\(name)", one.average.absmax),
                ("exp_avg_sq.\(name)", one.square.bytes), ("exp_avg_sq_absmax.\(name)", one.square.absmax),
                ("step.\(name)", one.step),
            ] + one.weight.state
        } + plain.state
    }
}
