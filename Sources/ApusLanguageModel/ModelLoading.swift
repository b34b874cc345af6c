package import ApusNN
package import ApusTorch
package import ApusWeights

/// Which tensors of a file fill which parameters of a model.
///
/// A file may hold the trunk alone or with the head of another task, and may or may not write the trunk's name before
/// its parts (`bert.encoder…`, `encoder…`); old files call the weight of a norm `gamma` and its bias `beta`.
struct WeightNames {
    private let trunk: String
    private let isBareModel: Bool
    private let isBareFile: Bool

    init(_ model: any TextModel, file: [String]) {
        trunk = model.trunkName + "."
        let prefix = trunk
        isBareModel = !model.parameters().contains { $0.name.hasPrefix(prefix) }
        isBareFile = !file.contains { $0.hasPrefix(prefix) }
    }

    /// The part below the trunk, or nil for what belongs to a head.
    func inTrunk(_ name: String, isBare: Bool) -> String? {
        isBare ? name : name.hasPrefix(trunk) ? String(name.dropFirst(trunk.count)) : nil
    }

    /// What a tensor of the file is called in the model.
    func inModel(_ name: String) -> String {
        var name = name
        if name.hasSuffix(".gamma") { name = name.dropLast(6) + ".weight" }
        if name.hasSuffix(".beta") { name = name.dropLast(5) + ".bias" }
        switch (isBareModel, isBareFile) {
        case (true, true), (false, false): return name
        case (true, false): return inTrunk(name, isBare: false) ?? name
        // In a file without the trunk's name a head would be spelled like a part of the trunk; it has none.
        case (false, true): return trunk + name
        }
    }

    func isInTrunk(_ modelName: String) -> Bool { isBareModel || modelName.hasPrefix(trunk) }
}

extension TextModel {
    /// Fills the model from a store of weights.
    ///
    /// The trunk is strict both ways; what may be left unused: a tied head, heads of other tasks, a pooler that this
    /// task has no use for, and buffers of old files.
    ///
    /// - Parameters:
    ///   - dtype: The type to compute in.
    ///   - newHeadSeed: Fills a head, or a pooler, that the file does not hold with first values; nil makes it an error.
    /// - Returns: The parameters that got first values.
    /// - Throws: One `ModelError` that lists every missing, unexpected and misshapen tensor.
    @discardableResult
    package func loadWeights(
        _ store: any TensorStore, dtype: DType, device: Device, newHeadSeed: UInt64? = nil
    ) throws -> [String] {
        let names = WeightNames(self, file: store.tensorNames)
        let parameters = parameters()
        let wanted = Dictionary(uniqueKeysWithValues: parameters.map { ($0.name, $0.slot) })
        var sources: [String: String] = [:]
        var faults: [String] = []
        for stored in store.tensorNames {
            let name = names.inModel(stored)
            guard let slot = wanted[name] else {
                if !isIgnorable(name, names) { faults.append("not part of the model: \(stored)") }
                continue
            }
            let shape = try store.shape(of: stored)
            if shape != slot.shape {
                faults.append("\(stored) has the shape \(shape), the model wants \(slot.shape ?? [])")
            }
            sources[name] = stored
        }
        let missing = parameters.map(\.name).filter { sources[$0] == nil }
        let new = newHeadSeed == nil ? [] : missing.filter { !names.isInTrunk($0) || $0.contains("pooler.") }
        faults = missing.filter { !new.contains($0) }.map { "missing: \($0)" } + faults
        guard faults.isEmpty else {
            let more = faults.count > 12 ? "\n  … and \(faults.count - 12) more" : ""
            throw ModelError(
                "the weights do not fit \(architecture), which config.json describes:\n  "
                    + faults.prefix(12).joined(separator: "\n  ") + more
                    + "\n" + MisfitHint(faults: faults, held: Set(store.tensorNames).union(sources.keys)).text)
        }
        for (index, (name, slot)) in parameters.enumerated() {
            if let stored = sources[name] {
                let (tensor, isBorrowed) = try store.tensor(stored, dtype: dtype, device: device)
                try slot.fill(tensor, isBorrowed: isBorrowed)
            } else {
                let generator = try Generator(seed: streamKey(newHeadSeed ?? 0, 0x6865_6164, UInt64(index)))
                try slot.materialize(dtype: dtype, device: device, generator: generator)
            }
        }
        return new
    }

    private func isIgnorable(_ name: String, _ names: WeightNames) -> Bool {
        if name.hasSuffix("rotary_emb.inv_freq") || name.hasSuffix("embeddings.position_ids") { return true }
        if let model = self as? CausalLanguageModel { return model.tiesEmbeddings && name == "lm_head.weight" }
        return !names.isInTrunk(name) || name.contains("pooler.") || name.hasPrefix("cls.") || name == "lm_head.weight"
    }
}

extension Module {
    /// Allocates and initialises every parameter, each from its own stream of the seed.
    package func materialize(dtype: DType, device: Device, seed: UInt64) throws {
        for (index, parameter) in parameters().enumerated() {
            let generator = try Generator(seed: streamKey(seed, UInt64(index)))
            try parameter.slot.materialize(dtype: dtype, device: device, generator: generator)
        }
    }
}
