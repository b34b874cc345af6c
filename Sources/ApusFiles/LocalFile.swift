import Foundation

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// An open file of the operating system.
final class LocalFile: OpenFile {
    private let path: String
    private var descriptor: Int32

    /// Takes over the open `descriptor`.
    init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit {
        if descriptor >= 0 { _ = closeDescriptor(descriptor) }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try retrying("read") { readDescriptor(descriptor, buffer.baseAddress, min(buffer.count, Self.largestTransfer)) }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = try retrying("write", needed: rest.count) {
                writeDescriptor(descriptor, rest.baseAddress, min(rest.count, Self.largestTransfer))
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    func truncate(to size: Int64) throws {
        _ = try retrying("shorten") { Int(ftruncate(descriptor, off_t(size))) }
    }

    func synchronize() throws {
        #if canImport(Darwin)
            // fsync on macOS stops at the drive's cache; disks that lack F_FULLFSYNC fall back to it.
            if fcntl(descriptor, F_FULLFSYNC) == 0 { return }
        #endif
        _ = try retrying("flush to disk") { Int(fsync(descriptor)) }
    }

    func close() throws {
        guard descriptor >= 0 else { return }
        let status = closeDescriptor(descriptor)
        descriptor = -1
        // After EINTR the descriptor is gone all the same.
        if status != 0, errno != EINTR { throw FileError("close", path, code: errno) }
    }

    static func freeSpace(_ path: String) throws -> Int64 {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else { throw FileError("ask for the free space of", path, code: errno) }
        let (bytes, overflow) = Int64(clamping: info.f_bavail)
            .multipliedReportingOverflow(by: Int64(clamping: info.f_frsize))
        return overflow ? .max : bytes
    }

    // macOS refuses transfers of 2 GiB and more; Linux cuts them.
    private static let largestTransfer = 1 << 30

    private func retrying(_ operation: String, needed: Int? = nil, _ body: () -> Int) throws -> Int {
        while true {
            let result = body()
            if result >= 0 { return result }
            let code = errno
            if code == EINTR { continue }
            let free = code == ENOSPC ? try? Self.freeSpace(FilePath.parent(of: path)) : nil
            throw FileError(operation, path, code: code, bytesNeeded: needed.map(Int64.init), bytesFree: free)
        }
    }
}

// The methods of the class hide the functions of the same names.
private func closeDescriptor(_ descriptor: Int32) -> Int32 { close(descriptor) }
private func readDescriptor(_ descriptor: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(descriptor, buffer, count)
}
private func writeDescriptor(_ descriptor: Int32, _ buffer: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, buffer, count)
}
