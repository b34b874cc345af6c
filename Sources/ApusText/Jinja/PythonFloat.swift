/// Writes a `Double` as Python's `repr` does: the shortest digits that read back, with an exponent below 1e-4 and
/// from 1e16.
enum PythonFloat {
    static func repr(_ value: Double) -> String {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        if value == 0 { return value.sign == .minus ? "-0.0" : "0.0" }
        let (digits, exponent) = shortestDigits(value.magnitude)
        let sign = value < 0 ? "-" : ""
        // The decimal point lies after `point` digits.
        let point = exponent + 1
        if exponent < -4 || exponent >= 16 {
            let fraction = digits.count > 1 ? "." + String(digits.dropFirst()) : ""
            let power = exponent.magnitude < 10 ? "0\(exponent.magnitude)" : "\(exponent.magnitude)"
            return "\(sign)\(digits.prefix(1))\(fraction)e\(exponent < 0 ? "-" : "+")\(power)"
        }
        if point <= 0 { return "\(sign)0.\(String(repeating: "0", count: -point))\(digits)" }
        if point >= digits.count { return "\(sign)\(digits)\(String(repeating: "0", count: point - digits.count)).0" }
        return "\(sign)\(digits.prefix(point)).\(digits.dropFirst(point))"
    }

    /// `float.hex`.
    static func hexadecimal(_ value: Double) -> String {
        if !value.isFinite { return repr(value) }
        let sign = value.sign == .minus ? "-" : ""
        if value == 0 { return "\(sign)0x0.0p+0" }
        let digits = String(value.significandBitPattern, radix: 16)
        let exponent = value.isNormal ? Int(value.exponentBitPattern) - 1023 : -1022
        let fraction = String(repeating: "0", count: 13 - digits.count) + digits
        return "\(sign)0x\(value.isNormal ? 1 : 0).\(fraction)p\(exponent < 0 ? "-" : "+")\(exponent.magnitude)"
    }

    /// The shortest decimal digits of a positive value, and the power of ten of the first.
    private static func shortestDigits(_ value: Double) -> (digits: String, exponent: Int) {
        // `description` is the shortest form that reads back; only its layout differs from Python's.
        let parts = value.description.split(separator: "e", maxSplits: 1)
        let mantissa = parts[0].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let whole = mantissa[0]
        let all = whole + (mantissa.count > 1 ? mantissa[1] : "")
        let leadingZeros = all.prefix { $0 == "0" }.count
        var digits = String(all.dropFirst(leadingZeros))
        while digits.count > 1, digits.hasSuffix("0") { digits.removeLast() }
        let written = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        return (digits, written + whole.count - 1 - leadingZeros)
    }
}
