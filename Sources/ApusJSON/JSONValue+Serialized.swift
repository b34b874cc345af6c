extension JSONValue {
    /// The JSON text, spaced as Python's `json.dumps` spaces it.
    ///
    /// - Parameters:
    ///   - indent: Spaces per level; `nil` writes one line with `", "` and `": "`.
    ///   - sortedKeys: Sorts the keys of every object.
    ///   - escapeNonASCII: Writes other characters as `\uXXXX`, Python's default.
    package func serialized(indent: Int? = nil, sortedKeys: Bool = false, escapeNonASCII: Bool = false) -> String {
        var writer = JSONWriter(indent: indent, sortedKeys: sortedKeys, escapeNonASCII: escapeNonASCII)
        writer.write(self, level: 0)
        return writer.text
    }
}

private struct JSONWriter {
    let indent: Int?
    let sortedKeys: Bool
    let escapeNonASCII: Bool
    var text = ""

    init(indent: Int?, sortedKeys: Bool, escapeNonASCII: Bool) {
        self.indent = indent
        self.sortedKeys = sortedKeys
        self.escapeNonASCII = escapeNonASCII
    }

    mutating func write(_ value: JSONValue, level: Int) {
        switch value {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .int(let value): text += String(value)
        case .double(let value): text += Self.format(value)
        case .number(let value): text += value
        case .string(let value): write(value)
        case .array(let values):
            writeList("[", "]", count: values.count, level: level) { writer, index in
                writer.write(values[index], level: level + 1)
            }
        case .object(let object):
            let keys =
                sortedKeys
                ? object.keys.sorted { $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars) }
                : object.keys
            writeList("{", "}", count: keys.count, level: level) { writer, index in
                writer.write(keys[index])
                writer.text += ": "
                writer.write(object[keys[index]] ?? .null, level: level + 1)
            }
        }
    }

    private mutating func writeList(
        _ open: String, _ close: String, count: Int, level: Int, element: (inout JSONWriter, Int) -> Void
    ) {
        text += open
        for index in 0..<count {
            if index > 0 { text += indent == nil ? ", " : "," }
            newLine(level + 1)
            element(&self, index)
        }
        if count > 0 { newLine(level) }
        text += close
    }

    private mutating func newLine(_ level: Int) {
        guard let indent else { return }
        text += "\n" + String(repeating: " ", count: indent * level)
    }

    private mutating func write(_ string: String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{8}": text += "\\b"
            case "\u{C}": text += "\\f"
            case _ where scalar.value < 0x20 || (escapeNonASCII && scalar.value > 0x7E):
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16)
                    text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }

    /// Python's `float.__repr__`, with `NaN` and `Infinity` as `json.dumps` writes them.
    static func format(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
        let shortest = "\(value)"
        guard let mark = shortest.firstIndex(of: "e") else {
            return shortest
        }
        // Swift switches to an exponent at 2^53, Python at 1e16; both below 1e-4.
        let exponent = Int(shortest[shortest.index(after: mark)...]) ?? 0
        var mantissa = String(shortest[..<mark])
        if exponent >= 0, exponent < 16 {
            return String(Int(value)) + ".0"
        }
        if mantissa.hasSuffix(".0") { mantissa.removeLast(2) }
        let digits = String(abs(exponent))
        return mantissa + "e" + (exponent < 0 ? "-" : "+") + (digits.count < 2 ? "0" : "") + digits
    }
}
