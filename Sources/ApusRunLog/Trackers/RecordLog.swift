import ApusFiles

/// Records one behind the other in blocks of 32 KiB, the format of LevelDB's log with the CRC-32 of zip.
///
/// The file begins with seven bytes that say whose it is. A record is one fragment, or several where it does not fit into
/// what is left of a block; a fragment is its checksum over type and bytes (4 bytes), its length (2), its type (1) and the
/// bytes, all little-endian. Less than seven bytes at the end of a block are zeros. Weights & Biases and SwanLab write this.
final class RecordLog {
    private enum Fragment: UInt8 {
        case whole = 1
        case first, middle, last
    }

    private static let blockSize = 32768
    private static let headerSize = 7

    private let file: GrowingFile
    private var buffer: [UInt8] = []
    /// Of what was appended, written or not.
    private var size = 0

    /// - Parameters:
    ///   - path: Of a file that is not there yet.
    ///   - mark: Four letters.
    init(_ path: String, mark: String, magic: UInt16, version: UInt8, fileSystem: any FileSystem) throws {
        file = try GrowingFile(creating: path, fileSystem: fileSystem)
        put(Array(mark.utf8) + Self.bytes(of: magic) + [version])
        try flush()
    }

    func append(_ record: [UInt8]) {
        var rest = record[...]
        var isFirst = true
        repeat {
            var room = Self.blockSize - size % Self.blockSize
            if room < Self.headerSize {
                put([UInt8](repeating: 0, count: room))
                room = Self.blockSize
            }
            let part = rest.prefix(room - Self.headerSize)
            rest = rest.dropFirst(part.count)
            let kind: Fragment =
                switch (isFirst, rest.isEmpty) {
                case (true, true): .whole
                case (true, false): .first
                case (false, false): .middle
                case (false, true): .last
                }
            put(Self.bytes(of: CRC32.ieee.checksum([kind.rawValue] + part)))
            put(Self.bytes(of: UInt16(part.count)) + [kind.rawValue] + part)
            isFirst = false
        } while !rest.isEmpty
    }

    /// Hands everything to the operating system; what it does not take goes with the next call.
    func flush() throws {
        guard !buffer.isEmpty else { return }
        try file.append(buffer)
        buffer.removeAll(keepingCapacity: true)
    }

    private func put(_ bytes: [UInt8]) {
        buffer += bytes
        size += bytes.count
    }

    private static func bytes(of value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
}
