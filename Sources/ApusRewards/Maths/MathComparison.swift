/// Whether two answers say the same.
///
/// It does so much and no more: who writes sets of sets, or formulas of a thousand letters, is not waited for.
final class MathComparison {
    /// The formulas that may still be looked at.
    private var left = 300_000

    private init() {}

    /// - Parameters:
    ///   - wanted: The right answer, whose form decides what is compared.
    ///   - given: The answer that is judged.
    static func isEqual(_ wanted: MathValue, _ given: MathValue) -> Bool {
        MathComparison().isEqual(wanted, given)
    }

    private func isEqual(_ wanted: MathValue, _ given: MathValue) -> Bool {
        left -= 1
        guard left > 0 else { return false }
        if wanted == given { return true }
        switch (wanted, given) {
        case (.assignment(let first, let wanted), .assignment(let second, let given)):
            return first == second && isEqual(wanted, given)
        case (.assignment(_, let wanted), _): return isEqual(wanted, given)
        case (_, .assignment(_, let given)): return isEqual(wanted, given)
        case (.relation(let first, let signs), .relation(let second, let others)):
            return areEqual(first, signs, second, others)
        case (_, .relation(let sides, let signs)) where signs.allSatisfy { $0 == .equal }:
            // "2 + 3 = 5" where 5 is wanted; but "x + 1 = 5" says 4.
            guard sides.allSatisfy(\.symbols.isEmpty), Self.doNotContradict(sides) else { return false }
            return sides.last.map { isEqual(wanted, .expression($0)) } ?? false
        case (.relation(let sides, let signs), _): return interval(sides, signs).map { isEqual($0, given) } ?? false
        case (.text(let word), .expression(let expression)), (.expression(let expression), .text(let word)):
            return expression.word == word
        case (.expression(let wanted), .expression(let given)): return areEqual(wanted, given)
        case (.ratio(let wanted), .ratio(let given)):
            return wanted.count == given.count
                && zip(wanted, given).allSatisfy { areEqual(.product([$0, given[0]]), .product([$1, wanted[0]])) }
        case (.matrix(let wanted), .matrix(let given)):
            return wanted.count == given.count
                && zip(wanted, given).allSatisfy { $0.count == $1.count && zip($0, $1).allSatisfy(areEqual) }
        default: return areEqualCollections(wanted, given)
        }
    }

    /// Whether numbers that an answer says are the same are so at least about: 1/3 ≈ 0.33, and not 3 = 5.
    static func doNotContradict(_ sides: [MathExpression]) -> Bool {
        let values = sides.filter(\.symbols.isEmpty).compactMap { $0.value() }
        return zip(values, values.dropFirst()).allSatisfy { one, other in
            let distance = MathExpression.Approximation(one.real - other.real, one.imaginary - other.imaginary)
            return distance.map { $0.size <= 0.01 * max(one.size, other.size) } ?? true
        }
    }

    // MARK: - Collections

