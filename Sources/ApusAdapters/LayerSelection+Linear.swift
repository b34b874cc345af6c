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
        let layers = parts.onLayers
        var file: JSONObject = [
            "bias": "none",
            "fan_in_fan_out": .bool(layers.contains { ($0.host as? Linear)?.layout == .inputsFirst }),
            "layers_pattern": layersPattern.map { .array($0.map(JSONValue.string)) } ?? .null,
            "layers_to_transform": self.layers.map { .array($0.map(JSONValue.int)) } ?? .null,
            "target_modules": json(layers.map(\.path)),
        ]
        if excludes { file["exclude_modules"] = excluded?.json ?? .null }
        return file
    }
}

/// Whole numbers of layers whose paths match a pattern, in order, beside one for all others.
struct CountPattern: Sendable {
    private let entries: [(pattern: String, value: Int)]
    private let key: String

    static func empty(_ key: String) -> CountPattern { CountPattern(entries: [], key: key) }

    private init(entries: [(pattern: String, value: Int)], key: String) { (self.entries, self.key) = (entries, key) }

    init(_ reader: ConfigurationReader, _ key: String) throws {
        self.key = key
        entries = try (reader.optional(key, "an object", \.objectValue) ?? JSONObject()).map { pattern, value in
            guard let count = value.intValue, AdapterOption.counts.contains(count) else {
                throw reader.refusal(
                    "\"\(key)\" of \"\(pattern)\" must be a positive whole number, it is \(value.serialized())")
            }
            return (pattern, count)
        }
    }

    /// The number of a path: of the first pattern that matches an end of it behind a point, or names it whole.
    ///
    /// - Parameter matchesWhole: Whether a pattern may match the whole path too.
    func value(of path: String, matchesWhole: Bool = false) -> Int? {
        let front = matchesWhole ? #"(.*\.)?"# : #".*\."#
        let found = entries.first { TargetModules.fullMatch("\(front)(\($0.pattern))", path) }
        return (found ?? entries.first { $0.pattern == path })?.value
    }

    var json: JSONValue {
        var object = JSONObject()
        for (pattern, value) in entries { object[pattern] = .int(value) }
        return .object(object)
    }
}
