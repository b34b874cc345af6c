package import ApusJSON
package import Foundation

/// A folder that appears under its final name whole, or not at all.
///
/// Files are written into a hidden folder beside the final one, flushed and hashed; `commit` writes the manifest last,
/// flushes, and renames. Whatever kills the process or the machine, the final name holds the previous folder or the
/// complete new one, and `verifyDirectory` tells a complete one.
///
/// Values are used from one thread at a time.
package final class AtomicDirectory {
    package let finalPath: String
    /// The hidden folder `.tmp-<name>-<uuid>`.
    package let stagingPath: String

    private let fileSystem: any FileSystem
    private var lock: (any FileLock)?
    private var digests: [String: FileDigest] = [:]
    private var isOpen = true

    /// Makes the hidden folder, and the folders above it where they are missing.
    ///
    /// - Parameter expectedBytes: What is about to be written, if known: a disk without that much space is refused now.
    package init(
        _ finalPath: String, expectedBytes: Int64? = nil, fileSystem: any FileSystem = LocalFileSystem()
    ) throws {
        let parent = FilePath.parent(of: finalPath)
        let name = FilePath.lastComponent(of: finalPath)
        self.finalPath = FilePath.join(parent, name)
        self.fileSystem = fileSystem
        stagingPath = FilePath.join(parent, StagingName.make(for: name))
        if let status = try fileSystem.status(self.finalPath), status.kind != .directory {
            throw FileError("replace (it is not a folder)", self.finalPath, code: ENOTDIR)
        }
        try fileSystem.createDirectories(parent)
        if let expectedBytes {
            let free = try fileSystem.freeSpace(parent)
            guard free >= expectedBytes else {
                throw FileError("write", finalPath, code: ENOSPC, bytesNeeded: expectedBytes, bytesFree: free)
            }
        }
        try fileSystem.createDirectory(stagingPath)
        do {
            lock = try fileSystem.lock(stagingPath)
        } catch let error as FileError where error.code == ENOTSUP {
            // Without locks the sweep goes by age.
        }
    }

    deinit {
        discard()
    }

    /// Writes one file.
    ///
    /// `name` may hold folders: `model/weights.safetensors`.
    package func write(_ bytes: some ContiguousBytes, as name: String) throws {
        try writeFile(name) { try $0.write(bytes) }
    }

    /// Writes one file piece by piece.
    package func writeFile(_ name: String, _ body: (HashedFile) throws -> Void) throws {
        let file = HashedFile(try fileSystem.open(try path(for: name), .createNew))
        try body(file)
        digests[name] = try file.finish()
    }

    /// Where another writer should put the file `name`; `commit` flushes and hashes it.
    package func path(for name: String) throws -> String {
        precondition(isOpen, "the folder was committed or discarded")
        guard FilePath.isInside(name), name != DirectoryManifest.fileName else {
            throw FileError("create a file named \"\(name)\" in", finalPath, code: EINVAL)
        }
        digests[name] = nil
        let path = FilePath.join(stagingPath, name)
        try fileSystem.createDirectories(FilePath.parent(of: path))
        return path
    }

    /// Completes the folder and gives it its final name, replacing an older folder of that name.
    ///
    /// - Throws: `FileError`. The older folder, if any, is then still in place; only when the very last flush fails is
    ///   the new one there already, complete.
    package func commit(identity: JSONValue) throws {
        precondition(isOpen, "the folder was committed or discarded")
        let names = try fileSystem.files(below: stagingPath)
        for name in names where digests[name] == nil {
            digests[name] = try flushAndHash(FilePath.join(stagingPath, name))
        }
        let listed = digests.filter { names.contains($0.key) }
        let manifest = try fileSystem.open(FilePath.join(stagingPath, DirectoryManifest.fileName), .createNew)
        try DirectoryManifest(identity: identity, files: listed).serialized().withUnsafeBytes { try manifest.write($0) }
        try manifest.synchronize()
        try manifest.close()
        try synchronizeFolders(stagingPath)
        try publish()
    }

    /// Removes the hidden folder unless it was committed.
    ///
    /// Left-overs that cannot be removed now are swept later.
    package func discard() {
        guard isOpen else { return }
        isOpen = false
        try? fileSystem.removeTree(stagingPath)
        lock?.release()
    }

    private func publish() throws {
        let parent = FilePath.parent(of: finalPath)
        // Where the previous folder lies once the new one is visible.
        var old: String?
        if try fileSystem.status(finalPath) == nil {
            try fileSystem.rename(stagingPath, to: finalPath)
        } else {
            old = try replaceFinal()
        }
        isOpen = false
        lock?.release()
        try fileSystem.synchronizeDirectory(parent)
        // The new folder is in place: an old one that cannot be removed now is left to the next sweep.
        if let old { try? fileSystem.removeTree(old) }
    }

    /// Puts the new folder in the place of the old one, and returns where the old one went.
    private func replaceFinal() throws -> String {
        do {
            try fileSystem.exchange(stagingPath, finalPath)
            return stagingPath
        } catch let error as FileError where error.code == ENOTSUP {
            // Between these two renames the final name is missing; the sweep of the next run puts the old folder back.
            let aside = StagingName.makeAside(for: FilePath.lastComponent(of: finalPath))
            let old = FilePath.join(FilePath.parent(of: finalPath), aside)
            try fileSystem.rename(finalPath, to: old)
            do {
                try fileSystem.rename(stagingPath, to: finalPath)
            } catch {
                try? fileSystem.rename(old, to: finalPath)
                throw error
            }
            return old
        }
    }

    private func flushAndHash(_ path: String) throws -> FileDigest {
        guard try fileSystem.status(path)?.kind == .file else {
            throw FileError("keep (it is not a plain file)", path, code: EINVAL)
        }
        try fileSystem.open(path, .read).synchronize()
        return try fileSystem.digest(of: path)
    }

    private func synchronizeFolders(_ folder: String) throws {
        for name in try fileSystem.contentsOfDirectory(folder) {
            let path = FilePath.join(folder, name)
            if try fileSystem.status(path)?.kind == .directory { try synchronizeFolders(path) }
        }
        try fileSystem.synchronizeDirectory(folder)
    }
}
