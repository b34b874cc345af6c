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
    /// Of a circle's 360, which only trigonometric functions look at.
    case degree(MathExpression)
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
        case .negative(let part), .percent(let part), .degree(let part): [part]
        }
    }

    /// The most formulas of which one holds the next.
    var height: Int { 1 + (parts.map(\.height).max() ?? 0) }

    /// The formulas in it, and itself.
    var size: Int { parts.reduce(1) { $0 + $1.size } }

    /// With what is made of each part, from the innermost.
    func mapped(_ change: (MathExpression) -> MathExpression) -> MathExpression {
        let inner: MathExpression =
            switch self {
            case .number, .symbol, .pi, .e, .imaginaryUnit, .infinity: self
            case .sum(let parts): .sum(parts.map { $0.mapped(change) })
            case .product(let parts): .product(parts.map { $0.mapped(change) })
            case .quotient(let over, let under): .quotient(over.mapped(change), under.mapped(change))
            case .power(let base, let exponent): .power(base.mapped(change), exponent.mapped(change))
            case .negative(let part): .negative(part.mapped(change))
            case .percent(let part): .percent(part.mapped(change))
            case .degree(let part): .degree(part.mapped(change))
            case .function(let function, let arguments): .function(function, arguments.map { $0.mapped(change) })
            }
        return change(inner)
    }

    /// With the part of a circle's 2π in place of degrees.
    var inRadians: MathExpression {
        mapped { part in
            guard case .degree(let degrees) = part else { return part }
            return .product([degrees, .quotient(.pi, .integer(180))])
        }
    }

    /// The largest number that is written in it.
    var largestNumber: Double {
        if case .number(let value, _) = self { return abs(value.double) }
        return parts.map(\.largestNumber).max() ?? 0
    }

    /// Whether it is made of numbers by arithmetic alone, so that its value is a fraction, however large.
    var isArithmetic: Bool {
        switch self {
        case .number: true
        case .symbol, .pi, .e, .imaginaryUnit, .infinity: false
        case .sum, .product, .quotient, .negative, .percent, .degree: parts.allSatisfy(\.isArithmetic)
        case .power(let base, let exponent): base.isArithmetic && exponent.exact?.isInteger == true
        case .function(let function, let arguments):
            [.absolute, .floor, .ceil, .factorial, .binom, .max, .min].contains(function)
                && arguments.allSatisfy(\.isArithmetic)
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
        case .negative(let part), .percent(let part), .degree(let part): part.isDecimal
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
        case .degree(let part): return part.exact
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
