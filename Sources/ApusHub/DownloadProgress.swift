import Synchronization

/// How far a download is.
package struct DownloadProgress: Sendable, Equatable {
    package let repository: Repository
    /// Of the files that were not there in full, the bytes that are there now.
    package var bytes: Int64
    package var totalBytes: Int64
    package var files: Int
    package var totalFiles: Int
    /// Whether the bytes go to the hub.
    package var isUpload = false
}

/// What a download tells while it goes on; from any thread.
package struct HubEvents: Sendable {
    /// Progress: first before anything is fetched.
    package var onProgress: @Sendable (DownloadProgress) -> Void
    /// A sentence that the user may want to know.
    package var onNote: @Sendable (String) -> Void

    package init(
        onProgress: @escaping @Sendable (DownloadProgress) -> Void = { _ in },
        onNote: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.onProgress = onProgress
        self.onNote = onNote
    }
}

/// Adds up the bytes of files that are fetched at the same time.
final class DownloadMeter: Sendable {
    private let state: Mutex<DownloadProgress>
    private let unlisted = Mutex<Int64>(0)
    private let onProgress: @Sendable (DownloadProgress) -> Void

    init(_ start: DownloadProgress, _ onProgress: @escaping @Sendable (DownloadProgress) -> Void) {
        state = Mutex(start)
        self.onProgress = onProgress
        onProgress(start)
    }

    func add(_ bytes: Int64) {
        change { $0.bytes += bytes }
    }

    func finishFile() {
        change { $0.files += 1 }
    }

    /// Counts the bytes of a whole file of which the hub does not say how many it has; the total does not know of them.
    func addUnlisted(_ bytes: Int64) {
        unlisted.withLock { $0 += bytes }
    }

    var unlistedBytes: Int64 { unlisted.withLock { $0 } }

    private func change(_ body: (inout DownloadProgress) -> Void) {
        let now = state.withLock { state in
            body(&state)
            return state
        }
        onProgress(now)
    }
}
