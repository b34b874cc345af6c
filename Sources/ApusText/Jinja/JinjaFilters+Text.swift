extension JinjaFilters {
    /// A filter that first turns its value into a string and then calls the method of `str`.
    private static func method(_ name: String) -> Function {
        { interpreter, value, arguments in
            let text = try soft(value, interpreter)
            guard let method = JinjaTextMethods.table[name] else { throw unknown(name) }
            return try method(interpreter, text, arguments)
        }
    }

    /// markupsafe's `soft_str`: Markup stays Markup.
    static func soft(_ value: JinjaValue, _ interpreter: JinjaInterpreter) throws -> JinjaText {
        if case .text(let text) = value { return text }
        return try interpreter.string(value)
    }

    static let textFilters: [String: Function] = [
        "upper": method("upper"),
        "lower": method("lower"),
        "capitalize": method("capitalize"),
        "trim": method("strip"),
        "title": title,
        "center": { interpreter, value, arguments in
            let width = try arguments.matched("center", ["width"])[0] ?? .int(80)
            return try method("center")(interpreter, value, JinjaArguments(positional: [width]))
        },
        "replace": { interpreter, value, arguments in
            let values = try arguments.matched("replace", ["old", "new", "count"], required: 2)
            func text(_ value: JinjaValue?) throws -> JinjaValue { .text(try value.map(interpreter.string) ?? .empty) }
            let count = values[2].flatMap { $0.isNone ? nil : $0 }
            return try JinjaTextMethods.replaced(
                interpreter, interpreter.string(value), [text(values[0]), text(values[1]), count])
        },
        "format": format,
        "indent": indent,
        "truncate": truncate,
        "wordcount": { interpreter, value, arguments in
            _ = try arguments.matched("wordcount", [])
            let text = try soft(value, interpreter)
            try interpreter.charge(bytes: text.bytes.count, times: 8)
            var count = 0
            var isInWord = false
            for scalar in text.scalars {
                let isWord = PythonCharacter.isWord(scalar)
                if isWord, !isInWord { count += 1 }
                isInWord = isWord
            }
            return .int(count)
        },
        "escape": escape,
        "e": escape,
        "forceescape": plain("forceescape") { interpreter, value in
            .text(try interpreter.escaped(interpreter.string(value)))
        },
        "safe": plain("safe") { interpreter, value in .text(try interpreter.string(value).marked(true)) },
        "striptags": striptags,
        "wordwrap": wordwrap,
        "urlize": urlize,
        "urlencode": urlencode,
        "xmlattr": xmlattr,
    ]

    private static let escape: Function = plain("escape") { interpreter, value in
        .text(try interpreter.escaped(soft(value, interpreter)))
    }

    /// Title case after spaces, hyphens and opening brackets only, unlike `str.title`.
    private static let title: Function = plain("title") { interpreter, value in
        let text = try soft(value, interpreter)
        try interpreter.charge(bytes: text.bytes.count, times: text.isASCII ? 4 : 32)
        func isBoundary(_ scalar: Unicode.Scalar) -> Bool {
            PythonCharacter.isSpace(scalar) || "-({[<".unicodeScalars.contains(scalar)
        }
        var result: [UInt8] = []
        var word: [Unicode.Scalar] = []
        func endWord() {
            guard let first = word.first else { return }
            result += JinjaText(scalars: [first]).uppercased().bytes
            result += JinjaText(scalars: word.dropFirst()).lowercased().bytes
            word = []
        }
        for scalar in text.scalars {
            if isBoundary(scalar) {
                endWord()
                result += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
            } else {
                word.append(scalar)
            }
        }
        endWord()
        return .text(JinjaText(result))
    }

    private static let format: Function = { interpreter, value, arguments in
        guard arguments.named.isEmpty || arguments.positional.isEmpty else {
            throw JinjaError.value("can't handle positional and keyword arguments at the same time")
        }
        var right = try interpreter.tuple(arguments.positional)
        if !arguments.named.isEmpty {
            let dictionary = JinjaDictionary()
            for (name, value) in arguments.named { try dictionary.set(.text(name), value) }
            right = try interpreter.checked(dictionary)
        }
        return .text(try PercentFormat.formatted(soft(value, interpreter), right, interpreter))
    }

    private static let indent: Function = { interpreter, value, arguments in
        let values = try arguments.matched("indent", ["width", "first", "blank"])
        let text = try value.requiredText("the value of indent")
        var indentation: JinjaText
        if case .text(let width) = values[0] {
            indentation = width
        } else {
            let width = max(try values[0].integer("the width of indent", default: 4), 0)
            try interpreter.charge(bytes: width)
            indentation = JinjaText([UInt8](repeating: UInt8(ascii: " "), count: width))
        }
        let indentsBlank = try values[2].isTrue(default: false)
        try interpreter.charge(bytes: text.bytes.count, times: 4)
        let lines = JinjaText(text.bytes + [0x0A]).lines(keepingEnds: false)
        try interpreter.charge(bytes: indentation.bytes.count + 1, times: lines.count)
        var bytes = try values[1].isTrue(default: false) ? indentation.bytes : []
        for (index, line) in lines.enumerated() {
            if index > 0 {
                bytes.append(0x0A)
                if indentsBlank || !line.isEmpty { bytes += indentation.bytes }
            }
            bytes += line.bytes
        }
        return .text(JinjaText(bytes, isMarkup: text.isMarkup))
    }

    private static let truncate: Function = { interpreter, value, arguments in
        let values = try arguments.matched("truncate", ["length", "killwords", "end", "leeway"])
        // A length that is no integer will do until something is cut.
        let length = try values[0]?.number ?? Double(values[0].integer("length", default: 255))
        let end = try values[2]?.requiredText("end") ?? "..."
        let leeway = try values[3].flatMap { $0.isNone ? nil : $0 }.integer("leeway", default: 5)
        guard length >= Double(end.count) else {
            throw JinjaError.value("expected length >= \(end.count), got \(length)")
        }
        guard leeway >= 0 else { throw JinjaError.value("expected leeway >= 0, got \(leeway)") }
        // Anything with a length passes when it is short enough.
        if let count = try interpreter.length(of: value), Double(count - leeway) <= length { return value }
        let text = try value.requiredText("the value of truncate")
        let stop = try values[0].integer("length", default: 255) - end.count
        try interpreter.charge(bytes: text.bytes.count, times: 4)
        var head = try text.sliced(start: 0, stop: stop, step: nil)
        if !(try values[1].isTrue(default: false)) { head = head.splitFromEnd(on: " ", limit: 1)[0] }
        return .text(JinjaText(head.bytes + end.bytes, isMarkup: text.isMarkup))
    }

    /// Removes comments and tags and joins what is left with single spaces, as markupsafe does.
    private static let striptags: Function = plain("striptags") { interpreter, value in
        let text = try interpreter.string(value)
        try interpreter.charge(bytes: text.bytes.count, times: 8)
        let withoutComments = removing(from: "<!--", to: "-->", in: text.bytes)
        let plain = removing(from: "<", to: ">", in: withoutComments)
        let words = JinjaText(plain).splitOnWhitespace(limit: -1)
        let joined = JinjaText(Array(words.map(\.bytes).joined(separator: [0x20])))
        return .text(unescaped(joined))
    }

    private static func removing(from opening: JinjaText, to closing: JinjaText, in bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        let ends = ByteSearcher(closing.bytes).offsets(in: bytes, range: 0..<bytes.count, overlapping: true)
        var endIndex = 0
        var position = 0
        for start in ByteSearcher(opening.bytes).offsets(in: bytes, range: 0..<bytes.count, overlapping: true)
        where start >= position {
            while endIndex < ends.count, ends[endIndex] < start + opening.bytes.count { endIndex += 1 }
            guard endIndex < ends.count else { break }
            result += bytes[position..<start]
            position = ends[endIndex] + closing.bytes.count
        }
        return result + bytes[position...]
    }

    /// Only the entities that `escape` makes: Python's full table is for web pages, not prompts.
    private static func unescaped(_ text: JinjaText) -> JinjaText {
        var result = text
        let entities: [(JinjaText, JinjaText)] = [
            ("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&#34;", "\""), ("&quot;", "\""), ("&amp;", "&"),
        ]
        for (entity, character) in entities {
            let offsets = result.replacementOffsets(of: entity, limit: .max)
            result = JinjaText(result.replacing(offsets, length: entity.bytes.count, with: character.bytes))
        }
        return result
    }

    private static let urlencode: Function = plain("urlencode") { interpreter, value in
        func quoted(_ value: JinjaValue, isQuery: Bool) throws -> [UInt8] {
            let text = try interpreter.string(value)
            try interpreter.charge(bytes: text.bytes.count, times: 3)
            var bytes: [UInt8] = []
            let digits = Array("0123456789ABCDEF".utf8)
            for byte in text.bytes {
                let isLetter = byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A
                if isLetter || byte &- 0x30 < 10 || "_.-~".utf8.contains(byte) || (byte == 0x2F && !isQuery) {
                    bytes.append(byte)
                } else if byte == 0x20, isQuery {
                    bytes.append(UInt8(ascii: "+"))
                } else {
                    bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
                }
            }
            return bytes
        }
        var pairs: [(JinjaValue, JinjaValue)]
        switch value {
        case .dictionary(let dictionary): pairs = dictionary.entries.map { ($0.key, $0.value) }
        case .list, .tuple, .object:
            pairs = try interpreter.items(of: value).map { pair in
                let items = try interpreter.items(of: pair)
                guard items.count == 2 else { throw JinjaError.value("urlencode takes pairs") }
                return (items[0], items[1])
            }
        default: return .text(JinjaText(try quoted(value, isQuery: false)))
        }
        let parts = try pairs.map { try quoted($0, isQuery: true) + [UInt8(ascii: "=")] + quoted($1, isQuery: true) }
        return .text(JinjaText(Array(parts.joined(separator: [UInt8(ascii: "&")]))))
    }

    private static let xmlattr: Function = { interpreter, value, arguments in
        guard case .dictionary(let dictionary) = value else { throw JinjaError.value("xmlattr takes a mapping") }
        let spaced = try arguments.matched("xmlattr", ["autospace"])[0].isTrue(default: true)
        try interpreter.charge(bytes: MemoryLayout<JinjaValue>.stride, times: dictionary.count)
        var bytes: [UInt8] = []
        for entry in dictionary.entries where !entry.value.isNone && !entry.value.isUndefined {
            let key = try entry.key.requiredText("an attribute's name")
            if key.bytes.contains(where: { ($0 >= 9 && $0 <= 13) || " />=".utf8.contains($0) }) {
                throw JinjaError.value("Invalid character in attribute name: '\(key.string)'")
            }
            let text = try interpreter.escaped(soft(entry.value, interpreter))
            if spaced || !bytes.isEmpty { bytes.append(0x20) }
            bytes += try interpreter.escaped(key).bytes + "=\"".utf8 + text.bytes + "\"".utf8
        }
        return .text(JinjaText(bytes))
    }
}
