package import ApusJSON

/// The typed settings of a command, made from a command line, from an `args.json`, or in Swift.
package protocol CommandSettings: Sendable {
    static var command: Command { get }
    /// The command that these were made for, where several have settings of this type.
    var command: Command { get }
    /// One field for each option, in the order of `args.json`.
    static var fields: [SettingsField<Self>] { get }
    /// The settings with every default.
    init()
    /// Settles what settings imply for each other and refuses contradictions.
    ///
    /// - Parameter notices: Receives a line for each setting that was changed.
    mutating func settle(notices: inout [String]) throws
}

extension CommandSettings {
    package var command: Command { Self.command }

    /// The settings that a command line asks for, with what `load_args` takes from a checkpoint.
    ///
    /// - Parameter notices: Receives a line for each setting that was changed or passed over.
    /// - Throws: `UsageError`, or `SettingsError` for an unreadable checkpoint.
    package init(_ line: ArgumentLine, notices: inout [String]) throws {
        self.init()
        try take(line, notices: &notices)
    }

    /// Sets what a command line says, and settles the rest.
    mutating func take(_ line: ArgumentLine, notices: inout [String]) throws {
        var line = line
        if Self.fields.contains(where: { $0.name == "load_args" }) {
            try CheckpointArguments.load(into: &line, notices: &notices)
        }
        for field in Self.fields {
            if let value = line[field.name] { try set(field, value) }
        }
        try settle(notices: &notices)
    }

    /// Settings as an `args.json` holds them.
    ///
    /// Keys that are no option of the command are passed over, because the file also holds what ms-swift derived and
    /// what Apus does not have.
    ///
    /// - Throws: `SettingsError` naming the key and the value that does not fit.
    package init(argsJSON: JSONObject) throws {
        self.init()
        let table = OptionTable.table(for: Self.command)
        for field in Self.fields {
            guard let option = table[field.name], let json = argsJSON[field.name],
                let value = try CheckpointArguments.value(of: option, from: json)
            else { continue }
            try set(field, value)
        }
        var notices: [String] = []
        try settle(notices: &notices)
    }

    /// Refuses values that the words of a command line could not have.
    ///
    /// - Parameter names: The options to look at; nil for all.
    /// - Throws: `SettingsError` naming the option and the value.
    func checkRanges(of names: Set<String>? = nil) throws {
        let table = OptionTable.table(for: command)
        let record = argsJSON()
        for field in Self.fields where names?.contains(field.name) ?? true {
            guard let option = table[field.name], let json = record[field.name] else { continue }
            _ = try CheckpointArguments.value(of: option, from: json, path: nil)
        }
    }

    /// Says which of some settings were chosen although they have no effect; nil where none was.
    package func withoutEffect(_ names: some Collection<String>, because reason: String) -> String? {
        let table = OptionTable.table(for: command)
        let chosen = Self.fields.filter { field in
            // What the command has no option for was not chosen.
            guard names.contains(field.name), let option = table[field.name] else { return false }
            let value = field.read(self)
            // An empty list is what settings hold of an option that has no default.
            return value != option.defaultValue && (value?.isEmptyList != true || option.defaultValue != nil)
        }
        guard !chosen.isEmpty else { return nil }
        return "\(chosen.map { "--\($0.name)" }.joined(separator: ", ")): without effect, because \(reason)."
    }

    /// All settings, computed ones included, under their names in ms-swift's `args.json`.
    package func argsJSON() -> JSONObject {
        var json = JSONObject()
        for field in Self.fields where !HubSettings.secrets.contains(field.name) {
            json[field.name] = field.read(self)?.json ?? .null
        }
        // Readers of the file, ms-swift among them, judge by the version which keys mean what.
        json["swift_version"] = "4.6.0"
        json["apus_version"] = .string(ApusVersion.current)
        return json
    }

    private mutating func set(_ field: SettingsField<Self>, _ value: OptionValue) throws {
        guard field.write(&self, value) else {
            throw SettingsError("--\(field.name): \(value.helpText ?? "this value") is not of the kind that it takes.")
        }
    }
}

extension OptionValue {
    fileprivate var isEmptyList: Bool { self == .list([]) || self == .integers([]) }

    /// The value as `args.json` holds it.
    fileprivate var json: JSONValue {
        switch self {
        case .text("true"): true
        case .text("false"): false
        default: plainJSON
        }
    }

    /// The value, texts that look like other things too.
    var plainJSON: JSONValue {
        switch self {
        case .text(let text): .string(text)
        case .integer(let integer): .int(integer)
        case .number(let number): Int(exactly: number).map(JSONValue.int) ?? .double(number)
        case .boolean(let boolean): .bool(boolean)
        case .list(let list): .array(list.map(JSONValue.string))
        case .integers(let integers): .array(integers.map(JSONValue.int))
        case .numbers(let numbers): .array(numbers.map { OptionValue.number($0).plainJSON })
        case .mapping(let mapping):
            .object(
                mapping.sorted { $0.key < $1.key }.reduce(into: JSONObject()) { $0[$1.key] = .string($1.value) })
        }
    }
}
