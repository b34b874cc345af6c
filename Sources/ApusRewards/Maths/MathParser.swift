/// Reads a formula from its tokens.
///
/// ```
/// sum     = product (("+" | "-") product)*
/// product = signed (("*" | "/" | nothing) signed)*
/// signed  = ("-" | "+")* power
/// power   = atom ("!" | "%" | "°")* ("^" group)?
/// ```
struct MathParser {
    private let tokens: ArraySlice<MathToken>
    private var place: Int

    private init(_ tokens: ArraySlice<MathToken>) {
        self.tokens = tokens
        place = tokens.startIndex
    }

    /// - Returns: nil where the tokens are no formula, or one that is not known.
    static func expression(_ tokens: ArraySlice<MathToken>) -> MathExpression? {
        var parser = MathParser(tokens)
        guard let sum = parser.sum(), parser.place == tokens.endIndex else { return nil }
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
        guard var result = signed() else { return nil }
        while let next {
            if take("*") || take(command: "cdot") || take(command: "times") || take(command: "ast") {
                guard let factor = signed() else { return nil }
                result = Self.product(result, factor)
            } else if take("/") || take(":") || take(command: "div") {
                guard let divisor = signed() else { return nil }
                result = .quotient(result, divisor)
            } else if startsAtom(next) {
                let wasNumber = Self.isInteger(result)
                if case .number = next, place > tokens.startIndex, case .number = tokens[place - 1] { return nil }
                let isFraction = next == .command("frac")
                guard let factor = power() else { return nil }
                // 5 1/2 is five and a half.
                if wasNumber, isFraction, case .quotient(let over, let under) = factor, Self.isInteger(over),
                    Self.isInteger(under)
                {
                    result = Self.mixed(result, factor)
                } else {
                    result = Self.product(result, factor)
                }
            } else {
                return result
            }
        }
        return result
    }

    private static func product(_ left: MathExpression, _ right: MathExpression) -> MathExpression {
        if case .product(let parts) = left { .product(parts + [right]) } else { .product([left, right]) }
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
        if take("-") { return signed().map { .negative($0) } }
        if take("+") { return signed() }
        return power()
    }

    private mutating func power() -> MathExpression? {
        guard var result = atom() else { return nil }
        while true {
            if take("!") {
                result = .function(.factorial, [result])
            } else if take("%") {
                result = .percent(result)
            } else if take(command: "circ") || take(command: "degree") {
                continue
            } else if take("^") {
                if isDegree() { continue }
                guard let exponent = group() else { return nil }
                result = .power(result, exponent)
            } else {
                return result
            }
        }
    }

    /// Takes the `\circ` or `{\circ}` of degrees behind `^`.
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
        case .number, .letter: true
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
        guard let next else { return nil }
        switch next {
        case .number(let text):
            place += 1
            guard let value = Rational(decimal: text) else { return nil }
            // A half is a half, however it is written.
            return .number(value, isDecimal: text.contains(".") && text != "0.5" && text != ".5")
        case .letter(let letter):
            place += 1
            return named(String(letter))
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
            case .number(let text), .words(let text): text
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
        guard let over = group(), let under = group() else { return nil }
        return (over, under)
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
        let result = MathExpression.function(function, [argument])
        return exponent.map { .power(result, $0) } ?? result
    }

    /// What a function without brackets is applied to: `2x` in `sin 2x + 1`.
    private mutating func argument() -> MathExpression? {
        if next == .symbol("(") { return enclosed("(", ")") }
        if next == .symbol("{") { return enclosed("{", "}") }
        guard var result = power() else { return nil }
        while let next, startsAtom(next), next != .symbol("(") {
            if case .command(let name) = next, name != "frac", name != "pi", name != "sqrt", !Self.greek.contains(name)
            {
                break
            }
            guard let factor = power() else { return nil }
            result = Self.product(result, factor)
        }
        return result
    }
}
