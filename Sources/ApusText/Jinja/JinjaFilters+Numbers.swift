import Foundation

extension JinjaFilters {
    static let numberFilters: [String: Function] = [
        "int": int,
        "float": { interpreter, value, arguments in
            let fallback = try arguments.matched("float", ["default"])[0] ?? .double(0)
            if case .undefined(let undefined) = value { throw undefined.error }
            return try double(value).map { .double($0) } ?? fallback
        },
        "abs": plain("abs") { interpreter, value in
            if case .undefined(let undefined) = value { throw undefined.error }
            if let number = value.integer { return number < 0 ? try interpreter.signed(true, value) : .int(number) }
            if case .digits(let digits) = value { return .digits(digits.replacing("-", with: "")) }
            guard case .double(let number) = value else {
                throw JinjaError.value("bad operand type for abs(): '\(value.typeName)'")
            }
            return .double(number.magnitude)
        },
        "round": round,
        "filesizeformat": filesizeformat,
    ]

    private static func checkLength(_ text: JinjaText) throws {
        if text.bytes.count > 4096 { throw JinjaError.limit("a text of \(text.bytes.count) bytes is no number") }
    }

    /// Python's `float(value)`, or nil where that raises TypeError or ValueError.
    private static func double(_ value: JinjaValue) throws -> Double? {
        if let number = value.number { return number }
        guard case .text(let text) = value else { return nil }
        try checkLength(text)
        let digits = text.stripped().string.lowercased()
        switch digits.drop(while: { $0 == "+" || $0 == "-" }) {
        case "inf", "infinity": return digits.hasPrefix("-") ? -.infinity : .infinity
        case "nan": return .nan
        default: break
        }
        guard let plain = withoutUnderscores(digits), plain.utf8.allSatisfy({ $0 < 0x80 }),
            !plain.contains("x"), !plain.contains("n"), !plain.contains("p")
        else { return nil }
        return Double(plain) ?? Double(plain.replacing(/\.(?=e|$)/, with: ".0"))
            ?? Double(plain.replacing(/^([+-]?)\./, with: { "\($0.1)0." }))
    }

    /// Python allows single underscores between digits.
    private static func withoutUnderscores(_ digits: String) -> String? {
        guard digits.contains("_") else { return digits }
        let bytes = Array(digits.utf8)
        for (index, byte) in bytes.enumerated() where byte == 0x5F {
            guard let before = bytes[safe: index - 1], let after = bytes[safe: index + 1],
                Character(Unicode.Scalar(before)).isHexDigit, Character(Unicode.Scalar(after)).isHexDigit
            else { return nil }
        }
        return digits.filter { $0 != "_" }
    }

    private static let int: Function = { interpreter, value, arguments in
        let values = try arguments.matched("int", ["default", "base"])
        let fallback = values[0] ?? .int(0)
        if case .undefined(let undefined) = value { throw undefined.error }
        if let number = value.integer { return .int(number) }
        if case .digits = value { return value }
        if case .double(let number) = value, number.isInfinite {
            throw JinjaError.value("cannot convert float infinity to integer")
        }
        if case .text(let text) = value {
            try checkLength(text)
            // A base that is no integer is as good as a text that is no number.
            if let base = values[1] == nil ? 10 : values[1]?.integer, let number = try integer(text, base: base) {
                return .int(number)
            }
        }
        guard let number = try double(value), number.isFinite else { return fallback }
        guard let integer = Int(exactly: number.rounded(.towardZero)) else {
            throw JinjaError.value("the integer does not fit into 64 bits")
        }
        return .int(integer)
    }

