import ApusJSON

/// The named values of an option that holds several, such as `--lr_scheduler_kwargs '{"min_lr": 1e-6}'`.
struct NamedArguments {
    /// The option, and where that matters what it belongs to, for messages.
    let option: String
    let owner: String
    private let values: JSONObject

    /// - Parameter known: The names that there are.
    /// - Throws: `SettingsError` for another name.
    init(_ values: JSONObject, of option: String, for owner: String, known: [String]) throws {
        self.option = option
        self.owner = owner
        self.values = values
        for name in values.keys where !known.contains(name) {
            let near = NearestNames.find(name, among: known).first.map { " Did you mean \"\($0)\"?" } ?? ""
            let all = known.isEmpty ? "It takes none." : "It has \(known.joined(separator: ", "))."
            throw SettingsError("--\(option): \(owner) has no \"\(name)\".\(near) \(all)")
        }
    }

    func has(_ name: String) -> Bool { values[name].map { $0 != .null } ?? false }

    func number(_ name: String, _ range: NumberRange) throws -> Double? {
        try value(name, "\(range)") { json in
            let number = json.doubleValue ?? json.intValue.map(Double.init) ?? json.stringValue.flatMap(Double.init)
            return number.flatMap { range.contains($0) ? $0 : nil }
        }
    }

    func integer(_ name: String, from least: Int) throws -> Int? {
        try value(name, "a whole number from \(least)") { json in
            let number =
                json.intValue ?? json.doubleValue.flatMap { Int(exactly: $0) } ?? json.stringValue.flatMap { Int($0) }
            return number.flatMap { $0 >= least && $0 <= OptionKind.largestCount ? $0 : nil }
        }
    }

    func boolean(_ name: String) throws -> Bool? {
        try value(name, "true or false") { json in
            if let boolean = json.boolValue { return boolean }
            return switch json.stringValue?.lowercased() {
            case "true", "1", "yes": true
            case "false", "0", "no": false
            default: nil
            }
        }
    }

    func word<Word: CaseIterable & RawRepresentable<String>>(_ name: String) throws -> Word? {
        try value(name, "one of \(Word.allCases.map(\.rawValue).joined(separator: ", "))") { json in
            json.stringValue.flatMap(Word.init(rawValue:))
        }
    }

    private func value<Value>(_ name: String, _ wanted: String, _ read: (JSONValue) -> Value?) throws -> Value? {
        guard let json = values[name], json != .null else { return nil }
        guard let value = read(json) else {
            throw SettingsError("--\(option): \"\(name)\" of \(owner) is \(json.serialized()), wanted \(wanted).")
        }
        return value
    }
}
