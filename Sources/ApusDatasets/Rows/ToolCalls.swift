import ApusJSON

/// Tool calls in the one form that chat templates read: `{"type": "function", "function": {"name", "arguments"}}`, the
/// arguments as a structure.
enum ToolCalls {
    /// The calls of a `tool_call` message: one, or a list, as JSON or its text.
    static func calls(from content: JSONValue) throws -> [JSONValue] {
        let value =
            if let text = content.stringValue { try LooseJSON.value(text, column: "tool_call") } else { content }
        return try (value.arrayValue ?? [value]).map { try call(from: $0) }
    }

    /// A call as OpenAI writes it, or without the `function` around it.
    static func call(from value: JSONValue) throws -> JSONValue {
        let function = value["function"] ?? value
        guard let name = function["name"]?.stringValue else {
            throw RowRejection("a tool call has no function name", value.excerpt)
        }
        return call(name: name, arguments: function["arguments"], identifier: value["id"])
    }

    /// A `tool_use` block of Anthropic's format.
    static func call(anthropic block: JSONValue) throws -> JSONValue {
        guard let name = block["name"]?.stringValue else {
            throw RowRejection("a tool call has no function name", block.excerpt)
        }
        return call(name: name, arguments: block["input"], identifier: block["id"])
    }

    private static func call(name: String, arguments: JSONValue?, identifier: JSONValue?) -> JSONValue {
        var call = JSONObject()
        if let identifier, !identifier.isNull { call["id"] = identifier }
        call["type"] = "function"
        call["function"] = ["name": .string(name), "arguments": structured(arguments ?? [:])]
        return .object(call)
    }

    /// Arguments given as text, read; left as they are when they are no JSON.
    private static func structured(_ arguments: JSONValue) -> JSONValue {
        guard let text = arguments.stringValue, let value = try? JSONValue(parsing: text) else { return arguments }
        return value
    }

    /// The `tools` column: a list, one tool, or the text of either.
    ///
    /// `nil` when it names none.
    static func tools(from value: JSONValue) throws -> [JSONValue]? {
        var value = value
        if let text = value.stringValue {
            if text.allSatisfy(\.isWhitespace) { return nil }
            value = try LooseJSON.value(text, column: "tools")
        }
        let tools = value.arrayValue ?? [value]
        if let other = tools.first(where: { $0.objectValue == nil }) {
            throw RowRejection("a tool is not an object", "it is \(other.kind): \(other.excerpt)")
        }
        return tools.isEmpty ? nil : tools
    }
}
