package import ApusJSON
package import ApusText

/// From a conversation to token ids and what is trained of them.
package struct ConversationEncoder: Sendable {
    private let tokenizer: Tokenizer
    private let chat: ChatEncoder?
    private let system: String?
    private let turns: TrainedTurns
    private let variables: [String: JSONValue]

    /// - Parameters:
    ///   - chat: The chat template; `nil` for the bare texts one after the other.
    ///   - system: The system text of conversations that bring none.
    ///   - turns: What is trained where a message does not say so itself.
    ///   - variables: What the chat template is told beside the conversation.
    package init(
        tokenizer: Tokenizer, chat: ChatEncoder?, system: String? = nil, turns: TrainedTurns = .everyAnswer,
        variables: [String: JSONValue] = [:]
    ) {
        self.variables = variables
        self.tokenizer = tokenizer
        self.chat = chat
        self.system = system
        self.turns = turns
    }

    /// - Throws: `RowFault` for a template that runs away, whatever the row; else the errors of `ChatEncoder`, and
    ///   `RowRejection` for a row that needs a template.
    @Sendable package func encode(_ conversation: Conversation) throws -> EncodedConversation {
        var messages = conversation.messages
        if let system, messages.first?.role != "system" {
            messages.insert(Message(role: "system", content: system), at: 0)
        }
        guard let chat else { return try plain(messages) }
        do {
            return try chat.encoded(messages, tools: conversation.tools, variables: variables, training: turns)
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
            var piece = tokenizer.encode(message.text ?? "", addSpecialTokens: false)
            if isAnswer, let end = tokenizer.eosTokenID { piece.append(end) }
            result.ids += piece
            let isLearned =
                isAnswer ? message.isTrained ?? (turns != .lastRound || turn > lastUser) : turns == .all
            result.weights += piece.map { _ in isLearned ? message.weight : 0 }
        }
        if !result.weights.isEmpty { result.weights[0] = 0 }
        return result
    }
}
