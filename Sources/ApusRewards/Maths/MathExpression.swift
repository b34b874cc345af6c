import Foundation

/// A formula of numbers and letters.
indirect enum MathExpression: Equatable, Sendable {
    /// - isDecimal: Whether it was written with a decimal point, and so may be rounded.
    case number(Rational, isDecimal: Bool)
    case symbol(String)
    case pi, e, imaginaryUnit, infinity
    case sum([MathExpression])
    case product([MathExpression])
    case quotient(MathExpression, MathExpression)
    case power(MathExpression, MathExpression)
    case negative(MathExpression)
    /// Of a hundred.
    case percent(MathExpression)
    case function(Function, [MathExpression])

    enum Function: String, CaseIterable, Sendable {
        case sin, cos, tan, cot, sec, csc, arcsin, arccos, arctan, sinh, cosh, tanh, exp
        /// Of the second argument to the base of the first.
        case log
        case absolute, floor, ceil, factorial, binom
        /// The root of the second argument whose degree is the first.
        case root
        case max, min
    }

    static func integer(_ value: Int) -> MathExpression { .number(Rational(value), isDecimal: false) }

    private var parts: [MathExpression] {
        switch self {
        case .number, .symbol, .pi, .e, .imaginaryUnit, .infinity: []
        case .sum(let parts), .product(let parts), .function(_, let parts): parts
        case .quotient(let first, let second), .power(let first, let second): [first, second]
        case .negative(let part), .percent(let part): [part]
        }
    }

    /// The letters in it.
    var symbols: Set<String> {
        if case .symbol(let name) = self { return [name] }
        return parts.reduce(into: []) { $0.formUnion($1.symbols) }
    }

    /// Its letters one after the other, where it is nothing but a product of letters.
    var word: String? {
        switch self {
        case .symbol(let name): name
        case .e: "e"
        case .imaginaryUnit: "i"
        case .product(let parts):
            parts.reduce("" as String?) { text, part in text.flatMap { text in part.word.map { text + $0 } } }
        default: nil
        }
    }

    /// Whether it is one number with a decimal point, or such a number of a hundred.
    var isDecimal: Bool {
        switch self {
        case .number(_, let isDecimal): isDecimal
        case .negative(let part), .percent(let part): part.isDecimal
        default: false
        }
    }

    /// Its value as a fraction, where it has one and nothing in it is too large.
    var exact: Rational? {
        switch self {
        case .number(let value, _): return value
        case .symbol, .pi, .e, .imaginaryUnit, .infinity: return nil
        case .sum(let parts):
            return parts.reduce(Rational(0)) { sum, part in sum.flatMap { sum in part.exact.flatMap { sum + $0 } } }
        case .product(let parts):
            return parts.reduce(Rational(1)) { sum, part in sum.flatMap { sum in part.exact.flatMap { sum * $0 } } }
        case .quotient(let over, let under):
            guard let over = over.exact, let under = under.exact?.inverse else { return nil }
            return over * under
        case .power(let base, let exponent):
            guard let base = base.exact, let exponent = exponent.exact else { return nil }
            return base.power(exponent)
        case .negative(let part): return part.exact?.negated
        case .percent(let part): return part.exact.flatMap { value in Rational(1, 100).flatMap { value * $0 } }
        case .function(let function, let arguments): return Self.exact(function, arguments.map(\.exact))
        }
    }

    private static func exact(_ function: Function, _ arguments: [Rational?]) -> Rational? {
        let values = arguments.compactMap(\.self)
        guard values.count == arguments.count, let first = values.first else { return nil }
        func integer(_ value: Rational) -> Int? { value.isInteger ? Int(exactly: value.numerator) : nil }
        switch function {
        case .absolute: return Rational(abs(first.numerator), first.denominator)
        case .factorial:
            guard let count = integer(first), (0...33).contains(count) else { return nil }
            return (0..<count).reduce(Rational(1)) { product, next in product.flatMap { $0 * Rational(next + 1) } }
        case .binom:
            guard let all = integer(first), let some = integer(values[1]), some >= 0, some <= all, all <= 100 else {
                return nil
            }
            return (0..<some).reduce(Rational(1)) { product, next in
                product.flatMap { $0 * Rational(all - next) }.flatMap { value in
                    Rational(1, Int128(next + 1)).flatMap { value * $0 }
                }
            }
        case .floor, .ceil:
            let (whole, rest) = first.numerator.quotientAndRemainder(dividingBy: first.denominator)
            if rest == 0 { return first }
            return Rational(function == .floor ? (rest < 0 ? whole - 1 : whole) : (rest > 0 ? whole + 1 : whole), 1)
        default: return nil
        }
    }
}

// MARK: - Numbers in place of letters

extension MathExpression {
    /// A complex number, and the largest one on the way to it, from which its error is judged.
    struct Approximation {
        var real: Double
        var imaginary: Double = 0
        var largest: Double

        init(_ real: Double, _ imaginary: Double = 0, largest: Double = 0) {
            self.real = real
            self.imaginary = imaginary
            self.largest = max(largest, hypot(real, imaginary))
        }

        var isReal: Bool { abs(imaginary) <= 1e-13 * max(1, abs(real)) }
    }

