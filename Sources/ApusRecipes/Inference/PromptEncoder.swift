import ApusJSON
import ApusText

/// The ids that a model goes on from, of conversations.
struct PromptEncoder: Sendable {
    private let settings: EncodingSettings
    private let tokenizer: Tokenizer
    private let chat: ChatEncoder
    /// What every answer starts with.
    private let prefix: String?

    init(_ settings: EncodingSettings, _ tokenizer: Tokenizer, _ chat: ChatEncoder, prefix: String? = nil) {
        self.settings = settings
        self.tokenizer = tokenizer
        self.chat = chat
        self.prefix = prefix
    }

    /// The ids for exactly these messages, of any length.
    func callAsFunction(_ messages: [Message], tools: [JSONValue]? = nil) throws -> [Int32] {
        guard settings.useChatTemplate else { return tokenizer.encode(messages.compactMap(\.text).joined()) }
        let prompt = try chat.generationPrompt(
            messages, tools: tools, variables: settings.templateVariables, answerStart: prefix.map { _ in "" })
        return prompt + tokenizer.encode(prefix ?? "", addSpecialTokens: false)
    }

    /// Messages with the system text of the settings, where they bring none.
    func completed(_ messages: [Message]) -> [Message] {
        guard let system = settings.system, !system.isEmpty, messages.first?.role != "system" else { return messages }
        return [Message(role: "system", content: system)] + messages
    }
}
