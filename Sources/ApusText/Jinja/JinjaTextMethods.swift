/// The methods of Python's `str` that templates can call.
enum JinjaTextMethods {
    typealias Method = @Sendable (JinjaInterpreter, JinjaText, JinjaArguments) throws -> JinjaValue

    static let table: [String: Method] = changing.merging(searching) { $1 }.merging(testing) { $1 }
        .merging(splitting) { $1 }.merging(padding) { $1 }.merging(refused) { $1 }

    /// A method without arguments that looks at every character.
    private static func plain(
        _ name: String, _ body: @escaping @Sendable (JinjaText) -> JinjaValue
    ) -> (String, Method) {
        (
            name,
            { interpreter, text, arguments in
                _ = try arguments.matched("str.\(name)", [])
                try interpreter.charge(bytes: text.bytes.count, times: text.isASCII ? 2 : 16)
                return body(text)
            }
        )
    }

    // MARK: - Case and affixes

    private static let changing: [String: Method] = Dictionary(
        uniqueKeysWithValues: [
            plain("upper") { .text($0.uppercased()) },
            plain("lower") { .text($0.lowercased()) },
            plain("casefold") { .text($0.casefolded()) },
            plain("title") { .text($0.titlecased()) },
            plain("capitalize") { .text($0.capitalized()) },
            plain("swapcase") { .text($0.caseSwapped()) },
            ("strip", strip(leading: true, trailing: true)),
            ("lstrip", strip(leading: true, trailing: false)),
            ("rstrip", strip(leading: false, trailing: true)),
            ("removeprefix", removing { $0.hasPrefix($1) ? JinjaText($0.bytes.dropFirst($1.bytes.count)) : $0 }),
            ("removesuffix", removing { $0.hasSuffix($1) ? JinjaText($0.bytes.dropLast($1.bytes.count)) : $0 }),
            ("replace", replace),
            ("format", { @Sendable in try BraceFormat.formatted($1, $2, $0) }),
            ("format_map", formatMap),
            ("join", join),
        ])

    private static func strip(leading: Bool, trailing: Bool) -> Method {
        { interpreter, text, arguments in
            let characters = try arguments.matched("str.strip", ["chars"])[0].textOrNone("the argument of strip")
            try interpreter.charge(bytes: text.bytes.count + (characters?.bytes.count ?? 0) * 8)
            return .text(text.stripped(leading: leading, trailing: trailing, characters: characters))
        }
    }

    private static func removing(
        _ body: @escaping @Sendable (JinjaText, JinjaText) -> JinjaText
    ) -> Method {
        { interpreter, text, arguments in
            let affix = try arguments.one("str.removeprefix", "affix").requiredText("the affix")
            try interpreter.charge(bytes: text.bytes.count)
            return .text(body(text, affix).marked(text.isMarkup))
        }
    }

    private static let replace: Method = { interpreter, text, arguments in
        guard arguments.named.isEmpty else { throw JinjaError.value("str.replace() takes no keyword arguments") }
        let values = try arguments.matched("str.replace", ["old", "new", "count"], required: 2)
        return try replaced(interpreter, text, values)
    }

    /// `text.replace(old, new, count)`.
    static func replaced(
        _ interpreter: JinjaInterpreter, _ text: JinjaText, _ values: [JinjaValue?]
    ) throws -> JinjaValue {
        let old = try values[0]?.requiredText("the text to replace") ?? .empty
        var new = try values[1]?.requiredText("the replacement") ?? .empty
        if text.isMarkup { new = try interpreter.escaped(new) }
        let count = try values[2].integer("the count of replace", default: -1)
        try interpreter.charge(bytes: text.bytes.count, times: 2)
        let offsets = text.replacementOffsets(of: old, limit: count < 0 ? .max : count)
        try interpreter.charge(bytes: new.bytes.count + 8, times: offsets.count)
        let bytes = text.replacing(offsets, length: old.bytes.count, with: new.bytes)
        return .text(JinjaText(bytes, isMarkup: text.isMarkup))
    }

