#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A whole regular file, mapped read-only into memory for as long as the object lives.
///
/// Pages are read when first touched and can be dropped by the system at any time, so weights that are only read cost
/// no anonymous memory. The mapping outlives a `rename` over the path (the old contents stay readable), but not a
/// truncation of the file in place: touching a page that no longer exists stops the process with SIGBUS.
package final class MappedFile: @unchecked Sendable {
    // Unchecked: the pointer is immutable, the pages are read-only, and both live exactly as long as the object.

    package let path: String
    /// The file's bytes; page-aligned.
    ///
    /// Valid while this object is retained, so whoever keeps a pointer keeps the object.
    package let bytes: UnsafeRawBufferPointer

    /// Maps the file at `path`.
    ///
    /// - Throws: `WeightsError` when it cannot be opened, is not a regular file, is empty, or cannot be mapped.
    package init(path: String) throws {
        guard !path.utf8.contains(0) else { throw WeightsError(path, "a path must not contain a zero byte") }
        // Non-blocking, because opening a named pipe would otherwise wait for a writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw WeightsError(path, "cannot be opened: \(lastSystemError())") }
        defer { close(descriptor) }

        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw WeightsError(path, "cannot be examined: \(lastSystemError())")
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw WeightsError(path, "is a folder, not a weights file", advice: "name a file inside it")
        default: throw WeightsError(path, "is not a regular file")
        }
        guard let size = Int(exactly: status.st_size), size > 0 else {
            throw WeightsError(path, "is empty", advice: WeightsError.downloadAgain)
        }
        guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
            throw WeightsError(path, "cannot be mapped into memory (\(size) bytes): \(lastSystemError())")
        }
        self.path = path
        bytes = UnsafeRawBufferPointer(start: base, count: size)
    }

    deinit {
        munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
    }

    package var count: Int { bytes.count }

    /// The first byte.
    ///
    /// A tensor over these bytes must hold on to this object until it is freed.
    package var baseAddress: UnsafeRawPointer {
        // An empty file is refused above, so the buffer has an address.
        bytes.baseAddress.unsafelyUnwrapped
    }

    /// Lets the system take back the whole pages of a range; they are read from the file again when they are touched.
    package func forget(_ range: Range<Int>) {
        let page = Int(getpagesize())
        let first = (range.lowerBound + page - 1) / page * page
        let end = min(range.upperBound, count) / page * page
        guard first < end else { return }
        madvise(UnsafeMutableRawPointer(mutating: baseAddress + first), end - first, MADV_DONTNEED)
    }

    package func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try withExtendedLifetime(self) { try body(bytes) }
    }
}
