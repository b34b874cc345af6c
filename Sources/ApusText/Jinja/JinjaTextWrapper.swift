/// Breaks a paragraph into lines as Python's `textwrap` does, with tabs and other white space left as they are.
struct JinjaTextWrapper {
    /// The most characters of a line.
    let width: Int
    /// Whether words that are longer go on in the next line.
    let breaksLongWords: Bool
    /// Whether lines may end after the hyphen of a compound word, or around a dash.
    let splitsAtHyphens: Bool
    /// Whether a long word rather breaks after its last hyphen that fits.
    let prefersHyphens: Bool

    typealias Chunk = ArraySlice<Unicode.Scalar>

    func lines(of text: [Unicode.Scalar]) -> [[Unicode.Scalar]] {
        var chunks = Array(chunks(of: text).reversed())
        var lines: [[Unicode.Scalar]] = []
        while !chunks.isEmpty {
            var line: [Chunk] = []
            var length = 0
            if !lines.isEmpty, let next = chunks.last, Self.isBlank(next) { chunks.removeLast() }
            while let next = chunks.last, length + next.count <= width {
                line.append(next)
                length += next.count
                chunks.removeLast()
            }
            if let next = chunks.last, next.count > width {
                if breaksLongWords {
                    let end = next.startIndex + part(of: next, room: width - length)
                    line.append(next[..<end])
                    chunks[chunks.count - 1] = next[end...]
                } else if line.isEmpty {
                    line.append(next)
                    chunks.removeLast()
                }
            }
            if let last = line.last, Self.isBlank(last) { line.removeLast() }
            if !line.isEmpty { lines.append(Array(line.joined())) }
        }
        return lines
    }

    /// How much of a word that fits into no line goes into the room that is left.
    private func part(of word: Chunk, room: Int) -> Int {
        guard prefersHyphens, word.count > room, let hyphen = word.prefix(room).lastIndex(of: "-") else { return room }
        let offset = hyphen - word.startIndex
        return offset > 0 && word[..<hyphen].contains { $0 != "-" } ? offset + 1 : room
    }

    /// As `str.strip`, which takes more for white space than the split into chunks.
    private static func isBlank(_ chunk: Chunk) -> Bool { chunk.allSatisfy(PythonCharacter.isSpace) }

    // MARK: - Chunks

    private static func isSeparator(_ scalar: Unicode.Scalar) -> Bool {
        scalar == " " || (0x09...0x0D).contains(scalar.value)
    }

    /// Stretches of white space, and words or their parts between which a line may break.
    private func chunks(of text: [Unicode.Scalar]) -> [Chunk] {
        // Where the hyphens that start at a place end.
        var hyphenEnds = Array(0...text.count)
        for index in text.indices.reversed() where text[index] == "-" { hyphenEnds[index] = hyphenEnds[index + 1] }
        var chunks: [Chunk] = []
        var start = 0
        while start < text.count {
            let end = end(ofChunkAt: start, in: text, hyphenEnds)
            chunks.append(text[start..<end])
            start = end
        }
        return chunks
    }

    /// Source: `wordsep_re` and `wordsep_simple_re` of Python's `textwrap`.
    private func end(ofChunkAt start: Int, in text: [Unicode.Scalar], _ hyphenEnds: [Int]) -> Int {
        let startsSpace = Self.isSeparator(text[start])
        if startsSpace || !splitsAtHyphens {
            var end = start + 1
            while end < text.count, Self.isSeparator(text[end]) == startsSpace { end += 1 }
            return end
        }
        func isLetter(_ index: Int) -> Bool {
            guard text.indices.contains(index) else { return false }
            return PythonCharacter.isWord(text[index]) && !PythonCharacter.isDecimal(text[index])
        }
        func isDash(_ index: Int) -> Bool {
            guard text[index] == "-", index > 0 else { return false }
            let before = text[index - 1]
            guard PythonCharacter.isWord(before) || "!\"'&.,?".unicodeScalars.contains(before) else { return false }
            let end = hyphenEnds[index]
            return end - index >= 2 && end < text.count && PythonCharacter.isWord(text[end])
        }
        func isHyphen(_ index: Int) -> Bool {
            guard text[index] == "-", isLetter(index - 1) else { return false }
            let isAfterLetters =
                isLetter(index - 2) || (isLetter(index - 3) && text[index - 2] == "-")
            guard isAfterLetters, isLetter(index + 1) else { return false }
            return isLetter(index + 2) || (index + 2 < text.count && text[index + 2] == "-" && isLetter(index + 3))
        }
        if isDash(start) { return hyphenEnds[start] }
        var end = start + 1
        while end < text.count, !Self.isSeparator(text[end]), !isDash(end) {
            if isHyphen(end) { return end + 1 }
            end += 1
        }
        return end
    }
}

extension JinjaFilters {
    static let wordwrap: Function = { interpreter, value, arguments in
        let values = try arguments.matched(
            "wordwrap", ["width", "break_long_words", "wrapstring", "break_on_hyphens"])
        let text = try value.requiredText("the value of wordwrap")
        let width = try values[0].integer("width", default: 79)
        let separator = try values[2].textOrNone("wrapstring") ?? "\n"
        // Only True itself splits at hyphens; other true values break long words there.
        let splitsAtHyphens: Bool =
            if case .bool(false)? = values[3] { false } else {
                if case .bool? = values[3] ?? .bool(true) { true } else { false }
            }
        let wrapper = JinjaTextWrapper(
            width: width, breaksLongWords: try values[1].isTrue(default: true), splitsAtHyphens: splitsAtHyphens,
            prefersHyphens: try values[3].isTrue(default: true))
        try interpreter.charge(bytes: text.bytes.count, times: 128)
        var lines: [[UInt8]] = []
        for paragraph in text.lines(keepingEnds: false) {
            guard width > 0 else { throw JinjaError.value("invalid width \(width) (must be > 0)") }
            let wrapped = wrapper.lines(of: Array(paragraph.scalars))
            try interpreter.charge(bytes: separator.bytes.count, times: wrapped.count + 1)
            lines.append(
                Array(wrapped.map { JinjaText(scalars: $0).bytes }.joined(separator: separator.bytes)))
        }
        return .text(JinjaText(Array(lines.joined(separator: separator.bytes))))
    }
}
