/// What a splitting step looks for.
enum SplitMatcher: Sendable {
    case gpt2
    case cl100k(CL100KScanner)
    case o200k(O200KScanner)
    case regex(OnigurumaRegex)
    case literal([UInt8])
    /// Any of some texts, the longest first.
    case tokens(TokenTrie)
    /// Single scalars that Rust calls numeric.
    case numeric
    /// Single white spaces.
    case whitespace
    /// Single scalars of punctuation.
    case punctuation
    /// What is not matched by `\w+|[^\w\s]+`.
    case betweenWords

    /// The scanner of a well-known pattern, else Oniguruma.
    ///
    /// - Parameter source: The file that holds the pattern.
    /// - Throws: `TokenizerError` where the pattern is not valid.
    init(pattern: String, source: String) throws {
        switch pattern {
        case GPT2Scanner.pattern: self = .gpt2
        case CL100KScanner.qwen2Pattern: self = .cl100k(.qwen2)
        case CL100KScanner.qwen35Pattern: self = .cl100k(.qwen35)
        case CL100KScanner.llama3Pattern: self = .cl100k(.llama3)
        case O200KScanner.gpt4oPattern: self = .o200k(.gpt4o)
        case O200KScanner.tekkenPattern: self = .o200k(.tekken)
        default:
            do {
                self = .regex(try OnigurumaRegex(pattern))
            } catch let error as OnigurumaRegex.CompileError {
                throw TokenizerError(source, "Oniguruma refuses the pattern \(pattern): \(error.reason)")
            }
        }
    }

    /// Appends the stretches of a text, gaps between matches included, so that they cover it.
    ///
    /// - Parameter offset: What to add to every position.
    func appendStretches(of text: UnsafeBufferPointer<UInt8>, offset: Int = 0, to result: inout [Stretch]) {
        guard let base = text.baseAddress, text.count > 0 else { return }
        switch self {
        case .gpt2: scan(base, text.count, GPT2Scanner(), offset, to: &result)
        case .cl100k(let scanner): scan(base, text.count, scanner, offset, to: &result)
        case .o200k(let scanner): scan(base, text.count, scanner, offset, to: &result)
        case .regex(let regex):
            var previous = 0
            regex.forEachMatch(in: text) { start, end in
                if previous != start { result.append(Stretch(previous, start, offset, isMatch: false)) }
                result.append(Stretch(start, end, offset, isMatch: true))
                previous = end
            }
            if previous != text.count { result.append(Stretch(previous, text.count, offset, isMatch: false)) }
        case .literal(let literal): splitLiteral(text, literal, offset, to: &result)
        case .tokens(let trie):
            var previous = 0
            while let match = trie.firstMatch(in: text, from: previous) {
                if previous < match.start { result.append(Stretch(previous, match.start, offset, isMatch: false)) }
                result.append(Stretch(match.start, match.end, offset, isMatch: true))
                previous = match.end
            }
            if previous < text.count { result.append(Stretch(previous, text.count, offset, isMatch: false)) }
        case .numeric: splitScalars(base, text.count, .numeric, offset, to: &result)
        case .whitespace: splitScalars(base, text.count, .space, offset, to: &result)
        case .punctuation: splitPunctuation(text, base, offset, to: &result)
        case .betweenWords: splitWords(base, text.count, offset, to: &result)
        }
    }

    @inline(__always)
    private func scan(
        _ base: UnsafePointer<UInt8>, _ count: Int, _ scanner: some SplitScanner, _ offset: Int,
        to result: inout [Stretch]
    ) {
        let text = ClassifiedText(base, end: count)
        var start = 0
        while start < count {
            let end = scanner.matchEnd(in: text, from: start)
            result.append(Stretch(start, end, offset, isMatch: true))
            start = end
        }
    }

    private func splitLiteral(
        _ text: UnsafeBufferPointer<UInt8>, _ literal: [UInt8], _ offset: Int, to result: inout [Stretch]
    ) {
        var previous = 0
        var position = 0
        while !literal.isEmpty, position + literal.count <= text.count {
            if text[position] == literal[0], text[position..<position + literal.count].elementsEqual(literal) {
                if previous < position { result.append(Stretch(previous, position, offset, isMatch: false)) }
                result.append(Stretch(position, position + literal.count, offset, isMatch: true))
                position += literal.count
                previous = position
            } else {
                position += 1
            }
        }
        if previous < text.count { result.append(Stretch(previous, text.count, offset, isMatch: false)) }
    }

    private func splitScalars(
        _ base: UnsafePointer<UInt8>, _ count: Int, _ wanted: ScalarClass, _ offset: Int,
        to result: inout [Stretch]
    ) {
        let text = ClassifiedText(base, end: count)
        var previous = 0
        var position = 0
        while position < count {
            let (scalarClass, next) = text.scalar(at: position)
            if !scalarClass.isDisjoint(with: wanted) {
                if previous < position { result.append(Stretch(previous, position, offset, isMatch: false)) }
                result.append(Stretch(position, next, offset, isMatch: true))
                previous = next
            }
            position = next
        }
        if previous < count { result.append(Stretch(previous, count, offset, isMatch: false)) }
    }

    private func splitPunctuation(
        _ text: UnsafeBufferPointer<UInt8>, _ base: UnsafePointer<UInt8>, _ offset: Int, to result: inout [Stretch]
    ) {
        let table = EncoderClass.table
        var previous = 0
        var position = 0
        while position < text.count {
            let (scalar, next) = decodeScalar(base, position)
            if EncoderClass(rawValue: table[scalar]).contains(.punctuation) {
                if previous < position { result.append(Stretch(previous, position, offset, isMatch: false)) }
                result.append(Stretch(position, next, offset, isMatch: true))
                previous = next
            }
            position = next
        }
        if previous < text.count { result.append(Stretch(previous, text.count, offset, isMatch: false)) }
    }

    private func splitWords(
        _ base: UnsafePointer<UInt8>, _ count: Int, _ offset: Int, to result: inout [Stretch]
    ) {
        let text = ClassifiedText(base, end: count)
        var position = 0
        while position < count {
            let (scalarClass, next) = text.scalar(at: position)
            let end: Int
            if scalarClass.contains(.word) {
                end = text.run(of: .word, from: next)
            } else if scalarClass.contains(.space) {
                end = text.run(of: .space, from: next)
            } else {
                end = text.run(without: [.word, .space], from: next)
            }
            result.append(Stretch(position, end, offset, isMatch: scalarClass.contains(.space)))
            position = end
        }
    }
}

/// A stretch of a text: a match of a pattern, or a gap between two.
struct Stretch {
    var start: Int
    var end: Int
    var isMatch: Bool

    init(start: Int, end: Int, isMatch: Bool) {
        self.start = start
        self.end = end
        self.isMatch = isMatch
    }

    @inline(__always)
    fileprivate init(_ start: Int, _ end: Int, _ offset: Int, isMatch: Bool) {
        self.init(start: start + offset, end: end + offset, isMatch: isMatch)
    }
}
