package import ApusText

/// From a conversation to a text that a model reads whole and the answer that it writes, as bare texts.
///
/// Each stands between what the tokenizer puts around a text, and ends with the end token in any case. Of a conversation
/// the last message is the answer; those before it are the text, one a line, with the system's directly in front, which
/// is where T5 wants the words that name a task (`translate English to German: `).
package struct SourceTargetEncoder: Sendable {
    private let tokenizer: Tokenizer
    private let sourceLimit: Int?
    private let answerLimit: Int?
    private let strategy: TruncationStrategy
    private let system: String?
    /// The end token, where the tokenizer does not put it behind a text itself.
    private let missingEnd: Int32?

    /// - Parameters:
    ///   - sourceLimit: The most tokens of what is read.
    ///   - answerLimit: The most tokens of what is written.
    ///   - strategy: What happens to longer texts: with `left` the beginning of what is read is cut off, with `right` its
    ///     end, and of what is written its end in both cases; the end token stays. Else they are refused.
    ///   - system: What stands in front where a conversation does not say so.
    package init(
        tokenizer: Tokenizer, sourceLimit: Int? = nil, answerLimit: Int? = nil,
        strategy: TruncationStrategy = .delete, system: String? = nil
    ) {
        self.tokenizer = tokenizer
        self.sourceLimit = sourceLimit
        self.answerLimit = answerLimit
        self.strategy = strategy
        self.system = system
        missingEnd = tokenizer.eosTokenID.flatMap { tokenizer.encode("").last == $0 ? nil : $0 }
    }

    private static let toolsRejection = RowRejection("tools, for which a model without a chat template has no form")

    /// What is read and what is learned, one behind the other: what is not trained is read.
    @Sendable package func encode(_ conversation: Conversation) throws -> EncodedConversation {
        guard let answer = conversation.messages.last, answer.role == "assistant" else {
            throw RowRejection("the last message is no answer")
        }
        guard conversation.tools?.isEmpty ?? true else { throw Self.toolsRejection }
        let weight = answer.isTrained == false ? 0 : answer.weight
        let read = try source(Array(conversation.messages.dropLast()))
        let written = try encoded(answer, limit: answerLimit)
        var notes: [String] = []
        if read.cut > 0 { notes.append("a text is cut to max_length \(sourceLimit ?? 0)") }
        if written.cut > 0 { notes.append("an answer is cut to max_target_length \(answerLimit ?? 0)") }
        return EncodedConversation(
            ids: read.ids + written.ids,
            weights: read.ids.map { _ in 0 } + written.ids.map { _ in weight }, notes: notes)
    }

    /// The ids of what is read, and how many of its tokens were cut off.
    ///
    /// - Throws: `RowRejection` for calls of tools, which only chat templates have a form for, for nothing to read, and for
    ///   more than is to be read where that is not cut.
    package func source(_ messages: [Message]) throws -> (ids: [Int32], cut: Int) {
        var system = system ?? ""
        var lines: [String] = []
        for message in messages {
            guard message.toolCalls.isEmpty else { throw Self.toolsRejection }
            if message.role == "system" { system = message.text ?? "" } else { lines.append(message.text ?? "") }
        }
        let text = system + lines.joined(separator: "\n")
        guard !text.isEmpty else { throw RowRejection("nothing to read") }
        return try encoded(text, limit: sourceLimit, option: "max_length", keepsEnds: strategy == .left)
    }

    private func encoded(_ answer: Message, limit: Int?) throws -> (ids: [Int32], cut: Int) {
        guard answer.toolCalls.isEmpty else { throw Self.toolsRejection }
        return try encoded(answer.text ?? "", limit: limit, option: "max_target_length", keepsEnds: false)
    }

    private func encoded(
        _ text: String, limit: Int?, option: String, keepsEnds: Bool
    ) throws -> (ids: [Int32], cut: Int) {
        let room = limit.map { max(1, $0) - (missingEnd == nil ? 0 : 1) }
        let whole = tokenizer.encode(text)
        let isCut = room.map { whole.count > $0 } ?? false
        if isCut, strategy == .delete || strategy == .split {
            let count = whole.count + (missingEnd == nil ? 0 : 1)
            throw RowRejection(
                "longer than \(option) \(limit ?? 0)", "\(count) tokens; --truncation_strategy right cuts them")
        }
        let ids =
            isCut ? tokenizer.encode(text, pair: nil, maximumLength: room, keepsEnds: keepsEnds).ids : whole
        try tokenizer.checkRows(ids)
        return (ids + (missingEnd.map { [$0] } ?? []), whole.count - ids.count)
    }
}
