package import ApusJSON
import ApusText

/// A question with two answers of which one is preferred: two conversations that are the same up to where they differ.
package struct PreferenceRow: Sendable, Equatable {
    package var chosen: Conversation
    package var rejected: Conversation
    /// By how much the chosen answer is better, for reward models; nil where the row does not say.
    package var margin: Float?

    package init(chosen: Conversation, rejected: Conversation, margin: Float? = nil) {
        self.chosen = chosen
        self.rejected = rejected
        self.margin = margin
    }
}

/// Turns rows into two conversations.
///
/// What is chosen is the conversation of the row, in any format that `ConversationRecognizer` knows, with its answer from
/// `chosen` where there is such a column; what is rejected is `rejected_messages`, or the same conversation with
/// `rejected_response` or `rejected` in place of its answer. Each may be a text, a message, or a list of messages: a text or a
/// message stands for the last answer, a list for all that follows the question, and one with a turn of the user for the
/// whole conversation. Texts of whole dialogues with `Human:` and `Assistant:` are read as such.
package struct PreferenceRecognizer: RowRecognizer {
    package static let advice =
        "Give rows with \"messages\" and \"rejected_response\", or with \"prompt\", \"chosen\" and \"rejected\"; "
        + "--columns '{\"yours\": \"rejected_response\"}' renames columns."

    package let mapping: ColumnMapping
    private let options: ConversationRecognizer.Options
    private let conversations: ConversationRecognizer

    package init(_ options: ConversationRecognizer.Options) throws {
        self.options = options
        mapping = ColumnMapping(options.columns)
        var inner = options
        // Renamed is what comes here.
        inner.columns = [:]
        inner.requiresAnswer = false
        conversations = try ConversationRecognizer(inner)
    }

    package func recognize(_ value: JSONValue) throws -> RecognizedRow<PreferenceRow> {
        let object = try value.row
        var reader = RowReader(row: try mapping.applied(to: object), usesAliases: options.mapsColumns)
        try reader.refuseMedia()
        var notes: [String] = []
        let margin = try Self.margin(reader.take(.margin))
        let rejected = try reader.take(.rejectedMessages) ?? reader.take(.rejectedResponse)
        let chosen = try reader.take(.chosen)
        guard let rejected else { throw RowRejection("no rejected answer", "the row has \(object.columnList)") }
        let chosenAnswer = try chosen.map { try Answer($0, column: "chosen answer", notes: &notes) }
        let rejectedAnswer = try Answer(rejected, column: "rejected answer", notes: &notes)

        var row = try prompt(&reader, of: chosenAnswer, columns: object.columnList)
        notes += row.notes
        var turns = row.row.messages
        // Of a conversation that comes with its answer, the prompt ends with the last question.
        var promptCount = (turns.lastIndex { $0.role == "user" || $0.role == "system" } ?? -1) + 1
        switch chosenAnswer {
        case nil:
            guard let last = turns.last, last.role == "assistant" else {
                throw RowRejection("no chosen answer", "the row has \(object.columnList)")
            }
        case .whole?: break
        case .continuation(let messages)?, .answer(let messages)?:
            guard turns.last?.role != "assistant" else {
                throw RowRejection(
                    "an answer in the messages beside a chosen one", "the messages have to end with the question")
            }
            promptCount = turns.count
            turns += messages
        }
        let other: [Message] =
            switch rejectedAnswer {
            case .whole(let messages): try Self.whole(messages, system: turns)
            case .continuation(let messages): turns.prefix(promptCount) + messages
            case .answer(let messages): turns.dropLast() + messages
            }
        for (name, messages) in [("chosen", turns), ("rejected", other)] {
            guard messages.last?.role == "assistant" else {
                throw RowRejection("the \(name) conversation does not end with an answer")
            }
            if messages.last?.hasNothing == true { notes.append("an empty \(name) answer") }
        }
        guard turns.map(\.fields) != other.map(\.fields) else {
            throw RowRejection("the chosen and the rejected answer are the same")
        }
        row.row.messages = turns
        var second = row.row
        second.messages = other
        return RecognizedRow(
            PreferenceRow(chosen: row.row, rejected: second, margin: margin), notes: notes,
            unusedColumns: row.unusedColumns)
    }

    // MARK: - Parts

    /// What an answer is given as.
    private enum Answer {
        /// A conversation with its question.
        case whole([Message])
        /// A list of all that follows the question, tools that were called for it included.
        case continuation([Message])
        /// A text or a message in place of the last answer: the calls of tools before that stay.
        case answer([Message])

        init(_ value: JSONValue, column: String, notes: inout [String]) throws {
            var value = value
            // Tables hold lists as text.
            if let text = value.stringValue, text.hasPrefix("["), let list = try? LooseJSON.value(text, column: column),
                list.arrayValue?.first?.objectValue != nil
            {
                value = list
            }
            if let list = value.arrayValue, list.first?.objectValue == nil {
                guard let first = list.first else { throw RowRejection("the list of \(column)s is empty") }
                if list.count > 1 { notes.append("several answers in a list (the first is used)") }
                value = first
            }
            let isMessage = value.objectValue != nil
            if isMessage { value = .array([value]) }
            if value.arrayValue != nil {
                let messages = try MessageList(value: value, system: nil, notes: &notes).messages
                self =
                    messages.contains { $0.role == "user" }
                    ? .whole(messages) : isMessage ? .answer(messages) : .continuation(messages)
                return
            }
            guard let text = value.stringValue else {
                throw RowRejection("the \(column) is neither a text nor messages", "it is \(value.kind)")
            }
            if let turns = Dialogue.messages(of: text) {
                self = .whole(turns)
            } else {
                self = .answer([Message(role: "assistant", content: text)])
            }
        }

        var isWhole: Bool { if case .whole = self { true } else { false } }
    }

    /// The conversation of the row: up to the answer, or with it where that comes with its question.
    private func prompt(
        _ reader: inout RowReader, of chosen: Answer?, columns: String
    ) throws -> RecognizedRow<Conversation> {
        guard case .whole(let messages)? = chosen else {
            do {
                return try conversations.recognize(.object(reader.row))
            } catch let rejection as RowRejection where rejection.reason == "no messages" {
                throw RowRejection("answers without a question", "the row has \(columns)")
            }
        }
        var turns = messages
        var ignored: [String] = []
        // The question may stand beside the answer once more, and only there with a system message.
        for column in [RowColumns.messages, .query] {
            guard let value = try reader.take(column, isRequired: false), value.arrayValue?.first?.objectValue != nil
            else {
                continue
            }
            turns = try Self.whole(turns, system: MessageList(value: value, system: nil, notes: &ignored).messages)
        }
        reader.row["messages"] = .array(turns.map(\.json))
        return try conversations.recognize(.object(reader.row))
    }

    /// A conversation that comes whole, with the system message that stands elsewhere in the row.
    private static func whole(_ messages: [Message], system turns: [Message]) throws -> [Message] {
        guard messages.first?.role != "system", let system = turns.first, system.role == "system" else {
            return messages
        }
        return [system] + messages
    }

    private static func margin(_ value: JSONValue?) throws -> Float? {
        guard let value else { return nil }
        guard let number = value.doubleValue ?? value.stringValue.flatMap(Double.init), Float(number).isFinite else {
            throw RowRejection("the margin is not a finite number", value.excerpt)
        }
        return Float(number)
    }
}

/// A dialogue that is written as one text, with a name before each turn.
private enum Dialogue {
    private static let names = [("\n\nHuman:", "user"), ("\n\nAssistant:", "assistant")]

    /// The turns; nil for a text that is none.
    static func messages(of text: String) -> [Message]? {
        guard text.hasPrefix("\n\nHuman:") || text.hasPrefix("Human:") else { return nil }
        var rest = (text.hasPrefix("\n\n") ? text : "\n\n" + text)[...]
        var messages: [Message] = []
        while let (mark, role) = names.first(where: { rest.hasPrefix($0.0) }) {
            rest = rest.dropFirst(mark.count)
            let end = names.compactMap { rest.firstRange(of: $0.0)?.lowerBound }.min() ?? rest.endIndex
            let content = String(rest[..<end]).trimmed
            rest = rest[end...]
            if let last = messages.last, last.role == role {
                // A name that comes twice is a turn that goes on.
                messages[messages.count - 1].text = last.textOrEmpty + "\n\n" + content
            } else {
                messages.append(Message(role: role, content: content))
            }
        }
        return messages
    }
}
