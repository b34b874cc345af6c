package import Foundation

/// The calls of the operating system that Apus makes on files it writes, as a seam: tests put a disk that fails,
/// fills up or loses power in its place.
///
/// Every call throws `FileError`. Paths are absolute or relative to the working directory.
package protocol FileSystem: Sendable {
    /// Creates one folder; `EEXIST` when the path is taken.
    func createDirectory(_ path: String) throws

    /// Opens a file.
    func open(_ path: String, _ mode: FileOpenMode) throws -> any OpenFile

    /// Waits until the names in a folder are on the disk (fsync).
    func synchronizeDirectory(_ path: String) throws

    /// Gives a file, link or folder another name in one step, replacing a file, a link or an empty folder.
    func rename(_ path: String, to newPath: String) throws

    /// Swaps the names of two existing items in one step. `ENOTSUP` where the disk cannot.
    func exchange(_ first: String, _ second: String) throws

    func createSymbolicLink(_ path: String, to target: String) throws

    /// Removes a file or a link.
    func removeFile(_ path: String) throws

    /// Removes an empty folder.
    func removeDirectory(_ path: String) throws

    /// The names in a folder, sorted, without `.` and `..`.
    func contentsOfDirectory(_ path: String) throws -> [String]

    /// What a path names, without following a link at its end; nil when it names nothing.
    func status(_ path: String) throws -> FileStatus?

    /// The bytes that this user may still store on the disk of an existing path.
    func freeSpace(_ path: String) throws -> Int64

    /// Locks an existing file or folder until the returned value is released or the process ends.
    ///
    /// Advisory (flock): it keeps out those who ask. Nil when another holder has it; `ENOTSUP` where the disk has no
    /// locks.
    func lock(_ path: String) throws -> (any FileLock)?
}

package enum FileOpenMode: Sendable {
    case read
    /// A new file; `EEXIST` when the path is taken.
    case createNew
    /// Writes at the end; creates the file when absent.
    case append
}

/// An open file.
///
/// Closing happens when the value goes away; `close` also reports an error.
package protocol OpenFile: AnyObject {
    /// Reads up to `buffer.count` bytes at the current position; 0 at the end.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int

    /// Writes all of `bytes`.
    func write(_ bytes: UnsafeRawBufferPointer) throws

    /// Cuts the file to `size` bytes.
    func truncate(to size: Int64) throws

    /// Waits until the contents are on the disk (fsync).
    func synchronize() throws

    func close() throws
}

/// A lock held on a file or folder.
package protocol FileLock: AnyObject, Sendable {
    func release()
}

/// What a path names.
package struct FileStatus: Sendable, Equatable {
    package enum Kind: Sendable {
        case file, directory, symbolicLink, other
    }

    package let kind: Kind
    package let size: Int64
    /// Seconds since 1970.
    package let modified: Double

    package init(kind: Kind, size: Int64, modified: Double) {
        self.kind = kind
        self.size = size
        self.modified = modified
    }
}

extension FileSystem {
    /// Creates a folder and the missing ones above it; each survives a power cut.
    ///
    /// An existing folder is fine.
    package func createDirectories(_ path: String) throws {
        if path.isEmpty || path == "." { return }
        let parent = FilePath.parent(of: path)
        if try status(path) != nil { return }
        if parent != path { try createDirectories(parent) }
        do {
            try createDirectory(path)
        } catch let error as FileError where error.code == EEXIST {
            return
        }
        try synchronizeDirectory(parent)
    }

    /// Removes a file, a link, or a folder with everything in it.
    ///
    /// What is already gone is fine; links are not followed.
    package func removeTree(_ path: String) throws {
        guard let status = try status(path) else { return }
        do {
            guard status.kind == .directory else { return try removeFile(path) }
            for name in try contentsOfDirectory(path) { try removeTree(FilePath.join(path, name)) }
            try removeDirectory(path)
        } catch let error as FileError where error.code == ENOENT {
            return
        }
    }

    /// The contents of a file.
    ///
    /// - Parameter limit: Refuses a larger file (`EFBIG`), so that a file that only claims to be small stays harmless.
    package func contents(of path: String, limit: Int = .max) throws -> Data {
        let file = try open(path, .read)
        var data = Data()
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { chunk.deallocate() }
        while true {
            let count = try file.read(into: chunk)
            if count == 0 { return data }
            guard data.count + count <= limit else { throw FileError("read", path, code: EFBIG) }
            data.append(contentsOf: UnsafeRawBufferPointer(rebasing: chunk[..<count]))
        }
    }
}
