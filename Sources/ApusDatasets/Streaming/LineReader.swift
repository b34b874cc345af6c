import Foundation

/// The lines of a file from the first to the last, a piece of the file in memory at a time.
///
/// A line ends with a line feed, with a carriage return before it, or with a carriage return alone. Blank lines are
/// passed over.
final class LineReader {
    private static let pieceSize = 1 << 20
    /// More is a file that is no text.
    private static let longestLine = 1 << 30

    private let path: String
    private let descriptor: CInt
    /// Holds the descriptor open; `nil` where it is this reader's own.
    private let scratch: ScratchFile?
    private var buffer: [UInt8] = []
    private var position = 0
    private var offset: off_t = 0
    private var isAtEnd = false
    /// The number of the line that was read last.
    private(set) var line = 0

    /// - Throws: `DatasetError` naming the file, also for one whose beginning shows that it is no text.
    init(path: String, scratch: ScratchFile? = nil) throws {
        self.path = path
        self.scratch = scratch
        descriptor = scratch?.descriptor ?? open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw DatasetError("\(path): cannot be read: \(String(cString: strerror(errno)))")
        }
        try fill()
        try RowFile.check(beginning: buffer, of: path)
        if buffer.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    }

    /// Whether the first value of JSON is an array, which may be all rows of the file; asked before the first line.
    var beginsWithArray: Bool {
        buffer.withUnsafeBytes { JSONRowScanner(bytes: $0).beginsWithArray }
    }

    deinit { if scratch == nil { close(descriptor) } }

    /// The next line that is not blank, without its end; `nil` behind the last.
    func next() throws -> [UInt8]? {
        while true {
            guard let bytes = try nextLine() else { return nil }
            if !bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 }) { return Array(bytes) }
        }
    }

    private func nextLine() throws -> ArraySlice<UInt8>? {
        var searched = position
        while true {
            let end = buffer[searched...].firstIndex { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
            // Behind a carriage return there may be the line feed that belongs to it.
            if let end, buffer[end] == UInt8(ascii: "\n") || end + 1 < buffer.count || isAtEnd {
                let bytes = buffer[position..<end]
                let isPair =
                    buffer[end] == UInt8(ascii: "\r") && end + 1 < buffer.count && buffer[end + 1] == UInt8(ascii: "\n")
                position = end + (isPair ? 2 : 1)
                line += 1
                return bytes
            }
            if isAtEnd {
                guard position < buffer.count else { return nil }
                defer { position = buffer.count }
                line += 1
                return buffer[position...]
            }
            searched = (end ?? buffer.count) - position
            try fill()
        }
    }

    /// Reads a piece behind what was not given out yet.
    private func fill() throws {
        buffer.removeFirst(position)
        position = 0
        guard buffer.count < Self.longestLine else {
            throw DatasetError("\(path):\(line + 1): a line of more than 1 GiB")
        }
        let old = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: Self.pieceSize))
        let count = buffer.withUnsafeMutableBytes { bytes in
            var count = -1
            repeat {
                count = pread(descriptor, bytes.baseAddress.map { $0 + old }, Self.pieceSize, offset)
            } while count < 0 && errno == EINTR
            return count
        }
        guard count >= 0 else { throw DatasetError("\(path): cannot be read: \(String(cString: strerror(errno)))") }
        buffer.removeLast(Self.pieceSize - count)
        offset += off_t(count)
        isAtEnd = count == 0
    }
}
