import ApusJSON

/// The texts of JSON strings.
enum JSONStringPatterns {
    typealias Pattern = ByteGrammar.Pattern

    static let words: Set<String> = ["minLength", "maxLength", "pattern", "format"]

    /// Characters that stand for themselves in a string.
    private static let plain = ScalarSet.all.subtracting(ScalarSet("\"")).subtracting(ScalarSet("\\"))
        .subtracting(.controls)

    /// A character by itself or behind a backslash; by its number only one that is none of the halves of a pair.
    private static let character: Pattern = {
        let hex = ScalarSet([0x30...0x39, 0x41...0x46, 0x61...0x66])
        let d = ScalarSet("D").union(ScalarSet("d"))
        let escape = Pattern.choice(["\"", "\\", "/", "b", "f", "n", "r", "t"].map { .text($0) })
        let start = Pattern.choice([
            .sequence([hex.subtracting(d).pattern, hex.pattern]),
            .sequence([d.pattern, ScalarSet([0x30...0x37]).pattern]),
        ])
        let code = Pattern.sequence([.text("u"), start, .repeated(hex.pattern, from: 2, upTo: 2)])
        return .choice([plain.pattern, .sequence([.text("\\"), .choice([escape, code])])])
    }()

    /// A character beyond the first plane by the numbers of its two halves, of which neither is one alone.
    private static let pair: Pattern = {
        let hex = ScalarSet([0x30...0x39, 0x41...0x46, 0x61...0x66]).pattern
        let d = ScalarSet("D").union(ScalarSet("d")).pattern
        func half(_ second: ScalarSet) -> Pattern {
            .sequence([.text("\\u"), d, second.pattern, .repeated(hex, from: 2, upTo: 2)])
        }
        return .sequence([
            half(ScalarSet([0x38...0x39, 0x41...0x42, 0x61...0x62])), half(ScalarSet([0x43...0x46, 0x63...0x66])),
        ])
    }()

    /// Any number of characters.
    private static let characters = Pattern.repeated(.choice([character, pair]), from: 0, upTo: nil)

    static let any = quoted(characters)

    private static func quoted(_ inner: Pattern) -> Pattern { .sequence([.text("\""), inner, .text("\"")]) }

    /// Texts that are none of some names, in characters that stand for themselves: a name could be written otherwise too.
    ///
    /// - Parameter rest: Any number of `plainCharacter`.
    static func names(except names: [String], rest: Pattern) -> Pattern {
        names.isEmpty ? any : quoted(texts(except: names.map { Array($0.unicodeScalars) }, rest))
    }

    static let plainCharacter = plain.pattern

    private static func texts(except names: [[Unicode.Scalar]], _ rest: Pattern) -> Pattern {
        var heads: [Unicode.Scalar: [[Unicode.Scalar]]] = [:]
        for name in names { if let head = name.first { heads[head, default: []].append(Array(name.dropFirst())) } }
        let taken = ScalarSet(heads.keys.map { $0.value...$0.value })
        var parts = [Pattern.sequence([plain.subtracting(taken).pattern, rest])]
        if !names.contains([]) { parts.append(.nothing) }
        for (head, tails) in heads.sorted(by: { $0.key < $1.key }) where !plain.intersection(ScalarSet(head)).isEmpty {
            parts.append(.sequence([ScalarSet(head).pattern, texts(except: tails, rest)]))
        }
        return .choice(parts)
    }

    /// Characters as they are written in a string: what must be escaped is.
    private static func written(_ set: ScalarSet) -> Pattern {
        var parts = [set.intersection(plain).pattern]
        for range in set.subtracting(plain).ranges {
            for value in range {
                guard let scalar = Unicode.Scalar(value) else { continue }
                parts.append(.text(JSONValue.string(String(scalar)).serialized().dropFirst().dropLast()))
            }
        }
        return .choice(parts)
    }

    /// Texts in which a schema's pattern is found: a missing `^` or `$` leaves them open at that side.
    private static func found(_ regex: String, _ path: String) throws -> Pattern {
        do {
            return try RegexReader.pattern(regex, within: characters, write: written)
        } catch let error as GrammarError {
            throw GrammarError("\(path)/pattern: \(error)")
        }
    }

    /// Days that there are, the 29th of February of leap years among them.
    private static let date =
        #"(\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"#
        + #"|(\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)"#
    /// With its distance from UTC, as RFC 3339 has it.
    private static let time = #"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"#

