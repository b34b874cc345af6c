package import ApusNN
import ApusTorch

extension LoRAConfiguration {
    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        let chosen =
            try selection.targets == .names([])
            ? [] : selection.hosts(on: model, leaving: base.storedModules, heads: heads)
        let layers = try chosen + weightHosts(on: model, beside: chosen.map(\.path))
        try checkReplicated(on: model)
        let tokens = try tokenHosts(on: model, beside: layers.map(\.path))
        return try layers.compactMap { path, module in
            let (rank, scale) = (rank(of: path), scale(of: path))
            let adapter: Adapter
            switch module {
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
            return AdapterPart(path: path, host: module, adapter: adapter)
        } + TokenParts(name: name, infix: "token_adapter.", storesTies: false).parts(on: model, tokens)
    }

    /// The layers whose matrices `target_parameters` names: on a matrix LoRA is what it is on its layer.
    private func weightHosts(
        on model: Module, beside layers: [String]
    ) throws -> [(path: String, module: Module)] {
        guard !parameters.isEmpty else { return [] }
        func matches(_ name: String, _ parameter: String) -> Bool {
            name == parameter || name.hasSuffix("." + parameter)
        }
        let all = model.parameters()
        for parameter in parameters where !all.contains(where: { matches($0.name, parameter) }) {
            throw AdapterError(
                "target_parameters: the name of no weight ends with \"\(parameter)\"; names are such as "
                    + all.prefix(3).map(\.name).joined(separator: ", "))
        }
        let linear = model.modules().filter { $0.module is Linear }
        return try all.filter { weight in parameters.contains { matches(weight.name, $0) } }.map { name, slot in
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
            return host
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
        for host in hosts where layers.contains(host.path) || ModulePaths.lies(host.path, in: base.storedModules) {
            throw AdapterError(
                "trainable_token_indices: \(host.path) is adapted or trained whole already (target_modules, "
                    + "modules_to_save); name it in one of them")
        }
        return hosts
    }
}
