import Foundation

/// A file without a name: its place on the disk is free again when nothing holds it.
final class ScratchFile: Sendable {
    let descriptor: CInt

    /// Where such files lie: the folder for temporary files, but not one that is known to lie in memory where there is
    /// another.
    static var folder: String {
        let folder = FileManager.default.temporaryDirectory.path
        let large = "/var/tmp"
        return folder == "/tmp" && FileManager.default.isWritableFile(atPath: large) ? large : folder
    }

    /// - Throws: `DatasetError` where no file can be made.
    init() throws {
        var template = Array("\(Self.folder)/apus-XXXXXX".utf8CString)
        descriptor = mkstemp(&template)
        guard descriptor >= 0 else {
            throw DatasetError("\(Self.folder): no temporary file can be made: \(String(cString: strerror(errno)))")
        }
        unlink(template)
    }

    deinit { close(descriptor) }

    /// The contents, mapped into memory; they stay when the file goes.
    func contents() throws -> Data {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw DatasetError("a temporary file cannot be read: \(String(cString: strerror(errno)))")
        }
        let count = Int(status.st_size)
        guard count > 0 else { return Data() }
        guard let address = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
            throw DatasetError("a temporary file cannot be mapped: \(String(cString: strerror(errno)))")
        }
        return Data(bytesNoCopy: address, count: count, deallocator: .custom { munmap($0, $1) })
    }
}