    private static let formatMap: Method = { interpreter, text, arguments in
        let mapping = try arguments.one("str.format_map", "mapping")
        guard case .dictionary(let dictionary) = mapping else {
            // A text without fields never looks at it.
            guard !text.bytes.contains(UInt8(ascii: "{")) else {
                throw JinjaError.value("format_map takes a mapping, not '\(mapping.typeName)'")
            }
            return try BraceFormat.formatted(text, JinjaArguments(), interpreter)
        }
        var values = JinjaArguments()
        for entry in dictionary.entries {
            if case .text(let name) = entry.key { values.named.append((name.string, entry.value)) }
        }
        return try BraceFormat.formatted(text, values, interpreter)
    }

    private static let join: Method = { interpreter, text, arguments in
        var bytes: [UInt8] = []
        let items = try interpreter.items(of: arguments.one("str.join", "iterable"))
        for (index, item) in items.enumerated() {
            var part = try item.requiredText("an item of join")
            if text.isMarkup { part = try interpreter.escaped(part) }
            try interpreter.charge(bytes: part.bytes.count + text.bytes.count + 1)
            if index > 0 { bytes += text.bytes }
            bytes += part.bytes
        }
        return .text(JinjaText(bytes, isMarkup: text.isMarkup))
    }

    // MARK: - Searching

    private static let searching: [String: Method] = [
        "find": { .int(try offset($0, $1, $2, fromEnd: false) ?? -1) },
        "rfind": { .int(try offset($0, $1, $2, fromEnd: true) ?? -1) },
        "index": { .int(try found(offset($0, $1, $2, fromEnd: false))) },
        "rindex": { .int(try found(offset($0, $1, $2, fromEnd: true))) },
        "count": count,
        "startswith": { try hasAffix($0, $1, $2) { $0.hasPrefix($1) } },
        "endswith": { try hasAffix($0, $1, $2) { $0.hasSuffix($1) } },
    ]

    private static func found(_ offset: Int?) throws -> Int {
        guard let offset else { throw JinjaError.value("substring not found") }
        return offset
    }

    /// The bytes between two optional Python indices; nil where the start lies behind the end.
    private static func range(
        _ text: JinjaText, _ start: JinjaValue?, _ end: JinjaValue?
    ) throws -> Range<Int>? {
        func bound(_ value: JinjaValue?) throws -> Int? {
            guard let value, !value.isNone else { return nil }
            return try JinjaValue?.some(value).integer("an index", default: 0)
        }
        let (from, to) = (try bound(start), try bound(end))
        if from == nil, to == nil { return 0..<text.bytes.count }
        let count = text.count
        let first = from.map { $0 < 0 ? max($0 + count, 0) : $0 } ?? 0
        let last = to.map { $0 < 0 ? max($0 + count, 0) : min($0, count) } ?? count
        guard first <= last else { return nil }
        return text.byteOffset(ofScalar: first)..<text.byteOffset(ofScalar: last)
    }

    private static func offset(
        _ interpreter: JinjaInterpreter, _ text: JinjaText, _ arguments: JinjaArguments, fromEnd: Bool
    ) throws -> Int? {
        let values = try arguments.matched("str.find", ["sub", "start", "end"], required: 1)
        let part = try values[0]?.requiredText("the text to find") ?? .empty
        try interpreter.charge(bytes: text.bytes.count, times: 2)
        guard let range = try range(text, values[1], values[2]) else { return nil }
        let offset = fromEnd ? text.lastOffset(of: part.bytes, in: range) : text.firstOffset(of: part.bytes, in: range)
        return offset.map(text.scalarIndex(ofByte:))
    }

    private static let count: Method = { interpreter, text, arguments in
        let values = try arguments.matched("str.count", ["sub", "start", "end"], required: 1)
        let part = try values[0]?.requiredText("the text to count") ?? .empty
        try interpreter.charge(bytes: text.bytes.count, times: 8)
        guard let range = try range(text, values[1], values[2]) else { return .int(0) }
        if part.isEmpty { return .int(JinjaText(text.bytes[range]).count + 1) }
        return .int(ByteSearcher(part.bytes).offsets(in: text.bytes, range: range).count)
    }

