package import ApusFiles

/// A file that grows at its end by whole pieces.
///
/// Of a piece that fails halfway, as on a full disk, nothing stays, so that the next one begins where a reader looks for it.
package final class GrowingFile {
    private let file: any OpenFile
    private var size: Int64
    /// Whether a part of a piece may lie behind `size`.
    private var isTorn = false

    /// Opens a file or creates it.
    ///
    /// - Parameter size: The bytes that are there.
    package init(_ path: String, size: Int64, fileSystem: any FileSystem) throws {
        // At its end in any case: where a write stands that was cut off, there would be a hole.
        file = try fileSystem.open(path, .append)
        self.size = size
    }

    /// - Throws: `FileError` with `EEXIST` where there is such a file.
    convenience init(creating path: String, fileSystem: any FileSystem) throws {
        try fileSystem.open(path, .createNew).close()
        try self.init(path, size: 0, fileSystem: fileSystem)
    }

    package func append(_ bytes: [UInt8]) throws {
        try mend()
        do {
            try bytes.withUnsafeBytes { try file.write($0) }
        } catch {
            isTorn = true
            try? mend()
            throw error
        }
        size += Int64(bytes.count)
    }

    /// Waits until everything is on the disk.
    package func synchronize() throws { try file.synchronize() }

    /// Cuts the file where it is whole.
    package func truncate(to whole: Int64) throws {
        try file.truncate(to: whole)
        size = whole
    }

    private func mend() throws {
        guard isTorn else { return }
        try truncate(to: size)
        isTorn = false
    }
}
