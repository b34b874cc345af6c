import ApusFiles
import ApusJSON
import Foundation

/// Models and data sets that Hugging Face's and ModelScope's own programs, or Apus, have left on this machine.
package struct HubCache: Sendable {
    /// How much of a model has to be there.
    package enum Need: Sendable {
        /// What is read before weights are: `config.json`, a tokenizer.
        case texts
        case weights
        /// Whatever there is.
        case anything
    }

    private let configuration: HubConfiguration

    package init(_ configuration: HubConfiguration) {
        self.configuration = configuration
    }

    /// The folder of a repository that holds what is needed, or nil.
    ///
    /// - Parameters:
    ///   - hubs: Whose caches are looked into, in this order.
    ///   - revision: A branch, tag or commit; nil is the main branch, or the only one there is.
    package func folder(
        of id: String, kind: Repository.Kind = .model, hubs: [Hub], revision: String? = nil, need: Need = .weights
    ) -> String? {
        for hub in hubs {
            guard let repository = Repository(id, kind: kind, on: hub) else { continue }
            let found = folders(of: repository, revision: revision).first { Self.holds($0, need) }
            if let found { return found }
        }
        return nil
    }

    /// The folders that were looked into, for messages.
    package var searched: [String] { [configuration.huggingFace.cache, configuration.modelScope.cache] }

    private func folders(of repository: Repository, revision: String?) -> [String] {
        let cache = configuration[repository.hub].cache
        if repository.hub == .huggingFace {
            let root = "\(cache)/\(repository.kind.plural)--\(repository.folderName)"
            guard let revision else { return Self.snapshot(in: root).map { [$0] } ?? [] }
            let named = repository.revision(revision)
            let commit = Self.line(of: "\(root)/refs/\(named)") ?? named
            return FilePath.isInside(commit) ? ["\(root)/snapshots/\(commit)"] : []
        }
        let root = "\(cache)/\(repository.kind.plural)/\(repository.folderName)/snapshots"
        let wanted = repository.revision(revision)
        var folders = FilePath.isInside(wanted) ? ["\(root)/\(wanted)"] : []
        guard revision == nil else { return folders }
        if let only = try? FileManager.default.contentsOfDirectory(atPath: root), only.count == 1 {
            folders.append("\(root)/\(only[0])")
        }
        // Earlier layouts, in which dots of a name are underscores.
        let parts = repository.id.split(separator: "/")
        if parts.count == 2 {
            let old = "\(parts[0])/\(parts[1].replacing(".", with: "___"))"
            let places = [repository.kind.plural, "hub/\(repository.kind.plural)"]
            folders += (places + (repository.kind == .model ? ["", "hub"] : [])).map {
                FilePath.join(FilePath.join(cache, $0), old)
            }
        }
        return folders
    }

    /// The snapshot in a folder of Hugging Face's cache such as `models--Qwen--Qwen2.5-0.5B`, or nil for any other
    /// folder.
    package static func snapshot(in folder: String) -> String? {
        let snapshots = "\(folder)/snapshots"
        guard let present = try? FileManager.default.contentsOfDirectory(atPath: snapshots) else { return nil }
        let main = line(of: "\(folder)/refs/main")
        let commit = main.flatMap { present.contains($0) ? $0 : nil } ?? present.sorted().last
        return commit.map { "\(snapshots)/\($0)" }
    }

    private static func line(of path: String) -> String? {
        (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    // MARK: - Whether all of it is there

    private static func holds(_ folder: String, _ need: Need) -> Bool {
        let manager = FileManager.default
        // A link whose file is gone is no file.
        let names =
            (try? manager.contentsOfDirectory(atPath: folder))?
            .filter { manager.fileExists(atPath: "\(folder)/\($0)") } ?? []
        guard !names.isEmpty else { return false }
        if need == .anything { return true }
        func isWeights(_ name: String) -> Bool {
            [".safetensors", ".bin", ".pt", ".pth", ".gguf"].contains { name.hasSuffix($0) }
        }
        let weights = names.filter(isWeights)
        if names.contains("adapter_config.json") {
            return need == .texts || weights.contains { $0.hasPrefix("adapter_model.") }
        }
        if names.contains("config.json") {
            return need == .texts || !weights.isEmpty && isWhole(weights, names, folder)
        }
        // GGUF files, and sentence encoders with their parts in folders.
        return names.contains { $0.hasSuffix(".gguf") }
            || names.contains("modules.json")
                && names.contains { part in
                    let inside = (try? manager.contentsOfDirectory(atPath: "\(folder)/\(part)")) ?? []
                    return inside.contains("config.json") && inside.contains(where: isWeights)
                }
    }

    /// Whether no file of a model in several is missing.
    private static func isWhole(_ weights: [String], _ names: [String], _ folder: String) -> Bool {
        for index in names where index.hasSuffix(".safetensors.index.json") {
            guard let data = FileManager.default.contents(atPath: "\(folder)/\(index)"),
                let map = (try? JSONValue(parsing: data))?["weight_map"]?.objectValue
            else { return false }
            return Set(map.map(\.value).compactMap(\.stringValue)).isSubset(of: weights)
        }
        for name in weights {
            guard let match = name.firstMatch(of: /-(\d+)-of-(\d+)\./), let count = Int(match.2) else { continue }
            let family = weights.filter { $0.hasSuffix(name[match.range.lowerBound...].drop { $0 != "o" }) }
            if family.count < count { return false }
        }
        return true
    }
}
