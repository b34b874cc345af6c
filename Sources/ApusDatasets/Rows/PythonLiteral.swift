import ApusJSON

/// Reads what Python's `repr` writes for lists, tuples, dictionaries, strings, numbers, `None`, `True` and `False`:
/// many data sets hold conversations in that form.
struct PythonLiteral {
    private static let maximumDepth = 64
    private let scalars: [Unicode.Scalar]
    private var position = 0

    /// The value, or `nil` when the text is not such a literal.
    static func parse(_ text: String) -> JSONValue? {
        var parser = PythonLiteral(scalars: Array(text.unicodeScalars))
        guard let value = parser.value(depth: 0) else { return nil }
        parser.skipSpace()
        guard parser.position == parser.scalars.count else { return nil }
        return value
    }

    private init(scalars: [Unicode.Scalar]) {
        self.scalars = scalars
    }

    private var current: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

    private mutating func skipSpace() {
        while let scalar = current, scalar.properties.isWhitespace { position += 1 }
    }

    /// Skips space and, if it stands there, the scalar.
    private mutating func accept(_ scalar: Unicode.Scalar) -> Bool {
        skipSpace()
        guard current == scalar else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) -> JSONValue? {
        guard depth < Self.maximumDepth else { return nil }
        skipSpace()
        switch current {
        case "[": return list(until: "]", depth: depth).map(JSONValue.array)
        case "(": return list(until: ")", depth: depth).map(JSONValue.array)
        case "{": return dictionary(depth: depth)
        case "'", "\"": return strings().map(JSONValue.string)
        default: return word()
        }
    }

    private mutating func list(until end: Unicode.Scalar, depth: Int) -> [JSONValue]? {
        position += 1
        var values: [JSONValue] = []
        while !accept(end) {
            guard let value = value(depth: depth + 1) else { return nil }
            values.append(value)
            if accept(",") { continue }
            return accept(end) ? values : nil
        }
        return values
    }

    private mutating func dictionary(depth: Int) -> JSONValue? {
        position += 1
        var object = JSONObject()
        while !accept("}") {
            guard let key = value(depth: depth + 1)?.stringValue, accept(":"), let value = value(depth: depth + 1)
            else { return nil }
            object[key] = value
            if accept(",") { continue }
            return accept("}") ? .object(object) : nil
        }
        return .object(object)
    }

    /// One string, or several side by side, which Python joins.
    private mutating func strings() -> String? {
        var text = ""
        while let quote = current, quote == "'" || quote == "\"" {
            guard let part = string(quote) else { return nil }
            text += part
            skipSpace()
        }
        return text
    }

    private mutating func string(_ quote: Unicode.Scalar) -> String? {
        position += 1
        var text = String.UnicodeScalarView()
        while let scalar = current {
            position += 1
            if scalar == quote { return String(text) }
            if scalar == "\n" { return nil }
            guard scalar == "\\" else {
                text.append(scalar)
                continue
            }
            guard let escape = current else { return nil }
            position += 1
            switch escape {
            case "n": text.append("\n")
            case "t": text.append("\t")
            case "r": text.append("\r")
            case "\\", "'", "\"": text.append(escape)
            case "x", "u", "U":
                guard let scalar = hexadecimal(digits: escape == "x" ? 2 : escape == "u" ? 4 : 8) else { return nil }
                text.append(scalar)
            default: return nil
            }
        }
        return nil
    }

    private mutating func hexadecimal(digits: Int) -> Unicode.Scalar? {
        guard position + digits <= scalars.count else { return nil }
        var value: UInt32 = 0
        for scalar in scalars[position..<position + digits] {
            guard let digit = Character(scalar).hexDigitValue else { return nil }
            value = value << 4 | UInt32(digit)
        }
        position += digits
        return Unicode.Scalar(value)
    }

    private mutating func word() -> JSONValue? {
        let start = position
        while let scalar = current, scalar.properties.isAlphabetic || ("+"..."9").contains(scalar), scalar != "," {
            position += 1
        }
        let word = String(String.UnicodeScalarView(scalars[start..<position]))
        switch word {
        case "None": return .null
        case "True": return .bool(true)
        case "False": return .bool(false)
        default: return Int(word).map(JSONValue.int) ?? Double(word).map(JSONValue.double)
        }
    }
}
