import ApusFiles
import AsyncHTTPClient
import Foundation
import NIOHTTP1

/// Fetches one file: goes on where an earlier try ended, checks the digest, and only then gives the bytes their name.
struct FileDownload: Sendable {
    let connection: HubConnection
    let listing: RepositoryListing
    let layout: CacheLayout
    let files: any FileSystem
    let meter: DownloadMeter
    let events: HubEvents

    private static let lockPause = 0.2

    func callAsFunction(_ file: RemoteFile) async throws {
        let place = layout.place(of: file)
        for path in [place.path, place.partial, place.lock] {
            try files.createDirectories(FilePath.parent(of: path))
        }
        let lock = try await lock(place, file)
        defer { lock?.release() }
        // Whoever had the lock may have fetched it.
        if try layout.holds(file, files) {
            if file.size >= 0 { meter.add(file.size - (try files.status(place.partial)?.size ?? 0)) }
        } else {
            let count = try await fetch(file, place)
            if file.size < 0 { meter.addUnlisted(count) }
        }
        try Self.link(place, files)
        meter.finishFile()
    }

    /// - Returns: How many bytes the file has.
    private func fetch(_ file: RemoteFile, _ place: CacheLayout.Place) async throws -> Int64 {
        var subject = Subject(listing.repository, revision: listing.revision, in: connection.configuration)
        subject.file = file.path
        let partial = try PartialFile(file, path: place.partial, files: files, meter: meter)
        for isLast in [false, true] {
            try await connection.persistently(
                subject, gained: { partial.count },
                { if !partial.isWhole { try await request(file, subject, into: partial) } })
            guard let digest = try partial.finish() else { break }
            guard isLast else { continue }
            try partial.remove()
            throw HubError(
                .damaged,
                "\(subject.place): what came is not what the hub lists: its digest is \(digest), it should be "
                    + "\(file.digest.name ?? "unknown"). It was fetched twice and removed. A proxy or mirror in between may change "
                    + "files: try without it, or again later.")
        }
        try files.rename(place.partial, to: place.path)
        try files.synchronizeDirectory(FilePath.parent(of: place.path))
        return partial.count
    }

    /// Asks for the bytes that are missing and writes what comes.
    private func request(_ file: RemoteFile, _ subject: Subject, into partial: PartialFile) async throws {
        let start = partial.count
        var headers = [("Accept-Encoding", "identity")]
        if start > 0 { headers.append(("Range", "bytes=\(start)-")) }
        do {
            try await connection.withResponse(
                HubConnection.Request(
                    url: connection.address(of: file, in: listing), headers: headers, hub: listing.repository.hub,
                    subject: subject)
            ) { response in
                if start > 0, Self.beginning(of: response.headers) != (response.status.code == 206 ? start : nil) {
                    // The whole file comes, or another part.
                    try partial.restart()
                    if response.status.code == 206 {
                        throw PassingTrouble(reason: "another part came than was asked for", kind: .damaged)
                    }
                }
                let begin = partial.count
                if file.size >= 0, let length = response.headers.first(name: "Content-Length").flatMap({ Int64($0) }),
                    begin + length != file.size
                {
                    try partial.restart()
                    throw PassingTrouble(
                        reason: "the file has \(begin + length) bytes, the hub lists \(file.size)", kind: .damaged)
                }
                do {
                    for try await bytes in response.body { try partial.append(bytes) }
                } catch {
                    try partial.flush()
                    throw error
                }
                try partial.flush()
            }
        } catch let trouble as PassingTrouble where trouble.kind == .damaged && partial.count > 0 {
            try partial.restart()
            throw trouble
        }
        guard file.size < 0 || partial.count == file.size else {
            let came = partial.count
            if came > file.size { try partial.restart() }
            throw PassingTrouble(
                reason: "\(came) of \(file.size) bytes came", kind: came > file.size ? .damaged : .unreachable)
        }
    }

    /// Where the part begins that an answer of 206 holds.
    private static func beginning(of headers: HTTPHeaders) -> Int64? {
        guard let range = headers.first(name: "Content-Range"), range.hasPrefix("bytes ") else { return nil }
        return range.dropFirst(6).split(separator: "-").first.flatMap { Int64($0) }
    }

    /// Waits until no other process fetches the file.
    private func lock(_ place: CacheLayout.Place, _ file: RemoteFile) async throws -> (any FileLock)? {
        try files.open(place.lock, .append).close()
        var hasSaid = false
        while true {
            do {
                if let lock = try files.lock(place.lock) { return lock }
            } catch let error as FileError where error.code == ENOTSUP {
                // Disks without locks: the digest still tells what is right.
                return nil
            }
            if !hasSaid {
                events.onNote(
                    "\(file.path) of \(listing.repository.id) is being fetched by another process; waiting for it")
                hasSaid = true
            }
            try await Task.sleep(for: .seconds(Self.lockPause))
        }
    }

    /// Gives the bytes their second name.
    static func link(_ place: CacheLayout.Place, _ files: any FileSystem) throws {
        guard let link = place.link else { return }
        if try files.status(link.path) != nil, FileManager.default.fileExists(atPath: link.path) { return }
        try files.createDirectories(FilePath.parent(of: link.path))
        do {
            try files.replaceSymbolicLink(link.path, to: link.target)
        } catch let error as FileError where [EPERM, ENOTSUP, ENOSYS].contains(error.code) {
            // Disks without links hold the file in the snapshot alone, as Python's program does it.
            try files.rename(place.path, to: link.path)
        }
    }
}
