import Foundation

/// Numbers as digits, for `%` and `format`.
enum NumberFormat {
    /// Python computes as many digits as asked for; templates have no use for more than this.
    static let maximumPrecision = 1000

    /// The digits of a magnitude in a notation of `e E f F g G`.
    ///
    /// - Parameter keepsPoint: `#` in Python: keeps the point and trailing zeros.
    static func float(_ magnitude: Double, type: Character, precision: Int, keepsPoint: Bool) throws -> String {
        guard precision <= maximumPrecision else { throw JinjaError.limit("a precision of \(precision) is too large") }
        if magnitude.isNaN { return type.isUppercase ? "NAN" : "nan" }
        if magnitude.isInfinite { return type.isUppercase ? "INF" : "inf" }
        return String(format: "%\(keepsPoint ? "#" : "").\(precision)\(type)", magnitude)
    }

    static func integer(_ magnitude: UInt, type: Character) -> String? {
        switch type {
        case "d", "n", "i", "u": String(magnitude)
        case "b": String(magnitude, radix: 2)
        case "o": String(magnitude, radix: 8)
        case "x": String(magnitude, radix: 16)
        case "X": String(magnitude, radix: 16, uppercase: true)
        default: nil
        }
    }

    /// Puts a separator between groups of digits before the point.
    static func grouped(_ digits: String, separator: String, every size: Int) -> String {
        let whole = digits.prefix { $0.isHexDigit && $0 != "e" || size == 4 && $0 == "e" }
        var result = ""
        for (index, digit) in whole.enumerated() {
            if index > 0, (whole.count - index).isMultiple(of: size) { result += separator }
            result.append(digit)
        }
        return result + digits.dropFirst(whole.count)
    }
}

/// The part of a field of `format` behind the colon: `[[fill]align][sign][#][0][width][grouping][.precision][type]`.
struct FormatSpecification {
    private var fill = JinjaText(" ")
    private var alignment: Character?
    private var sign: Character = "-"
    private var isAlternate = false
    private var width = 0
    private var grouping: Character?
    private var precision: Int?
    private var type: Character?
    private let source: String

    init(_ source: JinjaText) throws {
        self.source = source.string
        // Scalars, not characters: a fill may combine with what follows.
        var rest = Array(source.scalars)[...]
        func isAlignment(_ scalar: Unicode.Scalar?) -> Bool {
            scalar.map { "<>=^".unicodeScalars.contains($0) } ?? false
        }
        if rest.count >= 2, isAlignment(rest[rest.startIndex + 1]) {
            fill = JinjaText(scalars: rest.prefix(1))
            alignment = Character(rest[rest.startIndex + 1])
            rest = rest.dropFirst(2)
        } else if isAlignment(rest.first) {
            alignment = rest.popFirst().map(Character.init)
        }
        if let next = rest.first, "+- ".unicodeScalars.contains(next) {
            sign = Character(next)
            rest.removeFirst()
        }
        if rest.first == "#" {
            isAlternate = true
            rest.removeFirst()
        }
        if rest.first == "0" {
            rest.removeFirst()
            if alignment == nil { (fill, alignment) = ("0", "=") }
        }
        width = try Self.number(&rest) ?? 0
        if rest.first == "," || rest.first == "_" { grouping = rest.popFirst().map(Character.init) }
        if rest.first == "." {
            rest.removeFirst()
            guard let digits = try Self.number(&rest) else {
                throw JinjaError.value("Format specifier missing precision")
            }
            precision = digits
        }
        type = rest.popFirst().map(Character.init)
        guard rest.isEmpty else { throw invalid("value") }
    }

    private static func number(_ rest: inout ArraySlice<Unicode.Scalar>) throws -> Int? {
        var value: Int?
        while let digit = rest.first, ("0"..."9").contains(digit) {
            rest.removeFirst()
            let next = (value ?? 0) * 10 + Int(digit.value - 0x30)
            value = next
            if next > 1 << 40 { throw JinjaError.value("Too many decimal digits in format string") }
        }
        return value
    }

    private func invalid(_ typeName: String) -> JinjaError {
        JinjaError.value("Invalid format specifier '\(source)' for object of type '\(typeName)'")
    }

    /// `format(value, specification)`.
    func apply(_ value: JinjaValue, _ interpreter: JinjaInterpreter) throws -> JinjaText {
        if source.isEmpty { return try interpreter.string(value) }
        switch value {
        case .text(let text): return try format(text, interpreter)
        case .double(let number): return try format(number, "float", interpreter)
        case .int(let number): return try format(number, "int", interpreter)
        case .bool(let flag): return try format(flag ? 1 : 0, "bool", interpreter)
        case .undefined(let undefined): throw undefined.error
        default:
            throw JinjaError.value("unsupported format string passed to \(value.typeName).__format__")
        }
    }

