/// Reads a regular expression that a whole text must match.
///
/// Python's spelling without what looks around: no `\b`, look-ahead, look-behind or references back. `\d`, `\w` and `\s` are
/// those of ASCII; lazy quantifiers match what greedy ones match.
struct RegexReader {
    typealias Pattern = ByteGrammar.Pattern

    private let scalars: [Unicode.Scalar]
    private var position = 0
    private var depth = 0
    /// How a set of scalars is written: in UTF-8, or as the inside of a JSON string.
    private let write: (ScalarSet) -> Pattern

    /// What may stand around a match; nil where the whole text must match.
    private let around: Pattern?

    private init(_ text: String, within around: Pattern?, write: @escaping (ScalarSet) -> Pattern) {
        scalars = Array(text.unicodeScalars)
        self.around = around
        self.write = write
    }

    /// - Parameter around: What may stand before and behind a match that has no `^` and `$`; nil has the whole text match.
    /// - Throws: `GrammarError` with the place of what cannot be read.
    static func pattern(
        _ text: String, within around: Pattern? = nil, write: @escaping (ScalarSet) -> Pattern = \.pattern
    ) throws -> Pattern {
        var reader = RegexReader(text, within: around, write: write)
        let pattern = try reader.alternatives(isAtStart: true)
        guard reader.position == reader.scalars.count else { throw reader.error("there is no \"(\" for this \")\"") }
        return pattern
    }

    private func error(_ what: String) -> GrammarError {
        GrammarError("character \(position + 1): \(what)")
    }