    private static func hasAffix(
        _ interpreter: JinjaInterpreter, _ text: JinjaText, _ arguments: JinjaArguments,
        _ test: (JinjaText, JinjaText) -> Bool
    ) throws -> JinjaValue {
        let values = try arguments.matched("str.startswith", ["prefix", "start", "end"], required: 1)
        if values[1] != nil { try interpreter.charge(bytes: text.bytes.count, times: 2) }
        let range = try range(text, values[1], values[2])
        let part = range.map { $0 == 0..<text.bytes.count ? text : JinjaText(text.bytes[$0]) }
        var affixes = values[0].map { [$0] } ?? []
        if case .tuple(let list) = affixes.first { affixes = list.items }
        for affix in affixes {
            let affix = try affix.requiredText("a prefix or suffix")
            try interpreter.charge(bytes: affix.bytes.count)
            if let part, test(part, affix) { return .bool(true) }
        }
        return .bool(false)
    }

    // MARK: - Predicates

    private static let testing: [String: Method] = Dictionary(
        uniqueKeysWithValues: [
            plain("isalnum") { .bool($0.isNonEmpty(allSatisfying: PythonCharacter.isAlphanumeric)) },
            plain("isalpha") { .bool($0.isNonEmpty(allSatisfying: PythonCharacter.isAlphabetic)) },
            plain("isascii") { .bool($0.isASCII) },
            plain("isdecimal") { .bool($0.isNonEmpty(allSatisfying: PythonCharacter.isDecimal)) },
            plain("isdigit") { .bool($0.isNonEmpty(allSatisfying: PythonCharacter.isDigit)) },
            plain("isnumeric") { .bool($0.isNonEmpty(allSatisfying: PythonCharacter.isNumeric)) },
            plain("isspace") { .bool($0.isNonEmpty(allSatisfying: PythonCharacter.isSpace)) },
            plain("isprintable") { .bool($0.scalars.allSatisfy(PythonCharacter.isPrintable)) },
            plain("islower") { .bool($0.isLowercase) },
            plain("isupper") { .bool($0.isUppercase) },
            plain("istitle") { .bool($0.isTitlecase) },
            plain("isidentifier") { text in
                let first = text.scalars.first.map { $0 == "_" || $0.properties.isXIDStart } ?? false
                return .bool(first && text.scalars.dropFirst().allSatisfy { $0.properties.isXIDContinue })
            },
        ])

    // MARK: - Splitting

    private static let splitting: [String: Method] = [
        "split": { try split($0, $1, $2, fromEnd: false) },
        "rsplit": { try split($0, $1, $2, fromEnd: true) },
        "splitlines": { interpreter, text, arguments in
            let keepsEnds =
                try arguments.matched("str.splitlines", ["keepends"])[0].integer("keepends", default: 0) != 0
            try interpreter.charge(bytes: text.bytes.count, times: 4)
            return try interpreter.list(text.lines(keepingEnds: keepsEnds).map { .text($0) })
        },
        "partition": { try partition($0, $1, $2, fromEnd: false) },
        "rpartition": { try partition($0, $1, $2, fromEnd: true) },
    ]

    private static func split(
        _ interpreter: JinjaInterpreter, _ text: JinjaText, _ arguments: JinjaArguments, fromEnd: Bool
    ) throws -> JinjaValue {
        let values = try arguments.matched("str.split", ["sep", "maxsplit"])
        let separator = try values[0].textOrNone("the separator")
        let limit = try values[1].integer("maxsplit", default: -1)
        try interpreter.charge(bytes: text.bytes.count, times: 4)
        let pieces: [JinjaText]
        if let separator {
            guard !separator.isEmpty else { throw JinjaError.value("empty separator") }
            pieces =
                fromEnd
                ? text.splitFromEnd(on: separator, limit: limit) : text.split(on: separator, limit: limit)
        } else {
            pieces =
                fromEnd ? text.splitOnWhitespaceFromEnd(limit: limit) : text.splitOnWhitespace(limit: limit)
        }
        try interpreter.charge(bytes: 48, times: pieces.count)
        return try interpreter.list(pieces.map { .text($0) })
    }

