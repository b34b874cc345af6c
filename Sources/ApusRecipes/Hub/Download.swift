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
        if let folder = try cached(repository, of: hub) { return folder }
        let (client, view) = self.hub.client(for: repository)
        defer { view.finish() }
        // Who names files wants those.
        let scope: FileChoice.Scope =
            kind == .dataset || settings.allFiles || !settings.include.isEmpty ? .all : .model
        let choice = FileChoice(scope, include: settings.include, exclude: settings.exclude)
        let (revision, folder) = (settings.revision, settings.localDirectory)
        return try HubClient.waiting {
            try await client.download(repository, revision: revision, choice, to: folder).folder
        }
    }

    /// The folder of the cache, where the hubs are not to be asked and it holds what is wanted.
    ///
    /// Which files a repository has besides those of a model only its hub knows; what there is of them counts as all.
    ///
    /// - Parameter hub: The one that was named; nil looks into both caches.
    /// - Throws: `HubError` where files would go to a folder of the user's.
    private func cached(_ repository: Repository, of hub: Hub?) throws -> String? {
        guard let reason = self.hub.configuration.offlineReason else { return nil }
        let isWholeModel =
            repository.kind == .model && settings.include.isEmpty && settings.exclude.isEmpty && !settings.allFiles
        let folder = HubCache(self.hub.configuration).folder(
            of: repository.id, kind: repository.kind, hubs: hub.map { [$0] } ?? [repository.hub, repository.hub.other],
            revision: settings.revision, need: isWholeModel ? .weights : .anything)
        guard let folder else { return nil }
        guard settings.localDirectory == nil else {
            throw HubError(
                .offline,
                "\(repository.id): lies in \(folder), and the network is not to be used (\(reason)). Unset that variable to "
                    + "download it into --local_dir, or leave --local_dir out.")
        }
        self.hub.print("\(repository.id): from the cache as it is there, because of \(reason)")
        return folder
    }
}
