import Foundation

/// Whether two answers say the same.
enum MathComparison {
    /// - Parameters:
    ///   - wanted: The right answer, whose form decides what is compared.
    ///   - given: The answer that is judged.
    static func isEqual(_ wanted: MathValue, _ given: MathValue) -> Bool {
        if wanted == given { return true }
        switch (wanted, given) {
        case (.assignment(let first, let wanted), .assignment(let second, let given)):
            return first == second && isEqual(wanted, given)
        case (.assignment(_, let wanted), _): return isEqual(wanted, given)
        case (_, .assignment(_, let given)): return isEqual(wanted, given)
        case (.relation(let first, let signs), .relation(let second, let others)):
            return areEqual(first, signs, second, others)
        case (_, .relation(let sides, let signs)) where signs.allSatisfy { $0 == .equal }:
            // "2 + 3 = 5" where 5 is wanted.
            return sides.last.map { isEqual(wanted, .expression($0)) } ?? false
        case (.relation(let sides, let signs), _): return interval(sides, signs).map { isEqual($0, given) } ?? false
        case (.text(let word), .expression(let expression)), (.expression(let expression), .text(let word)):
            return expression.word == word
        case (.expression(let wanted), .expression(let given)): return areEqual(wanted, given)
        case (.matrix(let wanted), .matrix(let given)):
            return wanted.count == given.count
                && zip(wanted, given).allSatisfy { $0.count == $1.count && zip($0, $1).allSatisfy(areEqual) }
        default: return areEqualCollections(wanted, given)
        }
    }

    // MARK: - Collections

    private static func areEqualCollections(_ wanted: MathValue, _ given: MathValue) -> Bool {
        switch (wanted, given) {
        case (.interval(let a, let b, let open, let endOpen), .interval(let c, let d, let other, let endOther)):
            return open == other && endOpen == endOther && areEqual(a, c) && areEqual(b, d)
        case (.set(let wanted), .set(let given)): return hold(distinct(wanted), distinct(given))
        case (.union(let wanted), .union(let given)): return hold(wanted, given)
        case (.tuple(let wanted), .tuple(let given)): return agree(wanted, given)
        // Where a set is wanted, order does not matter; where a tuple is, it does.
        case (.set(let wanted), _):
            return pair(given).map { hold(distinct(wanted), $0) } ?? (wanted.count == 1 && isEqual(wanted[0], given))
        case (_, .set(let given)):
            return pair(wanted).map { agree($0, given) } ?? (given.count == 1 && isEqual(wanted, given[0]))
        case (.tuple, .interval), (.interval, .tuple):
            guard let wanted = pair(wanted), let given = pair(given) else { return false }
            return agree(wanted, given)
        default: return false
        }
    }

    /// The parts of a tuple, or of what may be one of two numbers or an open interval.
    private static func pair(_ value: MathValue) -> [MathValue]? {
        switch value {
        case .tuple(let parts): parts
        case .interval(let start, let end, true, true): [.expression(start), .expression(end)]
        default: nil
        }
    }

    private static func agree(_ wanted: [MathValue], _ given: [MathValue]) -> Bool {
        wanted.count == given.count && zip(wanted, given).allSatisfy(isEqual)
    }

    /// The same in any order.
    private static func hold(_ wanted: [MathValue], _ given: [MathValue]) -> Bool {
        guard wanted.count == given.count else { return false }
        var left = given
        for value in wanted {
            guard let index = left.firstIndex(where: { isEqual(value, $0) }) else { return false }
            left.remove(at: index)
        }
        return true
    }

    private static func distinct(_ values: [MathValue]) -> [MathValue] {
        values.reduce(into: []) { kept, value in
            if !kept.contains(where: { isEqual($0, value) }) { kept.append(value) }
        }
    }

    // MARK: - Relations

    private static func areEqual(
        _ wanted: [MathExpression], _ signs: [MathValue.Relation], _ given: [MathExpression],
        _ others: [MathValue.Relation]
    ) -> Bool {
        guard signs.count == others.count else { return false }
        if signs.count > 1 {
            let turned = (given.reversed() as [MathExpression], others.reversed().map(\.flipped))
            return (signs == others && zip(wanted, given).allSatisfy(areEqual))
                || (signs == turned.1 && zip(wanted, turned.0).allSatisfy(areEqual))
        }
        let first = MathExpression.sum([wanted[0], .negative(wanted[1])])
        let second = MathExpression.sum([given[0], .negative(given[1])])
        guard let factor = ratio(first, second) else { return false }
        // What is multiplied by a negative number turns around.
        return others[0] == (factor > 0 ? signs[0] : signs[0].flipped)
    }

    /// The number that the second is of the first, where it is the same for all values of their letters.
    private static func ratio(_ first: MathExpression, _ second: MathExpression) -> Double? {
        var ratios: [Double] = []
        for letters in samples(first, second) {
            switch (first.value(letters), second.value(letters)) {
            case (nil, nil): continue
            case (let one?, let other?):
                guard one.isReal, other.isReal, max(one.largest, other.largest) < 1e5, abs(one.real) > 1e-3,
                    abs(other.real) > 1e-3
                else { return nil }
                ratios.append(other.real / one.real)
            default: return nil
            }
        }
        guard let first = ratios.first, ratios.count >= 4,
            ratios.allSatisfy({ abs($0 - first) <= 1e-9 * abs(first) })
        else { return nil }
        return first
    }