    private func format(_ text: JinjaText, _ interpreter: JinjaInterpreter) throws -> JinjaText {
        guard type == nil || type == "s", alignment != "=" || fill == "0", sign == "-", !isAlternate, grouping == nil
        else { throw invalid("str") }
        try interpreter.charge(bytes: text.bytes.count)
        let shown = try precision.map { try text.sliced(start: 0, stop: $0, step: nil) } ?? text
        // Padding with "0" is meant for numbers, but Python allows it on strings, left-aligned.
        return try padded("", shown, alignment == "=" ? "<" : alignment ?? "<", interpreter)
    }

    private func format(_ number: Int, _ typeName: String, _ interpreter: JinjaInterpreter) throws -> JinjaText {
        let type = type ?? "d"
        if "eEfFgG%".contains(type) { return try format(Double(number), typeName, interpreter) }
        guard precision == nil else { throw JinjaError.value("Precision not allowed in integer format specifier") }
        if type == "c" {
            guard let scalar = UInt32(exactly: number).flatMap(Unicode.Scalar.init) else {
                throw JinjaError.value("%c arg not in range(0x110000)")
            }
            return try padded("", JinjaText(scalars: [scalar]), alignment ?? "<", interpreter)
        }
        guard var digits = NumberFormat.integer(number.magnitude, type: type) else { throw invalid(typeName) }
        if let grouping {
            let size = type == "d" ? 3 : 4
            guard type == "d" || grouping == "_" else { throw invalid(typeName) }
            digits = NumberFormat.grouped(digits, separator: String(grouping), every: size)
        }
        let prefix = isAlternate && type != "d" && type != "n" ? "0\(type)" : ""
        return try padded(signText(number < 0) + prefix, JinjaText(digits), alignment ?? ">", interpreter)
    }

    private func format(_ number: Double, _ typeName: String, _ interpreter: JinjaInterpreter) throws -> JinjaText {
        let magnitude = number.magnitude
        var digits: String
        switch type {
        case nil where precision == nil: digits = PythonFloat.repr(magnitude)
        case nil:
            // Like g, but with at least one digit behind the point.
            let wanted = max(precision ?? 6, 1)
            digits = try NumberFormat.float(magnitude, type: "g", precision: wanted, keepsPoint: isAlternate)
            if magnitude.isFinite, !digits.contains("."), !digits.contains("e") {
                digits = digits.count >= wanted ? try exponent(magnitude, digits: wanted) : digits + ".0"
            }
        case "%":
            let percent = magnitude * 100
            digits =
                try NumberFormat.float(percent, type: "f", precision: precision ?? 6, keepsPoint: isAlternate) + "%"
        case let type? where "eEfFgGn".contains(type):
            let wanted = precision ?? 6
            digits = try NumberFormat.float(
                magnitude, type: type == "n" ? "g" : type, precision: "gGn".contains(type) ? max(wanted, 1) : wanted,
                keepsPoint: isAlternate)
        default: throw invalid(typeName)
        }
        if let grouping { digits = NumberFormat.grouped(digits, separator: String(grouping), every: 3) }
        let isNegative = number.sign == .minus && !number.isNaN
        return try padded(signText(isNegative), JinjaText(digits), alignment ?? ">", interpreter)
    }

    private func exponent(_ magnitude: Double, digits: Int) throws -> String {
        var text = try NumberFormat.float(magnitude, type: "e", precision: digits - 1, keepsPoint: false)
        if let exponent = text.firstIndex(of: "e"), text[..<exponent].contains(".") {
            var mantissa = String(text[..<exponent])
            while mantissa.hasSuffix("0") { mantissa.removeLast() }
            if mantissa.hasSuffix(".") { mantissa.removeLast() }
            text = mantissa + text[exponent...]
        }
        return text
    }

    private func signText(_ isNegative: Bool) -> String { isNegative ? "-" : sign == "-" ? "" : String(sign) }

    private func padded(
        _ prefix: String, _ body: JinjaText, _ alignment: Character, _ interpreter: JinjaInterpreter
    ) throws -> JinjaText {
        let prefix = Array(prefix.utf8)
        let gap = max(width - body.count - prefix.count, 0)
        try interpreter.charge(bytes: fill.bytes.count, times: gap)
        try interpreter.charge(bytes: body.bytes.count)
        func padding(_ count: Int) -> [UInt8] { fill.bytes.repeated(count) }
        switch alignment {
        case "<": return JinjaText(prefix + body.bytes + padding(gap))
        case "^": return JinjaText(padding(gap / 2) + prefix + body.bytes + padding(gap - gap / 2))
        case "=":
            if grouping != nil, fill == "0", gap > 0 { throw JinjaError.unsupported("zero padding with grouping") }
            return JinjaText(prefix + padding(gap) + body.bytes)
        default: return JinjaText(padding(gap) + prefix + body.bytes)
        }
    }
}
