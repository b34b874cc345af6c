/// What a splitting step looks for.
enum SplitMatcher: Sendable {
    case gpt2
    case cl100k(CL100KScanner)
    case o200k(O200KScanner)
    case regex(OnigurumaRegex)
    case literal([UInt8])
    /// Single scalars that Rust calls numeric.
    case numeric
    /// Single white spaces.
    case whitespace
    /// What is not matched by `\w+|[^\w\s]+`.
    case betweenWords

    /// The scanner of a well-known pattern, else Oniguruma.
    ///
    /// - Throws: `OnigurumaRegex.CompileError`.
    init(pattern: String) throws {
        switch pattern {
        case GPT2Scanner.pattern: self = .gpt2
        case CL100KScanner.qwen2Pattern: self = .cl100k(.qwen2)
        case CL100KScanner.qwen35Pattern: self = .cl100k(.qwen35)
        case CL100KScanner.llama3Pattern: self = .cl100k(.llama3)
        case O200KScanner.gpt4oPattern: self = .o200k(.gpt4o)
        case O200KScanner.tekkenPattern: self = .o200k(.tekken)
        default: self = .regex(try OnigurumaRegex(pattern))
        }
    }

    /// Appends the stretches of a text, gaps between matches included, so that they cover it.
    func stretches(of text: UnsafeBufferPointer<UInt8>, into result: inout [Stretch]) {
        guard let base = text.baseAddress, text.count > 0 else { return }
        switch self {
        case .gpt2: scan(base, text.count, GPT2Scanner(), into: &result)
        case .cl100k(let scanner): scan(base, text.count, scanner, into: &result)
        case .o200k(let scanner): scan(base, text.count, scanner, into: &result)
        case .regex(let regex):
            var previous = 0
            regex.forEachMatch(in: text) { start, end in
                if previous != start { result.append(Stretch(start: previous, end: start, isMatch: false)) }
                result.append(Stretch(start: start, end: end, isMatch: true))
                previous = end
            }
            if previous != text.count { result.append(Stretch(start: previous, end: text.count, isMatch: false)) }
        case .literal(let literal): splitLiteral(text, literal, into: &result)
        case .numeric: splitScalars(base, text.count, .numeric, into: &result)
        case .whitespace: splitScalars(base, text.count, .space, into: &result)
        case .betweenWords: splitWords(base, text.count, into: &result)
        }
    }

    @inline(__always)
    private func scan(
        _ base: UnsafePointer<UInt8>, _ count: Int, _ scanner: some SplitScanner, into result: inout [Stretch]
    ) {
        let text = ClassifiedText(base, end: count)
        var start = 0
        while start < count {
            let end = scanner.matchEnd(in: text, from: start)
            result.append(Stretch(start: start, end: end, isMatch: true))
            start = end
        }
    }

    private func splitLiteral(
        _ text: UnsafeBufferPointer<UInt8>, _ literal: [UInt8], into result: inout [Stretch]
    ) {
        var previous = 0
        var position = 0
        while !literal.isEmpty, position + literal.count <= text.count {
            if text[position] == literal[0], text[position..<position + literal.count].elementsEqual(literal) {
                if previous < position { result.append(Stretch(start: previous, end: position, isMatch: false)) }
                result.append(Stretch(start: position, end: position + literal.count, isMatch: true))
                position += literal.count
                previous = position
            } else {
                position += 1
            }
        }
        if previous < text.count { result.append(Stretch(start: previous, end: text.count, isMatch: false)) }
    }

    private func splitScalars(
        _ base: UnsafePointer<UInt8>, _ count: Int, _ wanted: ScalarClass, into result: inout [Stretch]
    ) {
        let text = ClassifiedText(base, end: count)
        var previous = 0
        var position = 0
        while position < count {
            let (scalarClass, next) = text.scalar(at: position)
            if !scalarClass.isDisjoint(with: wanted) {
                if previous < position { result.append(Stretch(start: previous, end: position, isMatch: false)) }
                result.append(Stretch(start: position, end: next, isMatch: true))
                previous = next
            }
            position = next
        }
        if previous < count { result.append(Stretch(start: previous, end: count, isMatch: false)) }
    }

    private func splitWords(_ base: UnsafePointer<UInt8>, _ count: Int, into result: inout [Stretch]) {
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
            result.append(Stretch(start: position, end: end, isMatch: scalarClass.contains(.space)))
            position = end
        }
    }
}

/// A stretch of a text: a match of a pattern, or a gap between two.
struct Stretch {
    var start: Int
    var end: Int
    var isMatch: Bool
}
