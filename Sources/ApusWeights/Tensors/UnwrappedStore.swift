package import ApusTorch

/// A store under the names that its tensors had before a wrapper of the training program went around the model.
///
/// `torch.compile` (`_orig_mod.`), data parallelism (`module.`), FSDP and Lightning (`model.`) all change the names
/// that `state_dict` gives.
package struct UnwrappedStore: TensorStore {
    package let tensorNames: [String]
    package let aliases: [String: String]
    private let store: any TensorStore
    private let stored: [String: String]

    /// The parts of a name that no model has, wherever they stand.
    private static let wrappers: Set<Substring> = [
        "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "_ddp_module",
    ]
    /// What stands before all names or before none.
    private static let prefixes = ["module.", "auto_model."]
    /// What follows the prefix that Lightning's modules give, where that is `model.`.
    private static let trunks = [
        "model.", "bert.", "roberta.", "transformer.", "gpt_neox.", "lm_head.", "embed_out.", "classifier.", "score.",
    ]

    /// The store itself where no wrapper shows in its names, or where they would not be told apart without.
    package static func unwrapping(_ store: any TensorStore) -> any TensorStore {
        let inner = store.tensorNames.map(withoutWrappers)
        let prefix = prefix(of: inner)
        let names = inner.map { String($0.dropFirst(prefix.count)) }
        guard names != store.tensorNames else { return store }
        let stored = Dictionary(zip(names, store.tensorNames), uniquingKeysWith: { first, _ in first })
        guard stored.count == names.count else { return store }
        return UnwrappedStore(store, names: names, stored: stored, prefix: prefix)
    }

    private init(_ store: any TensorStore, names: [String], stored: [String: String], prefix: String) {
        self.store = store
        self.stored = stored
        tensorNames = names
        let shown = Dictionary(zip(store.tensorNames, names), uniquingKeysWith: { first, _ in first })
        aliases = store.aliases.reduce(into: [:]) { aliases, pair in
            let name = Self.withoutWrappers(pair.key)
            aliases[name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name] = shown[pair.value]
        }
    }

    private static func withoutWrappers(_ name: String) -> String {
        guard name.utf8.contains(UInt8(ascii: "_")) else { return name }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.contains(where: wrappers.contains)
            ? parts.filter { !wrappers.contains($0) }.joined(separator: ".") : name
    }

    /// What stands before all names and belongs to no model.
    private static func prefix(of names: [String]) -> String {
        var prefix = ""
        func all(_ more: String) -> Bool { !names.isEmpty && names.allSatisfy { $0.hasPrefix(prefix + more) } }
        // More than a few wrappers are none, and would be paid for one by one.
        for _ in 0..<8 { prefix += prefixes.first(where: all) ?? "" }
        let inner = prefix + "model."
        let isLightning = names.contains { name in trunks.contains { name.hasPrefix(inner + $0) } }
        return all("model.") && isLightning ? inner : prefix
    }

    private func name(_ name: String) -> String { stored[name] ?? name }

    package func shape(of name: String) throws -> [Int] { try store.shape(of: self.name(name)) }

    package func dtype(of name: String) throws -> DType { try store.dtype(of: self.name(name)) }

    package func tensor(_ name: String, dtype: DType, device: Device) throws -> (tensor: Tensor, isBorrowed: Bool) {
        try store.tensor(self.name(name), dtype: dtype, device: device)
    }

    package func forget(_ name: String) { store.forget(self.name(name)) }
}
