import ApusJSON
import ApusNN

extension LayerSelection {
    /// The chosen layers of a method that hangs on linear ones alone.
    ///
    /// - Parameter allowsTransposed: Whether the method can hang on layers whose matrix lies [in, out], as GPT-2's.
    func linearHosts(
        of method: String, on model: Module, leaving stored: [String], heads: [String], allowsTransposed: Bool = true
    ) throws -> [(path: String, linear: Linear)] {
        try hosts(on: model, leaving: stored, heads: heads).map { path, module in
            guard let linear = module as? Linear else {
                throw AdapterError("\(method) hangs on linear layers, and \(path) is a table of words; leave it out")
            }
            guard allowsTransposed || linear.layout == .outputsFirst else {
                throw AdapterError(
                    "\(method) does not hang on layers of the kind of \(path) (Conv1D) in PEFT, which could not load it; "
                        + "take another --tuner_type")
            }
            return (path, linear)
        }
    }

    /// The keys of a file that say which layers are adapted, with those that PEFT writes beside them.
    func file(_ parts: [AdapterPart], excludes: Bool = false) -> JSONObject {
        var file = keys(parts.onLayers)
        file["bias"] = "none"
        file["fan_in_fan_out"] = .bool(parts.onLayers.contains { ($0.host as? Linear)?.layout == .inputsFirst })
        if !excludes { file["exclude_modules"] = nil }
        return file
    }
}