    private static func partition(
        _ interpreter: JinjaInterpreter, _ text: JinjaText, _ arguments: JinjaArguments, fromEnd: Bool
    ) throws -> JinjaValue {
        let separator = try arguments.one("str.partition", "sep").requiredText("the separator")
        guard !separator.isEmpty else { throw JinjaError.value("empty separator") }
        try interpreter.charge(bytes: text.bytes.count, times: 4)
        let pieces =
            fromEnd ? text.splitFromEnd(on: separator, limit: 1) : text.split(on: separator, limit: 1)
        guard pieces.count == 2 else {
            let empty = JinjaValue.text(.empty.marked(text.isMarkup))
            return try interpreter.tuple(fromEnd ? [empty, empty, .text(text)] : [.text(text), empty, empty])
        }
        let middle = separator.marked(text.isMarkup)
        return try interpreter.tuple([.text(pieces[0]), .text(middle), .text(pieces[1])])
    }

    // MARK: - Padding

    private static let padding: [String: Method] = [
        "center": { try padded($0, $1, $2) { ($0 / 2 + ($0 & $1 & 1), $0 - $0 / 2 - ($0 & $1 & 1)) } },
        "ljust": { try padded($0, $1, $2) { gap, _ in (0, gap) } },
        "rjust": { try padded($0, $1, $2) { gap, _ in (gap, 0) } },
        "zfill": { interpreter, text, arguments in
            let width = try JinjaValue?.some(arguments.one("str.zfill", "width")).integer("the width", default: 0)
            try interpreter.charge(bytes: text.bytes.count)
            let gap = max(width, 0) - text.count
            guard gap > 0 else { return .text(text) }
            try interpreter.charge(bytes: gap)
            let isSigned = text.bytes.first == UInt8(ascii: "-") || text.bytes.first == UInt8(ascii: "+")
            let sign = text.bytes.prefix(isSigned ? 1 : 0)
            let zeros = [UInt8](repeating: UInt8(ascii: "0"), count: gap)
            return .text(JinjaText(sign + zeros + text.bytes.dropFirst(sign.count)))
        },
        "expandtabs": { interpreter, text, arguments in
            let size = try arguments.matched("str.expandtabs", ["tabsize"])[0].integer("tabsize", default: 8)
            var column = 0
            var result = String.UnicodeScalarView()
            for scalar in text.scalars {
                if scalar == "\t" {
                    let gap = size > 0 ? size - column % size : 0
                    try interpreter.charge(bytes: gap)
                    result.append(contentsOf: repeatElement(" ", count: gap))
                    column += gap
                } else {
                    result.append(scalar)
                    column = scalar == "\n" || scalar == "\r" ? 0 : column + 1
                }
            }
            try interpreter.charge(bytes: text.bytes.count)
            return .text(JinjaText(scalars: result))
        },
    ]

    /// - Parameter sides: From the missing width and the wanted width, the padding left and right.
    private static func padded(
        _ interpreter: JinjaInterpreter, _ text: JinjaText, _ arguments: JinjaArguments,
        _ sides: (_ gap: Int, _ width: Int) -> (Int, Int)
    ) throws -> JinjaValue {
        let values = try arguments.matched("str.center", ["width", "fillchar"], required: 1)
        let width = try values[0].integer("the width", default: 0)
        let fill = try values[1]?.requiredText("the fill character") ?? " "
        guard fill.bytes.count <= 4, fill.count == 1 else {
            throw JinjaError.value("the fill character must be exactly one character long")
        }
        try interpreter.charge(bytes: text.bytes.count)
        let gap = max(width, 0) - text.count
        guard gap > 0 else { return .text(text) }
        try interpreter.charge(bytes: fill.bytes.count, times: gap)
        let (left, right) = sides(gap, width)
        let bytes = fill.bytes.repeated(left) + text.bytes + fill.bytes.repeated(right)
        return .text(JinjaText(bytes, isMarkup: text.isMarkup))
    }

    // MARK: - Refused

    private static let refused: [String: Method] = Dictionary(
        uniqueKeysWithValues: ["encode", "translate", "maketrans"].map { name in
            (
                name,
                { @Sendable _, _, _ in
                    throw JinjaError.unsupported("str.\(name) is not supported in chat templates")
                }
            )
        })
}
