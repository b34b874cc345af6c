package import ApusJSON
package import ApusText

/// From a conversation to token ids and what is trained of them.
package struct ConversationEncoder: Sendable {
    private let tokenizer: Tokenizer
    private let chat: ChatEncoder
    private let isBare: Bool
    private let system: String?
    private let lossScale: LossScale
    private let isBinary: Bool
    private let variables: [String: JSONValue]

    /// - Parameters:
    ///   - chat: The chat template; `nil` for the bare text of the last question and its answer.
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
        isBare = chat == nil
        self.chat =
            chat
            ?? ChatEncoder(bareTextsBetween: NamedTemplateTokens(tokenizer)) {
                tokenizer.encode($0, addSpecialTokens: false)
            }
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
        guard !isBare else { return try bare(conversation, messages) }
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

    /// Bare texts have no place for a system text and tools, which are left out, nor for calls and thoughts.
    private func bare(_ conversation: Conversation, _ given: [Message]) throws -> EncodedConversation {
        for (turn, message) in conversation.messages.enumerated() {
            let what: String? =
                if !message.toolCalls.isEmpty || Self.toolRoles.contains(message.role) {
                    "tool calls"
                } else if message.reasoning?.isEmpty == false {
                    "thoughts beside an answer"
                } else {
                    nil
                }
            guard let what else { continue }
            throw RowRejection("\(what) without a chat template", "message \(turn + 1); give --use_chat_template true")
        }
        let hasSystem = given.first?.role == "system"
        var encoded = try chat.encoded(hasSystem ? Array(given.dropFirst()) : given, training: lossScale)
        let reason = "without a chat template there is no place for"
        if hasSystem, given.first?.isEmptySystem == false {
            encoded.notes.append("a system text left out (\(reason) it)")
        }
        if conversation.tools?.isEmpty == false { encoded.notes.append("tools left out (\(reason) them)") }
        return encoded
    }

    private static let toolRoles = ["tool", "tool_call", "tool_response"]
}
