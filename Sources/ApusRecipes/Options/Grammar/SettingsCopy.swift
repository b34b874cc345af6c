import ApusFiles
import ApusJSON
import ApusRunLog
import Foundation

/// The file of settings that a run was started with, as the run keeps it: without what is secret.
///
/// It is read once, with the command line: the file may change while a run works, and may be the record of an earlier run
/// in the same folder.
package struct SettingsCopy: Sendable, Equatable {
    /// The path of the file, as it was given.
    let source: String
    /// What is kept; nil where there may be a secret in it that cannot be told from the rest.
    let text: String?
    /// The keys that were left out.
    let omitted: [String]

    /// - Parameter settings: What the text says.
    init(_ source: String, text: String, settings: JSONObject) {
        self.source = source
        var omitted: [String] = []
        let rest = Secrets.removed(from: settings, &omitted)
        self.omitted = omitted
        // A comment may hold what was once a setting.
        let kept =
            omitted.isEmpty && !Secrets.areMentioned(in: text)
            ? text : source.hasSuffix(".json") ? Self.json(rest) : Self.yaml(rest)
        self.text = Secrets.areMentioned(in: kept) ? nil : kept
    }

    private static func json(_ settings: JSONObject) -> String {
        JSONValue.object(settings).serialized(indent: 2) + "\n"
    }

    /// A key a line, with its value in JSON, which YAML reads too.
    private static func yaml(_ settings: JSONObject) -> String {
        settings.map { "\(JSONValue.string($0.key).serialized()): \($0.value.serialized())\n" }.joined()
    }

    /// Writes it into the folder of a run, under another name where a file of the run has its own.
    ///
    /// - Returns: A sentence about what the copy is without; nil where it is the file as it stands.
    func write(to folder: RunFolder) throws -> String? {
        let name = FilePath.lastComponent(of: source)
        guard let text else {
            return "no copy of \(source) is in \(folder.path): it seems to hold a secret, which cannot be told from "
                + "the rest"
        }
        let path = FilePath.join(folder.path, folder.isOwn(name) ? "config-\(name)" : name)
        // The user's own file stays as it is.
        guard !OutputTarget.isSame(path, source) else { return nil }
        try LocalFileSystem().writeAtomically(Data(text.utf8), to: path)
        guard !omitted.isEmpty else { return nil }
        return "the copy of \(source) in \(folder.path) is without \(omitted.joined(separator: ", "))"
    }
}

/// What is no one's business beside the user's, and so is written into no file of a run.
enum Secrets {
    /// The ends of names of what opens a door, in small letters.
    private static let ends = [
        "_token", "api_key", "apikey", "access_key", "secret_key", "private_key", "password", "passwd", "_secret",
        "webhook_url",
    ]

    /// Whether a setting or a variable of the environment is secret by its name.
    static func isSecret(_ name: String) -> Bool {
        let small = name.lowercased()
        return HubSettings.secrets.contains(name) || small == "token" || small == "secret"
            || ends.contains(where: small.hasSuffix) || name.hasSuffix("_KEY")
    }

    /// Whether a value holds a token of Hugging Face, or a password in an address.
    private static func isSecret(value: String) -> Bool {
        value.contains(/hf_[A-Za-z0-9]{16,}/) || value.contains(/:\/\/[^\s\/@:"']*:[^\s\/@"']+@/)
    }

    /// Whether a text has a key that is secret, or a value that is seen to be.
    static func areMentioned(in text: String) -> Bool {
        isSecret(value: text)
            || text.matches(of: /([A-Za-z0-9_]+)\\?["']?[ \t]*[:=]/).contains { isSecret(String($0.output.1)) }
    }

    /// The settings without those that are secret, also in settings that hold others.
    ///
    /// - Parameter names: Gets the names of what is left out.
    static func removed(from settings: JSONObject, _ names: inout [String]) -> JSONObject {
        var rest = JSONObject()
        for (name, value) in settings {
            if isSecret(name) || value.stringValue.map({ isSecret(value: $0) }) == true {
                if !value.isNull { names.append(name) }
            } else {
                rest[name] = removed(from: value, &names)
            }
        }
        return rest
    }

    private static func removed(from value: JSONValue, _ names: inout [String]) -> JSONValue {
        switch value {
        case .object(let object): .object(removed(from: object, &names))
        case .array(let values): .array(values.map { removed(from: $0, &names) })
        default: value
        }
    }

    /// A record of settings in JSON that another program may have written, without what is secret; nil for one that
    /// cannot be read.
    static func removed(fromRecord data: Data) -> Data? {
        guard let record = try? JSONValue(parsing: data).objectValue else { return nil }
        var names: [String] = []
        let rest = removed(from: record, &names)
        return names.isEmpty ? data : Data(JSONValue.object(rest).serialized(indent: 2).utf8)
    }
}
