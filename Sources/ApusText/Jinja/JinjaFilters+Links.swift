extension JinjaFilters {
    /// Turns the addresses in a text into links, as `urlize` of jinja2 does.
    static let urlize: Function = { interpreter, value, arguments in
        let values = try arguments.matched(
            "urlize", ["trim_url_limit", "nofollow", "target", "rel", "extra_schemes"])
        let limit = values[0].flatMap { $0.isNone ? nil : $0 }
        let given = try values[3].flatMap { try $0.isTrue() ? $0 : nil }
        var relations = Set((try given.textOrNone("rel") ?? .empty).splitOnWhitespace(limit: -1))
        if try values[1].isTrue(default: false) { relations.insert("nofollow") }
        // What the policies of jinja2 add.
        relations.insert("noopener")
        let relation = JinjaText(Array(relations.sorted().map(\.bytes).joined(separator: [0x20])))
        var attributes = Array(" rel=\"".utf8)
        attributes += try interpreter.escaped(relation).bytes
        attributes += "\"".utf8
        if let target = values[2], try target.isTrue() {
            attributes += " target=\"".utf8
            attributes += try interpreter.escaped(interpreter.string(target)).bytes
            attributes += "\"".utf8
        }
        var schemes: [JinjaText] = []
        if let given = values[4], !given.isNone {
            for scheme in try interpreter.items(of: given) {
                let text = try scheme.requiredText("a scheme of urlize")
                guard LinkPatterns.matches(LinkPatterns.scheme, text) else {
                    throw JinjaError.value("\(try interpreter.repr(scheme).string) is not a valid URI scheme prefix.")
                }
                schemes.append(text)
            }
        }
        let text = try interpreter.escaped(soft(value, interpreter)).marked(false)
        try interpreter.charge(bytes: text.bytes.count, times: 256)
        let writer = LinkWriter(limit: limit, attributes: attributes, schemes: schemes)
        var bytes: [UInt8] = []
        var word: [Unicode.Scalar] = []
        func endWord() throws {
            let written = try writer.linked(JinjaText(scalars: word).bytes)
            try interpreter.charge(bytes: written.count)
            bytes += written
            word = []
        }
        for scalar in text.scalars {
            if PythonCharacter.isSpace(scalar) {
                try endWord()
                bytes += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
            } else {
                word.append(scalar)
            }
        }
        try endWord()
        return .text(JinjaText(bytes))
    }
}

/// Writes one word as a link where it is an address.
private struct LinkWriter {
    let limit: JinjaValue?
    let attributes: [UInt8]
    let schemes: [JinjaText]

    private static let opening = ["(", "<", "&lt;"].map { Array($0.utf8) }
    private static let closing = [")", ">", ".", ",", "&gt;"].map { Array($0.utf8) }
    private static let brackets = [("(", ")"), ("<", ">"), ("&lt;", "&gt;")].map { (Array($0.utf8), Array($1.utf8)) }

    func linked(_ word: [UInt8]) throws -> [UInt8] {
        var middle = word[...]
        while let mark = Self.opening.first(where: { middle.starts(with: $0) }) {
            middle = middle.dropFirst(mark.count)
        }
        let head = word[..<middle.startIndex]
        while let mark = Self.closing.first(where: { middle.suffix($0.count).elementsEqual($0) }) {
            middle = middle.dropLast(mark.count)
        }
        var tail = word[middle.endIndex...]
        // Brackets that the address opens belong to it.
        for (open, close) in Self.brackets {
            let opened = Self.count(open, in: middle)
            guard opened > Self.count(close, in: middle) else { continue }
            for _ in 0..<min(opened, Self.count(close, in: tail)) {
                guard let end = Self.end(ofFirst: close, in: tail) else { break }
                middle = word[middle.startIndex..<end]
                tail = word[end...]
            }
        }
        return try head + link(middle) + tail
    }

