import ApusJSON

/// Tool calls in the one form that chat templates read: `{"type": "function", "function": {"name", "arguments"}}`, the
/// arguments as a structure.
enum ToolCalls {
    /// The calls of a message: one, or a list, as JSON or its text.
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
        call["function"] = ["name": .string(name), "arguments": structured(arguments)]
        return .object(call)
    }

    /// Arguments given as text, read, or left as they are when they are no JSON; none at all are an empty object.
    private static func structured(_ arguments: JSONValue?) -> JSONValue {
        guard let arguments, !arguments.isNull else { return [:] }
        guard let text = arguments.stringValue else { return arguments }
        if text.allSatisfy(\.isWhitespace) { return [:] }
        guard let value = try? JSONValue(parsing: text) else { return arguments }
        return value.isNull ? [:] : value
    }

    /// The `tools` column: a list, one tool, or the text of either; each as `{"type": "function", "function": …}`.
    ///
    /// `nil` when it names none.
    static func tools(from value: JSONValue) throws -> [JSONValue]? {
        var value = value
        if let text = value.stringValue {
            if text.allSatisfy(\.isWhitespace) { return nil }
            value = try LooseJSON.value(text, column: "tools")
        }
        if value.isNull { return nil }
        let tools = try (value.arrayValue ?? [value]).map { try tool(from: withoutPadding(described($0))) }
        return tools.isEmpty ? nil : tools
    }

    /// Each tool of a list may be a text of its own.
    private static func described(_ value: JSONValue) -> JSONValue {
        guard let text = value.stringValue, let tool = try? LooseJSON.value(text, column: "tools"),
            tool.objectValue != nil
        else { return value }
        return tool
    }

    /// A tool as OpenAI's chat describes it, from what stands inside of its `function`, from OpenAI's flat form, or from
    /// Anthropic's with an `input_schema`.
    private static func tool(from value: JSONValue) throws -> JSONValue {
        guard var tool = value.objectValue else {
            throw RowRejection("a tool is not an object", "it is \(value.kind): \(value.excerpt)")
        }
        if tool["function"]?.objectValue != nil {
            guard tool["type"] == nil else { return value }
            return .object(["type": "function", "function": tool["function"] ?? .null])
        }
        guard tool["name"]?.stringValue != nil else {
            // A tool of another kind, such as a search that the model brings itself, is the template's business.
            if tool["type"] != nil { return value }
            throw RowRejection("a tool has no name", value.excerpt)
        }
        if let type = tool["type"]?.stringValue, type != "function", type != "custom" { return value }
        tool["type"] = nil
        if tool["parameters"] == nil, let schema = tool["input_schema"] {
            tool["parameters"] = schema
            tool["input_schema"] = nil
        }
        return .object(["type": "function", "function": .object(tool)])
    }

    // MARK: - Padding

    /// Keywords of JSON Schema whose keys are names that the user chose.
    private static let named: Set<String> = [
        "properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies",
    ]

    /// A tool without the nulls that Arrow puts where another row's tools have a field.
    ///
    /// A null says something as the value of `default` or `const`, as an item of `enum` or `examples`, and inside of an
    /// annotation `x-…`; there it stays.
    private static func withoutPadding(_ schema: JSONValue) -> JSONValue {
        if let items = schema.arrayValue { return .array(items.map(withoutPadding)) }
        guard let object = schema.objectValue else { return schema }
        var kept = JSONObject()
        for (key, value) in object {
            if ["default", "const"].contains(key) || key.hasPrefix("x-") {
                kept[key] = value
            } else if value.isNull {
                continue
            } else if ["enum", "examples"].contains(key) {
                kept[key] = value
            } else if named.contains(key), let schemas = value.objectValue {
                var byName = JSONObject()
                for (name, schema) in schemas where !schema.isNull { byName[name] = withoutPadding(schema) }
                kept[key] = .object(byName)
            } else {
                kept[key] = withoutPadding(value)
            }
        }
        return .object(kept)
    }
}
