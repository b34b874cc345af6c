import ApusHub
import ApusJSON
import Foundation
import Yams

/// What the card of a data set (`README.md`) says of its subsets and files, in the metadata at its top.
struct DatasetCard: Equatable {
    struct Subset: Equatable {
        let name: String
        let isDefault: Bool
        /// The folder of its files with `/` at the end; empty where the card names none.
        let folder: String
        /// Patterns of paths, by split; those without a split are of `train`.
        ///
        /// None where names say what is in the folder.
        let files: [(split: String, patterns: [String])]

        static func == (first: Subset, second: Subset) -> Bool {
            first.name == second.name && first.isDefault == second.isDefault && first.folder == second.folder
                && first.files.map { "\($0)" } == second.files.map { "\($0)" }
        }
    }

    let subsets: [Subset]

    /// - Parameter text: The card; one without metadata, or with such that is no YAML, names no subsets.
    init(_ text: String) {
        // Each line may have its own ending: that of Windows is one character, and not that of Unix.
        let lines = text.split(omittingEmptySubsequences: false) { ["\n", "\r\n", "\r"].contains($0) }
            .drop { $0.allSatisfy(\.isWhitespace) }.map(String.init)
        guard lines.first == "---", let end = lines.dropFirst().firstIndex(of: "---"),
            let yaml = try? Yams.load(yaml: lines[1..<end].joined(separator: "\n")) as? [String: Any],
            let configs = yaml["configs"] as? [[String: Any]]
        else {
            subsets = []
            return
        }
        subsets = configs.compactMap { config in
            guard let name = config["config_name"].map({ "\($0)" }) else { return nil }
            let parts = (config["data_dir"] as? String ?? "").split(separator: "/").filter { $0 != "." }
            let folder = parts.map { "\($0)/" }.joined()
            return Subset(
                name: name, isDefault: config["default"] as? Bool ?? false, folder: folder,
                files: Self.files(config["data_files"], in: folder))
        }
    }

    private static func files(_ value: Any?, in folder: String) -> [(split: String, patterns: [String])] {
        func texts(_ value: Any?) -> [String] {
            ((value as? [String]) ?? (value as? String).map { [$0] } ?? []).map {
                folder + ($0.hasPrefix("./") ? $0.dropFirst(2) : $0[...])
            }
        }
        switch value {
        case let list as [[String: Any]]:
            return list.map { ($0["split"].map { "\($0)" } ?? "train", texts($0["path"])) }
        case let map as [String: Any]:
            return map.sorted { $0.key < $1.key }.map { ($0.key, texts($0.value)) }
        default:
            let patterns = texts(value)
            return patterns.isEmpty ? [] : [("train", patterns)]
        }
    }

    /// The subset that is meant.
    ///
    /// - Parameter name: Nil or `default` where none was chosen.
    /// - Returns: Nil where the card names none at all.
    /// - Throws: `DatasetChoiceError` listing them, where the choice is open or wrong.
    func subset(_ name: String?) throws -> Subset? {
        guard !subsets.isEmpty else { return nil }
        if let name, let subset = subsets.first(where: { $0.name == name }) { return subset }
        guard name == nil || name == "default" else {
            throw DatasetChoiceError("has no subset \"\(name ?? "")\"; it has \(names)")
        }
        if let subset = subsets.first(where: { $0.isDefault || $0.name == "default" }) { return subset }
        guard subsets.count == 1 else {
            throw DatasetChoiceError("has several subsets, of which one has to be named behind a colon: \(names)")
        }
        return subsets[0]
    }

    private var names: String {
        let names = subsets.map(\.name)
        return names.prefix(20).joined(separator: ", ") + (names.count > 20 ? " and \(names.count - 20) more" : "")
    }
}

/// Why it is open which files of a data set are meant; what it is about stands before it.
struct DatasetChoiceError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
