import ApusJSON

/// Finds the rows of a table of text, and the fields of a row.
///
/// Fields between commas, semicolons or bars follow RFC 4180: a field may stand in quotes, and then holds separators,
/// line ends and doubled quotes. Fields between tabs or double bars end at the next of them or at the line's end
/// whatever they hold; quotes there are plain text. What the first line ends with, a line feed or a carriage return alone, ends every line.
struct TableScanner {
    enum Separator: UInt8, Sendable, Equatable, CaseIterable {
        case comma = 0x2C
        case tab = 0x09
        case semicolon = 0x3B
        case bar = 0x7C
        /// `||`.
        case doubleBar = 0

        var byte: UInt8 { self == .doubleBar ? Self.bar.rawValue : rawValue }
        /// How many bytes it is.
        var width: Int { self == .doubleBar ? 2 : 1 }
        /// Whether fields may stand in quotes.
        var hasQuotes: Bool { self != .tab && self != .doubleBar }
        /// For messages.
        var name: String {
            switch self {
            case .tab: "tabs"
            case .doubleBar: "'||'"
            default: "'\(Character(Unicode.Scalar(byte)))'"
            }
        }
    }

    private static let quote = UInt8(ascii: "\"")
    private static let newline = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    let separator: Separator

    /// Whether the first line has a tab.
    static func firstLineHasTab(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.first { $0 == newline || $0 == carriageReturn || $0 == Separator.tab.byte } == Separator.tab.byte
    }

    /// Whether the first lines, ten at most, have as many double bars each, two or more.
    static func hasDoubleBars(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let counts = bytes.prefix(1 << 16).split(separator: newline).prefix(10).map { line in
            zip(line, line.dropFirst()).count { $0 == Separator.bar.rawValue && $1 == Separator.bar.rawValue }
        }
        guard let first = counts.first, first > 1 else { return false }
        return counts.allSatisfy { $0 == first }
    }

    /// The rows that are not blank, without their line ends.
    func rows(of bytes: UnsafeRawBufferPointer) throws -> [Range<Int>] {
        var rows: [Range<Int>] = []
        var start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        let lineEnd = try lineEnd(from: start, in: bytes)
        while start < bytes.count {
            let end = try self.end(ofRowAt: start, in: bytes, lineEnd: lineEnd)
            let hasReturn = end > start && bytes[end - 1] == Self.carriageReturn
            let row = start..<(hasReturn ? end - 1 : end)
            if !row.isEmpty { rows.append(row) }
            start = end + 1
        }
        return rows
    }

    /// What ends the lines: a carriage return where the first row ends with one alone, else a line feed.
    private func lineEnd(from start: Int, in bytes: UnsafeRawBufferPointer) throws -> UInt8 {
        let end = try self.end(ofRowAt: start, in: bytes, lineEnd: Self.carriageReturn, Self.newline)
        guard end < bytes.count, bytes[end] == Self.carriageReturn else { return Self.newline }
        return end + 1 < bytes.count && bytes[end + 1] == Self.newline ? Self.newline : Self.carriageReturn
    }

    private func end(
        ofRowAt start: Int, in bytes: UnsafeRawBufferPointer, lineEnd: UInt8, _ other: UInt8? = nil
    ) throws -> Int {
        let other = other ?? lineEnd
        guard separator.hasQuotes else {
            return bytes[start...].firstIndex { $0 == lineEnd || $0 == other } ?? bytes.count
        }
        var position = start
        var isFieldStart = true
        while position < bytes.count {
            switch bytes[position] {
            case lineEnd, other: return position
            case Self.quote where isFieldStart:
                guard let end = Self.end(ofQuotesAt: position, in: bytes) else {
                    throw JSONRowScanner.Fault(
                        offset: position,
                        message: "the quotes that begin here are never closed; close them, or is the file not complete?"
                    )
                }
                position = end
                isFieldStart = false
                continue
            case separator.byte: isFieldStart = true
            default: isFieldStart = false
            }
            position += 1
        }
        return position
    }

    /// The position behind the closing quote.
    private static func end(ofQuotesAt start: Int, in bytes: UnsafeRawBufferPointer) -> Int? {
        var position = start + 1
        while let quote = bytes[position...].firstIndex(of: Self.quote) {
            position = quote + 1
            guard position < bytes.count, bytes[position] == Self.quote else { return position }
            position += 1
        }
        return nil
    }

    /// The fields of one row.
    ///
    /// - Throws: `RowRejection`, or `DatasetError` without a place when the text is not UTF-8.
    func fields(of row: UnsafeRawBufferPointer) throws -> [String] {
        guard !row.contains(0) else { throw RowRejection("a NUL byte in the row") }
        var fields: [String] = []
        var position = 0
        while true {
            let end: Int
            if separator.hasQuotes, position < row.count, row[position] == Self.quote {
                guard let close = Self.end(ofQuotesAt: position, in: row) else {
                    throw RowRejection("quotes that are never closed")
                }
                guard close == row.count || row[close] == separator.byte else {
                    throw RowRejection(
                        "text behind closing quotes",
                        "write quotes inside of a quoted field twice, as in \"a \"\"b\"\"\"")
                }
                fields.append(try Self.text(Self.unquoted(row[position + 1..<close - 1])))
                end = close
            } else {
                end = nextSeparator(in: row, from: position)
                fields.append(try Self.text(row[position..<end]))
            }
            guard end < row.count else { return fields }
            position = end + separator.width
        }
    }

    private func nextSeparator(in row: UnsafeRawBufferPointer, from start: Int) -> Int {
        var position = start
        while let found = row[position...].firstIndex(of: separator.byte) {
            guard separator.width == 2 else { return found }
            if found + 1 < row.count, row[found + 1] == separator.byte { return found }
            position = found + 1
        }
        return row.count
    }

    private static func unquoted(_ bytes: Slice<UnsafeRawBufferPointer>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var isSecondQuote = false
        for byte in bytes {
            if byte == quote, isSecondQuote {
                isSecondQuote = false
                continue
            }
            isSecondQuote = byte == quote
            result.append(byte)
        }
        return result
    }

    /// - Throws: `DatasetError` without a place when the bytes are not UTF-8.
    static func text(_ bytes: some Sequence<UInt8>) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw DatasetError("is not UTF-8; save the file as UTF-8")
        }
        return text
    }
}
