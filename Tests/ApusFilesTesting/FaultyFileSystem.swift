package import ApusFiles
import Foundation
import Synchronization

/// Passes calls on to another file system, and fails the Nth one.
package final class FaultyFileSystem: FileSystem {
    package enum Fault: Sendable {
        /// The Nth call fails with this `errno`; later ones work.
        case once(Int32)
        /// The Nth call and all after it fail; with `ENOSPC`, only those that need space.
        case persistent(Int32)
        /// The process is gone: the Nth call and all after it change nothing.
        case killed
        /// The process really exits at the Nth call.
        case exit
    }

    package let base: any FileSystem
    private let fault: Fault
    private let position: Int
    private let calls = Atomic<Int>(0)

    package init(_ base: any FileSystem, failing fault: Fault, atCall position: Int) {
        self.base = base
        self.fault = fault
        self.position = position
    }

    /// How many calls were made.
    package var callCount: Int { calls.load(ordering: .relaxed) }

    fileprivate var isAtFault: Bool { callCount == position }

    fileprivate func step(_ operation: String, _ path: String, needsSpace: Bool = false) throws {
        let call = calls.add(1, ordering: .relaxed).newValue
        switch fault {
        case .once(let code) where call == position: throw FileError(operation, path, code: code)
        case .persistent(let code) where call >= position && (needsSpace || code != ENOSPC):
            throw FileError(operation, path, code: code)
        case .killed where call >= position: throw FileError(operation, path, code: EIO)
        case .exit where call == position: _exit(9)
        default: break
        }
    }

    package func createDirectory(_ path: String) throws {
        try step("create folder", path, needsSpace: true)
        try base.createDirectory(path)
    }

    package func open(_ path: String, _ mode: FileOpenMode) throws -> any OpenFile {
        try step("open", path, needsSpace: mode != .read)
        return FaultyFile(try base.open(path, mode), path, self)
    }

    package func synchronizeDirectory(_ path: String) throws {
        try step("flush folder", path, needsSpace: true)
        try base.synchronizeDirectory(path)
    }

    package func rename(_ path: String, to newPath: String) throws {
        try step("rename", path)
        try base.rename(path, to: newPath)
    }

    package func exchange(_ first: String, _ second: String) throws {
        try step("exchange", first)
        try base.exchange(first, second)
    }

    package func createSymbolicLink(_ path: String, to target: String) throws {
        try step("create link", path, needsSpace: true)
        try base.createSymbolicLink(path, to: target)
    }

    package func removeFile(_ path: String) throws {
        try step("remove", path)
        try base.removeFile(path)
    }

    package func removeDirectory(_ path: String) throws {
        try step("remove folder", path)
        try base.removeDirectory(path)
    }

    package func contentsOfDirectory(_ path: String) throws -> [String] {
        try step("list folder", path)
        return try base.contentsOfDirectory(path)
    }

    package func status(_ path: String) throws -> FileStatus? {
        try step("look up", path)
        return try base.status(path)
    }

    package func freeSpace(_ path: String) throws -> Int64 {
        try step("ask for free space", path)
        return try base.freeSpace(path)
    }

    package func lock(_ path: String) throws -> (any FileLock)? {
        try step("lock", path)
        return try base.lock(path)
    }
}

private final class FaultyFile: OpenFile {
    let base: any OpenFile
    let path: String
    let owner: FaultyFileSystem

    init(_ base: any OpenFile, _ path: String, _ owner: FaultyFileSystem) {
        (self.base, self.path, self.owner) = (base, path, owner)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try owner.step("read", path)
        return try base.read(into: buffer)
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        do {
            try owner.step("write", path, needsSpace: true)
        } catch {
            // A write that fails or is cut off by a kill may have stored a part.
            if owner.isAtFault { try base.write(UnsafeRawBufferPointer(rebasing: bytes.prefix(bytes.count / 2))) }
            throw error
        }
        try base.write(bytes)
    }

    func truncate(to size: Int64) throws {
        try owner.step("shorten", path)
        try base.truncate(to: size)
    }

    func synchronize() throws {
        try owner.step("flush to disk", path, needsSpace: true)
        try base.synchronize()
    }

    func close() throws {
        try owner.step("close", path)
        try base.close()
    }
}
