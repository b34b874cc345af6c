package import ApusNN
package import ApusTorch
package import ApusWeights

extension Module {
    /// Fills every parameter from a store of weights, strictly both ways.
    ///
    /// - Parameters:
    ///   - dtype: The type to compute in.
    ///   - isIgnorable: Names in the store that may stay unused, such as a tied head.
    /// - Throws: One `ModelError` that lists every missing, unexpected and misshapen tensor.
    package func load(
        _ store: any TensorStore, dtype: DType, device: Device, isIgnorable: (String) -> Bool = { _ in false }
    ) throws {
        let parameters = parameters()
        let wanted = Dictionary(uniqueKeysWithValues: parameters.map { ($0.name, $0.slot) })
        let present = Set(store.tensorNames)
        var faults = parameters.filter { !present.contains($0.name) }.map { "missing: \($0.name)" }
        for name in store.tensorNames {
            guard let slot = wanted[name] else {
                if !isIgnorable(name) { faults.append("not part of the model: \(name)") }
                continue
            }
            let shape = try store.shape(of: name)
            if shape != slot.shape {
                faults.append("\(name) has the shape \(shape), the model wants \(slot.shape ?? [])")
            }
        }
        guard faults.isEmpty else {
            let more = faults.count > 12 ? "\n  … and \(faults.count - 12) more" : ""
            throw ModelError(
                "the weights do not fit the model described by config.json:\n  "
                    + faults.prefix(12).joined(separator: "\n  ") + more
                    + "\nCheck that the configuration and the weights come from the same model.")
        }
        for (name, slot) in parameters {
            let (tensor, isBorrowed) = try store.tensor(name, dtype: dtype, device: device)
            try slot.fill(tensor, isBorrowed: isBorrowed)
        }
    }

    /// Allocates and initialises every parameter, each from its own stream of the seed.
    package func materialize(dtype: DType, device: Device, seed: UInt64) throws {
        for (index, parameter) in parameters().enumerated() {
            let generator = try Generator(seed: streamKey(seed, UInt64(index)))
            try parameter.slot.materialize(dtype: dtype, device: device, generator: generator)
        }
    }
}

extension CausalLanguageModel {
    /// Fills the model from a store of weights.
    ///
    /// A tied model's file may hold the head once more, and old files hold rotary frequencies; both are not needed.
    package func loadWeights(_ store: any TensorStore, dtype: DType, device: Device) throws {
        try load(store, dtype: dtype, device: device) { name in
            (self.tiesEmbeddings && name == "lm_head.weight") || name.hasSuffix("rotary_emb.inv_freq")
        }
    }
}
