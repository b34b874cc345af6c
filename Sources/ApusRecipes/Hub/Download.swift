import ApusFiles
import ApusHub
import Foundation

/// Fetches models, adapters and data sets, as `apus download` does it.
package struct Download {
    private let settings: DownloadSettings
    private let hub: HubAccess

    package init(_ settings: DownloadSettings, surroundings: Surroundings = Surroundings()) throws {
        self.settings = settings
        hub = HubAccess(settings.hub, surroundings, showsProgress: !settings.disableTQDM)
    }

    /// - Returns: The folders of what was asked for, in the order it was asked for.
    /// - Throws: `HubError` for the first that cannot be had.
    package func callAsFunction() throws -> [String] {
        let wanted =
            settings.ids.map { ($0, settings.kind) } + settings.models.map { ($0, .model) }
            + settings.datasets.map { ($0, .dataset) }
        let folders = try wanted.map { try fetched($0.0, $0.1) }
        if let next = NextCommand.afterDownload(settings) { hub.print(next) }
        return folders
    }

    private func fetched(_ name: String, _ kind: Repository.Kind) throws -> String {
        let (hub, id) = Hub.split(name)
        guard let repository = Repository(id, kind: kind, on: hub ?? self.hub.preferred) else {
            throw UsageError(
                "\(name): is no id of \((hub ?? self.hub.preferred).name); give one such as "
                    + "\(kind == .model ? "Qwen/Qwen2.5-0.5B" : "sentence-transformers/stsb").")
        }
        // Who names files wants those.
        let scope: FileChoice.Scope =
            kind == .dataset || settings.allFiles || !settings.include.isEmpty ? .all : .model
        let choice = FileChoice(scope, include: settings.include, exclude: settings.exclude)
        if let folder = try cached(repository, choice, of: hub) { return folder }
        let (client, view) = self.hub.client(for: repository)
        defer { view.finish() }
        let (revision, folder) = (settings.revision, settings.localDirectory)
        return try HubClient.waiting {
            try await client.download(repository, revision: revision, choice, to: folder).folder
        }
    }

    /// The folder of the cache, where the hubs are not to be asked and it holds what is wanted.
    ///
    /// Which files a repository has besides those of a model only its hub knows; where it is not known what it listed, what
    /// there is of them counts as all.
    ///
    /// - Parameter hub: The one that was named; nil looks into both caches.
    /// - Throws: `HubError` where files would go to a folder of the user's, and where wanted ones are not there.
    private func cached(_ wanted: Repository, _ choice: FileChoice, of hub: Hub?) throws -> String? {
        guard let reason = self.hub.configuration.offlineReason else { return nil }
        let isWholeModel =
            wanted.kind == .model && settings.include.isEmpty && settings.exclude.isEmpty && !settings.allFiles
        let cache = HubCache(self.hub.configuration)
        let found = (hub.map { [$0] } ?? [wanted.hub, wanted.hub.other]).lazy
            .compactMap { Repository(wanted.id, kind: wanted.kind, on: $0) }
            .compactMap { repository in
                cache.folder(
                    of: repository.id, kind: repository.kind, hubs: [repository.hub], revision: settings.revision,
                    need: isWholeModel ? .weights : .anything
                ).map { (repository, $0) }
            }.first
        guard let (repository, folder) = found else { return nil }
        guard settings.localDirectory == nil else {
            throw HubError(
                .offline,
                "\(repository.id): lies in \(folder), and the network is not to be used (\(reason)). Unset that variable to "
                    + "download it into --local_dir, or leave --local_dir out.")
        }
        let kept = KeptListing(of: repository, in: folder, self.hub.configuration)
        let paths = try choice.chosen(
            of: kept?.files ?? StoredDataset.paths(in: folder).map { RemoteFile(path: $0, size: -1, digest: .none) }
        ).map(\.path)
        let missing =
            kept?.missing(of: paths, in: folder)
            ?? paths.filter { !FileManager.default.fileExists(atPath: "\(folder)/\($0)") }
        guard !paths.isEmpty, missing.isEmpty else {
            let what =
                paths.isEmpty
                ? "none of the files in \(folder) is wanted"
                : "of \(paths.count) files that are wanted \(missing.count) are not in \(folder) in full "
                    + "(\(missing.prefix(3).joined(separator: ", "))\(missing.count > 3 ? ", …" : ""))"
            throw HubError(
                .offline,
                "\(repository.id): \(what), and the network is not to be used (\(reason)). Unset that variable to download "
                    + "the rest.")
        }
        self.hub.print("\(repository.id): from the cache as it is there, because of \(reason)")
        return folder
    }
}
