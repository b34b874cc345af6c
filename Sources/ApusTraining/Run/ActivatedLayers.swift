import ApusDatasets
package import ApusNN
package import ApusTorch

/// Of a model's layers a few train at a time, drawn anew every so many steps; what is no layer trains always.
///
/// LISA, Pan et al. 2024, <https://arxiv.org/abs/2403.17919>. Which, is a function of seed and step alone.
package final class ActivatedLayers: StepParticipant {
    private let layers: [[ParameterSlot]]
    private let count: Int
    private let interval: Int
    private let seed: UInt64

    package init(_ layers: [[ParameterSlot]], count: Int, interval: Int, seed: UInt64) {
        self.layers = layers
        self.count = count
        self.interval = max(1, interval)
        self.seed = seed
    }

    package var state: [(name: String, tensor: Tensor)] { [] }

    /// Elements that do not train at the moment, of layers of one size.
    package var idleCount: Int {
        let all = layers.joined().reduce(0) { $0 + $1.count }
        return all - all * count / max(1, layers.count)
    }

    /// The layers that train in a step, counted from 0.
    package func active(in step: Int) -> Set<Int> {
        var random = SplitMix64(streamKey(seed, 0x6C_69_73_61), UInt64(step / interval))
        var places = Array(layers.indices)
        for chosen in 0..<min(count, places.count) {
            places.swapAt(chosen, chosen + Int(random.next(below: UInt64(places.count - chosen))))
        }
        return Set(places.prefix(count))
    }

    package func starting(at step: Int) throws { try activate(for: step) }

    package func stepped(to step: Int) throws {
        if step % interval == 0 { try activate(for: step) }
    }

    private func activate(for step: Int) throws {
        let active = active(in: step)
        for (index, slots) in layers.enumerated() {
            for slot in slots { try slot.setTrainable(active.contains(index)) }
        }
    }
}
