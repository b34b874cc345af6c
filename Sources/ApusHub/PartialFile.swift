import ApusFiles
import Foundation
import NIOCore

/// A file that is being fetched: what is there already, its digest so far, and the bytes that come.
///
/// What was written before a `kill -9` is read once more from the disk, not from the network.
final class PartialFile {
    /// So many bytes are gathered before they are hashed and written: at most these are lost by a kill.
    static let chunk = 1 << 18

    private let remote: RemoteFile
    private let path: String
    private let files: any FileSystem
    private let meter: DownloadMeter
    private var file: any OpenFile
    private var check: ContentCheck
    private var pending: [UInt8] = []
    /// The bytes of an earlier try that are the whole file by its digest, where the hub does not say how many there are.
    private var wholeSize: Int64?

    /// Opens the file, or makes it.
    init(_ remote: RemoteFile, path: String, files: any FileSystem, meter: DownloadMeter) throws {
        self.remote = remote
        self.path = path
        self.files = files
        self.meter = meter
        check = ContentCheck(remote)
        let present = try files.status(path)?.size ?? 0
        file = try files.open(path, .append)
        if present > 0, remote.size < 0 {
            // A part cannot be told from the whole by its size; behind the whole there is nothing to ask for.
            check = ContentCheck(remote, present: present)
            try check.read(path, files)
            if remote.digest != .none, check.isRight { wholeSize = present } else { try restart() }
        } else if present > max(0, remote.size) {
            measure(-present)
            try restart()
        } else if present > 0 {
            try check.read(path, files)
        }
    }

    /// The bytes that are there or about to be written.
    var count: Int64 { check.count + Int64(pending.count) }

    /// Whether all bytes have come, as far as the hub says how many there are.
    var isWhole: Bool { count == (remote.size < 0 ? wholeSize : remote.size) }

    /// Tells how many bytes more there are, of a file that has its part in the total.
    private func measure(_ bytes: Int64) {
        if remote.size >= 0 { meter.add(bytes) }
    }

    /// Begins anew.
    func restart() throws {
        measure(-count)
        pending = []
        try file.truncate(to: 0)
        check = ContentCheck(remote)
    }

    func append(_ bytes: ByteBuffer) throws {
        pending += bytes.readableBytesView
        measure(Int64(bytes.readableBytes))
        if pending.count >= Self.chunk { try flush() }
    }

    /// Writes what has been gathered.
    func flush() throws {
        guard !pending.isEmpty else { return }
        let bytes = pending
        pending = []
        do {
            try bytes.withUnsafeBytes { bytes in
                try file.write(bytes)
                check.update(bytes)
            }
        } catch {
            // A part may have been written, which the digest does not know of.
            try? file.truncate(to: check.count)
            measure(-Int64(bytes.count))
            throw error
        }
    }

    /// Compares the digest and puts the bytes on the disk.
    ///
    /// - Returns: The digest of what came where it is not what the hub lists; the bytes are removed then.
    func finish() throws -> String? {
        try flush()
        if check.lacksSize {
            check = ContentCheck(remote, present: check.count)
            try check.read(path, files)
        }
        guard check.isRight else {
            let digest = check.digest
            try restart()
            return digest
        }
        try file.synchronize()
        try file.close()
        return nil
    }

    /// Removes it from the disk.
    func remove() throws {
        try file.close()
        try files.removeFile(path)
    }
}
