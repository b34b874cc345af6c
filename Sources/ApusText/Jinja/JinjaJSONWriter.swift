/// Python's `json.dumps`.
struct JinjaJSONWriter {
    private let interpreter: JinjaInterpreter
    private let indent: JinjaText?
    private let separators: (item: JinjaText, key: JinjaText)
    private let escapesNonASCII: Bool
    private let sortsKeys: Bool
    private var bytes: [UInt8] = []

    /// - Parameter indent: What each level adds to the start of a line; nil writes one line.
    init(
        interpreter: JinjaInterpreter, indent: JinjaText?, separators: (item: JinjaText, key: JinjaText),
        escapesNonASCII: Bool, sortsKeys: Bool
    ) {
        self.interpreter = interpreter
        self.indent = indent
        self.separators = separators
        self.escapesNonASCII = escapesNonASCII
        self.sortsKeys = sortsKeys
    }

    mutating func text(of value: JinjaValue) throws -> JinjaText {
        try write(value, level: 0)
        return JinjaText(bytes)
    }

    private mutating func write(_ value: JinjaValue, level: Int) throws {
        try interpreter.step()
        try interpreter.guardStack()
        switch value {
        case .none: bytes += "null".utf8
        case .bool(let flag): bytes += (flag ? "true" : "false").utf8
        case .int(let number): bytes += String(number).utf8
        case .digits(let digits): bytes += digits.utf8
        case .double(let number): bytes += Self.number(number).utf8
        case .text(let text): try write(text)
        case .list(let list), .tuple(let list):
            try write(list.items, "[", "]", level: level) { try $0.write($1, level: level + 1) }
        case .dictionary(let dictionary):
            var entries = dictionary.entries
            if sortsKeys { entries = try JinjaSorting.sorted(entries, interpreter) { $0.key } }
            try write(entries, "{", "}", level: level) { writer, entry in
                try writer.write(writer.keyText(entry.key))
                writer.bytes += writer.separators.key.bytes
                try writer.write(entry.value, level: level + 1)
            }
        default: throw JinjaError.value("Object of type \(value.typeName) is not JSON serializable")
        }
    }

    private static func number(_ value: Double) -> String {
        value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : PythonFloat.repr(value)
    }

    private func keyText(_ key: JinjaValue) throws -> JinjaText {
        switch key {
        case .text(let text): return text
        case .none: return "null"
        case .bool(let flag): return flag ? "true" : "false"
        case .int(let number): return JinjaText(String(number))
        case .digits(let digits): return JinjaText(digits)
        case .double(let number): return JinjaText(Self.number(number))
        default:
            throw JinjaError.value("keys must be str, int, float, bool or None, not \(key.typeName)")
        }
    }

    private mutating func write<Element>(
        _ elements: [Element], _ opening: String, _ closing: String, level: Int,
        element: (inout JinjaJSONWriter, Element) throws -> Void
    ) throws {
        bytes += opening.utf8
        for (index, value) in elements.enumerated() {
            if index > 0 { bytes += separators.item.bytes }
            try startLine(level: level + 1)
            try element(&self, value)
        }
        if !elements.isEmpty { try startLine(level: level) }
        bytes += closing.utf8
    }

    private mutating func startLine(level: Int) throws {
        try interpreter.charge(bytes: separators.item.bytes.count + separators.key.bytes.count)
        guard let indent else { return }
        try interpreter.charge(bytes: indent.bytes.count, times: level)
        bytes.append(0x0A)
        for _ in 0..<level { bytes += indent.bytes }
    }

    private mutating func write(_ text: JinjaText) throws {
        try interpreter.charge(bytes: text.bytes.count, times: 2)
        bytes.append(UInt8(ascii: "\""))
        if escapesNonASCII {
            for unit in text.string.utf16 { writeUnit(unit) }
        } else {
            for byte in text.bytes {
                if byte < 0x80 { writeUnit(UInt16(byte)) } else { bytes.append(byte) }
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func writeUnit(_ unit: UInt16) {
        switch unit {
        case 0x22: bytes += "\\\"".utf8
        case 0x5C: bytes += "\\\\".utf8
        case 0x0A: bytes += "\\n".utf8
        case 0x0D: bytes += "\\r".utf8
        case 0x09: bytes += "\\t".utf8
        case 0x08: bytes += "\\b".utf8
        case 0x0C: bytes += "\\f".utf8
        case 0x7F where !escapesNonASCII: bytes.append(0x7F)
        case 0x20..<0x7F: bytes.append(UInt8(unit))
        default:
            let digits = String(unit, radix: 16)
            bytes += "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8
        }
    }
}
