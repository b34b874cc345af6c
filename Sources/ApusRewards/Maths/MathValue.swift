/// What an answer in mathematics is: a formula, or something made of some.
indirect enum MathValue: Equatable, Sendable {
    case expression(MathExpression)
    /// `x = 5`, `f(x) = …`, `x \in …`
    case assignment(String, MathValue)
    /// `a ≤ b < c`: the sides, and what stands between them.
    case relation([MathExpression], [Relation])
    /// In any order.
    case set([MathValue])
    case tuple([MathValue])
    case interval(MathExpression, MathExpression, isOpen: Bool, endIsOpen: Bool)
    case union([MathValue])
    case matrix([[MathExpression]])
    /// `1:2:3`
    case ratio([MathExpression])
    /// In lower case and without spaces.
    case text(String)

    enum Relation: Sendable {
        case equal, less, lessOrEqual, greater, greaterOrEqual, notEqual

        var flipped: Relation {
            switch self {
            case .less: .greater
            case .lessOrEqual: .greaterOrEqual
            case .greater: .less
            case .greaterOrEqual: .lessOrEqual
            case .equal, .notEqual: self
            }
        }
    }

    /// - Parameter latex: What `MathText.normalized` makes of an answer.
    /// - Returns: nil for what is not known.
    init?(latex: String) {
        guard let tokens = MathToken.tokens(of: latex), !tokens.isEmpty else { return nil }
        self.init(tokens[...])
    }

    init?(_ tokens: ArraySlice<MathToken>) {
        let items = Self.split(tokens) { $0 == .symbol(",") || $0 == .symbol(";") }
        guard items.count > 1 else {
            self.init(item: tokens)
            return
        }
        let values = items.compactMap { Self(item: $0) }
        guard values.count == items.count else { return nil }
        self = .set(values.flatMap(\.elements))
    }

    /// The elements of a set, or itself.
    private var elements: [MathValue] {
        if case .set(let elements) = self { elements } else { [self] }
    }

    // MARK: - Parts

    /// The parts between separators that stand in no brackets.
    private static func split(
        _ tokens: ArraySlice<MathToken>, at isSeparator: (MathToken) -> Bool
    ) -> [ArraySlice<MathToken>] {
        var parts: [ArraySlice<MathToken>] = []
        var (start, depth) = (tokens.startIndex, 0)
        for (index, token) in zip(tokens.indices, tokens) {
            depth += token.depthChange
            if depth == 0, isSeparator(token) {
                parts.append(tokens[start..<index])
                start = index + 1
            }
        }
        return parts + [tokens[start...]]
    }

    private init?(item tokens: ArraySlice<MathToken>) {
        guard let first = tokens.first else { return nil }
        if tokens.contains(.command("pm")) || tokens.contains(.command("mp")) {
            self.init(bothSigns: tokens)
            return
        }
        if let found = Self.relation(tokens) {
            self = found
            return
        }
        if Self.separatesRelations(tokens) { return nil }
        let unions = Self.split(tokens) { $0 == .command("cup") }
        if unions.count > 1 {
            let parts = unions.compactMap { Self(item: $0) }
            guard parts.count == unions.count else { return nil }
            self = .union(parts)
            return
        }
        if tokens.count == 1, case .words(let words) = first, !words.isEmpty {
            if words.first?.isNumber == true || words.first == "-", let number = Self(latex: words) {
                self = number
                return
            }
            self = .text(Self.plainWord(words))
            return
        }
        if let found = Self.words(tokens) ?? Self.ratio(tokens) {
            self = found
            return
        }
        if tokens.elementsEqual([.command("emptyset")]) || tokens.elementsEqual([.command("varnothing")]) {
            self = .set([])
            return
        }
        if let found = Self.bracketed(tokens) ?? Self.matrix(tokens) {
            self = found
            return
        }
        guard let expression = MathParser.expression(tokens) else { return nil }
        self = .expression(expression)
    }

    /// The word in `(a)`.
    private static func plainWord(_ text: String) -> String {
        let word = text.hasPrefix("(") && text.hasSuffix(")") ? String(text.dropFirst().dropLast()) : text
        return word.filter { !$0.isWhitespace }
    }

    /// Nothing but letters, of which some are a word: no product, whose order would not count.
    private static func words(_ tokens: ArraySlice<MathToken>) -> MathValue? {
        var (text, hasRun) = ("", false)
        for token in tokens {
            switch token {
            case .run(let run): (text, hasRun) = (text + run, true)
            case .letter(let letter): text += letter.lowercased()
            default: return nil
            }
        }
        return hasRun ? .text(text) : nil
    }

    /// Three or more numbers between colons, or a time of day; of two other numbers the parser makes a quotient.
    private static func ratio(_ tokens: ArraySlice<MathToken>) -> MathValue? {
        let parts = split(tokens) { $0 == .symbol(":") }
        if parts.count == 2, case .number(let hours)? = parts[0].first, case .number(let minutes)? = parts[1].first,
            parts.allSatisfy({ $0.count == 1 }), minutes.count == 2, let hour = Int(hours), let minute = Int(minutes),
            hour <= 24, minute < 60
        {
            return .text("\(hour):\(minutes)")
        }
        guard parts.count > 2 else { return nil }
        let numbers = parts.compactMap { MathParser.expression($0) }
        return numbers.count == parts.count ? .ratio(numbers) : nil
    }

    private init?(bothSigns tokens: ArraySlice<MathToken>) {
        let signs: [(MathToken, MathToken)] = [(.symbol("+"), .symbol("-")), (.symbol("-"), .symbol("+"))]
        let values = signs.compactMap { plus, minus in
            Self(item: tokens.map { $0 == .command("pm") ? plus : $0 == .command("mp") ? minus : $0 }[...])
        }
        guard values.count == 2 else { return nil }
        self = .set(values)
    }

    // MARK: - Relations

    private static func relation(of token: MathToken) -> Relation? {
        switch token {
        case .symbol("="), .command("approx"), .command("equiv"): .equal
        case .symbol("<"), .command("lt"): .less
        case .symbol(">"), .command("gt"): .greater
        case .command("le"), .command("leq"), .command("leqslant"): .lessOrEqual
        case .command("ge"), .command("geq"), .command("geqslant"): .greaterOrEqual
        case .command("ne"), .command("neq"): .notEqual
        default: nil
        }
    }

    private static func separatesRelations(_ tokens: ArraySlice<MathToken>) -> Bool {
        tokens.contains { relation(of: $0) != nil || $0 == .command("in") }
    }

    private static func relation(_ tokens: ArraySlice<MathToken>) -> MathValue? {
        if let place = tokens.firstIndex(of: .command("in")) {
            let rest = tokens[(place + 1)...]
            guard !rest.contains(.command("in")), let name = name(tokens[..<place]), let value = MathValue(item: rest)
            else {
                return nil
            }
            return .assignment(name, value)
        }
        let sides = split(tokens) { relation(of: $0) != nil }
        guard sides.count > 1 else { return nil }
        let signs = sides.dropLast().compactMap { relation(of: tokens[$0.endIndex]) }
        guard signs.count == sides.count - 1 else { return nil }
        if signs.allSatisfy({ $0 == .equal }), let name = name(sides[0]) {
            // Of a chain of equations the last is the answer, unless one before says something else.
            guard MathComparison.doNotContradict(sides.dropFirst().compactMap { MathParser.expression($0) }) else {
                return nil
            }
            return MathValue(item: sides[sides.count - 1]).map { .assignment(name, $0) }
        }
        let parsed = sides.compactMap { MathParser.expression($0) }
        return parsed.count == sides.count ? .relation(parsed, signs) : nil
    }

    /// The left side of an assignment: a letter, a name of points (`AB`), or a function of something (`f(2)`).
    private static func name(_ tokens: ArraySlice<MathToken>) -> String? {
        if tokens.count == 1, case .words(let words)? = tokens.first { return words }
        if tokens.count == 1, case .run(let name)? = tokens.first { return name }
        let letters = tokens.compactMap { token -> Character? in
            if case .letter(let letter) = token, letter.isUppercase { letter } else { nil }
        }
        if letters.count == tokens.count, letters.count > 1 { return String(letters) }
        guard let expression = MathParser.expression(tokens) else { return nil }
        if case .symbol(let name) = expression { return name }
        guard case .product(let parts) = expression, parts.count == 2, case .symbol(let function) = parts[0],
            tokens.dropFirst().first == .symbol("("), tokens.last == .symbol(")"),
            case .letter(let letter)? = tokens.first, Self.functions.contains(letter)
        else { return nil }
        switch parts[1] {
        case .symbol(let argument): return "\(function)(\(argument))"
        case .number(let value, _) where value.isInteger: return "\(function)(\(value.numerator))"
        default: return nil
        }
    }

    /// Letters that stand for functions where brackets follow.
    private static let functions: Set<Character> = [
        "f", "g", "h", "p", "q", "u", "F", "G", "H", "P", "E", "V", "A", "S", "T",
    ]

    // MARK: - Brackets

    /// A tuple, an interval or a set in braces.
    private static func bracketed(_ tokens: ArraySlice<MathToken>) -> MathValue? {
        guard let first = tokens.first, let last = tokens.last, tokens.count > 1, isOnePair(tokens) else { return nil }
        let inner = tokens.dropFirst().dropLast()
        if first == .command("{"), last == .command("}") {
            if inner.isEmpty { return .set([]) }
            let items = split(inner) { $0 == .symbol(",") || $0 == .symbol(";") }
            let values = items.compactMap { MathValue(item: $0) }
            return values.count == items.count ? .set(values.flatMap(\.elements)) : nil
        }
        guard first == .symbol("(") || first == .symbol("["), last == .symbol(")") || last == .symbol("]") else {
            return nil
        }
        let items = split(inner) { $0 == .symbol(",") || $0 == .symbol(";") }
        if items.count == 1, first == .symbol("("), last == .symbol(")") { return MathValue(item: inner) }
        let values = items.compactMap { MathValue(item: $0) }
        guard values.count == items.count, items.count > 1 else { return nil }
        if values.count == 2, case .expression(let start) = values[0], case .expression(let end) = values[1] {
            return .interval(start, end, isOpen: first == .symbol("("), endIsOpen: last == .symbol(")"))
        }
        let isTuple = (first == .symbol("(") && last == .symbol(")")) || (first == .symbol("[") && last == .symbol("]"))
        return isTuple ? .tuple(values) : nil
    }

    /// Whether the first bracket is closed by the last token.
    private static func isOnePair(_ tokens: ArraySlice<MathToken>) -> Bool {
        var depth = 0
        for (index, token) in zip(tokens.indices, tokens) {
            depth += token.depthChange
            if depth == 0 { return index == tokens.endIndex - 1 }
        }
        return false
    }

    private static func matrix(_ tokens: ArraySlice<MathToken>) -> MathValue? {
        guard case .command(let begin)? = tokens.first, case .command(let end)? = tokens.last,
            ["matrix", "pmatrix", "bmatrix", "array"].contains(begin.dropFirst("begin ".count)),
            begin.hasPrefix("begin "), end == "end " + begin.dropFirst("begin ".count)
        else { return nil }
        var inner = tokens.dropFirst().dropLast()
        if begin == "begin array", inner.first == .symbol("{"), let close = inner.firstIndex(of: .symbol("}")) {
            inner = inner[(close + 1)...]
        }
        if inner.last == .command("\\") { inner = inner.dropLast() }
        let rows = split(inner) { $0 == .command("\\") }.map { row in
            split(row) { $0 == .symbol("&") }.map { MathParser.expression($0) }
        }
        let complete = rows.map { $0.compactMap(\.self) }
        guard zip(rows, complete).allSatisfy({ $0.count == $1.count }), Set(complete.map(\.count)).count == 1 else {
            return nil
        }
        return .matrix(complete)
    }
}
