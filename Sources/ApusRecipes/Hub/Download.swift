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
}
