/// Values as text: Python's `str` and `repr`, and HTML escaping.
extension JinjaInterpreter {
    /// `str(value)`.
    func string(_ value: JinjaValue) throws -> JinjaText {
        switch value {
        case .text(let text): return text.marked(false)
        case .undefined: return .empty
        default: return try repr(value)
        }
    }

    /// `repr(value)`.
    func repr(_ value: JinjaValue) throws -> JinjaText {
        var bytes: [UInt8] = []
        try writeRepr(value, into: &bytes)
        return JinjaText(bytes)
    }

    private func writeRepr(_ value: JinjaValue, into bytes: inout [UInt8]) throws {
        try step()
        try guardStack()
        switch value {
        case .undefined: bytes += "Undefined".utf8
        case .none: bytes += "None".utf8
        case .bool(let value): bytes += (value ? "True" : "False").utf8
        case .int(let value): bytes += String(value).utf8
        case .digits(let digits): bytes += digits.utf8
        case .double(let value): bytes += PythonFloat.repr(value).utf8
        case .text(let text):
            if text.isMarkup { bytes += "Markup(".utf8 }
            try charge(bytes: text.bytes.count, times: 4)
            Self.writeRepr(text, into: &bytes)
            if text.isMarkup { bytes.append(UInt8(ascii: ")")) }
        case .list(let list): try writeRepr(list.items, "[", "]", into: &bytes)
        case .tuple(let list): try writeRepr(list.items, "(", list.items.count == 1 ? ",)" : ")", into: &bytes)
        case .dictionary(let dictionary):
            bytes += "{".utf8
            for (index, entry) in dictionary.entries.enumerated() {
                if index > 0 { bytes += ", ".utf8 }
                try writeRepr(entry.key, into: &bytes)
                bytes += ": ".utf8
                try writeRepr(entry.value, into: &bytes)
            }
            bytes += "}".utf8
        case .object(let object):
            let text = try object.repr(self)
            try charge(bytes: text.utf8.count)
            bytes += text.utf8
        }
    }

    private func writeRepr(
        _ items: [JinjaValue], _ opening: String, _ closing: String, into bytes: inout [UInt8]
    ) throws {
        bytes += opening.utf8
        for (index, item) in items.enumerated() {
            if index > 0 { bytes += ", ".utf8 }
            try writeRepr(item, into: &bytes)
        }
        bytes += closing.utf8
    }

    /// Python's literal for a string: single quotes unless only those occur inside.
    private static func writeRepr(_ text: JinjaText, into bytes: inout [UInt8]) {
        let hasSingle = text.bytes.contains(UInt8(ascii: "'"))
        let quote = hasSingle && !text.bytes.contains(UInt8(ascii: "\"")) ? UInt8(ascii: "\"") : UInt8(ascii: "'")
        bytes.append(quote)
        for scalar in text.scalars {
            switch scalar {
            case "\\": bytes += "\\\\".utf8
            case "\n": bytes += "\\n".utf8
            case "\r": bytes += "\\r".utf8
            case "\t": bytes += "\\t".utf8
            case let character where character.value == UInt32(quote): bytes += [UInt8(ascii: "\\"), quote]
            case let character where PythonCharacter.isPrintable(character):
                bytes += UTF8.encode(character) ?? UTF8.encodedReplacementCharacter
            default:
                let (letter, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
                let digits = String(scalar.value, radix: 16)
                bytes += "\\\(letter)\(String(repeating: "0", count: width - digits.count))\(digits)".utf8
            }
        }
        bytes.append(quote)
    }

    /// markupsafe's `escape` of a string; Markup stays as it is.
    func escaped(_ text: JinjaText) throws -> JinjaText {
        if text.isMarkup { return text }
        try charge(bytes: text.bytes.count, times: 5)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.bytes.count)
        for byte in text.bytes {
            switch byte {
            case UInt8(ascii: "&"): bytes += "&amp;".utf8
            case UInt8(ascii: "<"): bytes += "&lt;".utf8
            case UInt8(ascii: ">"): bytes += "&gt;".utf8
            case UInt8(ascii: "'"): bytes += "&#39;".utf8
            case UInt8(ascii: "\""): bytes += "&#34;".utf8
            default: bytes.append(byte)
            }
        }
        return JinjaText(bytes, isMarkup: true)
    }
}