    /// - Returns: nil where it has no value: a letter without a number, a division by 0, infinity.
    func value(_ letters: [String: Double] = [:]) -> Approximation? {
        guard let value = unchecked(letters), value.real.isFinite, value.imaginary.isFinite, value.largest.isFinite
        else {
            return nil
        }
        return value
    }

    private func unchecked(_ letters: [String: Double]) -> Approximation? {
        switch self {
        case .number(let value, _): return Approximation(value.double)
        case .symbol(let name): return letters[name].map { Approximation($0) }
        case .pi: return Approximation(.pi)
        case .e: return Approximation(M_E)
        case .imaginaryUnit: return Approximation(0, 1)
        case .infinity: return nil
        case .sum(let parts):
            return Self.combined(parts, letters, start: 0) { ($0.real + $1.real, $0.imaginary + $1.imaginary) }
        case .product(let parts): return Self.combined(parts, letters, start: 1, Self.product)
        case .quotient(let over, let under):
            guard let over = over.value(letters), let under = under.value(letters) else { return nil }
            let square = under.real * under.real + under.imaginary * under.imaginary
            guard square > 0 else { return nil }
            let inverse = Approximation(under.real / square, -under.imaginary / square)
            let (real, imaginary) = Self.product(over, inverse)
            return Approximation(real, imaginary, largest: max(over.largest, under.largest))
        case .power(let base, let exponent):
            guard let base = base.value(letters), let exponent = exponent.value(letters) else { return nil }
            return Self.power(base, exponent)
        case .negative(let part):
            return part.value(letters).map { Approximation(-$0.real, -$0.imaginary, largest: $0.largest) }
        case .percent(let part):
            return part.value(letters).map { Approximation($0.real / 100, $0.imaginary / 100, largest: $0.largest) }
        case .function(let function, let arguments):
            let values = arguments.compactMap { $0.value(letters) }
            guard values.count == arguments.count else { return nil }
            return Self.value(of: function, values)
        }
    }

    private static func combined(
        _ parts: [MathExpression], _ letters: [String: Double], start: Double,
        _ combine: (Approximation, Approximation) -> (Double, Double)
    ) -> Approximation? {
        var result = Approximation(start)
        for part in parts {
            guard let value = part.value(letters) else { return nil }
            let (real, imaginary) = combine(result, value)
            result = Approximation(real, imaginary, largest: max(result.largest, value.largest))
        }
        return result
    }

    private static func product(_ left: Approximation, _ right: Approximation) -> (Double, Double) {
        (
            left.real * right.real - left.imaginary * right.imaginary,
            left.real * right.imaginary + left.imaginary * right.real
        )
    }

    private static func power(_ base: Approximation, _ exponent: Approximation) -> Approximation? {
        let largest = max(base.largest, exponent.largest)
        if base.isReal, exponent.isReal, base.real >= 0 || exponent.real == exponent.real.rounded() {
            guard base.real != 0 || exponent.real > 0 else { return nil }
            return Approximation(pow(base.real, exponent.real), largest: largest)
        }
        let radius = hypot(base.real, base.imaginary)
        guard radius > 0 else { return nil }
        let (length, angle) = (log(radius), atan2(base.imaginary, base.real))
        let scale = exp(exponent.real * length - exponent.imaginary * angle)
        let turn = exponent.real * angle + exponent.imaginary * length
        return Approximation(scale * cos(turn), scale * sin(turn), largest: largest)
    }

    private static func value(of function: Function, _ arguments: [Approximation]) -> Approximation? {
        let largest = arguments.map(\.largest).max() ?? 0
        func real(_ value: Double) -> Approximation? { Approximation(value, largest: largest) }
        if function == .absolute { return real(hypot(arguments[0].real, arguments[0].imaginary)) }
        if function == .root {
            guard arguments[0].real != 0 else { return nil }
            return power(arguments[1], Approximation(1 / arguments[0].real))
        }
        if function == .exp { return power(Approximation(M_E), arguments[0]) }
        guard arguments.allSatisfy(\.isReal), let x = arguments.first?.real else { return nil }
        switch function {
        case .sin: return real(Foundation.sin(x))
        case .cos: return real(Foundation.cos(x))
        case .tan: return real(Foundation.tan(x))
        case .cot: return real(1 / Foundation.tan(x))
        case .sec: return real(1 / Foundation.cos(x))
        case .csc: return real(1 / Foundation.sin(x))
        case .arcsin: return real(asin(x))
        case .arccos: return real(acos(x))
        case .arctan: return real(atan(x))
        case .sinh: return real(Foundation.sinh(x))
        case .cosh: return real(Foundation.cosh(x))
        case .tanh: return real(Foundation.tanh(x))
        case .log: return real(Foundation.log(arguments[1].real) / Foundation.log(x))
        case .floor: return real(x.rounded(.down))
        case .ceil: return real(x.rounded(.up))
        case .factorial: return x >= 0 ? real(tgamma(x + 1)) : nil
        case .max: return real(arguments.map(\.real).max() ?? x)
        case .min: return real(arguments.map(\.real).min() ?? x)
        case .binom, .absolute, .root, .exp: return nil
        }
    }
}
