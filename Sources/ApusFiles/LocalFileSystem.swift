import Foundation

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// The operating system's own files.
package struct LocalFileSystem: FileSystem {
    package init() {}

    package func createDirectory(_ path: String) throws {
        try check(mkdir(path, 0o777), "create folder", path)
    }

    package func open(_ path: String, _ mode: FileOpenMode) throws -> any OpenFile {
        let (flags, operation) =
            switch mode {
            case .read: (O_RDONLY, "open")
            case .createNew: (O_WRONLY | O_CREAT | O_EXCL, "create")
            case .append: (O_WRONLY | O_CREAT | O_APPEND, "open for appending")
            }
        return LocalFile(path: path, descriptor: try descriptor(path, flags, operation))
    }

    package func synchronizeDirectory(_ path: String) throws {
        let folder = LocalFile(path: path, descriptor: try descriptor(path, O_RDONLY | O_DIRECTORY, "open folder"))
        try folder.synchronize()
    }

    package func rename(_ path: String, to newPath: String) throws {
        #if canImport(Darwin)
            try check(Darwin.rename(path, newPath), "rename \(path) to", newPath)
        #else
            try check(Glibc.rename(path, newPath), "rename \(path) to", newPath)
        #endif
    }

    package func exchange(_ first: String, _ second: String) throws {
        #if canImport(Darwin)
            let status = renamex_np(first, second, UInt32(RENAME_SWAP))
        #else
            guard let renameat2 = Self.renameat2 else { throw FileError("exchange", second, code: ENOTSUP) }
            let status = renameat2(AT_FDCWD, first, AT_FDCWD, second, 1 << 1)  // RENAME_EXCHANGE
        #endif
        // A disk that does not know the flag says EINVAL, an older kernel ENOSYS.
        if status != 0, errno == EINVAL || errno == ENOSYS { errno = ENOTSUP }
        try check(status, "exchange \(first) with", second)
    }

    package func createSymbolicLink(_ path: String, to target: String) throws {
        try check(symlink(target, path), "create link", path)
    }

    package func removeFile(_ path: String) throws {
        try check(unlink(path), "remove", path)
    }

    package func removeDirectory(_ path: String) throws {
        try check(rmdir(path), "remove folder", path)
    }

    package func contentsOfDirectory(_ path: String) throws -> [String] {
        guard let stream = opendir(path) else { throw FileError("list folder", path, code: errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw FileError("list folder", path, code: errno) }
                return names.sorted()
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: $0.pointee)) {
                    String(cString: $0)
                }
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }

    package func status(_ path: String) throws -> FileStatus? {
        var info = stat()
        guard lstat(path, &info) == 0 else {
            if errno == ENOENT { return nil }
            throw FileError("look up", path, code: errno)
        }
        let kind: FileStatus.Kind =
            switch info.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            default: .other
            }
        #if canImport(Darwin)
            let time = info.st_mtimespec
        #else
            let time = info.st_mtim
        #endif
        return FileStatus(
            kind: kind, size: Int64(info.st_size), modified: Double(time.tv_sec) + Double(time.tv_nsec) / 1e9)
    }

    package func freeSpace(_ path: String) throws -> Int64 {
        try LocalFile.freeSpace(path)
    }

    package func lock(_ path: String) throws -> (any FileLock)? {
        // Network disks lock a file only through a descriptor that may write; a folder can only be opened for reading.
        let isFolder = try status(path)?.kind == .directory
        let lock = LocalFileLock(try descriptor(path, isFolder ? O_RDONLY : O_RDWR, "open"))
        if flock(lock.descriptor, LOCK_EX | LOCK_NB) == 0 { return lock }
        switch errno {
        case EWOULDBLOCK: return nil
        case EBADF, EINVAL, ENOLCK, ENOSYS: throw FileError("lock", path, code: ENOTSUP)
        default: throw FileError("lock", path, code: errno)
        }
    }

    private func descriptor(_ path: String, _ flags: Int32, _ operation: String) throws -> Int32 {
        while true {
            #if canImport(Darwin)
                let descriptor = Darwin.open(path, flags | O_CLOEXEC, 0o666)
            #else
                let descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o666)
            #endif
            if descriptor >= 0 { return descriptor }
            if errno != EINTR { throw FileError(operation, path, code: errno) }
        }
    }

    private func check(_ status: Int32, _ operation: String, _ path: String) throws {
        guard status != 0 else { return }
        let code = errno
        let free = code == ENOSPC ? try? LocalFile.freeSpace(FilePath.parent(of: path)) : nil
        throw FileError(operation, path, code: code, bytesFree: free)
    }

    #if !canImport(Darwin)
        private typealias Renameat2 =
            @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32

        /// Looked up by name: glibc declares it only under a macro that Swift's import of Glibc does not set.
        private static let renameat2: Renameat2? = dlsym(nil, "renameat2").map { unsafeBitCast($0, to: Renameat2.self) }
    #endif
}

private final class LocalFileLock: FileLock {
    let descriptor: Int32

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    func release() {
        flock(descriptor, LOCK_UN)
    }

    deinit {
        close(descriptor)
    }
}
