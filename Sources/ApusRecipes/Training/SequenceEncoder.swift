import ApusDatasets
import ApusText

/// From a text, a pair of texts or a conversation to the token ids of one sequence that is judged as a whole.
///
/// An encoder sees a text between its special tokens and a pair as two segments. A decoder sees a pair as the one text
/// that `--pair_format` makes of it; with a chat template a text is a question, and the sequence ends where the answer
/// would begin.
struct SequenceEncoder {
    let text: TextParts
    let isEncoder: Bool
    let usesTemplate: Bool
    let system: String?
    let pairFormat: String
    /// To which an encoder's texts are cut, the longer of a pair first; nil leaves them.
    let maximumLength: Int?
    /// Whether texts are brought to lower case first.
    var lowercases = false

    /// One text alone.
    @Sendable func encode(_ content: RowText) throws -> [Int32] {
        switch content {
        case .text(let text): try encode(LabelledRow(.text(lowercases ? text.lowercased() : text))).ids
        case .messages(let messages):
            try encode(
                LabelledRow(isEncoder && lowercases ? .text(content.text.lowercased()) : .messages(messages))
            ).ids
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
            let encoded = text.tokenizer.encode(first, pair: second, maximumLength: maximumLength)
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
