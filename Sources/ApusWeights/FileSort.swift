/// What the first bytes of a file say it is, whatever its name promises.
///
/// Downloads go wrong in a few ways that all look like damage to a reader: a pointer instead of the file, a web page with
/// an error, the second half of a file that macOS copies along.
package enum FileSort: Equatable, Sendable {
    case gitLFSPointer(size: String?)
    case webPage
    case json
    case appleDouble
    case zeros
    case safetensors
    case gguf
    case zip
    case pickle
    case hdf5
    case compressed(String)

    /// What the bytes are, or nil for anything else.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        let start = bytes.prefix(512)
        func begins(_ text: StaticString) -> Bool {
            start.starts(with: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        }
        if begins("version https://git-lfs") || begins("version https://hawser") {
            self = .gitLFSPointer(size: Self.sizeInPointer(String(decoding: start, as: UTF8.self)))
        } else if begins("GGUF") {
            self = .gguf
        } else if begins("PK\u{3}\u{4}") {
            self = .zip
        } else if start.starts(with: [0x00, 0x05, 0x16, 0x07]) {
            self = .appleDouble
        } else if start.starts(with: [0x89, 0x48, 0x44, 0x46]) {
            self = .hdf5
        } else if start.count > 1, start[0] == 0x80, (2...5).contains(start[1]) {
            self = .pickle
        } else if let kind = Self.archives.first(where: { start.starts(with: $0.magic) })?.name {
            self = .compressed(kind)
        } else if start.count > 16, start.allSatisfy({ $0 == 0 }) {
            self = .zeros
        } else if start.count > 8, start[8] == UInt8(ascii: "{"),
            start.loadUnaligned(as: UInt64.self).littleEndian <= UInt64(SafetensorsHeader.maximumLength)
        {
            self = .safetensors
        } else {
            switch Self.text(start).first {
            case "<": self = .webPage
            case "{", "[": self = .json
            default: return nil
            }
        }
    }

    private static let archives: [(magic: [UInt8], name: String)] = [
        ([0x1F, 0x8B], "gzip"), ([0x28, 0xB5, 0x2F, 0xFD], "zstd"), ([0xFD, 0x37, 0x7A, 0x58, 0x5A], "xz"),
        ([0x42, 0x5A, 0x68], "bzip2"), ([0x37, 0x7A, 0xBC, 0xAF], "7-zip"), ([0x52, 0x61, 0x72, 0x21], "rar"),
    ]

    /// The beginning without a byte order mark and blanks.
    private static func text(_ start: Slice<UnsafeRawBufferPointer>) -> Substring {
        let text = start.starts(with: [0xEF, 0xBB, 0xBF]) ? start.dropFirst(3) : start
        return String(decoding: text, as: UTF8.self).drop { $0.isWhitespace }
    }

    private static func sizeInPointer(_ text: String) -> String? {
        text.split(separator: "\n").first { $0.hasPrefix("size ") }.map { String($0.dropFirst(5).prefix(20)) }
    }

    private var description: (problem: String, advice: String) {
        switch self {
        case .gitLFSPointer(let size):
            (
                "is only a git-lfs pointer, not the file itself" + (size.map { " (which has \($0) bytes)" } ?? ""),
                "get the file with `git lfs pull` in its folder, or download it again"
            )
        case .webPage:
            (
                "is a web page (HTML or XML), not the file that was wanted",
                "the download failed, perhaps for want of a login: open the file to read why, and download again"
            )
        case .json:
            (
                "is a text in JSON, not the file that was wanted",
                "the download failed or another file was saved here: open it to read why, and download again"
            )
        case .appleDouble:
            (
                "is what macOS keeps beside a file (AppleDouble, `._name`), not the file itself",
                "delete it and take the file without `._`"
            )
        case .zeros:
            (
                "begins with nothing but zeros, as a download does that was prepared and never filled",
                "download it again"
            )
        case .safetensors: ("is a safetensors file", "name it .safetensors, or give the folder that it lies in")
        case .gguf: ("is a GGUF file", "name it .gguf and give its path as the model")
        case .zip: ("is a zip archive, as PyTorch writes them", "name it pytorch_model.bin, or unpack it")
        case .pickle:
            (
                "is a bare pickle, as PyTorch wrote them before 1.6",
                "name it pytorch_model.bin, or load it in Python and save it again with safe_serialization=True"
            )
        case .hdf5: ("is an HDF5 file, as TensorFlow writes them", "get the model's safetensors files")
        case .compressed(let kind): ("is compressed (\(kind))", "unpack it first")
        }
    }

    /// The error for a file that is not what was wanted, or nil when its bytes do not say what it is instead.
    ///
    /// - Parameter wanted: The sort that the caller has already found to be damaged.
    package static func error(_ bytes: UnsafeRawBufferPointer, path: String, wanted: FileSort? = nil) -> WeightsError? {
        guard let sort = FileSort(bytes), sort != wanted else { return nil }
        let (problem, advice) = sort.description
        return WeightsError(path, problem, advice: advice)
    }
}
