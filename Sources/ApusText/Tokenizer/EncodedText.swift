/// The ids of one text or of two, with the segment that each belongs to.
public struct EncodedText: Sendable, Equatable {
    public var ids: [Int32]
    /// As many as ids: 0 or 1 for most models (`token_type_ids`).
    public var segments: [Int32]

    public init(ids: [Int32], segments: [Int32]) {
        self.ids = ids
        self.segments = segments
    }
}

extension Tokenizer {
    /// The ids of a text, or of two, and their segments.
    ///
    /// Without a layout for pairs the second text follows the first, as segment 1.
    ///
    /// - Parameters:
    ///   - second: Nil encodes the first alone; an empty text is a pair.
    ///   - addSpecialTokens: Whether to put the tokens around and between them that the tokenizer has for it.
    ///   - maximumLength: The most ids, special tokens counted; nil is no limit. What is too much goes from the longer
    ///     text first, then from both (`longest_first` of `tokenizers`). Special tokens always stay, even where they
    ///     alone are more.
    ///   - keepsEnds: Whether it goes from the start of a text instead of its end (`truncation_side` left).
    public func encode(
        _ first: String, pair second: String?, addSpecialTokens: Bool = true, maximumLength: Int? = nil,
        keepsEnds: Bool = false
    ) -> EncodedText {
        let layout = layout(isPair: second != nil, addSpecialTokens)
        var texts: [[Int32]] = [[]]
        append(first, to: &texts[0])
        if let second {
            texts.append([])
            append(second, to: &texts[1])
        }
        if let maximumLength {
            let reserved = addSpecialTokens ? reservedLength(isPair: second != nil) : 0
            let lengths = Self.lengths(of: texts, within: max(0, max(0, maximumLength) - reserved))
            texts = zip(texts, lengths).map { Array(keepsEnds ? $0.suffix($1) : $0.prefix($1)) }
        }
        var result = EncodedText(ids: [], segments: [])
        result.ids.reserveCapacity(layout.count + texts.reduce(0) { $0 + $1.count })
        result.segments.reserveCapacity(result.ids.capacity)
        for piece in layout {
            switch piece {
            case .token(let id, let segment):
                result.ids.append(id)
                result.segments.append(segment)
            case .text(let index, let segment):
                result.ids += texts[index]
                result.segments += repeatElement(segment, count: texts[index].count)
            }
        }
        return result
    }

    /// What is left of one text or two that may have a length together: the longer one down to the shorter, then both to
    /// a half, where the second gets the odd id unless it was the shorter.
    private static func lengths(of texts: [[Int32]], within limit: Int) -> [Int] {
        let counts = texts.map(\.count)
        guard counts.reduce(0, +) > limit else { return counts }
        guard counts.count == 2 else { return [limit] }
        let isFirstShorter = counts[0] <= counts[1]
        var short = min(counts[0], counts[1])
        var long = short > limit ? short : max(short, limit - short)
        if short + long > limit {
            short = limit / 2
            long = short + limit % 2
        }
        return isFirstShorter ? [short, long] : [long, short]
    }
}
