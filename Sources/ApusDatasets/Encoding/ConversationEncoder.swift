package import ApusJSON
package import ApusText

/// From a conversation to token ids and what is trained of them.
package struct ConversationEncoder: Sendable {
    private let tokenizer: Tokenizer
    private let chat: ChatEncoder?
    private let system: String?
    private let lossScale: LossScale
    private let isBinary: Bool
    private let variables: [String: JSONValue]

    /// - Parameters:
    ///   - chat: The chat template; `nil` for the bare texts one after the other.
    ///   - system: The system text of conversations that bring none.
    ///   - lossScale: What is trained where a message does not say so itself, and how much.
    ///   - isBinary: Whether every weight above 0 is 1 (`--is_binary_loss_scale`).
    ///   - variables: What the chat template is told beside conversations that do not say it themselves.
    package init(
        tokenizer: Tokenizer, chat: ChatEncoder?, system: String? = nil, lossScale: LossScale = .everyAnswer,
        isBinary: Bool = false, variables: [String: JSONValue] = [:]
    ) {
        self.variables = variables
        self.tokenizer = tokenizer
        self.chat = chat
        self.system = system
        self.lossScale = lossScale
        self.isBinary = isBinary
    }

    /// - Throws: `RowFault` for a template that runs away, whatever the row; else the errors of `ChatEncoder`, and
    ///   `RowRejection` for a row that needs a template, or has a token that the model does not know.
    @Sendable package func encode(_ conversation: Conversation) throws -> EncodedConversation {
        var encoded = try weighted(conversation)
        try tokenizer.checkRows(encoded.ids)
        encoded.channel = conversation.channel
        if isBinary { encoded.weights = encoded.weights.map { $0 > 0 ? 1 : 0 } }
        return encoded
    }

    private func weighted(_ conversation: Conversation) throws -> EncodedConversation {
        var messages = conversation.messages
        if let system, messages.first?.role != "system" {
            messages.insert(Message(role: "system", content: system), at: 0)
        }
        guard let chat else { return try plain(messages) }
        do {
            return try chat.encoded(
                messages, tools: conversation.tools, variables: variables.merging(conversation.variables) { $1 },
                training: lossScale)
        } catch let error as JinjaError where error.kind == .limit {
            // A template that runs away does so for every row; one is enough.
            throw RowFault(
                "\(error). Correct the chat template in the model's folder; `apus template` tries it on one conversation."
            )
        }
    }

    /// ms-swift's generation template: the bare texts one after the other, answers ended by the end-of-sequence token.
    private func plain(_ messages: [Message]) throws -> EncodedConversation {
        let beginning = tokenizer.bosTokenID.map { tokenizer.encode("").first == $0 ? [$0] : [] } ?? []
        var result = EncodedConversation(ids: beginning, weights: beginning.map { _ in 0 })
        let lastUser = messages.lastIndex { $0.role == "user" } ?? -1
        for (turn, message) in messages.enumerated() where !message.isEmptySystem {
            guard message.toolCalls.isEmpty else {
                throw RowRejection(
                    "tool calls without a chat template", "message \(turn + 1); give --use_chat_template true")
            }
            let isAnswer = message.role == "assistant"
            let isLearned =
                isAnswer
                ? message.isTrained ?? (lossScale.base != .lastRound || turn > lastUser) : lossScale.base == .all
            let weight = isLearned ? message.weight : 0
            let modifiers = isAnswer && weight == 1 ? lossScale.modifiers : []
            let query = turn > 0 ? messages[turn - 1].text : nil
            var pieces = modifiers.parts(of: message.text ?? "", content: nil, query: query)
            if modifiers.isEmpty { pieces = [(message.text ?? "", 1)] }
            for piece in pieces {
                let ids = tokenizer.encode(piece.text, addSpecialTokens: false)
                result.ids += ids
                result.weights += ids.map { _ in piece.weight * weight }
            }
            if isAnswer, let end = tokenizer.eosTokenID {
                result.ids.append(end)
                result.weights.append(weight)
            }
        }
        if !result.weights.isEmpty { result.weights[0] = 0 }
        return result
    }
}