    private static let formats: [String: String] = [
        "date": date,
        "time": time,
        "date-time": "\(date)T\(time)",
        "uuid": "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "ipv4": #"((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"#,
        "email": #"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,4}"#,
    ]

    static func pattern(_ object: JSONObject, _ path: String) throws -> Pattern {
        let from = try count(object, "minLength", path)
        let upTo = try count(object, "maxLength", path)
        let given = ["pattern", "format"].filter { object[$0] != nil }
        guard given.count + (from == nil && upTo == nil ? 0 : 1) < 2 else {
            throw GrammarError(
                "\(path): a length, a pattern and a format cannot be followed together; write one pattern")
        }
        if let regex = object["pattern"] {
            guard let regex = regex.stringValue else { throw GrammarError("\(path)/pattern: wanted a text") }
            return quoted(try found(regex, path))
        }
        if let format = object["format"] {
            guard let regex = format.stringValue.flatMap({ formats[$0] }) else {
                throw GrammarError(
                    "\(path)/format: got \(format.serialized()), wanted \(formats.keys.sorted().joined(separator: ", "))"
                )
            }
            return quoted(try RegexReader.pattern(regex))
        }
        if let from, let upTo, upTo < from { throw GrammarError("\(path): maxLength is less than minLength") }
        // Where characters are counted, each has steps of its own, and pairs would be half as many again.
        return from ?? 0 == 0 && upTo == nil ? any : quoted(.repeated(character, from: from ?? 0, upTo: upTo))
    }

    static func count(_ object: JSONObject, _ word: String, _ path: String) throws -> Int? {
        guard let value = object[word] else { return nil }
        guard let count = value.intValue, count >= 0 else {
            throw GrammarError("\(path)/\(word): got \(value.serialized()), wanted a whole number from 0")
        }
        return count
    }
}

/// The texts of JSON numbers.
enum JSONNumberPatterns {
    typealias Pattern = ByteGrammar.Pattern

    static let words: Set<String> = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]

    /// The most digits before the point, and behind it.
    private static let digits = 16

    private static let digit = Pattern.byte(UInt8(ascii: "0")...UInt8(ascii: "9"))
    private static let natural = Pattern.choice([
        .text("0"),
        .sequence([.byte(UInt8(ascii: "1")...UInt8(ascii: "9")), .repeated(digit, from: 0, upTo: digits - 1)]),
    ])

    static func numbers(from0: Bool) -> Pattern {
        let fraction = Pattern.sequence([.text("."), .repeated(digit, from: 1, upTo: digits)])
        let sign = Pattern.optional(.choice([.text("+"), .text("-")]))
        let exponent = Pattern.sequence([
            .choice([.text("e"), .text("E")]), sign, .repeated(digit, from: 1, upTo: 3),
        ])
        return .sequence([
            from0 ? .nothing : .optional(.text("-")), natural, .optional(fraction), .optional(exponent),
        ])
    }

    static func limits(_ object: JSONObject, _ path: String) throws -> (from: Int?, upTo: Int?) {
        func limit(_ word: String, _ change: Int) throws -> Int? {
            guard let value = object[word] else { return nil }
            guard let number = value.intValue, number.magnitude < 1_000_000_000_000_000 else {
                throw GrammarError(
                    "\(path)/\(word): got \(value.serialized()), wanted a whole number of at most 15 digits")
            }
            return number + change
        }
        let lows = [try limit("minimum", 0), try limit("exclusiveMinimum", 1)].compactMap { $0 }
        let highs = [try limit("maximum", 0), try limit("exclusiveMaximum", -1)].compactMap { $0 }
        return (lows.max(), highs.min())
    }

    static func integers(_ limits: (from: Int?, upTo: Int?), _ path: String) throws -> Pattern {
        if limits.from == nil, limits.upTo == nil { return .sequence([.optional(.text("-")), natural]) }
        let most = 9_999_999_999_999_999
        let (from, upTo) = (limits.from ?? -most, limits.upTo ?? most)
        guard from <= upTo else { throw GrammarError("\(path): no number is from \(from) to \(upTo)") }
        var parts: [Pattern] = []
        if from < 0 {
            let magnitudes = naturals(max(1, -min(upTo, -1)), -from)
            parts.append(.sequence([.text("-"), magnitudes]))
        }
        if upTo >= 0 { parts.append(naturals(max(0, from), upTo)) }
        return .choice(parts)
    }

    /// Whole numbers from one to another, neither below 0: one range for each number of digits.
    private static func naturals(_ from: Int, _ upTo: Int) -> Pattern {
        var parts: [Pattern] = []
        var (low, power) = (from, 10)
        while low <= upTo {
            if low < power {
                let high = min(upTo, power - 1)
                parts.append(between(Array(String(low).utf8)[...], Array(String(high).utf8)[...]))
                low = high + 1
            }
            power *= 10
        }
        return .choice(parts)
    }

    /// Numbers of the same count of digits, from one to another.
    private static func between(_ low: ArraySlice<UInt8>, _ high: ArraySlice<UInt8>) -> Pattern {
        guard let first = low.first, let last = high.first else { return .nothing }
        let (lowRest, highRest) = (low.dropFirst(), high.dropFirst())
        if first == last { return .sequence([.byte(first...first), between(lowRest, highRest)]) }
        let (zeros, nines) = (lowRest.map { _ in UInt8(ascii: "0") }, lowRest.map { _ in UInt8(ascii: "9") })
        var (parts, from, upTo): ([Pattern], UInt8, UInt8) = ([], first, last)
        if !lowRest.elementsEqual(zeros) {
            parts.append(.sequence([.byte(first...first), between(lowRest, nines[...])]))
            from += 1
        }
        if !highRest.elementsEqual(nines) {
            parts.append(.sequence([.byte(last...last), between(zeros[...], highRest)]))
            upTo -= 1
        }
        if from <= upTo {
            parts.append(.sequence([.byte(from...upTo), .repeated(digit, from: lowRest.count, upTo: lowRest.count)]))
        }
        return .choice(parts)
    }
}
