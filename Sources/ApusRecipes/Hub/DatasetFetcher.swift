import ApusDatasets
import ApusFiles
import ApusHub
import ApusRunLog
import Foundation

/// Finds the files of data sets that are no files: those of a hub, of a folder, and those known by a name.
final class DatasetFetcher: Sendable {
    /// Nil where the hubs are not to be reached.
    private let hub: HubAccess?
    private let environment: [String: String]
    private let known: KnownDatasets
    private let preferred: Hub
    private let tell: @Sendable (String) -> Void

    /// - Parameters:
    ///   - files: Those of `--custom_dataset_info`.
    ///   - tell: Shows a line; nil prints it.
    init(_ surroundings: Surroundings, files: [String], tell: (@Sendable (String) -> Void)? = nil) throws {
        hub = surroundings.hub
        // Lines go past the bars of the hub's console.
        let console = surroundings.hub?.console ?? Console(style: ConsoleStyle(environment: surroundings.environment))
        self.tell = tell ?? { console.print($0) }
        environment = surroundings.environment
        known = try KnownDatasets(files: files)
        preferred = surroundings.hub?.preferred ?? HubConfiguration(environment: surroundings.environment).defaultHub
    }

    /// - Returns: Nil for what is a file, a pattern of files, or nothing that is known.
    /// - Throws: `DatasetError`, `HubError`.
    func callAsFunction(_ reference: DatasetReference) throws -> FetchedDataset? {
        let location = reference.location
        var isFolder: ObjCBool = false
        let isThere = FileManager.default.fileExists(atPath: location, isDirectory: &isFolder)
        let entry = known[location]
        if isThere, !isFolder.boolValue, entry == nil { return nil }
        do {
            if let fault = entry?.fault { throw DatasetChoiceError(fault) }
            if isThere, reference.hub == nil {
                return try isFolder.boolValue
                    ? dataset(reference, entry, in: StoredDataset(folder: location))
                    : FetchedDataset(parts: [
                        FetchedDataset.Part(files: [location], change: entry?.change ?? RowChange())
                    ])
            }
            if let path = entry?.path {
                var isFolder: ObjCBool = false
                guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
                    throw DatasetChoiceError("is registered as \(path), where nothing is")
                }
                return try isFolder.boolValue
                    ? dataset(reference, entry, in: StoredDataset(folder: path))
                    : FetchedDataset(parts: [FetchedDataset.Part(files: [path], change: entry?.change ?? RowChange())])
            }
            guard let repository = repository(reference, entry) else { return nil }
            if entry?.isRewritten == true { throw Self.rewritten("is one") }
            return try dataset(reference, entry, repository)
        } catch let error as DatasetChoiceError {
            throw DatasetError("--dataset \(location): \(error)")
        }
    }

    private static func rewritten(_ what: String) -> DatasetChoiceError {
        DatasetChoiceError(
            "\(what) whose rows ms-swift rewrites by a program of its own, which is not there here. Write them as "
                + "{\"messages\": […]} or {\"query\": …, \"response\": …} into a .jsonl file, and give that")
    }

    /// The repository that is meant; nil for what is a path.
    private func repository(_ reference: DatasetReference, _ entry: KnownDataset?) -> Repository? {
        let asked: Hub? =
            switch reference.hub {
            case .huggingFace: .huggingFace
            case .modelScope: .modelScope
            case nil: nil
            }
        let wanted = asked ?? preferred
        if let entry {
            // One that the preferred hub does not have can only be that of the other.
            let hub = entry.ids[wanted] != nil || asked != nil ? wanted : wanted.other
            return Repository(entry.ids[hub] ?? reference.location, kind: .dataset, on: hub)
        }
        guard asked != nil || reference.location.contains("/"), !HubAccess.isPath(reference.location) else {
            return nil
        }
        return Repository(reference.location, kind: .dataset, on: wanted)
    }

    // MARK: - Which subsets

    /// A subset that was asked for: what the data set calls it, and what becomes of its rows.
    private struct Wanted {
        var configuration: String?
        var change: RowChange
        /// What the task is to make of it.
        var meaning: String?
    }

    private func wanted(_ reference: DatasetReference, _ entry: KnownDataset?, card: DatasetCard) throws -> [Wanted] {
        guard let entry else {
            guard !reference.subsets.isEmpty else { return [Wanted(configuration: nil, change: RowChange())] }
            if reference.subsets == ["all"], !card.subsets.isEmpty {
                return card.subsets.map { Wanted(configuration: $0.name, change: RowChange()) }
            }
            return reference.subsets.map { subset in
                let isOfCard = card.subsets.contains { $0.name == subset }
                // `:reg` and the like say what a task is to make of pairs with a score.
                let isMeaning = !isOfCard && ["reg", "generate", "default"].contains(subset)
                return Wanted(
                    configuration: isMeaning ? nil : subset, change: RowChange(), meaning: isMeaning ? subset : nil)
            }
        }
        if entry.subsets.isEmpty {
            let names = reference.subsets.isEmpty ? [nil] : reference.subsets.map(Optional.some)
            return names.map { Wanted(configuration: $0 == "default" ? nil : $0, change: entry.change) }
        }
        var names = reference.subsets
        if names == ["all"] { names = entry.subsets.map(\.name) }
        if names.isEmpty {
            guard entry.subsets.count == 1 || entry.subsets.contains(where: { $0.name == "default" }) else {
                throw DatasetChoiceError(
                    "has several subsets, of which one has to be named behind a colon: "
                        + entry.subsets.map(\.name).joined(separator: ", ") + ", or all")
            }
            names = [entry.subsets.count == 1 ? entry.subsets[0].name : "default"]
        }
        return try names.map { name in
            guard let subset = entry.subsets.first(where: { $0.name == name }) else {
                return Wanted(configuration: name, change: entry.change)
            }
            if subset.isRewritten { throw Self.rewritten("has a subset \"\(name)\"") }
            // The names that only say what becomes of the rows are no subsets of the hub.
            let isRule = subset.hasOwnRule || name == "default" && entry.subsets.contains(where: \.hasOwnRule)
            return Wanted(configuration: subset.configuration ?? (isRule ? nil : name), change: subset.change)
        }
    }

    /// The files of the splits that are read; says where a split of another name is taken for one.
    private func files(
        _ choice: DataFileChoice, _ wanted: Wanted, _ entry: KnownDataset?, _ reference: DatasetReference
    ) throws -> [String] {
        try (entry?.splits ?? ["train"]).flatMap { split in
            let chosen = try choice.files(split: split, subset: wanted.configuration)
            if let name = chosen.otherName {
                tell("note: --dataset \(reference.location) has no split \"\(split)\"; \"\(name)\" is read.")
            }
            return chosen.files
        }
    }

    // MARK: - Where the files are

    private func dataset(
        _ reference: DatasetReference, _ entry: KnownDataset?, in stored: StoredDataset
    ) throws -> FetchedDataset {
        let card = DatasetCard(try stored.card())
        let choice = DataFileChoice(paths: stored.paths, card: card)
        return FetchedDataset(
            parts: try wanted(reference, entry, card: card).map { wanted in
                let files = try files(choice, wanted, entry, reference)
                try stored.check(files, card)
                return FetchedDataset.Part(
                    files: files.map { "\(stored.folder)/\($0)" }, change: wanted.change, subset: wanted.meaning)
            })
    }

    private func dataset(
        _ reference: DatasetReference, _ entry: KnownDataset?, _ repository: Repository
    ) throws -> FetchedDataset {
        let configuration = hub?.configuration ?? HubConfiguration(environment: environment)
        let revision = entry?.revisions[repository.hub]
        // What lies in the cache serves where nobody can be asked.
        let cached = HubCache(configuration).folder(
            of: repository.id, kind: .dataset, hubs: [repository.hub], revision: revision, need: .anything)
        guard let hub, configuration.offlineReason == nil else {
            if let cached {
                return try dataset(reference, entry, in: StoredDataset(repository, in: cached, configuration))
            }
            if let reason = configuration.offlineReason {
                throw HubError(
                    .offline,
                    "--dataset \(reference.location): there is no such file, none of that id in the cache "
                        + "(\(configuration[repository.hub].cache)), and the network is not to be used (\(reason)). "
                        + "Unset that variable to download it, or give a file of this machine.")
            }
            throw DatasetChoiceError(
                "there is no such file, and no data set of that id in the cache (\(configuration[repository.hub].cache)). "
                    + "`apus download --dataset \(repository.hub.rawValue)::\(repository.id)` fetches it from \(repository.hub.name)"
            )
        }
        let (client, view) = hub.client(for: repository)
        defer { view.finish() }
        do {
            return try fetched(reference, entry, repository, revision, client, quiet: hub.quietClient)
        } catch let error as HubError {
            if let cached, [.unreachable, .busy].contains(error.kind) {
                hub.print("note: \(error.description) The files in \(cached) are taken as they are.")
                return try dataset(reference, entry, in: StoredDataset(repository, in: cached, configuration))
            }
            throw HubError(
                error.kind, "--dataset \(reference.location): there is no such file here. \(error.description)")
        }
    }

    private func fetched(
        _ reference: DatasetReference, _ entry: KnownDataset?, _ repository: Repository, _ revision: String?,
        _ client: HubClient, quiet: HubClient
    ) throws -> FetchedDataset {
        let listing = try HubClient.waiting { try await client.listing(of: repository, revision: revision) }
        var text = ""
        if listing.files.contains(where: { $0.path == "README.md" }) {
            let folder = try HubClient.waiting { try await quiet.download(listing, FileChoice(.card)).folder }
            text = try StoredDataset.card(in: folder)
        }
        let card = DatasetCard(text)
        let choice = DataFileChoice(paths: listing.files.map(\.path), card: card)
        var parts: [FetchedDataset.Part] = []
        for wanted in try wanted(reference, entry, card: card) {
            let paths = try files(choice, wanted, entry, reference)
            parts.append(FetchedDataset.Part(files: paths, change: wanted.change, subset: wanted.meaning))
        }
        let all = Set(parts.flatMap(\.files))
        let folder = try HubClient.waiting { try await client.download(listing, FileChoice(.paths(all))).folder }
        for index in parts.indices { parts[index].files = parts[index].files.map { "\(folder)/\($0)" } }
        return FetchedDataset(parts: parts)
    }
}
