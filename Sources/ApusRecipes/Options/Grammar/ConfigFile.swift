import ApusJSON
import Foundation
import Yams

/// A configuration file: options as the keys of a JSON or YAML mapping, and `ENV`, the environment it asks for.
struct ConfigFile {
    /// Options in the order of the file, each with its words.
    private(set) var options: [(name: String, words: [String])] = []
    private(set) var environment: [(name: String, value: String)] = []
    /// Whether a run wrote the file, and not a person.
    private(set) var isRecord = false
    /// What a run keeps of the file.
    let copy: SettingsCopy

    private static let largestFile = 256 << 10

    /// Whether a first word names a configuration file.
    static func isNamed(by word: String) -> Bool {
        [".json", ".yaml", ".yml"].contains { word.hasSuffix($0) } && !word.hasPrefix("-")
    }

    init(path: String) throws {
        let text = try Self.text(path)
        let root: JSONValue
        do {
            root =
                try path.hasSuffix(".json") ? JSONValue(parsing: text, duplicateKeys: .refuse) : ConfigYAML.value(text)
        } catch let error as YamlError {
            throw SettingsError("\(path): not valid YAML: \(Self.summary(error)). Correct the file there.")
        } catch {
            throw SettingsError("\(path): \(error)")
        }
        guard let object = root.objectValue else {
            throw SettingsError("\(path): wanted a mapping of options, such as `model: path`, at the top of the file.")
        }
        isRecord = object["swift_version"] != nil
        copy = SettingsCopy(path, text: text, settings: object)
        for (key, value) in object {
            if key == "ENV" {
                guard let variables = value.objectValue else {
                    throw SettingsError("\(path): ENV must be a mapping of environment variables.")
                }
                environment = variables.map { ($0.key, Self.word($0.value)) }
            } else if let values = value.arrayValue {
                options.append((key, values.map(Self.word)))
            } else if !value.isNull {
                options.append((key, [Self.word(value)]))
            }
        }
    }

    private static func text(_ path: String) throws -> String {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            let reason =
                FileManager.default.fileExists(atPath: path) ? "which cannot be read" : "and there is no such file"
            throw SettingsError(
                "\(path): the first argument names a configuration file, \(reason). Give a .json, .yaml or .yml file of "
                    + "options, or start with the options themselves, as --model.")
        }
        guard data.count <= largestFile, let text = String(data: data, encoding: .utf8) else {
            throw SettingsError("\(path): a configuration file must be UTF-8 text of at most 256 KiB.")
        }
        return text
    }

    /// A value as the word it would be on the command line; objects become JSON.
    private static func word(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): text
        case .bool(let boolean): boolean ? "true" : "false"
        case .int(let integer): String(integer)
        case .double(let number): "\(number)"
        case .null: "None"
        case .number, .array, .object: value.serialized()
        }
    }

    /// The first problem and its place, without the excerpt of the file.
    private static func summary(_ error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            "line \(mark.line), column \(mark.column): \(problem)"
        case .duplicatedKeysInMapping(let keys, _): "keys that stand twice: \(keys.joined(separator: ", "))"
        default: "\(error)"
        }
    }
}
