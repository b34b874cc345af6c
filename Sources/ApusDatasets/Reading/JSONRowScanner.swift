import ApusJSON

/// Finds where the rows of a JSON text begin and end without building its values.
///
/// It follows strings and brackets only; whether a row is valid JSON shows when the row is parsed.
struct JSONRowScanner {
    struct Fault: Error {
        let offset: Int
        let message: String
    }

    private let bytes: UnsafeRawBufferPointer
    private var position: Int

    init(bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
        let hasMark = bytes.count >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF
        position = hasMark ? 3 : 0
    }

    /// Whether the first value is an array, which may be all rows of the file.
    var beginsWithArray: Bool {
        bytes[position...].first { !Self.isWhitespace($0) } == UInt8(ascii: "[")
    }

    /// The lines that are not blank; or the elements of an array, when the whole file is one.
    ///
    /// A line ends with a line feed or a carriage return: neither stands inside of a row.
    mutating func lines() throws -> [Range<Int>] {
        skipWhitespace()
        if beginsWithArray {
            var array = self
            if let rows = try? array.rows() { return rows }
        }
        var ranges: [Range<Int>] = []
        while position < bytes.count {
            let end =
                bytes[position...].firstIndex { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") } ?? bytes.count
            ranges.append(position..<end)
            position = end
            skipWhitespace()
        }
        return ranges
    }

    /// The rows of a `.json` file: the elements of its array; or its objects, when several follow each other; or, when
    /// it is a single object, the elements of the one member that is an array of objects.
    ///
    /// An array of messages is one row, and so is a single object with columns of a conversation.
    mutating func rows() throws -> [Range<Int>] {
        skipWhitespace()
        guard position < bytes.count else { return [] }
        switch bytes[position] {
        case UInt8(ascii: "["):
            let start = position
            let ranges = try elements()
            let end = position
            skipWhitespace()
            if position < bytes.count { throw Fault(offset: position, message: "text after the end of the array") }
            return isMessage(ranges.first) ? [start..<end] : ranges
        case UInt8(ascii: "{"):
            var ranges: [Range<Int>] = []
            while position < bytes.count {
                let start = position
                try skipValue()
                ranges.append(start..<position)
                skipWhitespace()
            }
            return ranges.count == 1 ? try rows(ofObject: ranges[0]) : ranges
        default:
            throw Fault(
                offset: position,
                message: "expected an array of objects; give rows as [{…}, {…}], or one object per line as .jsonl")
        }
    }

    private mutating func rows(ofObject range: Range<Int>) throws -> [Range<Int>] {
        position = range.lowerBound
        let members = try members()
        if members.contains(where: { RowColumns.conversational.contains($0.name.lowercased()) }) { return [range] }
        let arrays = members.filter { isArrayOfObjects($0.value) }
        if arrays.isEmpty { return [range] }
        guard arrays.count == 1 else {
            throw Fault(
                offset: range.lowerBound,
                message: "an object with several arrays of objects (\(arrays.map(\.name).joined(separator: ", "))); "
                    + "keep the one with the rows")
        }
        position = arrays[0].value.lowerBound
        return try elements()
    }

    /// Whether an element is a message and not a row, so that the array around it is one conversation.
    private func isMessage(_ range: Range<Int>?) -> Bool {
        guard let range, bytes[range.lowerBound] == UInt8(ascii: "{") else { return false }
        var scanner = self
        scanner.position = range.lowerBound
        return (try? scanner.members()).map { MessageList.isMessage($0.map(\.name)) } ?? false
    }

    private func isArrayOfObjects(_ range: Range<Int>) -> Bool {
        guard bytes[range.lowerBound] == UInt8(ascii: "[") else { return false }
        let first = bytes[(range.lowerBound + 1)..<range.upperBound].first { !Self.isWhitespace($0) }
        return first == UInt8(ascii: "{")
    }

    /// The elements of the array that begins here; ends behind its bracket.
    private mutating func elements() throws -> [Range<Int>] {
        let start = position
        var ranges: [Range<Int>] = []
        position += 1
        while true {
            skipWhitespace()
            if ranges.isEmpty, position < bytes.count, bytes[position] == UInt8(ascii: "]") { break }
            let element = position
            try skipValue()
            ranges.append(element..<position)
            skipWhitespace()
            guard position < bytes.count else {
                throw Fault(
                    offset: start,
                    message: "the array that begins here has no end; is the file complete? Download or save it again")
            }
            if bytes[position] == UInt8(ascii: "]") { break }
            guard bytes[position] == UInt8(ascii: ",") else {
                throw Fault(offset: position, message: "expected ',' or ']' between rows")
            }
            position += 1
        }
        position += 1
        return ranges
    }

    /// The members of the object that begins here.
    private mutating func members() throws -> [(name: String, value: Range<Int>)] {
        var members: [(name: String, value: Range<Int>)] = []
        position += 1
        while true {
            skipWhitespace()
            if members.isEmpty, position < bytes.count, bytes[position] == UInt8(ascii: "}") { break }
            let nameStart = position
            try skipValue()
            let name = try? JSONValue(parsing: UnsafeRawBufferPointer(rebasing: bytes[nameStart..<position]))
            skipWhitespace()
            guard let name = name?.stringValue, position < bytes.count, bytes[position] == UInt8(ascii: ":") else {
                throw Fault(offset: nameStart, message: "expected a member of an object")
            }
            position += 1
            skipWhitespace()
            let valueStart = position
            try skipValue()
            members.append((name, valueStart..<position))
            skipWhitespace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: ",") else { break }
            position += 1
        }
        return members
    }

    /// Moves behind the value that begins here.
    private mutating func skipValue() throws {
        let start = position
        var depth = 0
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                try skipString()
                if depth == 0 { return }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return try endOfPlainValue(from: start) }
                depth -= 1
                if depth == 0 {
                    position += 1
                    return
                }
            case UInt8(ascii: ","), UInt8(ascii: ":"):
                if depth == 0 { return try endOfPlainValue(from: start) }
            case let byte where depth == 0 && position > start && Self.isWhitespace(byte):
                return
            default:
                break
            }
            position += 1
        }
        if depth > 0 {
            throw Fault(
                offset: start,
                message: "the value that begins here has no end; is the file complete? Download or save it again")
        }
    }

    private func endOfPlainValue(from start: Int) throws {
        if position == start { throw Fault(offset: start, message: "expected a value") }
    }

    private mutating func skipString() throws {
        let start = position
        position += 1
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\\"): position += 2
            case UInt8(ascii: "\""):
                position += 1
                return
            default: position += 1
            }
        }
        throw Fault(offset: start, message: "the string that begins here has no end")
    }

    private mutating func skipWhitespace() {
        while position < bytes.count, Self.isWhitespace(bytes[position]) { position += 1 }
    }

    private static func isWhitespace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }
}
