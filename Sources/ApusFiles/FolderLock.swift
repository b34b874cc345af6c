import Foundation

/// Exclusive use of a folder by one process, through a lock on the hidden file `.lock` in it.
///
/// The system drops the lock when the process ends, however it ends; the file stays.
package final class FolderLock: Sendable {
    package static let fileName = ".lock"
    /// Nil on a disk without locks (some cluster file systems): nobody is kept out there.
    private let lock: (any FileLock)?

    /// Locks an existing folder.
    ///
    /// - Throws: `FolderInUse` naming the process that has it; `FileError`.
    package init(_ folder: String, fileSystem: any FileSystem = LocalFileSystem()) throws {
        let path = FilePath.join(folder, Self.fileName)
        let file = try fileSystem.open(path, .append)
        do {
            lock = try fileSystem.lock(path)
        } catch let error as FileError where error.code == ENOTSUP {
            lock = nil
            return
        }
        guard lock != nil else {
            let owner = try? fileSystem.contents(of: path, limit: 4096)
            throw FolderInUse(folder: folder, owner: owner.map { String(decoding: $0, as: UTF8.self) } ?? "")
        }
        try file.truncate(to: 0)
        let owner = "process \(ProcessInfo.processInfo.processIdentifier) on \(HostName.current)"
        try Array(owner.utf8).withUnsafeBytes { try file.write($0) }
        try file.close()
    }

    /// Lets others have the folder.
    ///
    /// Also happens when the value goes away.
    package func release() {
        lock?.release()
    }
}

/// Another run is writing into the folder.
package struct FolderInUse: Error, CustomStringConvertible, Equatable {
    package let folder: String
    /// What the holder wrote about itself.
    package let owner: String

    package var description: String {
        "\(folder) is in use by another run\(owner.isEmpty ? "" : " (\(owner))"); "
            + "wait for it to end, or choose another --output_dir"
    }
}
