import ApusDatasets
import ApusHub
import ApusJSON
import Foundation

/// A data set that is known by name: where it lies, which of its parts there are, and what its columns are called.
struct KnownDataset: Sendable, Equatable {
    struct Subset: Sendable, Equatable {
        let name: String
        /// What the hub calls it; nil for the only one or the default.
        var configuration: String?
        var change = RowChange()
        /// Whether it differs from the others by what happens to the rows, and is no subset of the hub.
        var hasOwnRule = false
        /// Whether ms-swift rewrites its rows by code that is not there here.
        var isRewritten = false
    }

    /// The id on each hub that has it.
    var ids: [Hub: String] = [:]
    /// A revision by hub.
    var revisions: [Hub: String] = [:]
    /// A file or folder of this machine instead.
    var path: String?
    /// A short name.
    var name: String?
    var splits = ["train"]
    var subsets: [Subset] = []
    /// What happens to the rows of every subset that says nothing itself.
    var change = RowChange()
    /// Whether ms-swift rewrites the rows of all subsets by code that is not there here.
    var isRewritten = false
    /// Why the entry of a user's file cannot be used.
    var fault: String?
}

/// The data sets that ms-swift registers, and those of a user's own file (`--custom_dataset_info`).
struct KnownDatasets: Sendable {
    private var entries: [String: KnownDataset] = [:]

    /// - Parameter files: JSON files in the format of ms-swift's `dataset_info.json`; what they name goes before all
    ///   else.
    /// - Throws: `DatasetError` naming the file and the entry at fault.
    init(files: [String] = []) throws {
        for line in Self.table.split(separator: "\n") { add(Self.entry(line)) }
        for file in files { for entry in try Self.entries(of: file) { add(entry) } }
    }

    /// - Parameter name: An id of either hub, a short name, or the path of an entry.
    subscript(name: String) -> KnownDataset? { entries[name.lowercased()] }

    private mutating func add(_ entry: KnownDataset) {
        for name in entry.ids.values + [entry.name, entry.path].compactMap(\.self) {
            entries[name.lowercased()] = entry
        }
    }

    // MARK: - The table

    private static func entry(_ line: Substring) -> KnownDataset {
        let words = line.split(separator: " ").map { $0 == "-" ? "" : String($0) }
        func list(_ word: String, _ separator: Character) -> [String] {
            word.split(separator: separator).map(String.init)
        }
        func renames(_ word: String, _ separator: Character) -> [String: String] {
            Dictionary(
                list(word, separator).compactMap { pair in
                    let parts = pair.split(separator: ">").map(String.init)
                    return parts.count == 2 ? (parts[0], parts[1]) : nil
                }, uniquingKeysWith: { first, _ in first })
        }
        precondition(words.count == 7, "a line of the table has \(words.count) words")
        var entry = KnownDataset()
        if !words[0].isEmpty { entry.ids[.modelScope] = words[0] }
        if !words[1].isEmpty { entry.ids[.huggingFace] = words[1] }
        entry.name = words[2].isEmpty ? nil : words[2]
        entry.splits = list(words[3], ",")
        entry.isRewritten = words[5] == "code"
        entry.change = RowChange(columns: renames(words[4], ","), rule: RowChange.Rule(rawValue: words[5]))
        entry.subsets = list(words[6], ",").map { word in
            let parts = word.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            let columns = renames(parts[3], ";")
            return KnownDataset.Subset(
                name: parts[0], configuration: parts[1].isEmpty ? nil : parts[1],
                change: RowChange(
                    columns: columns.isEmpty ? entry.change.columns : columns,
                    rule: RowChange.Rule(rawValue: parts[2]) ?? entry.change.rule),
                hasOwnRule: !parts[2].isEmpty, isRewritten: parts[2] == "code")
        }
        return entry
    }

    // MARK: - Files of the user

    private static let keys: Set<String> = [
        "ms_dataset_id", "hf_dataset_id", "dataset_path", "dataset_name", "ms_revision", "hf_revision", "subsets",
        "split",
        "columns", "messages", "tags", "help", "huge_dataset",
    ]

