package import ApusJSON
package import ApusText

/// One row of a data set as a conversation.
package struct Conversation: Sendable, Equatable {
    package var messages: [Message]
    /// The functions the assistant may call; `nil` when the row names none.
    package var tools: [JSONValue]?
    /// The columns that are not part of the conversation (`label`, `rejected_response`, `solution` …), for objectives
    /// and rewards that ask for them.
    package var otherColumns: JSONObject
    /// What the chat template is told beside this conversation, before what it is told of all (`chat_template_kwargs`).
    package var variables: [String: JSONValue]

    package init(
        messages: [Message], tools: [JSONValue]? = nil, otherColumns: JSONObject = [:],
        variables: [String: JSONValue] = [:]
    ) {
        self.messages = messages
        self.tools = tools
        self.otherColumns = otherColumns
        self.variables = variables
    }

    /// The name among `variables` of what the answer to a row begins with, instead of what others begin with.
    package static let answerStart = "response_prefix"

    /// What a row with these columns tells the chat template.
    ///
    /// Tables of Arrow have every key in every row, so that null is none.
    ///
    /// - Throws: `RowRejection` where that is no object.
    static func variables(of columns: JSONObject, notes: inout [String]) throws -> [String: JSONValue] {
        let column = "chat_template_kwargs"
        guard var value = columns[column], !value.isNull, value.stringValue != "" else { return [:] }
        if let text = value.stringValue { value = try LooseJSON.value(text, column: column) }
        guard let object = value.objectValue else {
            throw RowRejection("the \(column) is not an object", "it is \(value.kind): \(value.excerpt)")
        }
        var variables: [String: JSONValue] = [:]
        for (key, value) in object where !value.isNull { variables[key] = value }
        if let start = variables[answerStart], start.stringValue == nil {
            throw RowRejection("the \(answerStart) in \(column) is no text", "it is \(start.kind): \(start.excerpt)")
        }
        return variables
    }

    /// The kind of data that the row belongs to: its column `channel`.
    package var channel: String? {
        guard let value = otherColumns["channel"], value != .null else { return nil }
        return value.stringValue ?? value.serialized()
    }
}
