import ApusJSON

/// Reads `adapter_config.json` key by key; a value of another type is never taken for an absent one.
struct ConfigurationReader {
    let json: JSONValue
    let file: String

    func refusal(_ what: String) -> AdapterError { AdapterError("\(file): \(what)") }

    /// Refuses keys with any value but these; absent and null are fine.
    func refuse(_ inactive: [(key: String, values: [JSONValue])]) throws {
        for (key, values) in inactive {
            guard let value = json[key], !value.isNull, !values.contains(value) else { continue }
            throw refusal("\"\(key)\" is \(value.serialized()), which is not there yet")
        }
    }

    /// Nil where the key is absent or null.
    func optional<Value>(_ key: String, _ wanted: String, _ read: (JSONValue) -> Value?) throws -> Value? {
        guard let value = json[key], !value.isNull else { return nil }
        guard let read = read(value) else {
            throw refusal("\"\(key)\" must be \(wanted), it is \(value.serialized())")
        }
        return read
    }

    func required<Value>(_ key: String, _ wanted: String, _ read: (JSONValue) -> Value?) throws -> Value {
        guard let value = try optional(key, wanted, read) else {
            throw refusal("\"\(key)\" must be \(wanted), it is \(json[key]?.serialized() ?? "missing")")
        }
        return value
    }

    func flag(_ key: String, default value: Bool = false) throws -> Bool {
        try optional(key, "true or false", \.boolValue) ?? value
    }

    func number(_ key: String, default value: Double) throws -> Double {
        try optional(key, "a number", finite) ?? value
    }

    /// A chance to drop an element, 0 where the key is absent.
    func probability(_ key: String) throws -> Double {
        let value = try number(key, default: 0)
        guard (0..<1).contains(value) else { throw refusal("\"\(key)\" must be in [0, 1), it is \(value)") }
        return value
    }

    /// Whether the file is of a PEFT before a version; those before 0.18 did not say.
    func isOlder(than version: (Int, Int)) throws -> Bool {
        let text = try text("peft_version") ?? "0.0"
        let numbers = text.split(separator: ".").prefix(2).map { Int($0) ?? 0 }
        let (major, minor) = (numbers.first ?? 0, numbers.count > 1 ? numbers[1] : 0)
        return (major, minor) < version
    }

    func count(_ key: String) throws -> Int { try required(key, "a positive whole number", positive) }
    func count(_ key: String, default value: Int) throws -> Int {
        try optional(key, "a positive whole number", positive) ?? value
    }

    func integer(_ key: String, default value: Int) throws -> Int {
        try optional(key, "a whole number of at least 0") { $0.intValue.flatMap { $0 >= 0 ? $0 : nil } } ?? value
    }

    func text(_ key: String) throws -> String? { try optional(key, "a string", \.stringValue) }

    /// One value or a list of them.
    func list<Element>(_ key: String, _ wanted: String, _ read: @escaping (JSONValue) -> Element?) throws -> [Element]?
    {
        try optional(key, wanted) { value in
            let values = value.arrayValue ?? [value]
            let elements = values.compactMap(read)
            return elements.count == values.count ? elements : nil
        }
    }

    func modules(_ key: String) throws -> TargetModules? {
        try optional(key, "a string or a list of strings", TargetModules.init(json:))
    }

    /// Which biases of the model are trained.
    ///
    /// - Parameter own: PEFT's word for the biases of the adapted layers alone.
    func biases(_ own: String) throws -> TrainedBiases {
        switch try text("bias") ?? "none" {
        case "none": return .none
        case "all": return .all
        case own: return .adapted
        case let word: throw refusal("\"bias\" must be none, all or \(own), it is \"\(word)\"")
        }
    }

    /// What all methods share.
    ///
    /// - Parameter storesBiases: False for methods of which PEFT trains the biases that `bias` names and stores none.
    func base(storesBiases: Bool = true) throws -> AdapterBase {
        _ = try optional("modules_to_save", "a list of strings") { value -> [String]? in
            guard let values = value.arrayValue else { return nil }
            let names = values.compactMap(\.stringValue)
            return names.count == values.count ? names : nil
        }
        var base = AdapterBase(json: json)
        if !storesBiases, let word = try text("bias"), word != "none" {
            guard word == "all" || word.hasSuffix("_only") else {
                throw refusal("\"bias\" must be none, all or a word that ends in _only, it is \"\(word)\"")
            }
            base.lostBiases = word
        }
        return base
    }

    private func finite(_ value: JSONValue) -> Double? { value.doubleValue.flatMap { $0.isFinite ? $0 : nil } }
    private func positive(_ value: JSONValue) -> Int? {
        value.intValue.flatMap { AdapterOption.counts.contains($0) ? $0 : nil }
    }
}

extension ConfigurationReader {
    /// Options that are JSON, as if a file held them.
    init(_ settings: AdapterSettings, _ options: [AdapterOption]) throws {
        var object = JSONObject()
        for option in options {
            guard let text = settings[option].stringValue, !text.isEmpty else { continue }
            guard let value = try? JSONValue(parsing: text) else {
                throw AdapterError("--\(option.name): \(text) is not JSON; write it such as {\"v_proj\": 16}")
            }
            object[option.name] = value
        }
        self.init(json: .object(object), file: "the command line")
    }
}

/// Whole numbers without a decimal point, as Python writes an `int`.
func pythonNumber(_ value: Double) -> JSONValue { Int(exactly: value).map(JSONValue.int) ?? .double(value) }
