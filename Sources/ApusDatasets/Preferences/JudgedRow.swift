package import ApusJSON
import ApusText

/// A conversation whose answer was judged good or bad.
package struct JudgedRow: Sendable, Equatable {
    package var conversation: Conversation
    package var isGood: Bool

    package init(_ conversation: Conversation, isGood: Bool) {
        self.conversation = conversation
        self.isGood = isGood
    }
}

/// Turns rows into conversations with a label: true for an answer as it should be, false for one as it should not.
package struct JudgedRecognizer: RowRecognizer {
    package static let advice =
        "Give rows with \"messages\" (or \"prompt\" and \"completion\") and a \"label\" of true or false; "
        + "--columns '{\"yours\": \"label\"}' renames columns."

    package let mapping: ColumnMapping
    private let options: ConversationRecognizer.Options
    private let conversations: ConversationRecognizer

    package init(_ options: ConversationRecognizer.Options) throws {
        self.options = options
        mapping = ColumnMapping(options.columns)
        var inner = options
        inner.columns = [:]
        conversations = try ConversationRecognizer(inner)
    }

    package func recognize(_ value: JSONValue) throws -> RecognizedRow<JudgedRow> {
        let object = try value.row
        var reader = RowReader(row: try mapping.applied(to: object), usesAliases: options.mapsColumns)
        guard let label = try reader.take(.judgement) else {
            throw RowRejection("no label", "the row has \(object.columnList)")
        }
        let isGood = try Self.judgement(label)
        let row = try conversations.recognize(.object(reader.row))
        guard row.row.messages.last?.role == "assistant" else {
            throw RowRejection("the conversation does not end with an answer")
        }
        return RecognizedRow(JudgedRow(row.row, isGood: isGood), notes: row.notes, unusedColumns: row.unusedColumns)
    }

    private static func judgement(_ value: JSONValue) throws -> Bool {
        switch value {
        case .bool(let isGood): return isGood
        case .int(0), .int(1): return value == .int(1)
        case .double(0), .double(1): return value == .double(1)
        case .string(let text):
            switch text.trimmed.lowercased() {
            case "true", "1": return true
            case "false", "0": return false
            default: break
            }
        default: break
        }
        throw RowRejection("the label is neither true nor false", value.excerpt)
    }
}
