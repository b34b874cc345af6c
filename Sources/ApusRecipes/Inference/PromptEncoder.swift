import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusText
import Foundation

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
    ///
    /// - Parameter variables: What the chat template is told before what the settings say.
    /// - Throws: `ModelError` for a token that the model has no row for, and the errors of `ChatEncoder`.
    func callAsFunction(
        _ messages: [Message], tools: [JSONValue]? = nil, variables: [String: JSONValue] = [:]
    ) throws -> [Int32] {
        let given = given(variables)
        guard settings.useChatTemplate else {
            return try checked(tokenizer.encode(Self.bareText(of: messages) + (given ?? "")))
        }
        return try checked(
            chat.generationPrompt(
                messages, tools: tools, variables: settings.templateVariables.merging(variables) { $1 },
                answerStart: given))
    }

    /// What the answer to a prompt begins with, and the prompt ends with.
    ///
    /// It is the row's own text, that of the settings, or the mark of a named template; as in ms-swift it is part of the answer.
    func start(_ variables: [String: JSONValue] = [:]) -> String {
        given(variables)
            ?? (settings.useChatTemplate
                ? chat.answerStart(variables: settings.templateVariables.merging(variables) { $1 }) : "")
    }

    private func given(_ variables: [String: JSONValue]) -> String? {
        variables[Conversation.answerStart]?.stringValue ?? prefix
    }

    /// The last question, as in training: a system text and earlier rounds have no place where there is no template.
    private static func bareText(of messages: [Message]) -> String {
        let answers = messages.suffix(while: { $0.role == "assistant" })
        let questions = messages.dropLast(answers.count).suffix(while: { $0.role != "assistant" && $0.role != "system" }
        )
        return (questions + answers).compactMap(\.text).joined()
    }

    private func checked(_ ids: [Int32]) throws -> [Int32] {
        if let error = ModelError(rowlessIn: ids, tokenizer) { throw error }
        return ids
    }

    /// The ids between the assistant's answer to some messages and its next, which answers those that follow.
    ///
    /// - Parameter written: The end of the answer, where that may hold what the template writes behind answers.
    /// - Throws: `SettingsError` for a template that does not write answers as they are.
    func following(
        _ messages: [Message], _ next: [Message], tools: [JSONValue]?, variables: [String: JSONValue] = [:],
        without written: String
    ) throws -> [Int32] {
        guard settings.useChatTemplate else {
            return try checked(tokenizer.encode(next.compactMap(\.text).joined(), addSpecialTokens: false))
        }
        let answer = "Wv4Tn8Rb2K"
        let text = try chat.prompt(
            messages + [Message(role: "assistant", content: answer)] + next, tools: tools,
            variables: settings.templateVariables.merging(variables) { $1 }, answerStart: given(variables))
        guard let end = text.range(of: answer, options: .backwards)?.upperBound else {
            throw SettingsError(
                "the chat template leaves out the answers before the last, so that a conversation cannot go on. Give another "
                    + "--template.")
        }
        let rest = text[end...]
        let twice = (0...min(rest.count, written.count)).last { written.hasSuffix(rest.prefix($0)) } ?? 0
        return try checked(tokenizer.encode(String(rest.dropFirst(twice)), addSpecialTokens: false))
    }

    /// Messages with the system text of the settings, where they bring none.
    ///
    /// An empty text is no system block at all, as in training, and not what the template has by itself.
    func completed(_ messages: [Message]) -> [Message] {
        guard let system = settings.system, messages.first?.role != "system" else { return messages }
        return [Message(role: "system", content: system)] + messages
    }
}

extension BidirectionalCollection {
    /// The longest end of elements that are all of a kind.
    fileprivate func suffix(while isOne: (Element) -> Bool) -> SubSequence {
        var start = endIndex
        while start > startIndex, isOne(self[index(before: start)]) { formIndex(before: &start) }
        return self[start...]
    }
}

extension ModelError {
    /// What is said of a text with a token that the model has no row for; nil for every other.
    init?(rowlessIn ids: [Int32], _ tokenizer: Tokenizer) {
        guard let token = tokenizer.rowless(ids) else { return nil }
        self.init("a text holds \(token), a token that the model has no row for. Leave it out.")
    }
}
