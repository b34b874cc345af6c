package import ApusFiles
import Foundation

/// Downloads from the hubs and uploads to them.
///
/// Knows no models, prints nothing, reads no environment.
package struct HubClient: Sendable {
    package let configuration: HubConfiguration
    let events: HubEvents
    let files: any FileSystem

    package init(
        _ configuration: HubConfiguration, events: HubEvents = HubEvents(), files: any FileSystem = LocalFileSystem()
    ) {
        self.configuration = configuration
        self.events = events
        self.files = files
    }

    /// What a download leaves.
    package struct Snapshot: Sendable, Equatable {
        /// Where the files can be read.
        package let folder: String
        package let revision: String
        package let commit: String
        /// The paths in it that were asked for.
        package let paths: [String]
        /// What came over the network or was there in part.
        package let fetchedBytes: Int64
    }

    /// Lists the files of a repository; what a data set holds is written down (`KeptListing`).
    ///
    /// - Throws: `HubError`.
    package func listing(of repository: Repository, revision: String? = nil) async throws -> RepositoryListing {
        let listing = try await open(repository) { try await $0.listing(of: repository, revision: revision) }
        keep(listing)
        return listing
    }

    /// Downloads the files of a repository that are not there yet.
    ///
    /// - Parameters:
    ///   - revision: A branch, tag or commit; nil is the main branch.
    ///   - choice: Which files; a function of the listing where more has to be known.
    ///   - localFolder: A folder for the files; nil puts them into the cache.
    /// - Throws: `HubError`.
    package func download(
        _ repository: Repository, revision: String? = nil, _ choice: FileChoice, to localFolder: String? = nil
    ) async throws -> Snapshot {
        try await open(repository) { connection in
            let listing = try await connection.listing(of: repository, revision: revision)
            if localFolder == nil { keep(listing) }
            return try await download(listing, choice, to: localFolder, connection)
        }
    }

    /// As `download`, of a listing that is known.
    package func download(
        _ listing: RepositoryListing, _ choice: FileChoice, to localFolder: String? = nil
    ) async throws -> Snapshot {
        try await open(listing.repository) { try await download(listing, choice, to: localFolder, $0) }
    }

    func open<Value: Sendable>(
        _ repository: Repository, _ body: (HubConnection) async throws -> Value
    ) async throws -> Value {
        if let reason = configuration.offlineReason {
            throw HubError(
                .offline,
                "\(repository.id): not on this machine, and the network is not to be used (\(reason)). Unset that variable to "
                    + "download it, or give a folder of this machine.")
        }
        do {
            return try await HubConnection.open(configuration, onPause: events.onNote, body)
        } catch let error as FileError {
            throw Self.error(error, repository)
        }
    }

    private func download(
        _ listing: RepositoryListing, _ choice: FileChoice, to localFolder: String?, _ connection: HubConnection
    ) async throws -> Snapshot {
        let repository = listing.repository
        let chosen = choice.chosen(of: listing.files)
        guard !chosen.isEmpty else {
            let names = listing.files.prefix(12).map(\.path).joined(separator: ", ")
            throw HubError(
                .notFound,
                "\(repository.id): none of its \(listing.files.count) files is wanted"
                    + (listing.files.isEmpty ? "" : " (\(names)\(listing.files.count > 12 ? ", …" : ""))")
                    + ". Check --include and --exclude, and that the id is that of a \(repository.kind.words).")
        }
        let layout = CacheLayout(
            listing, cache: configuration[repository.hub].cache, localFolder: localFolder)
        let missing = try chosen.filter { try !layout.holds($0, files) }
        for file in chosen where !missing.contains(file) { try FileDownload.link(layout.place(of: file), files) }
        let present = try missing.map { file in
            file.size < 0 ? 0 : try files.status(layout.place(of: file).partial)?.size ?? 0
        }
        let (total, there) = (missing.reduce(0) { $0 + max(0, $1.size) }, present.reduce(0, +))
        var fetched = total
        try checkSpace(for: total - there, in: layout.folder, repository, isOwnFolder: localFolder != nil)
        if !missing.isEmpty {
            let meter = DownloadMeter(
                DownloadProgress(
                    repository: repository, bytes: there, totalBytes: total, files: 0, totalFiles: missing.count),
                events.onProgress)
            let download = FileDownload(
                connection: connection, listing: listing, layout: layout, files: files, meter: meter, events: events)
            // Small files first: who finds the large ones may then take a model for whole.
            let large = Int64(16 << 20)
            try await fetch(missing.filter { $0.size <= large }, download)
            try await fetch(missing.filter { $0.size > large }.sorted { $0.size > $1.size }, download)
            fetched += meter.unlistedBytes
        }
        if localFolder == nil { try layout.writeReference(files) }
        return Snapshot(
            folder: layout.folder, revision: listing.revision, commit: listing.commit, paths: chosen.map(\.path),
            fetchedBytes: fetched)
    }

    /// Writes down what the hub lists of a data set, before anything of it is fetched.
    private func keep(_ listing: RepositoryListing) {
        guard listing.repository.kind == .dataset else { return }
        do {
            try KeptListing.keep(listing, configuration, files)
        } catch {
            events.onNote(
                "what \(listing.repository.id) holds could not be written down (\(error)), so that offline a part of it may "
                    + "be taken for the whole")
        }
    }

    /// Fetches several at a time.
    private func fetch(_ missing: [RemoteFile], _ download: FileDownload) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var rest = missing[...]
            for _ in 0..<max(1, configuration.parallelFiles) {
                if let file = rest.popFirst() { group.addTask { try await download(file) } }
            }
            while try await group.next() != nil {
                if let file = rest.popFirst() { group.addTask { try await download(file) } }
            }
        }
    }

    /// - Throws: `HubError` when the disk has no room for so many bytes more.
    private func checkSpace(
        for bytes: Int64, in folder: String, _ repository: Repository, isOwnFolder: Bool
    ) throws {
        var existing = folder
        while try files.status(existing) == nil, existing != "/", existing != "." {
            existing = FilePath.parent(of: existing)
        }
        let free = try files.freeSpace(existing)
        guard bytes > free else { return }
        throw HubError(
            .disk,
            "\(repository.id): \(ByteCount.format(bytes)) are still to be downloaded, and the disk of \(existing) has "
                + "\(ByteCount.format(free)) free. Nothing was fetched. "
                + (isOwnFolder
                    ? "Free some space, or give a --local_dir on a larger disk." : Self.roomAdvice(repository)))
    }

    private static func roomAdvice(_ repository: Repository) -> String {
        let variable = repository.hub == .huggingFace ? "HF_HOME" : "MODELSCOPE_CACHE"
        return "Free some space, or set \(variable) to a folder on a larger disk."
    }

    static func error(_ error: FileError, _ repository: Repository) -> HubError {
        let reason = String(cString: strerror(error.code))
        let free = error.bytesFree.map { ", \(ByteCount.format($0)) free" } ?? ""
        let variable = repository.hub == .huggingFace ? "HF_HOME" : "MODELSCOPE_CACHE"
        let advice =
            switch error.code {
            case ENOSPC, EDQUOT:
                "What has come is kept, and the same command goes on from there. \(roomAdvice(repository))"
            case EACCES, EPERM, EROFS: "Set \(variable) to a folder that you may write to."
            default: "Check the disk, or set \(variable) to a folder on another."
            }
        return HubError(.disk, "\(repository.id): cannot \(error.operation) \(error.path): \(reason)\(free). \(advice)")
    }
}

extension HubClient {
    /// Waits for work that runs in tasks; for programs that have nothing else to do meanwhile.
    package static func waiting<Value: Sendable>(
        for work: @escaping @Sendable () async throws -> Value
    ) throws -> Value {
        let outcome = Outcome<Value>()
        let done = DispatchSemaphore(value: 0)
        // Threads of its own: whoever waits may hold the only one that tasks usually run on.
        Task.detached(executorPreference: OwnThreads.shared) {
            let result: Result<Value, any Error>
            do { result = .success(try await work()) } catch { result = .failure(error) }
            outcome.set(result)
            done.signal()
        }
        done.wait()
        return try outcome.get()
    }
}
