/// The patterns that descend from o200k: GPT-4o, Llama 4 and Mistral's Tekken.
///
/// Words are `P?A*B+C?` or else `P?A+B*C?`, where P is any scalar but a line break, letter or number,
/// A = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`, B = `[\p{Ll}\p{Lm}\p{Lo}\p{M}]` and C the contractions of English; then
/// `\p{N}{1,D}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`.
struct O200KScanner: SplitScanner, Equatable {
    let maximumDigits: Int
    let takesContractions: Bool

    static let gpt4o = O200KScanner(maximumDigits: 3, takesContractions: true)
    static let tekken = O200KScanner(maximumDigits: 1, takesContractions: false)

    private static let title = #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"#
    private static let capitals = #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"#
    private static let contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    private static let tail = #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    static let gpt4oPattern = "\(title)\(contraction)|\(capitals)\(contraction)" + #"|\p{N}{1,3}"# + tail
    static let tekkenPattern = "\(title)|\(capitals)" + #"|\p{N}"# + tail

    @inline(__always)
    func matchEnd(in text: ClassifiedText, from start: Int) -> Int {
        let (scalarClass, next) = text.scalar(at: start)
        if scalarClass.contains(.number) {
            var end = next
            for _ in 1..<maximumDigits where end < text.end {
                let following = text.scalar(at: end)
                guard following.scalarClass.contains(.number) else { break }
                end = following.next
            }
            return end
        }
        let isLetter = scalarClass.contains(.letter)
        let takesPrefix = !isLetter && !text.isLineBreak(at: start)
        let isWord = isLetter || scalarClass.contains(.mark)
        if let end = (takesPrefix ? titleEnd(in: text, from: next) : nil)
            ?? (isWord ? titleEnd(in: text, from: start) : nil)
            ?? (takesPrefix ? capitalsEnd(in: text, from: next) : nil)
            ?? (isWord ? capitalsEnd(in: text, from: start) : nil)
        {
            guard takesContractions, end < text.end, text.bytes[end] == UInt8(ascii: "'") else { return end }
            return text.contractionEnd(from: end) ?? end
        }
        if text.bytes[start] == UInt8(ascii: " "), next < text.end {
            let following = text.scalar(at: next)
            if following.scalarClass.isDisjoint(with: [.space, .letter, .number]) {
                return symbolsEnd(in: text, from: following.next)
            }
        }
        return scalarClass.contains(.space) ? text.lineOrWhitespaceEnd(from: start) : symbolsEnd(in: text, from: next)
    }

    /// The end of `A*B+`: where no B follows the run of A, the run gives back up to its last scalar that is also B.
    @inline(__always)
    private func titleEnd(in text: ClassifiedText, from start: Int) -> Int? {
        var position = start
        var lastShared: Int?
        while position < text.end {
            let (scalarClass, next) = text.scalar(at: position)
            if scalarClass.contains(.lower) { return lowerRunEnd(in: text, from: next) }
            guard !scalarClass.isDisjoint(with: [.letter, .mark]) else { break }
            if !scalarClass.contains(.upper) { lastShared = next }
            position = next
        }
        return lastShared
    }

    /// The end of `A+B*` where `A*B+` has failed, so that no B follows the run of A.
    @inline(__always)
    private func capitalsEnd(in text: ClassifiedText, from start: Int) -> Int? {
        let end = text.run(of: [.upper], from: start)
        return end > start ? end : nil
    }

    @inline(__always)
    private func lowerRunEnd(in text: ClassifiedText, from start: Int) -> Int {
        var position = start
        while position < text.end {
            let (scalarClass, next) = text.scalar(at: position)
            if scalarClass.isDisjoint(with: [.letter, .mark]) || scalarClass.contains(.upper) { break }
            position = next
        }
        return position
    }

    @inline(__always)
    private func symbolsEnd(in text: ClassifiedText, from position: Int) -> Int {
        var end = text.run(without: [.space, .letter, .number], from: position)
        while end < text.end, text.isLineBreak(at: end) || text.bytes[end] == UInt8(ascii: "/") { end += 1 }
        return end
    }
}
