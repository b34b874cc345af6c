package import ApusJSON
package import ApusText

/// From a text, a pair of texts or a conversation to the token ids of one sequence that is judged as a whole.
///
/// An encoder sees a text between its special tokens and a pair as two segments. A decoder sees a pair as the one text
/// that `pair_format` makes of it; with a chat template a text is a question, and the sequence ends where the answer
/// would begin.
package struct SequenceEncoder: Sendable {
    /// The most tokens of a sequence.
    package let limit: Int
    package let strategy: TruncationStrategy
    private let tokenizer: Tokenizer
    private let chat: ChatEncoder?
    private let isEncoder: Bool
    private let system: String?
    private let pairFormat: String
    private let lowercases: Bool
    /// What stands before a text that becomes a vector.
    private let prompt: String?
    private let variables: [String: JSONValue]

    /// - Parameters:
    ///   - chat: The chat template; `nil` for the bare text.
    ///   - isEncoder: Whether a text stands between special tokens, and two texts are two segments.
    ///   - limit: The most tokens of a sequence.
    ///   - strategy: What happens to longer ones.
    ///   - system: The system text of conversations that bring none.
    ///   - pairFormat: How two texts become one; see `PairFormat`.
    ///   - lowercases: Whether texts are brought to lower case first.
    ///   - prompt: What stands before a text that becomes a vector.
    ///   - variables: What the chat template is told beside the conversation.
    package init(
        tokenizer: Tokenizer, chat: ChatEncoder?, isEncoder: Bool, limit: Int, strategy: TruncationStrategy,
        system: String? = nil, pairFormat: String = PairFormat.standard, lowercases: Bool = false,
        prompt: String? = nil, variables: [String: JSONValue] = [:]
    ) {
        self.variables = variables
        self.tokenizer = tokenizer
        self.chat = chat
        self.isEncoder = isEncoder
        self.limit = limit
        self.strategy = strategy
        self.system = system
        self.pairFormat = pairFormat
        self.lowercases = lowercases
        self.prompt = prompt
    }

    /// One text alone.
    ///
    /// - Parameter columns: Those of its row, which may tell the chat template something.
    @Sendable package func encode(_ content: RowText, of columns: JSONObject = [:]) throws -> EncodedSequence {
        func prepared(_ text: String) -> LabelledRow {
            let text = (prompt ?? "") + text
            return LabelledRow(.text(lowercases ? text.lowercased() : text), otherColumns: columns)
        }
        return switch content {
        case .text(let text): try encode(prepared(text))
        case .messages where isEncoder && lowercases || prompt != nil: try encode(prepared(content.text))
        case .messages(let messages): try encode(LabelledRow(.messages(messages), otherColumns: columns))
        }
    }

    /// A question with a document; a decoder sees `--pair_format` in the place of the question.
    @Sendable package func encode(_ query: RowText, _ document: RowText) throws -> EncodedSequence {
        guard !isEncoder, case .messages(var messages) = query, let question = messages.popLast() else {
            return try encode(LabelledRow(.pair(query.text, document.text)))
        }
        let text = PairFormat.joined(RowText.messages([question]).text, document.text, by: pairFormat)
        return try encode(LabelledRow(.messages(messages + [Message(role: "user", content: text)])))
    }

    @Sendable package func encode(_ row: LabelledRow) throws -> EncodedSequence {
        let encoded = try sequence(row)
        try tokenizer.checkRows(encoded.ids)
        return encoded
    }

    private func sequence(_ row: LabelledRow) throws -> EncodedSequence {
        if isEncoder {
            let (first, second): (String, String?) =
                switch row.content {
                case .text(let text): (text, nil)
                case .pair(let first, let second): (first, second)
                case .messages: (row.texts.joined(separator: "\n"), nil)
                }
            // Cut here, the longer of a pair first, the special tokens stay; cut afterwards they would not.
            let encoded = tokenizer.encode(
                first, pair: second, maximumLength: strategy == .delete ? nil : limit, keepsEnds: strategy == .left)
            // A text may also fill the limit exactly.
            let mayBeCut = strategy != .delete && encoded.ids.count == limit
            let whole = mayBeCut ? tokenizer.encode(first, pair: second, maximumLength: nil).ids.count : 0
            return EncodedSequence(ids: encoded.ids, segments: encoded.segments, cut: max(0, whole - limit))
        }
        var notes: [String] = []
        let own = try Conversation.variables(of: row.otherColumns, notes: &notes)
        return EncodedSequence(ids: try decoderIDs(messages(row), variables.merging(own) { $1 }))
    }

    private func messages(_ row: LabelledRow) -> [Message] {
        switch row.content {
        case .messages(let messages): messages
        case .text(let text): [Message(role: "user", content: text)]
        case .pair(let first, let second):
            [Message(role: "user", content: PairFormat.joined(first, second, by: pairFormat))]
        }
    }

    private func decoderIDs(_ given: [Message], _ variables: [String: JSONValue]) throws -> [Int32] {
        var messages = given
        if let system, messages.first?.role != "system" {
            messages.insert(Message(role: "system", content: system), at: 0)
        }
        guard let chat else {
            return tokenizer.encode(messages.compactMap(\.text).joined())
        }
        guard messages.last?.role == "assistant" else {
            return try chat.generationPrompt(messages, variables: variables)
        }
        return try chat.encoded(messages, variables: variables).ids
    }
}