    private func areEqualCollections(_ wanted: MathValue, _ given: MathValue) -> Bool {
        switch (wanted, given) {
        case (.interval(let a, let b, let open, let endOpen), .interval(let c, let d, let other, let endOther)):
            return open == other && endOpen == endOther && areEqual(a, c) && areEqual(b, d)
        case (.set(let wanted), .set(let given)) where Self.haveLabels(wanted) == Self.haveLabels(given):
            return hold(distinct(wanted), distinct(given))
        case (.union(let wanted), .union(let given)): return hold(wanted, given)
        case (.tuple(let wanted), .tuple(let given)): return agree(wanted, given)
        // Values of different letters are no set: they count in their order, where the letters are not named.
        case (.set(let wanted), _) where Self.haveLabels(wanted): return agree(labelled: wanted, given)
        case (_, .set(let given)) where Self.haveLabels(given): return agree(labelled: given, wanted)
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
    private func pair(_ value: MathValue) -> [MathValue]? {
        switch value {
        case .tuple(let parts): parts
        case .interval(let start, let end, true, true): [.expression(start), .expression(end)]
        default: nil
        }
    }

    /// Whether values of more than one letter are among them.
    private static func haveLabels(_ values: [MathValue]) -> Bool {
        let names = values.compactMap { value -> String? in
            if case .assignment(let name, _) = value { name } else { nil }
        }
        return Set(names).count > 1
    }

    /// Whether values with letters are those of a list without, one by one.
    private func agree(labelled: [MathValue], _ list: MathValue) -> Bool {
        let values: [MathValue]? = if case .set(let values) = list { values } else { pair(list) }
        return values.map { agree(labelled, $0) } ?? false
    }

    private func agree(_ wanted: [MathValue], _ given: [MathValue]) -> Bool {
        wanted.count == given.count && zip(wanted, given).allSatisfy(isEqual)
    }

    /// The same in any order.
    private func hold(_ wanted: [MathValue], _ given: [MathValue]) -> Bool {
        guard wanted.count == given.count else { return false }
        var left = given
        for value in wanted {
            guard let index = left.firstIndex(where: { isEqual(value, $0) }) else { return false }
            left.remove(at: index)
        }
        return true
    }

    private func distinct(_ values: [MathValue]) -> [MathValue] {
        values.reduce(into: []) { kept, value in
            if !kept.contains(where: { isEqual($0, value) }) { kept.append(value) }
        }
    }

    // MARK: - Relations

    private func areEqual(
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
    private func ratio(_ first: MathExpression, _ second: MathExpression) -> Double? {
        let (first, second) = alike(first, second)
        var quotients: [MathExpression.Approximation] = []
        for (letters, isNear) in samples(first, second) {
            guard spend(first, second) else { return nil }
            switch (first.value(letters), second.value(letters)) {
            case (nil, nil): continue
            case (let one?, let other?):
                guard one.isReal, other.isReal else { return nil }
                guard one.size > 1e6 * one.error, other.size > 1e6 * other.error else { continue }
                let quotient = other.real / one.real
                let error = abs(quotient) * (one.error / one.size + other.error / other.size + 1e-15)
                guard let value = MathExpression.Approximation(quotient, error: error) else { continue }
                if let known = quotients.first, known.isEqual(value) == false { return nil }
                quotients.append(value)
            default: if isNear { return nil }
            }
        }
        return quotients.count >= 4 ? quotients[0].real : nil
    }

    /// `1 < x ≤ 2` and `x > 3` as intervals.
    private func interval(_ sides: [MathExpression], _ signs: [MathValue.Relation]) -> MathValue? {
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

    private func areEqual(_ wanted: MathExpression, _ given: MathExpression) -> Bool {
        guard spend(wanted, given) else { return false }
        if wanted == given { return true }
        if let first = wanted.exact, let second = given.exact {
            // Decimals are rounded beside what has them too, and not beside a whole number.
            let isWhole = first.isInteger && !wanted.isDecimal || second.isInteger && !given.isDecimal
            if wanted.isDecimal || given.isDecimal, !isWhole {
                guard let rounded = first.roundedToSixPlaces, rounded == second.roundedToSixPlaces else { return false }
                return first == second || Self.areNear(first.double, second.double)
            }
            // 9 % and 9 are taken for the same.
            if let first = wanted.wholePercentage, let second = given.wholePercentage { return first == second }
            return first == second
        }
        if wanted.isDecimal || given.isDecimal { return agreeInSixPlaces(wanted, given) }
        // Fractions that are too large to be exact are nowhere near exact otherwise.
        if wanted.isArithmetic, given.isArithmetic { return false }
        return agreeNumerically(wanted, given)
    }

    /// Whether numbers that agree in six places do so in three digits too: 10^-9 is not 2 · 10^-9.
    private static func areNear(_ first: Double, _ second: Double) -> Bool {
        abs(first - second) <= 1.000_001e-3 * max(abs(first), abs(second))
    }

    /// Whether a number with decimals is the other one, rounded to six places.
    private func agreeInSixPlaces(_ wanted: MathExpression, _ given: MathExpression) -> Bool {
        guard wanted.symbols.isEmpty, given.symbols.isEmpty, let first = wanted.value(), let second = given.value(),
            first.isReal, second.isReal, first.error + second.error < 1e-8
        else { return false }
        let exact = wanted.isDecimal ? second : first
        if abs(exact.real - exact.real.rounded()) <= max(1e-9, exact.error) { return first.isEqual(second) == true }
        let isSame = (first.real * 1e6).rounded(.toNearestOrEven) == (second.real * 1e6).rounded(.toNearestOrEven)
        return isSame && Self.areNear(first.real, second.real)
    }

    /// Whether both have the same value, for many values of their letters.
    private func agreeNumerically(_ wanted: MathExpression, _ given: MathExpression) -> Bool {
        let (wanted, given) = alike(wanted, given)
        var seen = 0
        for (letters, isNear) in samples(wanted, given) {
            guard spend(wanted, given) else { return false }
            switch (wanted.value(letters), given.value(letters)) {
            case (nil, nil): continue
            case (let first?, let second?):
                guard let isEqual = first.isEqual(second) else { continue }
                if !isEqual { return false }
                seen += 1
            // Far away a value may be too large in one form alone.
            default: if isNear { return false }
            }
        }
        return seen >= (wanted.symbols.union(given.symbols).isEmpty ? 1 : 4)
    }

    private func spend(_ first: MathExpression, _ second: MathExpression) -> Bool {
        left -= first.size + second.size
        return left > 0
    }

    /// Both with one letter in place of each `⌊…⌋` and `⌈…⌉` of letters: samples would not meet their jumps.
    private func alike(_ first: MathExpression, _ second: MathExpression) -> (MathExpression, MathExpression) {
        var known: [(function: MathExpression.Function, argument: MathExpression)] = []
        func replaced(_ part: MathExpression) -> MathExpression {
            guard case .function(let function, let arguments) = part, function == .floor || function == .ceil,
                let argument = arguments.first, !argument.symbols.isEmpty
            else { return part }
            let place = known.firstIndex { $0.function == function && areEqual($0.argument, argument) }
            if place == nil { known.append((function, argument)) }
            return .symbol("⌊\(place ?? known.count - 1)⌋")
        }
        return (first.mapped(replaced), second.mapped(replaced))
    }

    /// Numbers for the letters of two formulas, and whether they are of ordinary size: of both signs and in no simple relation to
    /// each other, near and far, so that what begins beyond some number (`|x + 50|`, `max(x, -50)`) is met too.
    private func samples(
        _ first: MathExpression, _ second: MathExpression
    ) -> [(letters: [String: Double], isNear: Bool)] {
        let names = first.symbols.union(second.symbols).sorted()
        guard !names.isEmpty else { return [([:], true)] }
        let beyond = 10 * max(1, first.largestNumber, second.largestNumber)
        var state: UInt64 = 1
        func random() -> Double {
            // Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014).
            state &+= 0x9e37_79b9_7f4a_7c15
            var bits = state
            bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
            bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
            return Double((bits ^ (bits >> 31)) >> 11) * 0x1p-53
        }
        return (0..<Self.scales.count + 4).map { round in
            let scale = round < Self.scales.count ? Self.scales[round] : beyond
            let letters = names.map { name in
                let size = scale * (0.3 + 1.4 * random())
                // The first are positive, where roots and logarithms are real.
                return (name, round >= 6 && random() < 0.5 ? -size : size)
            }
            return (Dictionary(uniqueKeysWithValues: letters), round < Self.scales.count && scale <= 3)
        }
    }

    private static let scales: [Double] =
        Array(repeating: 1, count: 14) + [3, 3, 3, 3, 0.05, 0.05, 10, 10, 10, 10, 100, 100, 100, 100]
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
