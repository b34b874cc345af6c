package import ApusNN
import ApusTorch

extension LoRAConfiguration {
    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        try selection.hosts(on: model, leaving: base.storedModules, heads: heads).compactMap { path, module in
            let (rank, scale) = (rank(of: path), scale(of: path))
            let adapter: Adapter
            switch module {
            case let table as Embedding:
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
                        initializer: initialization,
                        stream: stream)
                linear.adapters.append(lora)
                adapter = lora
            default: return nil
            }
            return AdapterPart(path: path, host: module, adapter: adapter)
        }
    }
}