    /// `1 < x ≤ 2` and `x > 3` as intervals.
    private static func interval(_ sides: [MathExpression], _ signs: [MathValue.Relation]) -> MathValue? {
        var (sides, signs) = (sides, signs)
        if signs.allSatisfy({ $0 == .greater || $0 == .greaterOrEqual }) {
            (sides, signs) = (sides.reversed(), signs.reversed().map(\.flipped))
        }
        guard signs.allSatisfy({ $0 == .less || $0 == .lessOrEqual }) else { return nil }
        func isLetter(_ side: MathExpression) -> Bool { if case .symbol = side { true } else { false } }
        if sides.count == 3, isLetter(sides[1]) {
            return .interval(sides[0], sides[2], isOpen: signs[0] == .less, endIsOpen: signs[1] == .less)
        }
        guard sides.count == 2 else { return nil }
        if isLetter(sides[0]) {
            return .interval(.negative(.infinity), sides[1], isOpen: true, endIsOpen: signs[0] == .less)
        }
        return isLetter(sides[1])
            ? .interval(sides[0], .infinity, isOpen: signs[0] == .less, endIsOpen: true) : nil
    }

    // MARK: - Formulas

    static func areEqual(_ wanted: MathExpression, _ given: MathExpression) -> Bool {
        if wanted == given { return true }
        if let first = wanted.exact, let second = given.exact {
            // Decimals are rounded beside what has them too, and not beside a whole number.
            let isWhole = first.isInteger && !wanted.isDecimal || second.isInteger && !given.isDecimal
            if wanted.isDecimal || given.isDecimal, !isWhole {
                guard let first = first.roundedToSixPlaces else { return false }
                return first == second.roundedToSixPlaces
            }
            // 9 % and 9 are taken for the same.
            if let first = wanted.wholePercentage, let second = given.wholePercentage { return first == second }
            return first == second
        }
        if wanted.isDecimal || given.isDecimal { return agreeInSixPlaces(wanted, given) }
        return agreeNumerically(wanted, given)
    }

    /// Whether a number with decimals is the other one, rounded to six places.
    private static func agreeInSixPlaces(_ wanted: MathExpression, _ given: MathExpression) -> Bool {
        guard wanted.symbols.isEmpty, given.symbols.isEmpty, let first = wanted.value(), let second = given.value(),
            first.isReal, second.isReal, max(first.largest, second.largest) < 1e8
        else { return false }
        let exact = wanted.isDecimal ? second.real : first.real
        if abs(exact - exact.rounded()) < 1e-9 { return abs(first.real - second.real) <= 1e-12 * max(1, abs(exact)) }
        return (first.real * 1e6).rounded(.toNearestOrEven) == (second.real * 1e6).rounded(.toNearestOrEven)
    }

    /// Whether both have the same value, for several values of their letters.
    ///
    /// Values are compared with an error of 10^-13 of the largest number on the way to them, and only where that is below 10^-6;
    /// so large numbers that are not exact are never taken for each other.
    private static func agreeNumerically(_ wanted: MathExpression, _ given: MathExpression) -> Bool {
        var seen = 0
        for letters in samples(wanted, given) {
            switch (wanted.value(letters), given.value(letters)) {
            case (nil, nil): continue
            case (let first?, let second?):
                let largest = max(1, first.largest, second.largest)
                guard largest < 1e7, abs(first.real - second.real) <= 1e-13 * largest,
                    abs(first.imaginary - second.imaginary) <= 1e-13 * largest
                else { return false }
                seen += 1
            default: return false
            }
        }
        return seen >= (wanted.symbols.union(given.symbols).isEmpty ? 1 : 4)
    }

    /// Numbers for the letters of two formulas: fixed, of both signs, and in no simple relation to each other.
    private static func samples(_ first: MathExpression, _ second: MathExpression) -> [[String: Double]] {
        let names = first.symbols.union(second.symbols).sorted()
        guard !names.isEmpty else { return [[:]] }
        return (0..<8).map { round in
            Dictionary(
                uniqueKeysWithValues: names.enumerated().map { index, name in
                    let spread = (Double(index * 8 + round + 1) * 0.618_033_988_749_895).truncatingRemainder(
                        dividingBy: 1)
                    let size = 0.3 + 1.4 * spread
                    return (name, (round + index) % 3 == 2 ? -size : size)
                })
        }
    }
}

extension MathExpression {
    /// The number in `9` and in `9 %`.
    fileprivate var wholePercentage: Rational? {
        let number = if case .percent(let part) = self { part } else { self }
        switch number {
        case .number(let value, _): return value.isInteger ? value : nil
        case .negative(.number(let value, _)): return value.isInteger ? value.negated : nil
        default: return nil
        }
    }
}
