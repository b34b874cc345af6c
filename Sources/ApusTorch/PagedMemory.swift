import Foundation

/// Memory for large tensors that the system can write out and take back: an unnamed file, mapped.
///
/// What is not in use costs no memory when memory is short. With a limit, what exceeds it is written out after each use, and
/// so is at most one tensor more than that in memory.
package final class PagedMemory {
    private let descriptor: Int32
    private let folder: String
    private let limit: Int?
    /// The bytes of all that was made, by whole pages.
    package private(set) var size = 0
    /// What exceeds the limit, by the tensor that lies there; whoever asks for it keeps the tensor.
    private var evicted: [ObjectIdentifier: Region] = [:]

    /// - Parameters:
    ///   - folder: Where the file is; a disk, not a file system in memory.
    ///   - limit: How many bytes may stay in memory between uses; nil leaves it to the system.
    /// - Throws: `TorchError` when no file can be made there.
    package init(folder: String, limit: Int? = nil) throws {
        var template = Array("\(folder)/.apus-pages-XXXXXX".utf8CString)
        descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw Self.failure("no file can be made in \(folder)") }
        // Nameless from the start, so that nothing of it is left whatever ends the process.
        unlink(template)
        self.folder = folder
        self.limit = limit
    }

    deinit { close(descriptor) }

    /// Zeros, which take memory only once they are written, and room on the disk at once.
    package func zeros(_ shape: [Int], dtype: DType) throws -> Tensor {
        let bytes = max(1, shape.reduce(1, *) * dtype.size)
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let length = (bytes + page - 1) / page * page
        try grow(by: length)
        let region = try Region(descriptor, offset: size, length: length)
        size += length
        let tensor = try Tensor.borrowing(region.start, shape: shape, dtype: dtype, owner: region)
        if let limit, size > limit { evicted[ObjectIdentifier(tensor)] = region }
        return tensor
    }

    /// Makes the file longer.
    ///
    /// A page for which there is no room when it is written would end the process.
    private func grow(by length: Int) throws {
        #if os(Linux)
            var code = posix_fallocate(descriptor, off_t(size), off_t(length))
            while code == EINTR { code = posix_fallocate(descriptor, off_t(size), off_t(length)) }
        #else
            let code = ftruncate(descriptor, off_t(size + length)) == 0 ? 0 : errno
        #endif
        guard code == 0 else { throw Self.failure("its file in \(folder) cannot grow to \(size + length) bytes", code) }
    }

    /// Says that a tensor is not needed for a while: if it was made when the limit was reached, it is written out.
    package func release(_ tensor: Tensor) { evicted[ObjectIdentifier(tensor)]?.evict() }

    private static func failure(_ what: String, _ code: Int32 = errno) -> TorchError {
        TorchError(
            kind: .other,
            message:
                "paged memory: \(what): \(String(cString: strerror(code))). Free space there, or give another folder.")
    }

    /// A mapped part of the file.
    private final class Region {
        let start: UnsafeMutableRawPointer
        let length: Int

        init(_ descriptor: Int32, offset: Int, length: Int) throws {
            guard let start = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, off_t(offset)),
                start != MAP_FAILED
            else { throw PagedMemory.failure("\(length) bytes cannot be mapped") }
            self.start = start
            self.length = length
        }

        deinit { munmap(start, length) }

        func evict() {
            #if os(Linux)
                // Linux 5.4: MADV_PAGEOUT writes the pages and takes them back; older kernels refuse it and keep them.
                madvise(start, length, 21)
            #endif
        }
    }
}
