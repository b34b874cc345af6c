package import ApusJSON
package import ApusNN
package import ApusTorch
package import ApusWeights

extension LayerPlan {
    /// What counts the layers, in `config.json` of one family or another.
    private static let counts = ["num_hidden_layers", "n_layer"]

    /// How many layers a `config.json` describes, or nil.
    package static func layerCount(of config: JSONValue) -> Int? {
        counts.lazy.compactMap { config[$0]?.intValue }.first
    }

    /// The `config.json` of the model with more layers: lists with an entry for each layer grow with it.
    package func expanded(_ config: JSONValue) -> JSONValue {
        guard var object = config.objectValue, let count = Self.layerCount(of: config) else { return config }
        for (key, value) in object {
            if Self.counts.contains(key) {
                object[key] = .int(sources.count)
            } else if let list = value.arrayValue, list.count == count,
                key.hasPrefix("layer_") || key == "no_rope_layers"
            {
                object[key] = .array(sources.map { list[$0] })
            }
        }
        return .object(object)
    }
}

/// The weights of a file under the names that they have in a model of more layers.
package struct PlannedStore: TensorStore {
    package let tensorNames: [String]
    private let store: any TensorStore
    private let stored: [String: String]
    /// What begins as zeros.
    private let empty: Set<String>

    /// What lists of layers are called.
    private static let lists: Set<Substring> = ["layers", "h"]
    /// The last projections of attention and feed-forward parts.
    private static let outputs = ["self_attn.o_proj.", "mlp.down_proj."]

    package init(_ store: any TensorStore, plan: LayerPlan) {
        self.store = store
        var places: [Int: [Int]] = [:]
        for (layer, source) in plan.sources.enumerated() { places[source, default: []].append(layer) }
        var (names, stored, empty): ([String], [String: String], Set<String>) = ([], [:], [])
        for name in store.tensorNames {
            let parts = name.split(separator: ".", omittingEmptySubsequences: false)
            guard let list = parts.firstIndex(where: Self.lists.contains), parts.count > list + 1,
                let number = Int(parts[list + 1])
            else {
                names.append(name)
                continue
            }
            for layer in places[number] ?? [] {
                var renamed = parts
                renamed[list + 1] = Substring("\(layer)")
                let full = renamed.joined(separator: ".")
                names.append(full)
                stored[full] = name
                let rest = parts[(list + 2)...].joined(separator: ".")
                if plan.empty.contains(layer), Self.outputs.contains(where: rest.hasPrefix) { empty.insert(full) }
            }
        }
        (tensorNames, self.stored, self.empty) = (names, stored, empty)
    }

    package var aliases: [String: String] { store.aliases }
    package var notices: [String] { store.notices }

    private func name(_ name: String) -> String { stored[name] ?? name }

    package func shape(of name: String) throws -> [Int] { try store.shape(of: self.name(name)) }

    package func dtype(of name: String) throws -> DType { try store.dtype(of: self.name(name)) }

    package func tensor(_ name: String, dtype: DType, device: Device) throws -> (tensor: Tensor, isBorrowed: Bool) {
        guard empty.contains(name) else { return try store.tensor(self.name(name), dtype: dtype, device: device) }
        return (try Tensor.zeros(shape(of: name), dtype: dtype, device: device), false)
    }

    package func forget(_ name: String) { store.forget(self.name(name)) }
}
