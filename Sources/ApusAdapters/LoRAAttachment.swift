package import ApusNN
import ApusTorch

/// A layer or table to adapt, and how.
private struct LoRAHost {
    let path: String
    let module: Module
    let rank: Int
    let scale: Double
}

extension LoRAConfiguration {
    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        let named = ExpertStack.all(on: model) { path in parameters.contains { Self.ends(path, with: $0) } }
        let stacks = holdsEachExpert == true ? [] : named
        let chosen = try selection.targets == .names([]) ? [] : chosenHosts(on: model, beside: stacks, heads: heads)
        let paths = chosen.map(\.path)
        let layers =
            try chosen.map {
                LoRAHost(path: $0.path, module: $0.module, rank: rank(on: $0.path), scale: scale(of: $0.path))
            }
            + weightHosts(on: model, beside: paths, and: named)
            + each(of: stacks.isEmpty ? named : [], on: model, beside: Set(paths))
        try checkReplicated(on: model)
        let tokens = try tokenHosts(on: model, beside: layers.map(\.path))
        return try layers.compactMap { host in
            let (path, rank, scale) = (host.path, host.rank, host.scale)
            let adapter: Adapter
            switch host.module {
            case let table as Embedding:
                guard !hasBias else {
                    throw AdapterError("lora_bias: \(path) is a table of words, which has no bias; leave it out")
                }
                let lora = LoRAEmbedding(
                    name: name, for: table, rank: rank, scale: scale, isDecomposed: isDecomposed)
                table.adapters.append(lora)
                adapter = lora
            case let linear as Linear:
                let stream = AdapterStream.key(name, path)
                let lora =
                    isDecomposed
                    ? DoRA(
                        name: name, for: linear, rank: rank, scale: scale, dropout: dropout,
                        initializer: initialization,
                        stream: stream)
                    : LoRA(
                        name: name, for: linear, rank: rank, scale: scale, dropout: dropout,
                        initializer: initialization, hasBias: hasBias,
                        stream: stream)
                linear.adapters.append(lora)
                adapter = lora
            default: return nil
            }
            return AdapterPart(path: path, host: host.module, adapter: adapter)
        } + expertParts(on: model, stacks, named: name)
            + TokenParts(name: name, infix: "token_adapter.", storesTies: false).parts(on: model, tokens)
    }

    static func ends(_ name: String, with parameter: String) -> Bool {
        name == parameter || name.hasSuffix("." + parameter)
    }

    /// The layers of experts whose tensors are named, where a file holds those of each.
    ///
    /// What the tensor's rank and alpha are, PEFT makes of those of the layers that lie in it.
    private func each(of stacks: [ExpertStack], on model: Module, beside chosen: Set<String>) -> [LoRAHost] {
        guard !stacks.isEmpty else { return [] }
        let paths = Dictionary(model.modules().map { (ObjectIdentifier($0.module), $0.path) }) { first, _ in first }
        return stacks.flatMap { stack in
            let rank = max(1, rank(of: stack.path) / max(1, stack.layers.first?.count ?? 1))
            let scale = scale(of: stack.path)
            return stack.layers.joined().compactMap { layer -> LoRAHost? in
                guard let path = paths[ObjectIdentifier(layer)], !chosen.contains(path) else { return nil }
                return LoRAHost(path: path, module: layer, rank: rank, scale: scale)
            }
        }
    }

    /// The layers that are chosen by name; a choice of all leaves out those of experts whose tensors are adapted, and so does
    /// a file that has none of them.
    private func chosenHosts(
        on model: Module, beside stacks: [ExpertStack], heads: [String]
    ) throws -> [(path: String, module: Module)] {
        let without = holdsEachExpert == false ? ExpertStack.all(on: model) { _ in true } : []
        let absent = Set(without.flatMap(\.layers).joined().map { ObjectIdentifier($0) })
        let taken = Set(stacks.flatMap(\.layers).joined().map { ObjectIdentifier($0) })
        let hosts = try withTies(selection.hosts(on: model, leaving: base.storedModules, heads: heads), on: model)
            .filter { !absent.contains(ObjectIdentifier($0.module)) }
        func isTaken(_ module: Module) -> Bool { taken.contains(ObjectIdentifier(module)) }
        guard selection.targets != .allLinear else { return hosts.filter { !isTaken($0.module) } }
        if let both = hosts.first(where: { isTaken($0.module) }) {
            throw AdapterError(
                "target_parameters: the matrix of \(both.path) is adapted with its layer already (target_modules); name it "
                    + "in one of them")
        }
        return hosts
    }

    /// The layers whose matrices `target_parameters` names: on a matrix LoRA is what it is on its layer.
    private func weightHosts(
        on model: Module, beside layers: [String], and stacks: [ExpertStack]
    ) throws -> [LoRAHost] {
        let parameters = parameters.filter { parameter in !stacks.contains { Self.ends($0.path, with: parameter) } }
        guard !parameters.isEmpty else { return [] }
        let all = model.parameters()
        func isNamed(_ name: String, _ parameter: String) -> Bool {
            ModulePaths.names(name).contains { Self.ends($0, with: parameter) }
        }
        for parameter in parameters where !all.contains(where: { isNamed($0.name, parameter) }) {
            throw AdapterError(
                "target_parameters: the name of no weight ends with \"\(parameter)\"; names are such as "
                    + all.prefix(3).map(\.name).joined(separator: ", "))
        }
        let linear = model.modules().filter { $0.module is Linear }
        return try all.filter { weight in parameters.contains { isNamed(weight.name, $0) } }.map { name, slot in
            guard let host = linear.first(where: { ($0.module as? Linear)?.$weight === slot }) else {
                throw AdapterError(
                    "target_parameters: \(name) is not the matrix of a linear layer, and others are not adapted here; "
                        + "leave it out")
            }
            guard (host.module as? Linear)?.layout == .outputsFirst, !layers.contains(host.path) else {
                throw AdapterError(
                    "target_parameters: \(name) "
                        + (layers.contains(host.path)
                            ? "is adapted with its layer already (target_modules); name it in one of them"
                            : "lies transposed (Conv1D), which PEFT does not adapt so; name the layer in target_modules")
                )
            }
            // PEFT looks for patterns in the name of the weight.
            let later = ExpertPlaces.inTransformers(name)
            return LoRAHost(path: host.path, module: host.module, rank: rank(of: later), scale: scale(of: later))
        }
    }

    /// Copies of a layer share its weights, so that none may train beside.
    private func checkReplicated(on model: Module) throws {
        guard replication != nil else { return }
        let inside = model.modules().filter { $0.module is TransformerLayer }.map(\.path)
        let stored = model.parameters().map(\.name).filter { ModulePaths.lies($0, in: base.storedModules) }
        if let name = stored.first(where: { name in inside.contains { name.hasPrefix($0 + ".") } }) {
            throw AdapterError(
                "layer_replication: copies of a layer share its weights, so that \(name) cannot be trained beside "
                    + "(modules_to_save); leave it out")
        }
    }

    /// The tables whose tokens are trained beside the layers.
    private func tokenHosts(
        on model: Module, beside layers: [String]
    ) throws -> [(path: String, module: Module, ids: [Int])] {
        guard let tokens else { return [] }
        let hosts = try tokens.hosts(on: model, option: Self.tokensOption.name)
        try checkTies(hosts)
        for host in hosts where layers.contains(host.path) || ModulePaths.lies(host.path, in: base.storedModules) {
            throw AdapterError(
                "trainable_token_indices: \(host.path) is adapted or trained whole already (target_modules, "
                    + "modules_to_save); name it in one of them")
        }
        return hosts
    }
}
