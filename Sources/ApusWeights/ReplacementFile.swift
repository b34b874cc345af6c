import Foundation

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A file that appears under its name complete or not at all.
///
/// Bytes go to a hidden sibling; `commit` syncs it, renames it over the destination and syncs the folder. Whoever has
/// the old file open or mapped keeps the old contents. Dropped without a commit, the sibling is deleted.
final class ReplacementFile {
    private let path: String
    private let temporaryPath: String
    private let folder: String
    private var descriptor: Int32
    private var buffer: [UInt8] = []
    private static let bufferSize = 1 << 20

    init(replacing path: String) throws {
        self.path = path
        folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        temporaryPath = folder + "/.weights-" + String(UInt64.random(in: 0...UInt64.max), radix: 36) + ".tmp"
        descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            throw WeightsError(path, "cannot be written: \(lastSystemError())", advice: "does its folder exist?")
        }
        buffer.reserveCapacity(Self.bufferSize)
    }

    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        unlink(temporaryPath)
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        if buffer.count + bytes.count > Self.bufferSize { try flush() }
        if bytes.count >= Self.bufferSize {
            try writeThrough(bytes)
        } else {
            buffer.append(contentsOf: bytes)
        }
    }

    /// Makes the new contents durable and visible.
    func commit() throws {
        try flush()
        guard fsync(descriptor) == 0 else { throw failure("cannot be synced to disk") }
        let closing = descriptor
        descriptor = -1
        guard close(closing) == 0, rename(temporaryPath, path) == 0 else {
            let error = failure("cannot be put in place")
            unlink(temporaryPath)
            throw error
        }
        try syncFolder()
    }

    private func flush() throws {
        try buffer.withUnsafeBytes(writeThrough)
        buffer.removeAll(keepingCapacity: true)
    }

    private func writeThrough(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let chunk = UnsafeRawBufferPointer(rebasing: rest)
            let written = retryingOnInterrupt {
                // Linux moves at most 2 GiB a call, macOS refuses more.
                #if canImport(Darwin)
                    Darwin.write(descriptor, chunk.baseAddress, min(chunk.count, 1 << 30))
                #else
                    Glibc.write(descriptor, chunk.baseAddress, min(chunk.count, 1 << 30))
                #endif
            }
            guard written > 0 else { throw failure("cannot be written", missing: rest.count) }
            rest = rest.dropFirst(written)
        }
    }

    private func syncFolder() throws {
        let handle = open(folder, O_RDONLY | O_CLOEXEC)
        guard handle >= 0 else { throw failure("its folder cannot be synced to disk") }
        defer { close(handle) }
        // Some network file systems cannot sync a folder and say so with EINVAL.
        guard fsync(handle) == 0 || errno == EINVAL else { throw failure("its folder cannot be synced to disk") }
    }

    /// - Parameter missing: The bytes that found no room, of those that were written together.
    private func failure(_ what: String, missing: Int = 0) -> WeightsError {
        let code = errno
        var text = "\(what): \(String(cString: strerror(code)))"
        guard code == ENOSPC || code == EDQUOT else { return WeightsError(path, text) }
        var info = statvfs()
        let free = statvfs(folder, &info) == 0 ? Int(info.f_bavail) * Int(info.f_frsize) : nil
        if missing > 0 { text += ", \(missing) bytes needed" }
        if let free { text += ", \(free) bytes free" }
        return WeightsError(path, text, advice: "free some space on the disk")
    }
}
