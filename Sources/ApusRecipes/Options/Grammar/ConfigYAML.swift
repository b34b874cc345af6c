import ApusJSON
import Yams

/// The values of a configuration file in YAML, as PyYAML, which ms-swift reads such files with, has them.
enum ConfigYAML {
    private static let mostNodes = 100_000
    private static let mostLevels = 100

    /// The options of a file; `null` where it holds no mapping.
    ///
    /// - Throws: `YamlError`, or `SettingsError` for what is no tree of values.
    static func value(_ text: String) throws -> JSONValue {
        guard let root = try Yams.compose(yaml: text) else { return .object(JSONObject()) }
        guard let mapping = root.mapping else { return .null }
        var reader = Reader()
        var options = JSONObject()
        for (key, value) in try reader.pairs(of: mapping, level: 0) {
            options[key] = try reader.json(value, keepsSpelling: true, level: 1)
        }
        return .object(options)
    }

    /// A whole number of YAML 1.1 where Python reads one: `1_000`, `0x10`, `0b11`, and in base 8 behind a zero, `010`.
    static func integer(_ text: String) -> Int? {
        guard let parts = text.wholeMatch(of: /([-+]?)(0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]+|0|[1-9][0-9_]*)/) else {
            return nil
        }
        let digits = parts.2.filter { $0 != "_" }
        let (prefix, base) =
            digits.hasPrefix("0b") ? (2, 2) : digits.hasPrefix("0x") ? (2, 16) : (0, digits.hasPrefix("0") ? 8 : 10)
        return Int((parts.1 == "-" ? "-" : "") + digits.dropFirst(prefix), radix: base)
    }

    private struct Reader {
        /// How many more values there may be, and how much more merge keys may bring along.
        private var (values, merges) = (mostNodes, mostNodes)

        private static func take(_ count: Int, of budget: inout Int, level: Int) throws {
            budget -= count
            // Aliases can make a small file stand for a huge tree, and a deep one.
            guard budget > 0 else { throw SettingsError("more than \(mostNodes) values.") }
            guard level < mostLevels else { throw SettingsError("more than \(mostLevels) values inside each other.") }
        }

        /// The keys of a mapping with their values, and before them those that merge keys (`<<`) bring along.
        ///
        /// What comes later is meant: the mapping's own keys, and of a list of mappings the first.
        mutating func pairs(of mapping: Node.Mapping, level: Int) throws -> [(String, Node)] {
            var (merged, own): ([(String, Node)], [(String, Node)]) = ([], [])
            for (key, value) in mapping {
                guard Tag.Name(rawValue: key.tag.description) == .merge else {
                    guard let name = key.string else { throw SettingsError("a key is not a plain word.") }
                    own.append((name, value))
                    continue
                }
                let parts: [Node] = value.sequence.map { $0.reversed() } ?? [value]
                for part in parts {
                    guard let other = part.mapping else {
                        throw SettingsError("<<: wanted a mapping, or a list of mappings.")
                    }
                    try Self.take(1, of: &merges, level: level + 1)
                    let brought = try pairs(of: other, level: level + 1)
                    try Self.take(brought.count, of: &merges, level: level + 1)
                    merged += brought
                }
            }
            return merged + own
        }

        /// - Parameter keepsSpelling: Leave fractions and words like `no` as the user wrote them, because they become words
        ///   that an option reads: `save_strategy: no` is no falsehood. Inside an object they become numbers and booleans,
        ///   because the object becomes JSON.
        mutating func json(_ node: Node, keepsSpelling: Bool, level: Int) throws -> JSONValue {
            try Self.take(1, of: &values, level: level)
            switch node {
            case .scalar(let scalar):
                let text = scalar.string
                let value: JSONValue? =
                    switch Tag.Name(rawValue: node.tag.description) {
                    case .null: .null
                    case .bool where !keepsSpelling: node.bool.map(JSONValue.bool)
                    case .int:
                        if let integer = integer(text) {
                            keepsSpelling ? .string(String(integer)) : .int(integer)
                        } else {
                            // Of what is left, hours and minutes are numbers to Python.
                            keepsSpelling || !text.contains(":") ? nil : node.int.map(JSONValue.int)
                        }
                    case .float where keepsSpelling && text.contains("."): .string(text.replacing("_", with: ""))
                    case .float where !keepsSpelling: node.float.map(JSONValue.double)
                    default: nil
                    }
                return value ?? .string(text)
            case .sequence(let sequence):
                var values: [JSONValue] = []
                for node in sequence { values.append(try json(node, keepsSpelling: keepsSpelling, level: level + 1)) }
                return .array(values)
            case .mapping(let mapping):
                var object = JSONObject()
                for (key, value) in try pairs(of: mapping, level: level) {
                    object[key] = try json(value, keepsSpelling: false, level: level + 1)
                }
                return .object(object)
            case .alias:
                throw SettingsError("an alias without an anchor.")
            }
        }
    }
}
