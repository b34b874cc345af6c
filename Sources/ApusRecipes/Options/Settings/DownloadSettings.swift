package import ApusHub

/// The settings of `download`: models, adapters and data sets from a hub.
package struct DownloadSettings: Sendable {
    /// Ids such as `Qwen/Qwen2.5-0.5B`, with `hf::` or `ms::` before those of a certain hub.
    package var ids: [String]
    /// More ids, of models and adapters.
    package var models: [String] = []
    /// More ids, of data sets.
    package var datasets: [String] = []
    /// What `ids` are of.
    package var kind = Repository.Kind.model
    /// The branch, tag or commit; nil takes the main branch.
    package var revision: String?
    /// The folder for the files; nil is the cache.
    package var localDirectory: String?
    /// Patterns of which one has to fit a file, when there are any.
    package var include: [String] = []
    /// Patterns of which none may fit.
    package var exclude: [String] = []
    /// Whether to fetch what Apus does not read too.
    package var allFiles = false
    /// Whether there is no progress bar.
    package var disableTQDM = false
    package var hub = HubSettings()

    package init(_ ids: [String] = []) {
        self.ids = ids
    }
}

extension DownloadSettings: CommandSettings {
    package static var command: Command { .download }

    package init() {
        self.init([])
    }

    package static let fields: [SettingsField<DownloadSettings>] =
        [
            SettingsField("ids", \.ids),
            SettingsField("model", \.models),
            SettingsField("dataset", \.datasets),
            SettingsField("repo_type", \.kind),
            SettingsField("revision", \.revision),
            SettingsField("local_dir", \.localDirectory),
            SettingsField("include", \.include),
            SettingsField("exclude", \.exclude),
            SettingsField("all_files", \.allFiles),
            SettingsField("disable_tqdm", \.disableTQDM),
        ] + fields(of: \.hub)

    package mutating func settle(notices: inout [String]) throws {
        let count = ids.count + models.count + datasets.count
        guard count > 0 else {
            throw UsageError("download: nothing to fetch. Give an id, as in `apus download Qwen/Qwen2.5-0.5B`.")
        }
        guard localDirectory == nil || count == 1 else {
            throw UsageError(
                "--local_dir: is one folder for \(count) ids, whose files would mix. Fetch them one by one.")
        }
    }
}
