import Foundation

extension MathExpression {
    /// A complex number, and how far it may be from what it stands for.
    ///
    /// The error is carried along with each operation: that of the result for the errors of what it is made of, to first order,
    /// and a few units of the last place for the operation itself.
    struct Approximation {
        let real: Double
        let imaginary: Double
        let error: Double

        /// - Returns: nil for what is not finite, and for what is too small to be told from 0.
        init?(_ real: Double, _ imaginary: Double = 0, error: Double = 0) {
            let size = hypot(real, imaginary)
            guard size.isFinite, error.isFinite, size == 0 || size > 1e-290 else { return nil }
            (self.real, self.imaginary, self.error) = (real, imaginary, error)
        }

        var size: Double { hypot(real, imaginary) }
        var isReal: Bool { abs(imaginary) <= error }
        /// Whether it is 0, and not only near it.
        var isZero: Bool { size == 0 && error == 0 }

        /// Half the distance to the next number, of numbers near 1.
        static let unit = 0x1p-53

        /// Whether two are the same; nil where they are too near each other, or one of them too near 0, to say.
        func isEqual(_ other: Approximation) -> Bool? {
            // The errors of errors are small beside their sum.
            let error = 4 * (error + other.error)
            let largest = Swift.max(size, other.size)
            if hypot(real - other.real, imaginary - other.imaginary) > error { return false }
            if isZero || other.isZero { return error <= 1e-12 ? true : nil }
            return error <= 1e-6 && error <= 1e-9 * largest ? true : nil
        }
    }

    /// - Returns: nil where it has no value: a letter without a number, a division by 0, infinity.
    func value(_ letters: [String: Double] = [:]) -> Approximation? {
        switch self {
        case .number(let value, _):
            let double = value.double
            let isExact = value.isInteger && abs(double) < 0x1p53
            if double == 0, value.numerator != 0 { return nil }
            return Approximation(double, error: isExact ? 0 : 3 * abs(double) * Approximation.unit)
        case .symbol(let name): return letters[name].flatMap { Approximation($0) }
        case .pi: return Approximation(.pi, error: 4 * Approximation.unit)
        case .e: return Approximation(M_E, error: 4 * Approximation.unit)
        case .imaginaryUnit: return Approximation(0, 1)
        case .infinity: return nil
        case .sum(let parts):
            return Self.combined(parts, letters, Approximation(0)) { sum, part in
                let (real, imaginary) = (sum.real + part.real, sum.imaginary + part.imaginary)
                let rounding = sum.isZero ? 0 : 2 * hypot(real, imaginary) * Approximation.unit
                return Approximation(real, imaginary, error: sum.error + part.error + rounding)
            }
        case .product(let parts): return Self.combined(parts, letters, Approximation(1), Self.product)
        case .quotient(let over, let under):
            guard let over = over.value(letters), let under = under.value(letters) else { return nil }
            return Self.quotient(over, under)
        case .power(let base, let exponent):
            guard let base = base.value(letters), let exponent = exponent.value(letters) else { return nil }
            return Self.power(base, exponent)
        case .negative(let part):
            return part.value(letters).flatMap { Approximation(-$0.real, -$0.imaginary, error: $0.error) }
        case .degree(let part): return part.value(letters)
        case .percent(let part):
            guard let part = part.value(letters), let hundred = Approximation(100) else { return nil }
            return Self.quotient(part, hundred)
        case .function(let function, let arguments):
            let values = arguments.compactMap { $0.value(letters) }
            guard values.count == arguments.count else { return nil }
            return Self.value(of: function, values)
        }
    }

    private static func combined(
        _ parts: [MathExpression], _ letters: [String: Double], _ start: Approximation?,
        _ combine: (Approximation, Approximation) -> Approximation?
    ) -> Approximation? {
        parts.reduce(start) { result, part in
            guard let result, let value = part.value(letters) else { return nil }
            return combine(result, value)
        }
    }

    private static func product(_ left: Approximation, _ right: Approximation) -> Approximation? {
        let (real, imaginary) = (
            left.real * right.real - left.imaginary * right.imaginary,
            left.real * right.imaginary + left.imaginary * right.real
        )
        let size = left.size * right.size
        guard size > 0 || left.size == 0 || right.size == 0 else { return nil }
        let carried = left.size * right.error + right.size * left.error + left.error * right.error
        return Approximation(real, imaginary, error: carried + 4 * size * Approximation.unit)
    }

    private static func quotient(_ over: Approximation, _ under: Approximation) -> Approximation? {
        let square = under.real * under.real + under.imaginary * under.imaginary
        // What may be 0 divides nothing.
        guard square > 0, under.size > 2 * under.error else { return nil }
        let size = 1 / under.size
        let error = (2 * under.error * size + 8 * Approximation.unit) * size
        guard let inverse = Approximation(under.real / square, -under.imaginary / square, error: error) else {
            return nil
        }
        return product(over, inverse)
    }