    private var next: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard next == scalar else { return false }
        position += 1
        return true
    }

    private mutating func take(_ text: String) -> Bool {
        guard scalars[position...].starts(with: text.unicodeScalars) else { return false }
        position += text.unicodeScalars.count
        return true
    }

    /// - Parameter isAtStart: Whether nothing stands before.
    private mutating func alternatives(isAtStart: Bool) throws -> Pattern {
        depth += 1
        defer { depth -= 1 }
        guard depth <= 200 else { throw error("groups are more than 200 deep") }
        var parts = [try sequence(isAtStart: isAtStart)]
        while take("|") { parts.append(try sequence(isAtStart: isAtStart)) }
        return parts.count == 1 ? parts[0] : .choice(parts)
    }

    private mutating func sequence(isAtStart: Bool) throws -> Pattern {
        var parts: [Pattern] = []
        var ends: Set<Unicode.Scalar> = []
        while let scalar = next, scalar != "|", scalar != ")" {
            if scalar == "^" || scalar == "$" {
                guard scalar == "^" ? isAtStart && parts.isEmpty : isBeforeEnd else {
                    throw error("\"\(scalar)\" within a text can never match")
                }
                // Where the whole text is matched, its ends say nothing.
                guard around == nil || depth == 1 else {
                    throw error("write \"\(scalar)\" outside of groups, at the end of the whole or of an alternative")
                }
                ends.insert(scalar)
                position += 1
                continue
            }
            parts.append(try quantified(try atom(isAtStart: isAtStart && parts.isEmpty)))
        }
        if let around, depth == 1 {
            parts = (ends.contains("^") ? [] : [around]) + parts + (ends.contains("$") ? [] : [around])
        }
        return parts.count == 1 ? parts[0] : .sequence(parts)
    }

    /// Whether nothing comes behind the scalar at hand but the ends of groups, or another alternative of the whole.
    private var isBeforeEnd: Bool {
        let rest = scalars[(position + 1)...].drop { $0 == ")" }
        return rest.isEmpty || depth == 1 && scalars[position + 1] == "|"
    }

    private mutating func quantified(_ atom: Pattern) throws -> Pattern {
        guard let (from, upTo) = try quantifier() else { return atom }
        _ = take("?")
        if next == "+" { throw error("possessive quantifiers are not read") }
        let place = position
        if try quantifier() != nil {
            position = place
            throw error("what is repeated is repeated again; put it into a group: (…)")
        }
        return .repeated(atom, from: from, upTo: upTo)
    }

    private mutating func quantifier() throws -> (from: Int, upTo: Int?)? {
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        if take("?") { return (0, 1) }
        let start = position
        guard take("{") else { return nil }
        let from = number()
        let upTo = take(",") ? number() : from
        let isOpen = scalars[start..<position].contains(",")
        // Braces that count nothing are themselves, as in Python.
        guard from != nil || upTo != nil, take("}") else {
            position = start
            return nil
        }
        let limits = (from ?? 0, isOpen ? upTo : from)
        if let most = limits.1, most < limits.0 {
            throw error("the smaller number of {\(limits.0),\(most)} comes first")
        }
        return limits
    }

    private mutating func number() -> Int? {
        let digits = scalars[position...].prefix { ("0"..."9").contains($0) }
        position += digits.count
        return Int(String(String.UnicodeScalarView(digits)))
    }

    private mutating func atom(isAtStart: Bool) throws -> Pattern {
        guard let scalar = next else { throw error("something is missing at the end") }
        switch scalar {
        case "(":
            position += 1
            if take("?") {
                if take("P<") || (next == "<" && !["=", "!"].contains(scalars.dropFirst(position + 1).first)) {
                    while let scalar = next, scalar != ">" { position += 1 }
                    guard take(">") else { throw error("the name of a group does not end") }
                } else if !take(":") {
                    throw error("groups of this kind (look-ahead, look-behind, options) are not read")
                }
            }
            let inner = try alternatives(isAtStart: isAtStart)
            guard take(")") else { throw error("there is no \")\" for a \"(\"") }
            return inner
        case "[":
            position += 1
            return write(try bracketed())
        case ".":
            position += 1
            return write(ScalarSet("\n").inverted)
        case "*", "+", "?": throw error("\"\(scalar)\" has nothing before it to repeat")
        case "\\":
            position += 1
            return write(try escaped())
        default:
            position += 1
            return write(ScalarSet(scalar))
        }
    }

    /// What stands behind a backslash.
    private mutating func escaped() throws -> ScalarSet {
        guard let scalar = next else { throw error("the backslash at the end says nothing") }
        position += 1
        switch scalar {
        case "d": return .digits
        case "D": return ScalarSet.digits.inverted
        case "w": return .word
        case "W": return ScalarSet.word.inverted
        case "s": return .space
        case "S": return ScalarSet.space.inverted
        case "n": return ScalarSet("\n")
        case "r": return ScalarSet("\r")
        case "t": return ScalarSet("\t")
        case "f": return ScalarSet("\u{0C}")
        case "v": return ScalarSet("\u{0B}")
        case "a": return ScalarSet("\u{07}")
        case "0": return ScalarSet("\0")
        case "x": return try code(digits: 2)
        case "u": return try code(digits: 4)
        case "U": return try code(digits: 8)
        case _ where scalar.properties.isAlphabetic || ("1"..."9").contains(scalar):
            position -= 1
            throw error("\\\(scalar) is not read")
        default: return ScalarSet(scalar)
        }
    }

    private mutating func code(digits: Int) throws -> ScalarSet {
        let text = String(String.UnicodeScalarView(scalars[position...].prefix(digits)))
        guard text.unicodeScalars.count == digits, let value = UInt32(text, radix: 16),
            let scalar = Unicode.Scalar(value)
        else { throw error("wanted \(digits) hexadecimal digits of a character") }
        position += digits
        return ScalarSet(scalar)
    }

    /// A class of characters, behind its bracket.
    private mutating func bracketed() throws -> ScalarSet {
        let isInverted = take("^")
        var set = ScalarSet([])
        var isFirst = true
        while true {
            guard let scalar = next else { throw error("there is no \"]\" for a \"[\"") }
            if scalar == "]", !isFirst { break }
            isFirst = false
            let first = try member()
            guard next == "-", position + 1 < scalars.count, scalars[position + 1] != "]" else {
                set = set.union(first)
                continue
            }
            position += 1
            let last = try member()
            guard let low = first.only, let high = last.only, low <= high else {
                throw error("a range goes from a character to a later one")
            }
            set = set.union(ScalarSet([low...high]).intersection(.all))
        }
        position += 1
        let found = isInverted ? set.inverted : set
        guard !found.isEmpty else { throw error("a class without a character never matches") }
        return found
    }

    private mutating func member() throws -> ScalarSet {
        guard let scalar = next else { throw error("there is no \"]\" for a \"[\"") }
        position += 1
        return scalar == "\\" ? try escaped() : ScalarSet(scalar)
    }
}

extension ScalarSet {
    /// The scalar of a set that has one.
    fileprivate var only: UInt32? {
        ranges.count == 1 && ranges[0].count == 1 ? ranges[0].lowerBound : nil
    }
}

extension ByteGrammar {
    /// Texts that a regular expression matches as a whole.
    ///
    /// - Throws: `GrammarError` with the place of what cannot be read.
    package init(regex: String) throws {
        try self.init([RegexReader.pattern(regex)])
    }
}
