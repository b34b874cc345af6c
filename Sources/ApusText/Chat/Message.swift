package import ApusJSON

/// One turn of a conversation: what a chat template sees, and whether the model learns to write it.
public struct Message: Sendable, Equatable {
    /// The turn's keys in their order, as templates see them.
    ///
    /// Without `loss`, which is for training only.
    package var fields: JSONObject

    /// Whether an assistant's turn is trained; nil leaves it to the strategy.
    public var isTrained: Bool?

    public init(role: String, content: String, isTrained: Bool? = nil) {
        fields = ["role": .string(role), "content": .string(content)]
        self.isTrained = isTrained
    }

    /// Reads a message of a data row.
    ///
    /// - Throws: `MessageError` when the value is no object with a `role`, or `loss` is neither true, false nor null.
    package init(_ value: JSONValue) throws {
        guard let object = value.objectValue else {
            throw MessageError("a message must be an object with \"role\" and \"content\"")
        }
        guard object["role"]?.stringValue != nil else {
            throw MessageError("a message has no \"role\"; write {\"role\": \"user\", \"content\": \"…\"}")
        }
        switch object["loss"] {
        case nil, .null: isTrained = nil
        case .bool(let flag): isTrained = flag
        case .int(0): isTrained = false
        case .int(1): isTrained = true
        default: throw MessageError("\"loss\" of a message must be true or false")
        }
        fields = object
        fields["loss"] = nil
    }

    /// `system`, `user`, `assistant`, `tool` or a role that only the template knows.
    public var role: String {
        get { fields["role"]?.stringValue ?? "" }
        set { fields["role"] = .string(newValue) }
    }

    /// The content when it is one text; nil for a list of parts and for none.
    public var text: String? {
        get { fields["content"]?.stringValue }
        set { fields["content"] = newValue.map { .string($0) } ?? .null }
    }

    /// The content as it stands in the data: a text, a list of parts, or null.
    package var content: JSONValue? {
        get { fields["content"] }
        set { fields["content"] = newValue }
    }

    /// The name of the speaker or of the tool that answers.
    package var name: String? { fields["name"]?.stringValue }

    /// The calls of tools that an assistant asks for.
    package var toolCalls: [JSONValue] { fields["tool_calls"]?.arrayValue ?? [] }

    /// What a reasoning model thought before it answered, under one of the names in use.
    package var reasoning: String? {
        Self.reasoningKeys.lazy.compactMap { fields[$0]?.stringValue }.first
    }

    static let reasoningKeys = ["reasoning_content", "reasoning", "thinking"]

    /// The message as data, `loss` included.
    package var json: JSONValue {
        var object = fields
        if let isTrained { object["loss"] = .bool(isTrained) }
        return .object(object)
    }
}

/// Why a value is not a message.
package struct MessageError: Error, CustomStringConvertible, Equatable {
    package let description: String

    init(_ description: String) { self.description = description }
}
