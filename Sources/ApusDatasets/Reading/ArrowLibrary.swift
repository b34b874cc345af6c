import Foundation

/// What reads Parquet, Arrow and compressed files: Arrow C++ behind a library with one function.
///
/// The library is made by `make setup` and loaded when a file needs it, so that a program without it starts and works
/// (Docs/decisions/0017).
struct ArrowLibrary: Sendable {
    /// What a file is, in the words of the library.
    enum Kind: String, Sendable, CaseIterable {
        case parquet
        /// Arrow's file or stream format, or Feather.
        case arrow
        case gzip
        case zstd
        case bzip2 = "bz2"
        case lz4

        /// The kind of the files whose names end so.
        init?(extension type: String) {
            switch type {
            case "parquet": self = .parquet
            case "arrow", "feather", "ipc": self = .arrow
            case "gz", "gzip": self = .gzip
            case "zst", "zstd": self = .zstd
            case "bz2": self = .bzip2
            case "lz4": self = .lz4
            default: return nil
            }
        }

        /// Whether the file holds rows, and not the text of a file of rows.
        var holdsRows: Bool { self == .parquet || self == .arrow }
    }

    private typealias Interface = @convention(c) () -> CInt
    private typealias WriteRows =
        @convention(c) (
            UnsafePointer<CChar>, UnsafePointer<CChar>, CInt, UnsafeMutablePointer<CChar>, Int
        ) -> CInt

    private static let name = "libapus_arrow.so"
    private static let interface: CInt = 1
    private let writeRows: WriteRows

    /// The library, or why it is not there.
    static let loaded: Result<ArrowLibrary, DatasetError> = Result { try ArrowLibrary() }.mapError { error in
        error as? DatasetError ?? DatasetError("\(error)")
    }

    private init() throws {
        guard let handle = dlopen(Self.name, RTLD_NOW | RTLD_LOCAL) else {
            throw DatasetError(dlerror().map { String(cString: $0) } ?? "\(Self.name) cannot be loaded")
        }
        guard let version = dlsym(handle, "apus_arrow_interface"), let write = dlsym(handle, "apus_arrow_write_rows"),
            unsafeBitCast(version, to: Interface.self)() == Self.interface
        else { throw DatasetError("\(Self.name) is of another version of Apus") }
        writeRows = unsafeBitCast(write, to: WriteRows.self)
    }

    /// The rows of a file as lines of JSON, or the text inside of a compressed one.
    ///
    /// - Returns: The text in a file without a name, and what the user should know of it.
    /// - Throws: `DatasetError` naming the file.
    static func text(of path: String, kind: Kind) throws -> (file: ScratchFile, note: String?) {
        let library: ArrowLibrary
        do {
            library = try loaded.get()
        } catch {
            throw DatasetError(
                "\(path): such files are read with Arrow, which is not there (\(error)). Run `make setup` in the "
                    + "folder that Apus was built in, or convert the file to .jsonl")
        }
        let scratch = try ScratchFile()
        var message = [CChar](repeating: 0, count: 4096)
        let status = library.writeRows(path, kind.rawValue, scratch.descriptor, &message, message.count)
        let text = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        switch status {
        case 0: return (scratch, text.isEmpty ? nil : text)
        case 2: throw DatasetError("\(path): its rows cannot be laid down in \(ScratchFile.folder): \(text)")
        default:
            throw DatasetError("\(path): cannot be read as \(kind.rawValue): \(text); download or save the file again")
        }
    }
}
