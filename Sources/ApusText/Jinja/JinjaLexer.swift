/// A token of a template.
struct JinjaToken: Equatable {
    enum Kind: Equatable {
        case data([UInt8])
        case blockBegin, blockEnd, variableBegin, variableEnd
        case name(String)
        case string(JinjaText)
        case integer(Int)
        case float(Double)
        case symbol(String)
        case end
    }

    let kind: Kind
    let line: Int

    /// The token as error messages show it.
    var description: String {
        switch kind {
        case .data: "template text"
        case .blockBegin: "{%"
        case .blockEnd: "%}"
        case .variableBegin: "{{"
        case .variableEnd: "}}"
        case .name(let name): name
        case .string: "string"
        case .integer: "integer"
        case .float: "float"
        case .symbol(let symbol): symbol
        case .end: "end of template"
        }
    }
}

/// Cuts a template into tokens, with jinja2's `trim_blocks` and `lstrip_blocks` on and `keep_trailing_newline` off.
struct JinjaLexer {
    private let source: [UInt8]
    private var position = 0
    private var line = 1
    private var tokens: [JinjaToken] = []
    /// True where a line begins: there, spaces before a block are dropped.
    private var isLineStart = true
    /// The closing brackets that are awaited inside a tag.
    private var brackets: [UInt8] = []

    static func tokens(of source: String) throws -> [JinjaToken] {
        var lexer = JinjaLexer(source)
        while lexer.position < lexer.source.count { try lexer.readText() }
        lexer.append(.end)
        return lexer.tokens
    }