    /// Python's `int(text, base)`, or nil where that raises ValueError.
    private static func integer(_ text: JinjaText, base: Int) throws -> Int? {
        guard base == 0 || (2...36).contains(base) else { return nil }
        guard var digits = withoutUnderscores(text.stripped().string.lowercased()) else { return nil }
        let isNegative = digits.hasPrefix("-")
        if isNegative || digits.hasPrefix("+") { digits.removeFirst() }
        var radix = base
        for (prefix, value) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.hasPrefix(prefix) {
            guard base == 0 || base == value else { continue }
            radix = value
            digits.removeFirst(2)
        }
        if radix == 0 {
            if digits.hasPrefix("0"), digits.contains(where: { $0 != "0" }) { return nil }
            radix = 10
        }
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 < 0x80 }), digits.first != "+", digits.first != "-" else {
            return nil
        }
        if let value = Int((isNegative ? "-" : "") + digits, radix: radix) { return value }
        let isNumber = digits.allSatisfy { ($0.isNumber || $0.isLetter) && Int(String($0), radix: radix) != nil }
        if isNumber { throw JinjaError.value("the integer does not fit into 64 bits") }
        return nil
    }

    private static let round: Function = { interpreter, value, arguments in
        let values = try arguments.matched("round", ["precision", "method"])
        let isToInteger = values[0]?.isNone ?? false
        let precision = isToInteger ? 0 : try values[0].integer("precision", default: 0)
        let method = try values[1]?.requiredText("method") ?? "common"
        if case .undefined(let undefined) = value { throw undefined.error }
        guard ["common", "ceil", "floor"].contains(method) else {
            throw JinjaError.value("method must be common, ceil or floor")
        }
        guard let number = value.number else {
            throw JinjaError.value("type \(value.typeName) doesn't define __round__ method")
        }
        guard (-400...400).contains(precision) else {
            throw JinjaError.limit("a precision of \(precision) is too large")
        }
        let scale = pow(10.0, Double(precision))
        if method != "common" {
            guard !isToInteger else { throw JinjaError.value("precision must be an integer, not 'NoneType'") }
            let scaled = number * scale
            guard scaled.isFinite else { throw JinjaError.value("cannot convert float to integer") }
            let rounded = scaled.rounded(method == "ceil" ? .up : .down)
            // Python rounds to an integer, which has no negative zero.
            return .double(rounded == 0 ? 0 : rounded / scale)
        }
        if let integer = value.integer {
            return .int(precision >= 0 ? integer : try rounded(integer, digits: -precision))
        }
        if isToInteger {
            guard let integer = Int(exactly: number.rounded(.toNearestOrEven)) else {
                throw JinjaError.value("the integer does not fit into 64 bits")
            }
            return .int(integer)
        }
        guard number.isFinite else { return value }
        if precision >= 0 { return .double(Double(String(format: "%.\(precision)f", number)) ?? number) }
        return .double((number * scale).rounded(.toNearestOrEven) / scale)
    }

    /// An integer rounded to a power of ten, halves to the even neighbour.
    private static func rounded(_ value: Int, digits: Int) throws -> Int {
        guard digits < 19 else { return 0 }
        let unit = (0..<digits).reduce(1) { power, _ in power * 10 }
        let remainder = value % unit
        let down = value - remainder
        let half = remainder.magnitude * 2
        let isUp = half > unit.magnitude || (half == unit.magnitude && (down / unit) % 2 != 0)
        guard isUp else { return down }
        let (result, overflow) = down.addingReportingOverflow(value < 0 ? -unit : unit)
        if overflow { throw JinjaError.value("the integer does not fit into 64 bits") }
        return result
    }

    private static let filesizeformat: Function = { interpreter, value, arguments in
        let isBinary = try arguments.matched("filesizeformat", ["binary"])[0].isTrue(default: false)
        guard let bytes = try double(value), bytes.isFinite else {
            throw JinjaError.value("could not convert '\(value.typeName)' to a size")
        }
        let base = isBinary ? 1024.0 : 1000.0
        if bytes == 1 { return .text("1 Byte") }
        if bytes < base { return .text("\(Int(max(bytes, -1e18))) Bytes") }
        let letters = ["k", "M", "G", "T", "P", "E", "Z", "Y"]
        var unit = base
        var letter = "Y"
        for candidate in letters {
            unit *= base
            letter = candidate
            if bytes < unit { break }
        }
        let prefix = isBinary ? (letter == "k" ? "K" : letter) + "iB" : letter + "B"
        return .text(String(format: "%.1f ", base * bytes / unit) + prefix)
    }
}
