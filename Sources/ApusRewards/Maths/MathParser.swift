/// Reads a formula from its tokens.
///
/// ```
/// sum     = product (("+" | "-") product)*
/// product = signed (("*" | "/" | nothing) signed)*
/// signed  = ("-" | "+")* power
/// power   = atom ("!" | "%" | "°")* ("^" group)?
/// ```
///
/// What can be read in two ways is not read: `2^3^2`, `3!!`, `dy/dx`.
struct MathParser {
    private let tokens: ArraySlice<MathToken>
    private var place: Int
    /// How deep it is in formulas within formulas.
    private var depth = 0
    /// Formulas without a bound would overflow the stack of whoever looks at them.
    private static let deepest = (formulas: 40, parts: 100)

    private init(_ tokens: ArraySlice<MathToken>) {
        self.tokens = tokens
        place = tokens.startIndex
    }

    /// - Returns: nil where the tokens are no formula, or one that is not known.
    static func expression(_ tokens: ArraySlice<MathToken>) -> MathExpression? {
        var parser = MathParser(tokens)
        guard let sum = parser.sum(), parser.place == tokens.endIndex, sum.height <= deepest.parts else { return nil }
        return sum
    }

    private var next: MathToken? { place < tokens.endIndex ? tokens[place] : nil }

    private mutating func take(_ character: Character) -> Bool {
        guard next == .symbol(character) else { return false }
        place += 1
        return true
    }

    private mutating func take(command name: String) -> Bool {
        guard next == .command(name) else { return false }
        place += 1
        return true
    }

    // MARK: - Sums and products

    private mutating func sum() -> MathExpression? {
        guard let first = product() else { return nil }
        var parts = [first]
        while true {
            if take("+") {
                guard let part = product() else { return nil }
                parts.append(part)
            } else if take("-") {
                guard let part = product() else { return nil }
                parts.append(.negative(part))
            } else {
                return parts.count == 1 ? first : .sum(parts)
            }
        }
    }

    private mutating func product() -> MathExpression? {
        guard let first = signed() else { return nil }
        // What multiplies so far; a quotient takes all of it.
        var factors = [first]
        var (isRatio, divisions) = (false, 0)
        while let next {
            if take("*") || take(command: "cdot") || take(command: "times") || take(command: "ast") {
                guard let factor = signed() else { return nil }
                factors.append(factor)
            } else if next == .symbol("/") || next == .symbol(":") || next == .command("div") {
                // 1:2:3 is no number.
                if next == .symbol(":"), isRatio { return nil }
                isRatio = next == .symbol(":")
                let isDerivative = isDifferential(place - 2) && isDifferential(place + 1)
                place += 1
                divisions += 1
                guard divisions <= 10, !isDerivative, let divisor = signed() else { return nil }
                factors = [.quotient(Self.product(factors), divisor)]
            } else if startsAtom(next) {
                let wasNumber = factors.count == 1 && Self.isInteger(factors[0])
                if case .number = next, place > tokens.startIndex, case .number = tokens[place - 1] { return nil }
                // Words do not commute.
                if case .run = next, place > tokens.startIndex, case .run = tokens[place - 1] { return nil }
                let isFraction = next == .command("frac")
                guard let factor = power() else { return nil }
                // 5 1/2 is five and a half.
                if wasNumber, isFraction, case .quotient(let over, let under) = factor, Self.isInteger(over),
                    Self.isInteger(under)
                {
                    factors = [Self.mixed(factors[0], factor)]
                } else {
                    factors.append(factor)
                }
            } else {
                break
            }
        }
        return Self.product(factors)
    }

    private static func product(_ factors: [MathExpression]) -> MathExpression {
        factors.count == 1 ? factors[0] : .product(factors)
    }

    private static func isInteger(_ expression: MathExpression) -> Bool {
        switch expression {
        case .number(let value, false): value.isInteger
        case .negative(let part): isInteger(part)
        default: false
        }
    }

    private static func mixed(_ whole: MathExpression, _ fraction: MathExpression) -> MathExpression {
        if case .negative(let whole) = whole { .negative(.sum([whole, fraction])) } else { .sum([whole, fraction]) }
    }

    private mutating func signed() -> MathExpression? {
        var isNegative = false
        var hasSign = false
        while next == .symbol("-") || next == .symbol("+") {
            if next == .symbol("-") { isNegative.toggle() }
            hasSign = true
            place += 1
        }
        guard hasSign else { return power() }
        return power().map { isNegative ? .negative($0) : $0 }
    }

