package import Foundation

extension JSONValue {
    /// What to do when an object names a key twice.
    package enum DuplicateKeys: Sendable {
        /// The last value wins, as in Python's `json`.
        case keepLast
        case refuse
    }

    /// Parses one JSON text (RFC 8259, plus Python's `NaN` and `Infinity`).
    ///
    /// - Throws: `JSONError` with line and column of the first fault.
    package init(
        parsing bytes: UnsafeRawBufferPointer, duplicateKeys: DuplicateKeys = .keepLast, maximumDepth: Int = 256
    ) throws {
        var parser = JSONParser(bytes: bytes, duplicateKeys: duplicateKeys, maximumDepth: maximumDepth)
        self = try parser.parseDocument()
    }

    package init(
        parsing text: String, duplicateKeys: DuplicateKeys = .keepLast, maximumDepth: Int = 256
    ) throws {
        var text = text
        self = try text.withUTF8 {
            try JSONValue(
                parsing: UnsafeRawBufferPointer($0), duplicateKeys: duplicateKeys, maximumDepth: maximumDepth)
        }
    }

    package init(
        parsing bytes: [UInt8], duplicateKeys: DuplicateKeys = .keepLast, maximumDepth: Int = 256
    ) throws {
        self = try bytes.withUnsafeBytes {
            try JSONValue(parsing: $0, duplicateKeys: duplicateKeys, maximumDepth: maximumDepth)
        }
    }

    package init(
        parsing data: Data, duplicateKeys: DuplicateKeys = .keepLast, maximumDepth: Int = 256
    ) throws {
        self = try data.withUnsafeBytes {
            try JSONValue(parsing: $0, duplicateKeys: duplicateKeys, maximumDepth: maximumDepth)
        }
    }
}

/// A recursive-descent JSON reader over borrowed UTF-8 bytes.
struct JSONParser {
    private let bytes: UnsafeRawBufferPointer
    private let duplicateKeys: JSONValue.DuplicateKeys
    private let maximumDepth: Int
    private var position = 0

    init(bytes: UnsafeRawBufferPointer, duplicateKeys: JSONValue.DuplicateKeys, maximumDepth: Int) {
        self.bytes = bytes
        self.duplicateKeys = duplicateKeys
        self.maximumDepth = maximumDepth
    }

    mutating func parseDocument() throws -> JSONValue {
        if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF { position = 3 }
        let value = try parseValue(depth: 0)
        skipWhitespace()
        if position < bytes.count { throw fault("unexpected \(describeCurrent()) after the value") }
        return value
    }

    private mutating func parseValue(depth: Int) throws -> JSONValue {
        guard depth < maximumDepth else { throw fault("nested deeper than \(maximumDepth) levels") }
        skipWhitespace()
        switch current {
        case UInt8(ascii: "{"): return try parseObject(depth: depth)
        case UInt8(ascii: "["): return try parseArray(depth: depth)
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
        case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
        case UInt8(ascii: "n"): return try parseWord("null", .null)
        case UInt8(ascii: "N"): return try parseWord("NaN", .double(.nan))
        case UInt8(ascii: "I"): return try parseWord("Infinity", .double(.infinity))
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
        default: throw fault("expected a value, found \(describeCurrent())")
        }
    }

