import Foundation

/// A forward reader of JSON bytes that can pass over what it does not need.
///
/// The vocabulary and the merges of a `tokenizer.json` are hundreds of thousands of strings; as a tree of values they
/// cost more time than everything else in loading.
struct JSONCursor {
    /// Where and why reading stopped.
    struct Fault: Error {
        let offset: Int
        let message: String
    }

    private let bytes: UnsafeBufferPointer<UInt8>
    private(set) var offset: Int
    /// The last string that `readString` read, unescaped; it lives until the next one is read.
    private(set) var string = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
    /// Holds strings that have escapes; all others are read where they lie.
    private let unescaped = ByteBuffer()

    init(_ bytes: UnsafeBufferPointer<UInt8>, offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    func fault(_ message: String) -> Fault { Fault(offset: offset, message: message) }

    /// Bytes that have not been read.
    var remaining: Int { bytes.count - offset }

    /// The next byte that is not white space, or 0 at the end.
    @inline(__always)
    mutating func peek() -> UInt8 {
        if offset < bytes.count, bytes[offset] > 0x20 { return bytes[offset] }
        return peekBehindSpace()
    }

    private mutating func peekBehindSpace() -> UInt8 {
        let raw = UnsafeRawBufferPointer(bytes)
        while offset < bytes.count {
            // Indented files are spaces for the most part.
            if offset + 8 <= raw.count {
                let word = UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                let spaces = (word ^ 0x2020_2020_2020_2020).trailingZeroBitCount >> 3
                offset += spaces
                if spaces == 8 { continue }
            }
            switch bytes[offset] {
            case 0x20, 0x0A, 0x0D, 0x09: offset += 1
            case let byte: return byte
            }
        }
        return 0
    }

    @inline(__always)
    mutating func expect(_ byte: UInt8) throws {
        guard peek() == byte else { throw missing(byte) }
        offset += 1
    }

    private func missing(_ byte: UInt8) -> Fault { fault("expected '\(Character(Unicode.Scalar(byte)))'") }

    /// Calls `body` at the value of each member, which it must read or skip; the key is in `string`.
    mutating func readObject(_ body: (inout JSONCursor) throws -> Void) throws {
        try expect(UInt8(ascii: "{"))
        if peek() == UInt8(ascii: "}") {
            offset += 1
            return
        }
        while true {
            try readString()
            try expect(UInt8(ascii: ":"))
            try body(&self)
            if peek() == UInt8(ascii: ",") {
                offset += 1
            } else {
                return try expect(UInt8(ascii: "}"))
            }
        }
    }

    /// Calls `body` at each element, which it must read or skip.
    mutating func readArray(_ body: (inout JSONCursor) throws -> Void) throws {
        try expect(UInt8(ascii: "["))
        if peek() == UInt8(ascii: "]") {
            offset += 1
            return
        }
        while true {
            try body(&self)
            if peek() == UInt8(ascii: ",") {
                offset += 1
            } else {
                return try expect(UInt8(ascii: "]"))
            }
        }
    }

    mutating func readString() throws {
        try expect(UInt8(ascii: "\""))
        let start = offset
        while offset < bytes.count {
            let byte = bytes[offset]
            if byte == UInt8(ascii: "\"") {
                string = UnsafeBufferPointer(rebasing: bytes[start..<offset])
                offset += 1
                return
            }
            if byte == UInt8(ascii: "\\") { return try readEscapedString(from: start) }
            offset += 1
        }
        throw fault("the text ends inside a string")
    }

    private mutating func readEscapedString(from start: Int) throws {
        unescaped.removeAll()
        unescaped.append(UnsafeBufferPointer(rebasing: bytes[start..<offset]))
        while offset < bytes.count {
            let byte = bytes[offset]
            offset += 1
            if byte == UInt8(ascii: "\"") {
                string = unescaped.contents
                return
            }
            if byte == UInt8(ascii: "\\") {
                try readEscape()
            } else {
                unescaped.append(byte)
            }
        }
        throw fault("the text ends inside a string")
    }

    private mutating func readEscape() throws {
        guard offset < bytes.count else { throw fault("the text ends inside a string") }
        let escape = bytes[offset]
        offset += 1
        switch escape {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): unescaped.append(escape)
        case UInt8(ascii: "b"): unescaped.append(0x08)
        case UInt8(ascii: "f"): unescaped.append(0x0C)
        case UInt8(ascii: "n"): unescaped.append(0x0A)
        case UInt8(ascii: "r"): unescaped.append(0x0D)
        case UInt8(ascii: "t"): unescaped.append(0x09)
        case UInt8(ascii: "u"):
            var unit = try readHexadecimal()
            if (0xD800..<0xDC00).contains(unit), offset + 1 < bytes.count, bytes[offset] == UInt8(ascii: "\\"),
                bytes[offset + 1] == UInt8(ascii: "u")
            {
                offset += 2
                let low = try readHexadecimal()
                guard (0xDC00..<0xE000).contains(low) else { throw fault("a lone surrogate in a string") }
                unit = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(unit) else { throw fault("a lone surrogate in a string") }
            unescaped.append(scalar: scalar.value)
        default: throw fault("unknown escape in a string")
        }
    }

    private mutating func readHexadecimal() throws -> UInt32 {
        guard offset + 4 <= bytes.count,
            let unit = UInt32(String(decoding: bytes[offset..<offset + 4], as: UTF8.self), radix: 16)
        else { throw fault("\\u needs four hexadecimal digits") }
        offset += 4
        return unit
    }

    /// An integer from 0 to 2³¹-1.
    mutating func readID() throws -> Int32 {
        guard peek() &- UInt8(ascii: "0") < 10 else { throw fault("expected a token id, 0 or more") }
        var value = 0
        while offset < bytes.count, bytes[offset] &- UInt8(ascii: "0") < 10 {
            value = value * 10 + Int(bytes[offset] &- UInt8(ascii: "0"))
            guard value <= Int32.max else { throw fault("a token id above \(Int32.max)") }
            offset += 1
        }
        return Int32(value)
    }

    /// A number.
    mutating func readNumber() throws -> Double {
        _ = peek()
        let start = offset
        while offset < bytes.count, !Self.endsWord(bytes[offset]) { offset += 1 }
        let length = offset - start
        guard length > 0, length < 64 else { throw fault("expected a number") }
        return try withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
            for index in 0..<length { text[index] = CChar(bitPattern: bytes[start + index]) }
            text[length] = 0
            // What strtod reads beyond what JSON allows begins with a letter, or has an x as hexadecimal digits have.
            guard let base = text.baseAddress, text[0] == 0x2D || (0x30...0x39).contains(text[0]),
                !text[..<length].contains(where: { $0 | 0x20 == 0x78 })
            else {
                throw fault("expected a number")
            }
            var end: UnsafeMutablePointer<CChar>?
            let value = strtod(base, &end)
            guard end == base + length, value.isFinite else { throw fault("expected a number") }
            return value
        }
    }

    /// Passes over one value of any kind, checking only strings and brackets.
    ///
    /// - Returns: Where the value lies.
    @discardableResult
    mutating func skipValue() throws -> Range<Int> {
        _ = peek()
        let start = offset
        var depth = 0
        repeat {
            switch peek() {
            case 0: throw fault("the text ends inside a value")
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                offset += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard depth > 0 else { throw fault("expected a value") }
                depth -= 1
                offset += 1
            case UInt8(ascii: "\""):
                try skipString()
            case UInt8(ascii: ","), UInt8(ascii: ":"):
                guard depth > 0 else { throw fault("expected a value") }
                offset += 1
            default:
                while offset < bytes.count, !Self.endsWord(bytes[offset]) { offset += 1 }
            }
        } while depth > 0
        return start..<offset
    }

    private static func endsWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x20, 0x0A, 0x0D, 0x09, UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "]"), UInt8(ascii: "}"),
            UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: "\""):
            true
        default: false
        }
    }

    private mutating func skipString() throws {
        offset += 1
        while offset < bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: "\""):
                offset += 1
                return
            case UInt8(ascii: "\\"): offset += 2
            default: offset += 1
            }
        }
        throw fault("the text ends inside a string")
    }
}
