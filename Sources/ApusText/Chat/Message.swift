package import ApusJSON

/// One turn of a conversation: what a chat template sees, and whether the model learns to write it.
public struct Message: Sendable, Equatable {
    /// The turn's keys in their order, as templates see them.
    ///
    /// Without those of `TurnTraining`, which are for training only.
    package var fields: JSONObject

    /// Whether an assistant's turn is trained; nil leaves it to the strategy.
    public var isTrained: Bool?

    /// What the loss of each token of a trained turn is multiplied by.
    package var weight: Float = 1

    public init(role: String, content: String, isTrained: Bool? = nil) {
        fields = ["role": .string(role), "content": .string(content)]
        self.isTrained = isTrained
    }

    /// Reads a message of a data row.
    ///
    /// - Throws: `MessageError` when the value is no object with a `role`, or a key of `TurnTraining` has a value that
    ///   says nothing.
    package init(_ value: JSONValue) throws {
        guard var object = value.objectValue else {
            throw MessageError("a message must be an object with \"role\" and \"content\"")
        }
        guard object["role"]?.stringValue != nil else {
            throw MessageError("a message has no \"role\"; write {\"role\": \"user\", \"content\": \"…\"}")
        }
        let training = try TurnTraining(takenFrom: &object)
        fields = object
        isTrained = training.isTrained
        weight = training.weight
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

    /// What it thought, there or between marks in the text; nil for nothing.
    package var thought: String? {
        var found = reasoning
        if found == nil, let text, JinjaText(text).contains("<think>"), let opening = text.firstRange(of: "<think>"),
            let closing = text[opening.upperBound...].firstRange(of: "</think>")
        {
            found = String(text[opening.upperBound..<closing.lowerBound])
        }
        let bare = (found ?? "").drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed()
        return bare.isEmpty ? nil : String(bare)
    }

    static let reasoningKeys = ["reasoning_content", "reasoning", "thinking"]

    /// Whether this is a system message that says there is none, not even the template's own.
    package var isEmptySystem: Bool { role == "system" && text == "" }

    /// The message as data, `loss` included.
    package var json: JSONValue {
        var object = fields
        if let isTrained { object["loss"] = .bool(isTrained) }
        if weight != 1 { object["loss_scale"] = .double(Double(weight)) }
        return .object(object)
    }
}

/// Why a value is not a message.
package struct MessageError: Error, CustomStringConvertible, Equatable {
    package let description: String

    init(_ description: String) { self.description = description }
}