    private mutating func power() -> MathExpression? {
        guard var result = atom() else { return nil }
        var (hasPower, signs) = (false, 0)
        while true {
            signs += 1
            guard signs <= 5 else { return nil }
            if take("!") {
                guard next != .symbol("!") else { return nil }
                result = .function(.factorial, [result])
            } else if take("%") {
                result = .percent(result)
            } else if take(command: "degree") {
                result = .degree(result)
            } else if take("^") {
                if isDegree() {
                    result = .degree(result)
                    continue
                }
                guard !hasPower, let exponent = group() else { return nil }
                hasPower = true
                result = .power(result, exponent)
            } else {
                return result
            }
        }
    }

    /// Takes the `\circ` or `{\circ}` of degrees behind `^`; elsewhere it joins functions and is not known.
    private mutating func isDegree() -> Bool {
        if take(command: "circ") || take(command: "degree") { return true }
        let braced: [MathToken] = [.symbol("{"), .command("circ"), .symbol("}")]
        guard tokens[place...].starts(with: braced) else { return false }
        place += braced.count
        return true
    }

    // MARK: - Atoms

    private func startsAtom(_ token: MathToken) -> Bool {
        switch token {
        case .number, .letter, .run: true
        case .words: false
        case .symbol(let character): character == "(" || character == "{"
        case .command(let name):
            ["frac", "sqrt", "pi", "infty", "binom", "lfloor", "lceil", "log", "ln", "lg", "max", "min"].contains(name)
                || MathExpression.Function(rawValue: name) != nil
                || Self.greek.contains(name)
        }
    }

    private static let greek: Set<String> = [
        "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "theta", "lambda", "mu", "nu", "rho", "sigma",
        "tau",
        "phi", "varphi", "omega", "Delta", "Omega",
    ]

    /// `{…}`, or one digit, letter or command.
    private mutating func group() -> MathExpression? {
        guard let next else { return nil }
        if next == .symbol("{") { return enclosed("{", "}") }
        if case .number(let digits) = next, digits.count > 1, !digits.contains(".") {
            // \frac12 is a half, and 2^10 without braces is what it looks like to whoever wrote it.
            place += 1
            return Rational(decimal: digits).map { .number($0, isDecimal: false) }
        }
        return take("-") ? atom().map { .negative($0) } : atom()
    }

    private mutating func enclosed(_ open: Character, _ close: Character) -> MathExpression? {
        guard take(open), let inner = sum(), take(close) else { return nil }
        return inner
    }

    private mutating func atom() -> MathExpression? {
        guard let next, depth < Self.deepest.formulas else { return nil }
        depth += 1
        defer { depth -= 1 }
        switch next {
        case .number(let text):
            place += 1
            guard let value = Rational(decimal: text) else { return nil }
            // A half is a half, however it is written.
            return .number(value, isDecimal: text.contains(".") && text != "0.5" && text != ".5")
        case .letter(let letter):
            place += 1
            return named(String(letter))
        case .run(let name):
            place += 1
            return .symbol(name)
        case .words: return nil
        case .symbol("("): return enclosed("(", ")")
        case .symbol("["): return enclosed("[", "]")
        case .symbol("{"): return enclosed("{", "}")
        case .symbol("|"):
            // What stands between two bars holds none itself.
            guard let end = tokens[(place + 1)...].firstIndex(of: .symbol("|")),
                let inner = Self.expression(tokens[place + 1..<end])
            else { return nil }
            place = end + 1
            return .function(.absolute, [inner])
        case .symbol: return nil
        case .command(let name):
            place += 1
            return command(name)
        }
    }

    /// A letter, with its index.
    private mutating func named(_ letter: String) -> MathExpression? {
        var name = letter.lowercased()
        if take("_") {
            guard let index = index() else { return nil }
            return .symbol("\(name)_\(index)")
        }
        while next == .command("prime") || next == .symbol("'") {
            place += 1
            name += "'"
        }
        switch name {
        case "e" where letter == "e": return .e
        case "i" where letter == "i": return .imaginaryUnit
        case "π": return .pi
        default: return .symbol(name)
        }
    }

    private mutating func index() -> String? {
        func text(_ token: MathToken) -> String? {
            switch token {
            case .number(let text), .words(let text), .run(let text): text
            case .letter(let letter): String(letter)
            case .command, .symbol: nil
            }
        }
        guard let first = next else { return nil }
        place += 1
        guard first == .symbol("{") else { return text(first) }
        var index = ""
        while let token = next, token != .symbol("}") {
            guard let part = text(token) else { return nil }
            index += part
            place += 1
        }
        return take("}") && !index.isEmpty ? index : nil
    }

