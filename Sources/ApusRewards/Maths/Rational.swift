/// An exact fraction of integers below 2^127; what grows beyond that is nil.
struct Rational: Equatable, Sendable {
    let numerator: Int128
    /// At least 1, and without a common divisor with the numerator.
    let denominator: Int128

    init(_ integer: Int) {
        numerator = Int128(integer)
        denominator = 1
    }

    /// - Returns: nil where the denominator is 0.
    init?(_ numerator: Int128, _ denominator: Int128) {
        guard denominator != 0, numerator != .min, denominator != .min else { return nil }
        var (divisor, rest) = (abs(numerator), abs(denominator))
        while rest != 0 { (divisor, rest) = (rest, divisor % rest) }
        let sign: Int128 = denominator < 0 ? -1 : 1
        self.numerator = sign * numerator / divisor
        self.denominator = sign * denominator / divisor
    }

    /// A number such as `12`, `.5` or `3.25`.
    init?(decimal text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let digits = Int128(parts.joined()) else { return nil }
        var scale: Int128 = 1
        for _ in 0..<(parts.count == 2 ? parts[1].count : 0) {
            let (product, overflow) = scale.multipliedReportingOverflow(by: 10)
            guard !overflow else { return nil }
            scale = product
        }
        self.init(digits, scale)
    }

    var isInteger: Bool { denominator == 1 }
    var double: Double { Double(numerator) / Double(denominator) }
    var negated: Rational? { Rational(-numerator, denominator) }
    var inverse: Rational? { Rational(denominator, numerator) }

    static func + (left: Rational, right: Rational) -> Rational? {
        let first = left.numerator.multipliedReportingOverflow(by: right.denominator)
        let second = right.numerator.multipliedReportingOverflow(by: left.denominator)
        let sum = first.partialValue.addingReportingOverflow(second.partialValue)
        let under = left.denominator.multipliedReportingOverflow(by: right.denominator)
        guard !first.overflow, !second.overflow, !sum.overflow, !under.overflow else { return nil }
        return Rational(sum.partialValue, under.partialValue)
    }

    static func * (left: Rational, right: Rational) -> Rational? {
        let over = left.numerator.multipliedReportingOverflow(by: right.numerator)
        let under = left.denominator.multipliedReportingOverflow(by: right.denominator)
        guard !over.overflow, !under.overflow else { return nil }
        return Rational(over.partialValue, under.partialValue)
    }

    func power(_ exponent: Rational) -> Rational? {
        guard exponent.isInteger, abs(exponent.numerator) <= 256 else { return nil }
        guard let base = exponent.numerator < 0 ? inverse : self else { return nil }
        return (0..<Int(abs(exponent.numerator))).reduce(Rational(1)) { product, _ in product.flatMap { $0 * base } }
    }

    /// The nearest multiple of 10^-6, the even one of two.
    var roundedToSixPlaces: Rational? {
        guard let scaled = self * Rational(1_000_000) else { return nil }
        let (whole, rest) = scaled.numerator.quotientAndRemainder(dividingBy: scaled.denominator)
        var quotient = whole
        let twice = abs(rest).multipliedReportingOverflow(by: 2)
        guard !twice.overflow else { return nil }
        if twice.partialValue > scaled.denominator || (twice.partialValue == scaled.denominator && quotient % 2 != 0) {
            quotient += scaled.numerator < 0 ? -1 : 1
        }
        return Rational(quotient, 1_000_000)
    }
}
