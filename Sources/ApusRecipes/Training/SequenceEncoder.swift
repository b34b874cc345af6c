import ApusDatasets
import ApusLanguageModel
import ApusText

/// The settings that say how texts become sequences.
protocol SequenceSettings {
    var maxLength: Int? { get }
    var truncationStrategy: TruncationStrategy { get }
    var useChatTemplate: Bool { get }
    var system: String? { get }
    var pairFormat: String { get }
}

extension SFTSettings: SequenceSettings {}
extension InferSettings: SequenceSettings {}

/// From a text, a pair of texts or a conversation to the token ids of one sequence that is judged as a whole.
///
/// An encoder sees a text between its special tokens and a pair as two segments. A decoder sees a pair as the one text
/// that `--pair_format` makes of it; with a chat template a text is a question, and the sequence ends where the answer
/// would begin.
struct SequenceEncoder {
    /// The most tokens of a sequence.
    let limit: Int
    private let strategy: TruncationStrategy
    private let text: TextParts
    private let isEncoder: Bool
    private let usesTemplate: Bool
    private let system: String?
    private let pairFormat: String
    /// Whether texts are brought to lower case first.
    private let lowercases: Bool
    /// What stands before a text that becomes a vector.
    private let prompt: String?

    /// - Parameter files: Those of a sentence encoder, which sees the bare text, whatever template its tokenizer brings.
    init(_ settings: some SequenceSettings, text: TextParts, model: any TextModel, files: SentenceFiles? = nil) {
        limit = files?.limit(settings.maxLength, model: model) ?? model.limit(settings.maxLength)
        strategy = settings.truncationStrategy
        self.text = text
        isEncoder = model.isEncoder
        usesTemplate = settings.useChatTemplate && files?.areGiven != true
        system = settings.system
        pairFormat = settings.pairFormat
        lowercases = files?.lowercases ?? false
        prompt = settings is InferSettings ? files?.prompt : nil
    }

    /// A sequence within the limit.
    ///
    /// - Throws: `ModelError` for a longer one that `--truncation_strategy` does not cut.
    func fitted(_ sequence: (ids: [Int32], segments: [Int32]?)) throws -> (ids: [Int32], segments: [Int32]?) {
        let count = sequence.ids.count
        guard count > limit else { return sequence }
        switch strategy {
        case .left: return (Array(sequence.ids.suffix(limit)), sequence.segments.map { Array($0.suffix(limit)) })
        case .right: return (Array(sequence.ids.prefix(limit)), sequence.segments.map { Array($0.prefix(limit)) })
        case .delete:
            throw ModelError(
                "a text has \(count) tokens, the limit is \(limit). Raise --max_length where the model allows more, or "
                    + "cut with --truncation_strategy right.")
        }
    }

    /// One text alone.
    @Sendable func encode(_ content: RowText) throws -> [Int32] {
        func prepared(_ text: String) -> LabelledRow {
            let text = (prompt ?? "") + text
            return LabelledRow(.text(lowercases ? text.lowercased() : text))
        }
        return switch content {
        case .text(let text): try encode(prepared(text)).ids
        case .messages where isEncoder && lowercases || prompt != nil: try encode(prepared(content.text)).ids
        case .messages(let messages): try encode(LabelledRow(.messages(messages))).ids
        }
    }

    /// A question with a document; a decoder sees `--pair_format` in the place of the question.
    @Sendable func encode(_ query: RowText, _ document: RowText) throws -> (ids: [Int32], segments: [Int32]?) {
        guard !isEncoder, case .messages(var messages) = query, let question = messages.popLast() else {
            return try encode(LabelledRow(.pair(query.text, document.text)))
        }
        let text = PairFormat.joined(RowText.messages([question]).text, document.text, by: pairFormat)
        return try encode(LabelledRow(.messages(messages + [Message(role: "user", content: text)])))
    }

    @Sendable func encode(_ row: LabelledRow) throws -> (ids: [Int32], segments: [Int32]?) {
        if isEncoder {
            let (first, second): (String, String?) =
                switch row.content {
                case .text(let text): (text, nil)
                case .pair(let first, let second): (first, second)
                case .messages: (row.texts.joined(separator: "\n"), nil)
                }
            // Cut here, the longer of a pair first, the special tokens stay; cut afterwards they would not.
            let encoded = text.tokenizer.encode(
                first, pair: second, maximumLength: strategy == .delete ? nil : limit, keepsEnds: strategy == .left)
            return (encoded.ids, encoded.segments)
        }
        return (try decoderIDs(messages(row)), nil)
    }

    private func messages(_ row: LabelledRow) -> [Message] {
        switch row.content {
        case .messages(let messages): messages
        case .text(let text): [Message(role: "user", content: text)]
        case .pair(let first, let second):
            [Message(role: "user", content: PairFormat.joined(first, second, by: pairFormat))]
        }
    }

    private func decoderIDs(_ given: [Message]) throws -> [Int32] {
        var messages = given
        if let system, messages.first?.role != "system" {
            messages.insert(Message(role: "system", content: system), at: 0)
        }
        guard usesTemplate else {
            return text.tokenizer.encode(messages.compactMap(\.text).joined())
        }
        guard messages.last?.role == "assistant" else { return try text.encoder.generationPrompt(messages) }
        return try text.encoder.encoded(messages).ids
    }
}
