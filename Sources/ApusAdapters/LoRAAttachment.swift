package import ApusNN
import ApusTorch

extension LoRAConfiguration {
    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        let layers = try selection.hosts(on: model, leaving: base.storedModules, heads: heads)
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
