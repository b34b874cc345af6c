import ApusJSON
import Foundation
import Testing

@testable import ApusRecipes

/// Commands and settings files from ms-swift's own examples and documents, 1.x to 4.x.
///
/// `Scripts/fixtures/make_commands.py` works out what each asks for from the rules of ms-swift 4.6.
struct RealCommandTests {
    struct Entry: Sendable, CustomTestStringConvertible {
        let command: Command
        let words: [String]
        let environment: [String: String]
        let config: (name: String, text: String)?
        /// Flags and variables that are refused.
        let refused: Set<String>
        let settings: JSONObject
        let testDescription: String

        init?(_ json: JSONValue) {
            guard let object = json.objectValue, let name = object["command"]?.stringValue,
                let command = Command(rawValue: name), let words = object["words"]?.arrayValue
            else { return nil }
            self.command = command
            self.words = words.compactMap(\.stringValue)
            environment = (object["environment"]?.objectValue ?? [:]).reduce(into: [:]) {
                $0[$1.key] = $1.value.stringValue
            }
            let file = object["config"]?.objectValue
            config = file.map { ($0["name"]?.stringValue ?? "", $0["text"]?.stringValue ?? "") }
            refused = Set(object["refused"]?.arrayValue?.compactMap(\.stringValue) ?? [])
            settings = object["settings"]?.objectValue ?? [:]
            testDescription =
                "\(object["version"]?.stringValue ?? "") \(object["source"]?.stringValue ?? "") \(name)"
        }
    }

    private static let all: JSONObject = {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { folder.deleteLastPathComponent() }
        let data = try? Data(contentsOf: folder.appendingPathComponent("Fixtures/commands/commands.json"))
        return data.flatMap { try? JSONValue(parsing: $0).objectValue } ?? [:]
    }()
    static let commands = (all["commands"]?.arrayValue ?? []).compactMap(Entry.init)
    static let later = (all["later"]?.arrayValue ?? []).compactMap(Entry.init)
    /// Refused beside other settings, and not by their names.
    private static let contextual: Set<String> = ["--quant_bits", "--device_map"]

    @Test func thereAreEighty() {
        #expect(Self.commands.count >= 80 && Self.later.count == 10)
    }

    @Test(arguments: commands)
    func asksForWhatItAsksFor(entry: Entry) throws {
        let folder = try TemporaryFolder()
        var words = entry.words
        if let config = entry.config { words[0] = try folder.write(config.text, to: config.name) }
        var found: Set<String> = []
        var arguments: JSONObject?
        while arguments == nil {
            do {
                arguments = try read(words, entry, &found)
            } catch {
                let names = Self.names(in: "\(error)").subtracting(found)
                try #require(!names.isEmpty && names.isSubset(of: entry.refused), "\(error)")
                found.formUnion(names)
                words = Self.without(names, words)
            }
        }
        for name in entry.refused.subtracting(found) {
            let standing = FlagStanding(String(name.dropFirst(2)), in: entry.command)
            #expect(standing?.verdict == .works && !Self.contextual.contains(name), "\(name) is accepted")
        }
        let read = try #require(arguments)
        for (name, expected) in entry.settings where !found.contains("--\(name)") {
            let actual = try #require(read[name] ?? (expected.isNull ? .null : nil), "there is no setting \(name)")
            #expect(Self.isSame(actual, expected), "\(name): \(actual.serialized()), wanted \(expected.serialized())")
        }
    }

    private func read(_ words: [String], _ entry: Entry, _ found: inout Set<String>) throws -> JSONObject {
        var line = try ArgumentLine(words, for: entry.command)
        _ = try EnvironmentVariables.fill(&line, from: entry.environment)
        switch entry.command {
        case .sft: return try settled(SFTSettings.self, line, entry, &found)
        case .infer: return try settled(InferSettings.self, line, entry, &found)
        default: return try settled(ExportSettings.self, line, entry, &found)
        }
    }

    private func settled<Settings: CommandSettings>(
        _: Settings.Type, _ line: ArgumentLine, _ entry: Entry, _ found: inout Set<String>
    ) throws -> JSONObject {
        var notices: [String] = []
        let settings = try Settings(line, notices: &notices)
        do {
            _ = try EnvironmentVariables.check(entry.environment, for: settings)
        } catch let error as UsageError {
            for paragraph in error.paragraphs {
                let name = String(paragraph.prefix { $0 != "=" })
                #expect(entry.refused.contains(name), "\(paragraph)")
                found.insert(name)
            }
        }
        return settings.argsJSON()
    }

    /// The flags that paragraphs begin with.
    private static func names(in message: String) -> Set<String> {
        Set(
            message.split(separator: "\n").filter { $0.hasPrefix("--") }.map { line in
                String(line.prefix { $0 == "-" || $0 == "_" || $0.isLetter || $0.isNumber })
            })
    }

    private static func without(_ names: Set<String>, _ words: [String]) -> [String] {
        var kept: [String] = []
        var isDropping = false
        for word in words {
            if word.hasPrefix("--") { isDropping = names.contains(word) }
            if !isDropping { kept.append(word) }
        }
        return kept
    }

    private static func isSame(_ actual: JSONValue, _ expected: JSONValue) -> Bool {
        if let number = expected.doubleValue { return actual.doubleValue == number }
        if let list = expected.arrayValue {
            guard let other = actual.arrayValue ?? (list.isEmpty && actual.isNull ? [] : nil) else { return false }
            return other.count == list.count && zip(other, list).allSatisfy(isSame)
        }
        return actual == expected
    }

    /// A command that is not there is refused by name; of one that is there, each flag is read or refused by name.
    @Test(arguments: later)
    func laterCommands(entry: Entry) throws {
        if let refusal = entry.command.refusal {
            #expect(refusal.description.hasPrefix("\(entry.command.rawValue): ms-swift has this command"))
            return
        }
        // A file that lies beside the example is not here.
        for paragraph in refusal(entry.words, for: entry.command) where !paragraph.contains("cannot be read") {
            #expect(paragraph.contains("ms-swift has") && paragraph.contains("Apus does not yet"), "\(paragraph)")
        }
    }
}
