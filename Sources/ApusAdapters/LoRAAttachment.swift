package import ApusNN
package import ApusTorch

/// The LoRA adapters of one model, in the order of its layers.
package struct AttachedLoRA {
    package let configuration: LoRAConfiguration
    package let layers: [(path: String, linear: Linear, adapter: LoRA)]
    /// The model's own parameters that are trained and stored whole, such as a new head's.
    let saved: [(path: String, slot: ParameterSlot)]

    /// The adapter's tensors under PEFT's names: `base_model.model.<path>.lora_A.weight`.
    package var parameters: [(name: String, slot: ParameterSlot)] {
        layers.flatMap { path, _, adapter in
            adapter.parameters().map { ("base_model.model.\(path).\($0.name)", $0.slot) }
        } + saved.map { ("base_model.model.\($0.path)", $0.slot) }
    }

    /// Refuses first values of the base model that this adapter does not store: whoever loads it would draw others.
    ///
    /// - Parameter new: Names of parameters that the base model's file did not hold.
    package func checkStored(new: [String], of model: String) throws {
        let stored = Set(saved.map(\.path))
        let lost = new.filter { !stored.contains($0) }
        guard lost.isEmpty else {
            throw AdapterError(
                "\(model) holds no \(lost.joined(separator: ", ")), and an adapter does not store it, so that its values would "
                    + "be lost. Train all weights first (--tuner_type full), and put the adapter on the result.")
        }
    }
}

extension LoRAConfiguration {
    /// Hangs an adapter on every target and freezes everything else.
    ///
    /// - Parameter heads: Paths of the modules that make the model's answer; `all-linear` leaves them out.
    /// - Throws: `AdapterError` when a target matches no layer, naming the nearest ones.
    package func attach(to model: Module, heads: [String] = ["lm_head"]) throws -> AttachedLoRA {
        try targets.validate()
        try excluded?.validate()
        let linears = model.modules().compactMap { path, module in (module as? Linear).map { (path, $0) } }
        let candidates = linears.filter { path, _ in
            !Self.lies(path, in: modulesToSave) && !(targets == .allLinear && Self.lies(path, in: heads))
        }
        let chosen = candidates.filter { path, _ in
            targets.contains(path) && excluded?.contains(path) != true && isInLayers(path)
        }
        try checkTargets(linears.map(\.0), chosen: chosen.map(\.0))
        try model.setTrainable(false)
        let layers = chosen.enumerated().map { index, target in
            let (path, linear) = target
            let adapter = LoRA(
                for: linear, rank: rank(of: path), scale: scale(of: path), dropout: dropout,
                initializer: initialization, stream: UInt64(index))
            linear.adapter = adapter
            return (path, linear, adapter)
        }
        let saved = model.parameters().filter { name, _ in Self.lies(name, in: modulesToSave) }
        return AttachedLoRA(configuration: self, layers: layers, saved: saved.map { ($0.name, $0.slot) })
    }

    /// Whether a path is one of some modules or a part of it; modules are named by the ends of their paths.
    private static func lies(_ path: String, in modules: [String]) -> Bool {
        let parts = path.split(separator: ".")
        return modules.contains { module in
            let name = module.split(separator: ".")
            return parts.indices.contains { parts[$0...].starts(with: name) }
        }
    }

    private func isInLayers(_ path: String) -> Bool {
        guard let layers else { return true }
        let parts = path.split(separator: ".").map(String.init)
        for (index, part) in parts.enumerated().dropLast() {
            let names = layersPattern ?? ["layers", "h", "blocks", "block", "layer"]
            if names.contains(part), let number = Int(parts[index + 1]) { return layers.contains(number) }
        }
        return false
    }

    private func checkTargets(_ paths: [String], chosen: [String]) throws {
        let ends = Set(paths.map { String($0.split(separator: ".").last ?? "") }).sorted()
        func advice(_ name: String) -> String {
            let near = ends.min { editDistance($0, name) < editDistance($1, name) }
            let guess = near.flatMap { editDistance($0, name) <= 3 ? " (did you mean \"\($0)\"?)" : nil } ?? ""
            return guess + ". Layers that can be targets: \(ends.joined(separator: ", "))"
        }
        if case .names(let names) = targets {
            for name in names where !paths.contains(where: { $0 == name || $0.hasSuffix("." + name) }) {
                throw AdapterError("--target_modules: no layer matches \"\(name)\"\(advice(name))")
            }
        }
        if chosen.isEmpty {
            var what = "--target_modules: no layer matches the targets"
            if case .pattern(let pattern) = targets {
                what = "--target_regex: no layer's whole path matches \"\(pattern)\""
            }
            throw AdapterError("\(what)\(advice(""))")
        }
    }
}

/// The Levenshtein distance.
func editDistance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a), Array(b))
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, y) in b.enumerated() {
            let above = row[j + 1]
            row[j + 1] = x == y ? diagonal : min(diagonal, above, row[j]) + 1
            diagonal = above
        }
    }
    return row[b.count]
}

extension AttachedLoRA {
    /// Allocates the adapters' first values; each has its own stream of the seed.
    ///
    /// - Parameter dtype: PEFT keeps adapters of 16-bit models in float32.
    package func materialize(dtype: DType, device: Device, seed: UInt64) throws {
        let adapters = layers.flatMap { $0.adapter.parameters() }
        for (index, parameter) in adapters.enumerated() {
            let generator = try Generator(seed: streamKey(seed, 0x4C6F_5241, UInt64(index)))
            try parameter.slot.materialize(dtype: dtype, device: device, generator: generator)
        }
        // What the base model's file or a fresh head gave them, in the adapters' type.
        for (_, slot) in saved {
            if let tensor = slot.tensor { try slot.fill(tensor.to(dtype)) }
        }
    }

    package func setTrainable(_ isTrainable: Bool) throws {
        for (_, slot) in parameters { try slot.setTrainable(isTrainable) }
    }

    /// Folds every adapter into its layer's weight and takes it off.
    package func merge() throws {
        try withoutGradients {
            for (path, linear, adapter) in layers {
                let weight = try adapter.merged(into: linear.weight)
                guard try weight.isFinite().to(.float32).mean().item() == 1 else {
                    throw AdapterError("merging \(path) gives values that are not finite; the adapter is damaged")
                }
                try linear.$weight.fill(weight)
                linear.adapter = nil
            }
        }
    }
}