    private static func entries(of file: String) throws -> [KnownDataset] {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw DatasetError("--custom_dataset_info \(file): no such file")
        }
        let json: JSONValue
        do { json = try JSONValue(parsing: data) } catch {
            throw DatasetError("--custom_dataset_info \(file): \(error)")
        }
        guard let list = json.arrayValue else {
            throw DatasetError(
                "--custom_dataset_info \(file): wanted a list of data sets, as [{\"dataset_path\": \"my.jsonl\", \"dataset_name\": "
                    + "\"mine\", \"columns\": {\"ask\": \"query\"}}]")
        }
        return try list.enumerated().map { index, value in
            do { return try entry(value, near: file) } catch let error as DatasetChoiceError {
                throw DatasetError("--custom_dataset_info \(file): entry \(index + 1) \(error)")
            }
        }
    }

    private static func entry(_ json: JSONValue, near file: String) throws -> KnownDataset {
        guard let object = json.objectValue else { throw DatasetChoiceError("is no object") }
        if let key = object.keys.first(where: { !keys.contains($0) }) {
            throw DatasetChoiceError("has a key \"\(key)\", which is none of \(keys.sorted().joined(separator: ", "))")
        }
        var entry = KnownDataset()
        entry.ids[.modelScope] = object["ms_dataset_id"]?.stringValue
        entry.ids[.huggingFace] = object["hf_dataset_id"]?.stringValue
        entry.revisions[.modelScope] = object["ms_revision"]?.stringValue
        entry.revisions[.huggingFace] = object["hf_revision"]?.stringValue
        entry.name = object["dataset_name"]?.stringValue
        if let path = object["dataset_path"]?.stringValue {
            let folder = URL(fileURLWithPath: file).deletingLastPathComponent().path
            entry.path =
                path.hasPrefix("/") || FileManager.default.fileExists(atPath: path) ? path : "\(folder)/\(path)"
        }
        guard !entry.ids.isEmpty || entry.path != nil || entry.name != nil else {
            throw DatasetChoiceError("names no data set: give ms_dataset_id, hf_dataset_id, or dataset_path")
        }
        if let split = object["split"], !split.isNull {
            entry.splits = split.stringValue.map { [$0] } ?? split.arrayValue?.compactMap(\.stringValue) ?? []
            guard !entry.splits.isEmpty else { throw DatasetChoiceError("has a \"split\" that is no list of names") }
        }
        entry.change.columns = try columns(object["columns"])
        if let messages = object["messages"], !messages.isNull {
            (entry.change.messages, entry.fault) = try messageNames(messages)
        }
        for subset in object["subsets"]?.arrayValue ?? [] {
            if let name = subset.stringValue {
                entry.subsets.append(KnownDataset.Subset(name: name, configuration: name, change: entry.change))
                continue
            }
            guard let name = subset["name"]?.stringValue ?? subset["subset"]?.stringValue else {
                throw DatasetChoiceError("has a subset without a \"name\"")
            }
            var change = entry.change
            let own = try columns(subset["columns"])
            if !own.isEmpty { change.columns = own }
            entry.subsets.append(
                KnownDataset.Subset(
                    name: name, configuration: subset["subset"]?.stringValue ?? name, change: change))
        }
        return entry
    }

    /// What messages are called, or why such messages cannot be read, which matters where they are asked for.
    private static func messageNames(_ json: JSONValue) throws -> (names: MessageNames?, fault: String?) {
        guard let object = json.objectValue else { throw DatasetChoiceError("has \"messages\" that are no object") }
        var names: [String: String] = [:]
        for (key, value) in object where !value.isNull {
            if key == "message_format", value == "auto" { continue }
            guard MessageNames.keys.contains(key), let name = value.stringValue else {
                let known = MessageNames.keys.sorted().joined(separator: ", ")
                return (
                    nil,
                    "is registered with \"messages\" whose \"\(key)\" is \(value.serialized()), which is not read here; "
                        + "read are the names \(known)"
                )
            }
            names[key] = name
        }
        return (MessageNames(names), nil)
    }

    private static func columns(_ json: JSONValue?) throws -> [String: String] {
        guard let json, !json.isNull else { return [:] }
        guard let object = json.objectValue else { throw DatasetChoiceError("has \"columns\" that are no object") }
        return try Dictionary(
            object.map { key, value in
                guard let name = value.stringValue else {
                    throw DatasetChoiceError("has a column \(key) without a name")
                }
                return (key, name)
            }, uniquingKeysWith: { first, _ in first })
    }
}