    private static func power(_ base: Approximation, _ exponent: Approximation) -> Approximation? {
        if base.size <= 2 * base.error || base.size == 0 {
            guard exponent.imaginary == 0, exponent.real > 0 else { return nil }
            let error = pow(base.size + base.error, exponent.real)
            return base.isZero && exponent.error == 0 ? Approximation(0) : Approximation(0, error: error)
        }
        let (length, angle) = (log(base.size), atan2(base.imaginary, base.real))
        let isWhole = exponent.imaginary == 0 && exponent.real == exponent.real.rounded()
        let isPlain = base.imaginary == 0 && exponent.imaginary == 0 && (base.real > 0 || isWhole)
        let (real, imaginary): (Double, Double)
        if isPlain {
            (real, imaginary) = (pow(base.real, exponent.real), 0)
        } else {
            let scale = exp(exponent.real * length - exponent.imaginary * angle)
            let turn = exponent.real * angle + exponent.imaginary * length
            (real, imaginary) = (scale * cos(turn), scale * sin(turn))
        }
        let size = hypot(real, imaginary)
        guard size > 0 else { return nil }
        let logarithm = hypot(length, angle)
        let relative =
            2 * exponent.size * base.error / base.size + logarithm * exponent.error
            + (isPlain ? 4 : 8 * (1 + exponent.size * (1 + logarithm))) * Approximation.unit
        // 4^0.5 by the second path has a small imaginary part, which the error covers.
        return Approximation(real, imaginary, error: size * relative)
    }

    private static func value(of function: Function, _ arguments: [Approximation]) -> Approximation? {
        guard let first = arguments.first else { return nil }
        if function == .absolute {
            return Approximation(first.size, error: first.error + first.size * Approximation.unit)
        }
        if function == .root {
            guard arguments.count == 2, let one = Approximation(1), let inverse = quotient(one, first) else {
                return nil
            }
            return power(arguments[1], inverse)
        }
        if function == .exp { return MathExpression.e.value().flatMap { power($0, first) } }
        guard arguments.allSatisfy(\.isReal) else { return nil }
        let (x, error) = (first.real, first.error)
        /// - Parameter slope: How fast the function changes where it is looked at.
        func real(_ value: Double, slope: Double) -> Approximation? {
            Approximation(value, error: (error == 0 ? 0 : error * slope) + 8 * abs(value) * Approximation.unit)
        }
        func inverse(_ value: Approximation?) -> Approximation? {
            guard let value, let one = Approximation(1) else { return nil }
            return quotient(one, value)
        }
        switch function {
        case .sin: return real(Foundation.sin(x), slope: 1)
        case .cos: return real(Foundation.cos(x), slope: 1)
        case .tan: return quotient(real(Foundation.sin(x), slope: 1), real(Foundation.cos(x), slope: 1))
        case .cot: return quotient(real(Foundation.cos(x), slope: 1), real(Foundation.sin(x), slope: 1))
        case .sec: return inverse(real(Foundation.cos(x), slope: 1))
        case .csc: return inverse(real(Foundation.sin(x), slope: 1))
        case .arcsin: return real(asin(x), slope: 1 / max(1 - x * x, error).squareRoot())
        case .arccos: return real(acos(x), slope: 1 / max(1 - x * x, error).squareRoot())
        case .arctan: return real(atan(x), slope: 1)
        case .sinh: return real(Foundation.sinh(x), slope: Foundation.cosh(x))
        case .cosh: return real(Foundation.cosh(x), slope: Foundation.cosh(x))
        case .tanh: return real(Foundation.tanh(x), slope: 1)
        case .log: return quotient(logarithm(arguments[1]), logarithm(first))
        case .floor, .ceil:
            let whole = x.rounded(function == .floor ? .down : .up)
            // Where it may be on either side of a whole number, it is not known.
            return abs(x - x.rounded()) > 2 * error || error == 0 ? Approximation(whole) : nil
        case .factorial: return x >= 0 ? real(tgamma(x + 1), slope: 2 * tgamma(x + 1) * Foundation.log(x + 2)) : nil
        case .max: return extreme(arguments) { $0 > $1 }
        case .min: return extreme(arguments) { $0 < $1 }
        case .binom, .absolute, .root, .exp: return nil
        }
    }

    private static func quotient(_ over: Approximation?, _ under: Approximation?) -> Approximation? {
        guard let over, let under else { return nil }
        return quotient(over, under)
    }

    private static func logarithm(_ value: Approximation) -> Approximation? {
        guard value.real > 2 * value.error else { return nil }
        let result = log(value.real)
        return Approximation(result, error: 2 * value.error / value.real + 2 * abs(result) * Approximation.unit)
    }

    private static func extreme(_ values: [Approximation], _ isBefore: (Double, Double) -> Bool) -> Approximation? {
        let first = values.reduce(nil as Double?) { best, value in
            best.map { isBefore(value.real, $0) ? value.real : $0 } ?? value.real
        }
        return first.flatMap { Approximation($0, error: values.map(\.error).max() ?? 0) }
    }
}
