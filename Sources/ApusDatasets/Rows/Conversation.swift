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

    package init(messages: [Message], tools: [JSONValue]? = nil, otherColumns: JSONObject = [:]) {
        self.messages = messages
        self.tools = tools
        self.otherColumns = otherColumns
    }

    /// The kind of data that the row belongs to: its column `channel`.
    package var channel: String? {
        guard let value = otherColumns["channel"], value != .null else { return nil }
        return value.stringValue ?? value.serialized()
    }
}
