/// What stands around one text, or around and between two, and which segment each id belongs to.
///
/// The steps of `tokenizers` are run once, on placeholders for the texts; an encode only fills them in.
struct PostProcessor: Sendable {
    /// A special token, or the place of a text (0 or 1).
    enum Piece: Sendable, Equatable {
        case token(Int32, segment: Int32)
        case text(Int, segment: Int32)

        func inSegment(_ segment: Int32) -> Piece {
            switch self {
            case .token(let id, _): .token(id, segment: segment)
            case .text(let index, _): .text(index, segment: segment)
            }
        }
    }

    enum Step: Sendable {
        /// `[CLS] A [SEP]`, `[CLS] A [SEP] B [SEP]`; the second text is segment 1.
        case bert(classification: Int32, separator: Int32)
        /// `<s> A </s>`, `<s> A </s></s> B </s>`; all is segment 0.
        case roberta(classification: Int32, separator: Int32)
        case template(single: [Piece], pair: [Piece])
    }

    /// A step met more texts than a template has places for.
    struct TooManyParts: Error {}

    private let single: [Piece]
    private let pair: [Piece]
    private let plainSingle: [Piece]
    private let plainPair: [Piece]
    /// How many special tokens the steps say that they add; after a template this may not be how many there are.
    private let declared: (single: Int, pair: Int)

    /// Adds nothing, and lets a second text follow as segment 1.
    init() {
        plainSingle = [.text(0, segment: 0)]
        plainPair = [.text(0, segment: 0), .text(1, segment: 1)]
        single = plainSingle
        pair = plainPair
        declared = (0, 0)
    }

    /// - Throws: `TooManyParts`, where `tokenizers` ends as well.
    init(_ steps: [Step]) throws {
        single = try Self.layout(steps, texts: 1, addsSpecialTokens: true)
        pair = try Self.layout(steps, texts: 2, addsSpecialTokens: true)
        plainSingle = try Self.layout(steps, texts: 1, addsSpecialTokens: false)
        plainPair = try Self.layout(steps, texts: 2, addsSpecialTokens: false)
        declared = steps.reduce((0, 0)) { sum, step in
            switch step {
            case .bert: (sum.0 + 2, sum.1 + 3)
            case .roberta: (sum.0 + 2, sum.1 + 4)
            case .template(let single, let pair): (sum.0 + Self.tokens(in: single), sum.1 + Self.tokens(in: pair))
            }
        }
    }

    /// Puts the same tokens around every text.
    init(before: [Int32], after: [Int32]) {
        func wrapped(_ index: Int) -> [Piece] {
            let segment = Int32(index)
            return before.map { .token($0, segment: segment) } + [.text(index, segment: segment)]
                + after.map { .token($0, segment: segment) }
        }
        plainSingle = [.text(0, segment: 0)]
        plainPair = [.text(0, segment: 0), .text(1, segment: 1)]
        single = wrapped(0)
        pair = wrapped(0) + wrapped(1)
        declared = (Self.tokens(in: single), Self.tokens(in: pair))
    }

    private static func tokens(in pieces: [Piece]) -> Int {
        pieces.count { if case .token = $0 { true } else { false } }
    }

    /// The pieces that one text or two become.
    func layout(isPair: Bool, addsSpecialTokens: Bool) -> [Piece] {
        isPair ? (addsSpecialTokens ? pair : plainPair) : (addsSpecialTokens ? single : plainSingle)
    }

    /// How many ids to keep free for special tokens where a text is shortened.
    func reservedLength(isPair: Bool) -> Int { isPair ? declared.pair : declared.single }

    private static func layout(_ steps: [Step], texts: Int, addsSpecialTokens: Bool) throws -> [Piece] {
        var parts: [[Piece]] = (0..<texts).map { [.text($0, segment: Int32($0))] }
        for step in steps {
            switch step {
            case .bert(let classification, let separator):
                guard addsSpecialTokens else { continue }
                for index in parts.indices {
                    if index == 0 { parts[index].insert(.token(classification, segment: 0), at: 0) }
                    parts[index].append(.token(separator, segment: index == 0 ? 0 : 1))
                }
            case .roberta(let classification, let separator):
                for index in parts.indices {
                    parts[index] = parts[index].map { $0.inSegment(0) }
                    guard addsSpecialTokens else { continue }
                    parts[index].insert(.token(index == 0 ? classification : separator, segment: 0), at: 0)
                    parts[index].append(.token(separator, segment: 0))
                }
            case .template(let single, let pair):
                guard parts.count <= 2 else { throw TooManyParts() }
                parts = (parts.count == 1 ? single : pair).compactMap { piece in
                    switch piece {
                    case .token: addsSpecialTokens ? [piece] : nil
                    case .text(let index, let segment): parts[index].map { $0.inSegment(segment) }
                    }
                }
            }
        }
        return parts.flatMap { $0 }
    }
}