    private init(_ source: String) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(source.utf8.count)
        var previousWasReturn = false
        for byte in source.utf8 {
            if byte == 0x0A, previousWasReturn {
                previousWasReturn = false
                continue
            }
            previousWasReturn = byte == 0x0D
            bytes.append(previousWasReturn ? 0x0A : byte)
        }
        if bytes.last == 0x0A { bytes.removeLast() }
        self.source = bytes
    }

    private mutating func append(_ kind: JinjaToken.Kind) { tokens.append(JinjaToken(kind: kind, line: line)) }

    private func hasBytes(_ text: StaticString, at offset: Int) -> Bool {
        guard offset + text.utf8CodeUnitCount <= source.count else { return false }
        return (0..<text.utf8CodeUnitCount).allSatisfy { source[offset + $0] == text.utf8Start[$0] }
    }

    private func byte(at offset: Int) -> UInt8 { offset < source.count ? source[offset] : 0 }

    private mutating func advance(to end: Int) {
        for byte in source[position..<end] where byte == 0x0A { line += 1 }
        position = end
    }

    /// The end of the whitespace that begins at `offset`.
    private func endOfWhitespace(from offset: Int) -> Int {
        var end = offset
        while end < source.count {
            let (scalar, width) = scalar(at: end)
            guard PythonCharacter.isSpace(scalar) else { break }
            end += width
        }
        return end
    }

    private func scalar(at offset: Int) -> (Unicode.Scalar, width: Int) {
        let first = source[offset]
        if first < 0x80 { return (Unicode.Scalar(first), 1) }
        let width = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
        let text = String(decoding: source[offset..<min(offset + width, source.count)], as: UTF8.self)
        return (text.unicodeScalars.first ?? "\u{FFFD}", width)
    }

    // MARK: - Text

    /// Reads text up to the next tag, and the tag.
    private mutating func readText() throws {
        let start = position
        var begin = start
        while begin < source.count {
            if source[begin] == UInt8(ascii: "{"), let next = source[safe: begin + 1],
                next == UInt8(ascii: "%") || next == UInt8(ascii: "{") || next == UInt8(ascii: "#")
            {
                break
            }
            begin += 1
        }
        guard begin < source.count else {
            append(.data(Array(source[start...])))
            position = source.count
            return
        }
        let opening = source[begin + 1]
        let sign = byte(at: begin + 2)
        addText(start..<begin, sign: sign, isVariable: opening == UInt8(ascii: "{"))
        advance(to: begin)
        let afterSign = begin + 2 + (sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") ? 1 : 0)
        if opening == UInt8(ascii: "#") {
            try skipComment(from: afterSign)
        } else if opening == UInt8(ascii: "{") {
            append(.variableBegin)
            advance(to: afterSign)
            try readTag(isBlock: false)
        } else if let body = endOfRawTag("raw", from: afterSign, trimming: false) {
            isLineStart = source[body - 1] == 0x0A
            advance(to: body)
            try readRaw()
        } else {
            append(.blockBegin)
            advance(to: afterSign)
            try readTag(isBlock: true)
        }
    }

    /// Adds text before a tag, without the whitespace that the tag takes away.
    private mutating func addText(_ range: Range<Int>, sign: UInt8, isVariable: Bool) {
        var text = Array(source[range])
        if sign == UInt8(ascii: "-") {
            text = JinjaText(text).stripped(leading: false, trailing: true).bytes
        } else if sign != UInt8(ascii: "+"), !isVariable {
            let lineStart = (text.lastIndex(of: 0x0A) ?? -1) + 1
            if lineStart > 0 || isLineStart, endOfWhitespace(from: range.lowerBound + lineStart) >= range.upperBound {
                text.removeSubrange(lineStart...)
            }
        }
        if !text.isEmpty { append(.data(text)) }
    }

    private mutating func skipComment(from start: Int) throws {
        var end = start
        while end < source.count, !hasBytes("#}", at: end) { end += 1 }
        guard end < source.count else {
            if start >= source.count {
                position = source.count
                return
            }
            throw JinjaError(.syntax, "Missing end of comment tag", line: line)
        }
        finishTag(sign: end > start ? source[end - 1] : 0, end: end + 2, trimming: true)
    }

    /// Skips a closing tag and the whitespace that it takes away.
    private mutating func finishTag(sign: UInt8, end: Int, trimming: Bool) {
        var end = end
        if sign == UInt8(ascii: "-") {
            end = endOfWhitespace(from: end)
        } else if sign != UInt8(ascii: "+"), trimming, byte(at: end) == 0x0A {
            end += 1
        }
        isLineStart = source[end - 1] == 0x0A
        advance(to: end)
    }

    /// The end of `raw %}` or `endraw %}` if that is what follows `offset`.
    private func endOfRawTag(_ name: StaticString, from offset: Int, trimming: Bool) -> Int? {
        let nameStart = endOfWhitespace(from: offset)
        guard hasBytes(name, at: nameStart) else { return nil }
        let closing = endOfWhitespace(from: nameStart + name.utf8CodeUnitCount)
        if hasBytes("-%}", at: closing) { return endOfWhitespace(from: closing + 3) }
        if trimming, hasBytes("+%}", at: closing) { return closing + 3 }
        guard hasBytes("%}", at: closing) else { return nil }
        return trimming && byte(at: closing + 2) == 0x0A ? closing + 3 : closing + 2
    }

    private mutating func readRaw() throws {
        let start = position
        for begin in start..<max(start, source.count) where hasBytes("{%", at: begin) {
            let sign = byte(at: begin + 2)
            let afterSign = begin + 2 + (sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") ? 1 : 0)
            guard let end = endOfRawTag("endraw", from: afterSign, trimming: true) else { continue }
            addText(start..<begin, sign: sign, isVariable: false)
            isLineStart = source[end - 1] == 0x0A
            advance(to: end)
            return
        }
        throw JinjaError(.syntax, "Missing end of raw directive", line: line)
    }

    // MARK: - Tags

    private mutating func readTag(isBlock: Bool) throws {
        let closing: StaticString = isBlock ? "%}" : "}}"
        brackets = []
        while position < source.count {
            if brackets.isEmpty {
                let first = source[position]
                let isSigned = first == UInt8(ascii: "-") || (isBlock && first == UInt8(ascii: "+"))
                if hasBytes(closing, at: isSigned ? position + 1 : position) {
                    append(isBlock ? .blockEnd : .variableEnd)
                    finishTag(
                        sign: isSigned ? first : 0, end: position + (isSigned ? 3 : 2), trimming: isBlock)
                    return
                }
            }
            try readToken()
        }
    }

    private mutating func readToken() throws {
        let (scalar, width) = scalar(at: position)
        if PythonCharacter.isSpace(scalar) {
            advance(to: endOfWhitespace(from: position))
        } else if scalar.value &- 0x30 < 10 {
            try readNumber()
        } else if scalar == "_" || PythonCharacter.isAlphanumeric(scalar) {
            try readName(from: position + width)
        } else if scalar == "\"" || scalar == "'" {
            try readString(quote: source[position])
        } else {
            try readSymbol(scalar)
        }
    }

    private mutating func readName(from next: Int) throws {
        var end = next
        while end < source.count {
            let (scalar, width) = scalar(at: end)
            guard PythonCharacter.isWord(scalar) || scalar.properties.isXIDContinue else { break }
            end += width
        }
        append(.name(String(decoding: source[position..<end], as: UTF8.self)))
        position = end
    }

    private mutating func readNumber() throws {
        // After a dot, digits are an index (`a.0.1`), never a fraction.
        let mayBeFloat = position == 0 || source[position - 1] != UInt8(ascii: ".")
        func isDecimal(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
        var end = endOfDigits(position, isDecimal)
        if mayBeFloat {
            let whole = end
            if byte(at: end) == UInt8(ascii: "."), isDecimal(byte(at: end + 1)) {
                end = endOfDigits(end + 1, isDecimal)
            }
            if byte(at: end) | 0x20 == UInt8(ascii: "e") {
                let sign = byte(at: end + 1)
                let digits = end + (sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") ? 2 : 1)
                if isDecimal(byte(at: digits)) { end = endOfDigits(digits, isDecimal) }
            }
            if end > whole {
                append(.float(Double(digits(position..<end)) ?? .infinity))
                position = end
                return
            }
        }
        try readInteger()
    }

    /// The end of digits with single underscores between them.
    private func endOfDigits(_ start: Int, _ isDigit: (UInt8) -> Bool) -> Int {
        var end = start
        while isDigit(byte(at: end)) || (end > start && byte(at: end) == 0x5F && isDigit(byte(at: end + 1))) {
            end += 1
        }
        return end
    }

    private func digits(_ range: Range<Int>) -> String {
        String(decoding: source[range].filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
    }

    private mutating func readInteger() throws {
        var radix = 10
        var start = position
        if source[position] == UInt8(ascii: "0") {
            switch byte(at: position + 1) | 0x20 {
            case UInt8(ascii: "x"): radix = 16
            case UInt8(ascii: "o"): radix = 8
            case UInt8(ascii: "b"): radix = 2
            default: break
            }
        }
        func isDigit(_ byte: UInt8) -> Bool {
            Character(Unicode.Scalar(byte)).hexDigitValue.map { $0 < radix } ?? false
        }
        var end = position
        if radix != 10 {
            start = position + 2
            // An underscore may also follow the prefix.
            if byte(at: start) == 0x5F, isDigit(byte(at: start + 1)) { start += 1 }
            end = endOfDigits(start, isDigit)
        }
        if end <= start {
            (radix, start) = (10, position)
            // A number with a leading zero is only zeros; other digits begin the next token.
            let isZero = source[position] == UInt8(ascii: "0")
            end = endOfDigits(position) { isZero ? $0 == 0x30 : $0 &- 0x30 < 10 }
        }
        guard let value = Int(digits(start..<end), radix: radix) else {
            throw JinjaError(.syntax, "the integer \(digits(start..<end)) does not fit into 64 bits", line: line)
        }
        append(.integer(value))
        position = end
    }

    private static let symbols: [StaticString] = [
        "**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=",
        ".", ":", "|", ",", ";",
    ]

    private mutating func readSymbol(_ scalar: Unicode.Scalar) throws {
        guard let symbol = Self.symbols.first(where: { hasBytes($0, at: position) }) else {
            throw JinjaError(.syntax, "unexpected character '\(scalar)'", line: line)
        }
        switch source[position] {
        case UInt8(ascii: "("): brackets.append(UInt8(ascii: ")"))
        case UInt8(ascii: "["): brackets.append(UInt8(ascii: "]"))
        case UInt8(ascii: "{"): brackets.append(UInt8(ascii: "}"))
        case let closing where closing == 0x29 || closing == 0x5D || closing == 0x7D:
            guard let expected = brackets.popLast() else {
                throw JinjaError(.syntax, "unexpected '\(scalar)'", line: line)
            }
            guard expected == closing else {
                let wanted = Character(Unicode.Scalar(expected))
                throw JinjaError(.syntax, "unexpected '\(scalar)', expected '\(wanted)'", line: line)
            }
        default: break
        }
        append(.symbol(symbol.description))
        position += symbol.utf8CodeUnitCount
    }

    private mutating func readString(quote: UInt8) throws {
        var end = position + 1
        while end < source.count, source[end] != quote { end += source[end] == UInt8(ascii: "\\") ? 2 : 1 }
        guard end < source.count else {
            throw JinjaError(.syntax, "a string is not closed", line: line)
        }
        let text = try JinjaStringLiteral.unescaped(Array(source[position + 1..<end]), line: line)
        append(.string(text))
        advance(to: end + 1)
    }
}

extension Array {
    subscript(safe index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
