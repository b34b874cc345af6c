/// The settings of `download`: models, adapters and data sets from a hub.
public struct DownloadSettings: Sendable {
    /// What an id is of.
    public enum Kind: String, Sendable, CaseIterable {
        case model
        case dataset
    }

    /// Ids such as `Qwen/Qwen2.5-0.5B`, with `hf::` or `ms::` before those of a certain hub.
    public var ids: [String]
    /// More ids, of models and adapters.
    public var models: [String] = []
    /// More ids, of data sets.
    public var datasets: [String] = []
    /// What `ids` are of.
    public var kind = Kind.model
    /// The branch, tag or commit; nil takes the main branch.
    public var revision: String?
    /// The folder for the files; nil is the cache.
    public var localDirectory: String?
    /// Patterns of which one has to fit a file, when there are any.
    public var include: [String] = []
    /// Patterns of which none may fit.
    public var exclude: [String] = []
    /// Whether to fetch what Apus does not read too.
    public var allFiles = false
    /// Whether there is no progress bar.
    public var disableTQDM = false
    public var hub = HubSettings()

    public init(_ ids: [String] = []) {
        self.ids = ids
    }
}

extension DownloadSettings.Kind: OptionChoice {}

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
