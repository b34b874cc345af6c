/// The patterns that descend from cl100k: Qwen2, Qwen3.5 and Llama 3.
///
/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?W+|\p{N}{1,D}| ?[^\sW\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
/// where W is `\p{L}`, or `[\p{L}\p{M}]` where marks belong to words, and D the most digits taken together.
struct CL100KScanner: SplitScanner, Equatable {
    let maximumDigits: Int
    let wordClasses: ScalarClass

    static let qwen2 = CL100KScanner(maximumDigits: 1, wordClasses: .letter)
    static let qwen35 = CL100KScanner(maximumDigits: 1, wordClasses: [.letter, .mark])
    static let llama3 = CL100KScanner(maximumDigits: 3, wordClasses: .letter)

    private static let contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    private static let tail = #"[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    static let qwen2Pattern = contraction + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+"# + tail
    static let qwen35Pattern =
        contraction + #"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+"# + tail
    static let llama3Pattern = contraction + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+"# + tail

    @inline(__always)
    func matchEnd(in text: ClassifiedText, from start: Int) -> Int {
        let byte = text.bytes[start]
        if byte == UInt8(ascii: "'"), let end = text.contractionEnd(from: start) { return end }
        let (scalarClass, next) = text.scalar(at: start)
        if !scalarClass.isDisjoint(with: wordClasses) { return text.run(of: wordClasses, from: next) }
        if scalarClass.contains(.number) {
            var end = next
            for _ in 1..<maximumDigits where end < text.end {
                let following = text.scalar(at: end)
                guard following.scalarClass.contains(.number) else { break }
                end = following.next
            }
            return end
        }
        let isSpace = scalarClass.contains(.space)
        if next < text.end, !text.isLineBreak(at: start) {
            let following = text.scalar(at: next)
            if !following.scalarClass.isDisjoint(with: wordClasses) {
                return text.run(of: wordClasses, from: following.next)
            }
            if byte == UInt8(ascii: " "), following.scalarClass.isDisjoint(with: [.space, .number]) {
                return symbolsEnd(in: text, from: following.next)
            }
        }
        return isSpace ? text.lineOrWhitespaceEnd(from: start) : symbolsEnd(in: text, from: next)
    }

    @inline(__always)
    private func symbolsEnd(in text: ClassifiedText, from position: Int) -> Int {
        var end = text.run(without: wordClasses.union([.space, .number]), from: position)
        while text.isLineBreak(at: end) { end += 1 }
        return end
    }
}