    private func link(_ address: ArraySlice<UInt8>) throws -> [UInt8] {
        let text = JinjaText(address)
        func starts(_ prefix: String) -> Bool { address.starts(with: prefix.utf8) }
        if LinkPatterns.matches(LinkPatterns.web, text) {
            let scheme = starts("https://") || starts("http://") ? "" : "https://"
            return Self.anchor(Array(scheme.utf8) + address, try trimmed(text), attributes)
        }
        if starts("mailto:"), LinkPatterns.matches(LinkPatterns.mail, JinjaText(address.dropFirst(7))) {
            return Self.anchor(Array(address), address.dropFirst(7), [])
        }
        if address.contains(UInt8(ascii: "@")), !starts("www."), !starts("@"), !address.contains(UInt8(ascii: ":")),
            LinkPatterns.matches(LinkPatterns.mail, text)
        {
            return Self.anchor(Array("mailto:".utf8) + address, address, [])
        }
        var result = text
        for scheme in schemes where result != scheme && result.hasPrefix(scheme) {
            result = JinjaText(Self.anchor(result.bytes, result.bytes[...], attributes))
        }
        return result.bytes
    }

    private static func anchor(_ target: [UInt8], _ shown: ArraySlice<UInt8>, _ attributes: [UInt8]) -> [UInt8] {
        var bytes = Array("<a href=\"".utf8)
        bytes += target
        bytes += "\"".utf8
        bytes += attributes
        bytes += ">".utf8
        bytes += shown
        bytes += "</a>".utf8
        return bytes
    }

    /// The address as it is shown; the limit is looked at here only, as in jinja2.
    private func trimmed(_ text: JinjaText) throws -> ArraySlice<UInt8> {
        guard let limit else { return text.bytes[...] }
        guard let number = limit.number else {
            throw JinjaError.value("trim_url_limit must be a number, not '\(limit.typeName)'")
        }
        guard Double(text.count) > number else { return text.bytes[...] }
        let head = try text.sliced(
            start: nil, stop: (limit as JinjaValue?).integer("trim_url_limit", default: 0), step: nil)
        return (head.bytes + Array("...".utf8))[...]
    }

    private static func count(_ mark: [UInt8], in bytes: ArraySlice<UInt8>) -> Int {
        var count = 0
        var rest = bytes
        while let end = end(ofFirst: mark, in: rest) {
            count += 1
            rest = rest[end...]
        }
        return count
    }

    private static func end(ofFirst mark: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
        var position = bytes.startIndex
        while position + mark.count <= bytes.endIndex {
            if bytes[position] == mark[0], bytes[position..<position + mark.count].elementsEqual(mark) {
                return position + mark.count
            }
            position += 1
        }
        return nil
    }
}

/// What counts as an address.
///
/// Source: `_http_re`, `_email_re` and `_uri_scheme_re` of jinja2.
private enum LinkPatterns {
    private static let letter = #"\p{L}\p{N}_"#

    static let web = try? OnigurumaRegex(
        #"\A(?i:(?:(?:https?://|www\.)(?:(?:[\#(letter)%-]+\.)+)?(?:[a-z]{2,63}|xn--[\#(letter)%]{2,59})"#
            + #"|(?:[\#(letter)%-]{2,63}\.)+(?:com|net|int|edu|gov|org|info|mil)"#
            + #"|https?://(?:\p{Nd}{1,3}(?:\.\p{Nd}{1,3}){3}|\[(?:[\p{Nd}a-f]{0,4}:){2}(?:[\p{Nd}a-f]{0,4}:?){1,6}\]))"#
            + #"(?::\p{Nd}{1,5})?(?:[/?#]\S*)?)\z"#)
    static let mail = try? OnigurumaRegex(#"\A\S+@[\#(letter)][\#(letter).-]*\.[\#(letter)]+\z"#)
    static let scheme = try? OnigurumaRegex(#"\A[\#(letter).+-]{2,}:/{0,2}\z"#)

    static func matches(_ pattern: OnigurumaRegex?, _ text: JinjaText) -> Bool {
        var found = false
        text.bytes.withUnsafeBufferPointer { bytes in pattern?.forEachMatch(in: bytes) { _, _ in found = true } }
        return found
    }
}
