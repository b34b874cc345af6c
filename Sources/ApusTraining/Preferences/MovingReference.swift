package import ApusLanguageModel
package import ApusNN
package import ApusTorch

/// A reference that follows the model in training: after every N steps `π_ref ← α π + (1 − α) π_ref`, weight by weight.
///
/// Gorbatovski et al. 2024, <https://arxiv.org/abs/2404.09656>. Where the reference is a model and what trains an adapter, π
/// are the weights with the adapter in them. Checkpoints have the reference with the optimizer's state.
package final class MovingReference: StepParticipant {
    private typealias Weight = () throws -> Tensor

    /// N.
    private let steps: Int
    /// α.
    private let share: Double
    /// The weights of the reference, which are written to.
    private let held: [(name: String, tensor: Tensor)]
    /// What they follow, by the same names; known once all of it has values.
    private let find: () throws -> [String: Weight]
    private var followed: [String: Weight] = [:]

    /// A model that follows another, with what hangs on that.
    ///
    /// - Throws: `TrainingError` where the two have not the same weights, or the reference has some in fewer bits.
    package init(
        _ reference: CausalLanguageModel, follows model: any TextModel, every steps: Int, share: Double
    ) throws {
        if let fault = Self.fault(of: Self.weights(of: reference), following: Self.weights(of: model)) {
            throw Self.refusal(fault)
        }
        (self.steps, self.share) = (steps, share)
        held = try Self.writable(Self.weights(of: reference))
        find = { try Self.folded(model) }
    }

    /// An adapter that follows another of the same kind on the same model.
    ///
    /// - Throws: `TrainingError` where the two have not the same weights.
    package init(
        adapter reference: [(name: String, slot: ParameterSlot)],
        follows trained: [(name: String, slot: ParameterSlot)],
        every steps: Int, share: Double
    ) throws {
        if let fault = Self.fault(of: reference, following: trained) { throw Self.refusal(fault) }
        (self.steps, self.share) = (steps, share)
        held = try Self.writable(reference)
        find = { Self.plain(trained) }
    }

    package var state: [(name: String, tensor: Tensor)] { held.map { ("reference.\($0.name)", $0.tensor) } }

    package func starting(at step: Int) throws {
        followed = try find()
        do {
            // What cannot be folded is said now, and not after N steps.
            try withoutGradients { for (name, _) in held { _ = try weight(name) } }
        } catch {
            throw Self.refusal(
                "the adapter that trains cannot be part of a model's weights (\(error)). Give --tuner_type full or lora."
            )
        }
    }

    package func passed(_ step: Int) throws {
        guard step % steps == 0 else { return }
        try withoutGradients {
            for (name, tensor) in held {
                let (old, new) = (try tensor.widened(), try weight(name).widened())
                let gap = try new - old
                // Either way is exact at its end, so that α 1 copies and what is equal stays.
                try tensor.copy(from: share < 0.5 ? old + gap * share : new - gap * (1 - share))
            }
        }
    }

    private func weight(_ name: String) throws -> Tensor {
        guard let weight = followed[name] else { throw Self.refusal("the model has no \(name) that it could follow") }
        return try weight()
    }

    private static func refusal(_ what: String) -> TrainingError {
        TrainingError(.other, "--sync_ref_model true: \(what)")
    }
}

// MARK: - Weights

extension MovingReference {
    private static func weights(of model: Module) -> [(name: String, slot: ParameterSlot)] {
        model.parameters().filter { !$0.slot.isBuffer }
    }

    /// Why a reference cannot follow a model weight by weight; nil where it can.
    ///
    /// No values are needed.
    package static func fault(of reference: Module, following model: Module) -> String? {
        fault(of: weights(of: reference), following: weights(of: model))
    }

    private static func fault(
        of reference: [(name: String, slot: ParameterSlot)], following model: [(name: String, slot: ParameterSlot)]
    ) -> String? {
        func shapes(_ slots: [(name: String, slot: ParameterSlot)]) -> [String: [Int]] {
            slots.reduce(into: [:]) { $0[$1.name] = $1.slot.shape }
        }
        let (own, others) = (shapes(reference), shapes(model))
        if let name = Set(own.keys).symmetricDifference(others.keys).min() {
            return
                "the reference follows weight by weight, and \(name) is in \(own[name] == nil ? "what trains" : "it") alone"
        }
        guard let name = own.keys.filter({ own[$0] != others[$0] }).min() else { return nil }
        return
            "the reference follows weight by weight, and \(name) is \(own[name] ?? []) there and \(others[name] ?? []) in what "
            + "trains"
    }

    /// Tensors of the slots' own: values may lie in a mapped file, which must not be written to.
    private static func writable(
        _ slots: [(name: String, slot: ParameterSlot)]
    ) throws -> [(name: String, tensor: Tensor)] {
        try slots.map { name, slot in
            guard let tensor = slot.tensor else {
                throw refusal(
                    "\(name) of the reference is kept in fewer bits, which would round each move away. Leave out "
                        + "--quant_method, or give an adapter with --ref_adapters.")
            }
            let own = try tensor.detached().cloned()
            try slot.fill(own)
            return (name, own)
        }
    }

    private static func plain(_ slots: [(name: String, slot: ParameterSlot)]) -> [String: Weight] {
        slots.reduce(into: [:]) { weights, slot in
            weights[slot.name] = {
                guard let tensor = slot.slot.tensor else { throw refusal("\(slot.name) of the model has no values") }
                return try tensor.detached()
            }
        }
    }

    /// The weights of a model that computes without adapters what another computes with them.
    private static func folded(_ model: Module) throws -> [String: Weight] {
        var weights = plain(Self.weights(of: model))
        var places: [String] = []
        for (path, module) in model.modules() {
            if let linear = module as? Linear, !linear.adapters.isEmpty {
                let adapters = linear.adapters
                places += adapters.indices.map { Module.joined(path, "adapters.\($0)") }
                guard !(linear.storage is TiedWeight), !adapters.contains(where: \.followsTable),
                    linear.bias != nil || !adapters.contains(where: \.changesBias)
                else { throw refusal("the reference has no weight of its own for the adapter on \(path)") }
                weights[Module.joined(path, "weight")] = {
                    let matrix = try adapters.reduce(linear.matrix) { try $1.merged(into: $0) }
                    return try linear.layout == .outputsFirst ? matrix.detached() : matrix.transposed(0, 1).detached()
                }
                guard let bias = linear.bias else { continue }
                weights[Module.joined(path, "bias")] = {
                    try adapters.reduce(bias) { try $1.merged(intoBias: $0) }.detached()
                }
            } else if module is Adapter, !places.contains(where: { path == $0 || path.hasPrefix($0 + ".") }) {
                throw refusal(
                    "what trains as \(path) is no change of a linear layer, and no other has a reference that could follow. Give "
                        + "--tuner_type full, or lora on linear layers.")
            }
        }
        return weights
    }
}
