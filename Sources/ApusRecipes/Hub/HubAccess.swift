import ApusFiles
import ApusHub
import ApusLanguageModel
import ApusRunLog
import Foundation
import Synchronization

/// The hubs as one run reaches them: which comes first, with which token, and where progress is shown.
final class HubAccess: Sendable {
    let configuration: HubConfiguration
    /// The hub of names that do not say which.
    let preferred: Hub
    private let revision: String?
    let console: Console
    /// What was found already.
    private let found = Mutex<[String: String]>([:])

    /// - Parameters:
    ///   - settings: Win over what the environment says.
    ///   - environment: The variables that the hubs' own programs read.
    ///   - console: Shows what is fetched.
    init(_ settings: HubSettings, environment: [String: String], console: Console) {
        var configuration = HubConfiguration(environment: environment)
        preferred = settings.useHuggingFace.map { $0 ? .huggingFace : .modelScope } ?? configuration.defaultHub
        if let token = settings.token, !token.isEmpty {
            configuration[preferred].token = token
            configuration[preferred].tokenOrigin = "--hub_token"
        }
        self.configuration = configuration
        revision = settings.modelRevision
        self.console = console
    }

    /// - Parameter showsProgress: Whether there is a bar.
    convenience init(_ settings: HubSettings, _ surroundings: Surroundings, showsProgress: Bool = true) {
        var style = ConsoleStyle(environment: surroundings.environment)
        style.showsProgress = showsProgress
        self.init(settings, environment: surroundings.environment, console: Console(style: style))
    }

    // MARK: - Models and adapters

    /// The folder of a model or adapter, from a cache or fetched into one.
    ///
    /// What is in a cache is taken as it is, so that a run needs no network for what is there.
    ///
    /// - Parameters:
    ///   - name: An id, with `hf::` or `ms::` before it where the hub matters.
    ///   - need: How much of it has to be there.
    ///   - flag: The option that names it, for messages.
    /// - Throws: `HubError` when it cannot be had, `ModelError` for what is no id.
    func model(_ name: String, need: HubCache.Need, flag: String = "--model", revision: String? = nil) throws -> String
    {
        let key = "\(need) \(name)"
        if let folder = found.withLock({ $0[key] }) { return folder }
        let (hub, id) = Hub.split(name)
        let revision = revision ?? (flag == "--model" ? self.revision : nil)
        let hubs = hub.map { [$0] } ?? [preferred, preferred.other]
        if let folder = HubCache(configuration).folder(of: id, hubs: hubs, revision: revision, need: need) {
            found.withLock { $0[key] = folder }
            return folder
        }
        guard !Self.isPath(id), let repository = Repository(id, kind: .model, on: hub ?? preferred) else {
            throw ModelError(Self.isNowhere(name, flag, on: hub ?? preferred))
        }
        do {
            let folder = try fetchedModel(repository, revision: revision, need: need)
            found.withLock { $0[key] = folder }
            return folder
        } catch let error as HubError {
            throw HubError(
                error.kind,
                "\(flag) \(name): there is no such folder, and none of that id in the caches "
                    + "(\(HubCache(configuration).searched.joined(separator: ", "))). \(error.description)")
        }
    }

    private func fetchedModel(_ repository: Repository, revision: String?, need: HubCache.Need) throws -> String {
        let (client, view) = client(for: repository)
        defer { view.finish() }
        let choice = FileChoice(need == .texts ? .texts : .model)
        return try HubClient.waiting {
            let listing = try await client.listing(of: repository, revision: revision)
            if need == .weights { try Self.checkIsOneModel(listing, choice) }
            return try await client.download(listing, choice).folder
        }
    }

    /// - Throws: `HubError` for a repository with the same model in several GGUF files, of which one is wanted.
    private static func checkIsOneModel(_ listing: RepositoryListing, _ choice: FileChoice) throws {
        let files = choice.chosen(of: listing.files).map(\.path).filter { $0.lowercased().hasSuffix(".gguf") }
        let models = files.filter { $0.firstMatch(of: /-of-\d+\.gguf$/.ignoresCase()) == nil }
        guard models.count > 1 else { return }
        let id = listing.repository.id
        throw HubError(
            .invalid,
            "\(id) holds \(models.count) GGUF files (\(models.prefix(6).joined(separator: ", "))\(models.count > 6 ? ", …" : "")), of "
                + "which one is wanted. Fetch it with `apus download \(listing.repository.hub.rawValue)::\(id) --include "
                + "'\(models[0])' --local_dir gguf`, then give --model gguf/\(models[0]).")
    }

    /// Whether a name that could be an id is meant as a path: that of a checkpoint, or of a file.
    static func isPath(_ name: String) -> Bool {
        let last = name.split(separator: "/").last ?? ""
        return name.hasPrefix("/") || name.hasPrefix(".") || name.hasPrefix("~") || name.hasSuffix("/")
            || last.hasPrefix("checkpoint-")
            || [".gguf", ".safetensors", ".bin", ".json", ".jsonl", ".csv", ".tsv", ".txt"].contains {
                last.lowercased().hasSuffix($0)
            }
    }

    /// What to say of a name that is neither on this machine nor an id.
    static func isNowhere(_ name: String, _ flag: String, on hub: Hub) -> String {
        let owner = !name.contains("/") ? " (An id of \(hub.name) has an owner: owner/\(name).)" : ""
        return
            "\(flag) \(name): there is no such file or folder. Give the folder of a Hugging Face model, a .gguf file, or the id "
            + "of a model on a hub, such as Qwen/Qwen2.5-0.5B.\(owner)"
    }

    // MARK: - Showing

    /// A client whose progress the console shows.
    func client(for repository: Repository) -> (client: HubClient, view: DownloadView) {
        let view = DownloadView(console)
        let events = HubEvents(onProgress: { view.show($0) }, onNote: { [console] in console.print("note: \($0)") })
        return (HubClient(configuration, events: events), view)
    }

    /// A client for what is too small to be shown.
    var quietClient: HubClient {
        HubClient(configuration, events: HubEvents(onNote: { [console] in console.print("note: \($0)") }))
    }

    func print(_ line: String) { console.print(line) }
}

/// The bar of a download.
final class DownloadView: Sendable {
    private let console: Console
    private let bar = Mutex<(bar: ProgressBar, total: Int64)?>(nil)

    init(_ console: Console) {
        self.console = console
    }

    func show(_ progress: DownloadProgress) {
        bar.withLock { shown in
            // One view serves downloads that follow each other.
            if let bar = shown, bar.total != progress.totalBytes {
                bar.bar.finish()
                shown = nil
            }
            let bar =
                shown?.bar
                ?? console.startProgress(
                    "\(progress.isUpload ? "Publishing" : "Downloading") \(progress.repository.id)",
                    total: Int(progress.totalBytes), initial: Int(progress.bytes), unit: .bytes)
            shown = (bar, progress.totalBytes)
            let files = progress.totalFiles > 1 ? [("files", "\(progress.files)/\(progress.totalFiles)")] : []
            bar.update(to: Int(progress.bytes), postfix: files)
        }
    }

    func finish() {
        bar.withLock { shown in
            shown?.bar.finish()
            shown = nil
        }
    }
}