    private mutating func parseObject(depth: Int) throws -> JSONValue {
        position += 1
        var object = JSONObject()
        skipWhitespace()
        if current == UInt8(ascii: "}") {
            position += 1
            return .object(object)
        }
        while true {
            skipWhitespace()
            guard current == UInt8(ascii: "\"") else {
                throw fault("expected a key in double quotes, found \(describeCurrent())")
            }
            let keyStart = position
            let key = try parseString()
            if duplicateKeys == .refuse, object[key] != nil {
                position = keyStart
                throw fault("the key \"\(key)\" appears twice; keep one")
            }
            skipWhitespace()
            guard current == UInt8(ascii: ":") else {
                throw fault("expected ':' after the key \"\(key)\", found \(describeCurrent())")
            }
            position += 1
            object[key] = try parseValue(depth: depth + 1)
            skipWhitespace()
            switch current {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "}"):
                position += 1
                return .object(object)
            default: throw fault("expected ',' or '}' in an object, found \(describeCurrent())")
            }
        }
    }

    private mutating func parseArray(depth: Int) throws -> JSONValue {
        position += 1
        var values: [JSONValue] = []
        skipWhitespace()
        if current == UInt8(ascii: "]") {
            position += 1
            return .array(values)
        }
        while true {
            values.append(try parseValue(depth: depth + 1))
            skipWhitespace()
            switch current {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "]"):
                position += 1
                return .array(values)
            default: throw fault("expected ',' or ']' in an array, found \(describeCurrent())")
            }
        }
    }

    private mutating func parseString() throws -> String {
        position += 1
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                let text = try string(start..<position)
                position += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try parseEscapedString(from: start) }
            if byte < 0x20 { throw fault("a control character must be escaped inside a string") }
            position += 1
        }
        throw fault("the text ends inside a string")
    }

    private mutating func parseEscapedString(from start: Int) throws -> String {
        var scalars: [UInt8] = Array(bytes[start..<position])
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                position += 1
                guard let text = String(validating: scalars, as: UTF8.self) else {
                    throw fault("a string is not valid UTF-8")
                }
                return text
            }
            if byte < 0x20 { throw fault("a control character must be escaped inside a string") }
            position += 1
            guard byte == UInt8(ascii: "\\") else {
                scalars.append(byte)
                continue
            }
            let escape = current
            position += 1
            switch escape {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scalars.append(escape)
            case UInt8(ascii: "b"): scalars.append(0x08)
            case UInt8(ascii: "f"): scalars.append(0x0C)
            case UInt8(ascii: "n"): scalars.append(0x0A)
            case UInt8(ascii: "r"): scalars.append(0x0D)
            case UInt8(ascii: "t"): scalars.append(0x09)
            case UInt8(ascii: "u"): scalars.append(contentsOf: try parseUnicodeEscape())
            default:
                position -= 1
                throw fault("unknown escape \\\(describeCurrent())")
            }
        }
        throw fault("the text ends inside a string")
    }

    /// The UTF-8 bytes of `\uXXXX`; a pair of surrogates is joined, a lone one becomes U+FFFD.
    private mutating func parseUnicodeEscape() throws -> [UInt8] {
        var unit = try parseHexadecimalUnit()
        if (0xD800..<0xDC00).contains(unit) {
            let mark = position
            if current == UInt8(ascii: "\\"), position + 1 < bytes.count, bytes[position + 1] == UInt8(ascii: "u") {
                position += 2
                let low = try parseHexadecimalUnit()
                if (0xDC00..<0xE000).contains(low) {
                    unit = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
                } else {
                    position = mark
                }
            }
        }
        return Array(String(Unicode.Scalar(unit) ?? "\u{FFFD}").utf8)
    }

    private mutating func parseHexadecimalUnit() throws -> UInt32 {
        guard position + 4 <= bytes.count else { throw fault("the text ends inside \\u") }
        var unit: UInt32 = 0
        for _ in 0..<4 {
            let byte = bytes[position]
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw fault("\\u needs four hexadecimal digits")
            }
            unit = unit << 4 | UInt32(digit)
            position += 1
        }
        return unit
    }

    private mutating func parseNumber() throws -> JSONValue {
        let start = position
        if current == UInt8(ascii: "-") {
            position += 1
            if current == UInt8(ascii: "I") { return try parseWord("Infinity", .double(-.infinity)) }
        }
        let firstDigit = position
        skipDigits()
        if position == firstDigit { throw fault("expected a digit, found \(describeCurrent())") }
        if bytes[firstDigit] == UInt8(ascii: "0"), position > firstDigit + 1 {
            position = firstDigit
            throw fault("a number must not start with 0")
        }
        var isInteger = true
        if current == UInt8(ascii: ".") {
            isInteger = false
            position += 1
            let fraction = position
            skipDigits()
            if position == fraction { throw fault("expected a digit after the decimal point") }
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            isInteger = false
            position += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
            let exponent = position
            skipDigits()
            if position == exponent { throw fault("expected a digit in the exponent") }
        }
        let text = try string(start..<position)
        if isInteger, let value = Int(text) { return .int(value) }
        guard let value = Double(text) else { throw fault("cannot read the number \(text)") }
        // What a row says is written again as it was.
        return isInteger || value.isInfinite ? .number(text) : .double(value)
    }

    private mutating func parseWord(_ word: StaticString, _ value: JSONValue) throws -> JSONValue {
        for index in 0..<word.utf8CodeUnitCount {
            guard current == word.utf8Start[index] else {
                throw fault("expected \(word), found \(describeCurrent())")
            }
            position += 1
        }
        return value
    }

    // MARK: - Bytes

    /// The byte at the cursor, or 0 at the end (0 is valid nowhere outside strings).
    private var current: UInt8 { position < bytes.count ? bytes[position] : 0 }

    private mutating func skipWhitespace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    private mutating func skipDigits() {
        while position < bytes.count, bytes[position] &- UInt8(ascii: "0") < 10 { position += 1 }
    }

    private func string(_ range: Range<Int>) throws -> String {
        guard let text = String(validating: bytes[range], as: UTF8.self) else {
            throw fault("a string is not valid UTF-8")
        }
        return text
    }

    private func describeCurrent() -> String {
        guard position < bytes.count else { return "the end of the text" }
        let byte = bytes[position]
        return byte > 0x20 && byte < 0x7F ? "'\(Character(Unicode.Scalar(byte)))'" : "byte 0x\(String(byte, radix: 16))"
    }

    private func fault(_ message: String) -> JSONError {
        var (line, lineStart) = (1, 0)
        for index in 0..<min(position, bytes.count) where bytes[index] == 0x0A {
            line += 1
            lineStart = index + 1
        }
        return JSONError(line: line, column: position - lineStart + 1, message: message)
    }
}