    private mutating func command(_ name: String) -> MathExpression? {
        switch name {
        case "pi": return .pi
        case "infty": return .infinity
        case "frac": return fraction().map { .quotient($0.0, $0.1) }
        case "binom": return fraction().map { .function(.binom, [$0.0, $0.1]) }
        case "sqrt": return root()
        case "lfloor": return bracketed(.floor, by: "rfloor")
        case "lceil": return bracketed(.ceil, by: "rceil")
        case "lvert", "vert": return bracketed(.absolute, by: name == "vert" ? "vert" : "rvert")
        case "log", "ln", "lg": return logarithm(name)
        case _ where Self.greek.contains(name):
            let lower = name.lowercased()
            guard take("_") else { return .symbol(lower) }
            return index().map { .symbol("\(lower)_\($0)") }
        default:
            guard let function = MathExpression.Function(rawValue: name), function != .root, function != .binom,
                function != .factorial, function != .absolute
            else { return nil }
            return applied(function)
        }
    }

    /// Two groups, or the two digits of `\frac12`.
    private mutating func fraction() -> (MathExpression, MathExpression)? {
        if case .number(let digits)? = next, digits.allSatisfy(\.isNumber), digits.count > 1 {
            place += 1
            guard let over = digits.first?.wholeNumberValue else { return nil }
            if digits.count == 2, let under = digits.last?.wholeNumberValue, next != .symbol("{") {
                return (.integer(over), .integer(under))
            }
            return nil
        }
        // \frac{dy}{dx} is no quotient.
        let start = place
        guard let over = group() else { return nil }
        let middle = place
        guard let under = group(), !(isDifferential(start) && isDifferential(middle)) else { return nil }
        return (over, under)
    }

    /// Whether `dx` stands there, perhaps behind a brace.
    private func isDifferential(_ place: Int) -> Bool {
        guard tokens.indices.contains(place) else { return false }
        let rest = tokens[place...]
        guard (rest.first == .symbol("{") ? rest.dropFirst() : rest).first == .letter("d") else { return false }
        if rest.first == .symbol("{") { return true }
        if case .letter? = rest.dropFirst().first { return true }
        return false
    }

    private mutating func root() -> MathExpression? {
        var degree: MathExpression?
        if next == .symbol("[") {
            degree = enclosed("[", "]")
            if degree == nil { return nil }
        }
        let inner: MathExpression?
        if next == .symbol("(") { inner = enclosed("(", ")") } else { inner = group() }
        return inner.map { .function(.root, [degree ?? .integer(2), $0]) }
    }

    private mutating func bracketed(_ function: MathExpression.Function, by end: String) -> MathExpression? {
        guard let inner = sum(), take(command: end) else { return nil }
        return .function(function, [inner])
    }

    private mutating func logarithm(_ name: String) -> MathExpression? {
        var base: MathExpression = name == "lg" ? .integer(10) : .e
        if take("_") {
            guard let given = group() else { return nil }
            base = given
        }
        var exponent: MathExpression?
        if take("^") {
            guard let given = group() else { return nil }
            exponent = given
        }
        guard let argument = argument() else { return nil }
        let result = MathExpression.function(.log, [base, argument])
        return exponent.map { .power(result, $0) } ?? result
    }

    private mutating func applied(_ function: MathExpression.Function) -> MathExpression? {
        var exponent: MathExpression?
        if take("^") {
            guard let given = group() else { return nil }
            exponent = given
        }
        if function == .max || function == .min {
            guard take("("), let first = sum() else { return nil }
            var arguments = [first]
            while take(",") {
                guard let argument = sum() else { return nil }
                arguments.append(argument)
            }
            return take(")") ? .function(function, arguments) : nil
        }
        // An inverse is written like a power.
        if exponent == .negative(.integer(1)) { return nil }
        guard let argument = argument() else { return nil }
        let result = MathExpression.function(function, [argument.inRadians])
        return exponent.map { .power(result, $0) } ?? result
    }

    /// What a function without brackets is applied to: `2x` in `sin 2x + 1`.
    private mutating func argument() -> MathExpression? {
        if next == .symbol("(") { return enclosed("(", ")") }
        if next == .symbol("{") { return enclosed("{", "}") }
        guard let first = power() else { return nil }
        var factors = [first]
        while let next, startsAtom(next), next != .symbol("(") {
            if case .command(let name) = next, name != "frac", name != "pi", name != "sqrt", !Self.greek.contains(name)
            {
                break
            }
            guard let factor = power() else { return nil }
            factors.append(factor)
        }
        return Self.product(factors)
    }
}
