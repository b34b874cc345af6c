extension PickleReader {
    /// What training programs put around a table of weights, the likeliest first: Lightning and many scripts
    /// (`state_dict`), fairseq and others (`model`), DeepSpeed (`module`).
    private static let wrappers = [
        "state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params",
    ]
    private static let maximumNesting = 4

    /// The tensors of a table, or of the table of weights inside the checkpoint that it is.
    func table(at index: Int, nesting: Int = 0) throws -> [(name: String, view: View)] {
        let entries = dictionaries[index]
        if nesting < Self.maximumNesting, let inner = wrapped(in: entries) {
            return try table(at: inner, nesting: nesting + 1)
        }
        return try entries.map { key, value in
            guard case .string(let name) = key else { throw refused("a name in its table is not text") }
            guard case .tensor(let view) = value else { throw notATensor(name, among: entries) }
            return (name, view)
        }
    }

    /// The table of weights among other things; a table with tensors of its own is no wrapper.
    private func wrapped(in entries: [(key: Value, value: Value)]) -> Int? {
        let hasTensors = entries.contains { if case .tensor = $0.value { true } else { false } }
        guard !hasTensors else { return nil }
        for wrapper in Self.wrappers {
            let found = entries.first { $0.key == .string(wrapper) }?.value
            if case .dictionary(let index)? = found, !dictionaries[index].isEmpty { return index }
        }
        return nil
    }

    private func notATensor(_ name: String, among entries: [(key: Value, value: Value)]) -> WeightsError {
        let names = entries.compactMap { if case .string(let name) = $0.key { name } else { nil } }
        if Set(names).isSuperset(of: ["state", "param_groups"]) {
            return WeightsError(
                path, "is the state of an optimizer, which has no weights of a model",
                advice: "give the folder that holds model.safetensors or pytorch_model.bin")
        }
        return WeightsError(
            path, item: name, "this entry is not a tensor",
            advice: "a file of weights is wanted, or a checkpoint with them under \(Self.wrappers[0]), "
                + "\(Self.wrappers[2]) or \(Self.wrappers[3])")
    }
}
