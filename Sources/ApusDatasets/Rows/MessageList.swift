import ApusJSON
import ApusText

/// The messages of a column of messages, in any of the spellings in use: role and content, from and value (ShareGPT),
/// pairs (`{"human": …, "assistant": …}`), OpenAI's tool calls, Anthropic's blocks, and the roles `tool_call` and
/// `tool_response` of ms-swift.
struct MessageList {
    private(set) var messages: [Message] = []

    /// - Parameters:
    ///   - value: The list, or its text.
    ///   - system: The row's own system text, used when the list does not begin with one.
    init(value: JSONValue, system: String?, notes: inout [String]) throws {
        let list = try LooseJSON.list(value, column: "messages").map { value in
            guard let object = value.objectValue else {
                throw RowRejection("a message is not an object", "it is \(value.kind): \(value.excerpt)")
            }
            return object
        }
        guard let first = list.first else { throw RowRejection("no messages", "the list is empty") }
        if ["role", "from", "content", "value"].contains(where: { first[$0] != nil }) {
            for (index, object) in list.enumerated() {
                do {
                    try append(object)
                } catch let rejection as RowRejection {
                    let detail = "message \(index + 1)" + (rejection.detail.map { ", \($0)" } ?? "")
                    throw RowRejection(rejection.reason, detail)
                }
            }
        } else {
            for pair in list { try append(pair: pair) }
        }
        if let system {
            if messages.first?.role == "system", system.isEmpty { return }
            if messages.first?.role == "system" {
                notes.append("a system column beside a system message (the message is used)")
            } else {
                messages.insert(Message(role: "system", content: system), at: 0)
            }
        }
    }

    /// Whether an object with these keys is a message.
    static func isMessage(_ keys: some Collection<String>) -> Bool {
        (keys.contains("role") || keys.contains("from"))
            && ["content", "value", "tool_calls"].contains { keys.contains($0) }
    }

    private enum Role {
        case system, user, assistant, toolCall, tool

        init?(_ name: String) {
            switch name.lowercased().replacing("-", with: "_") {
            case "system": self = .system
            case "user", "human": self = .user
            case "assistant", "gpt", "bot": self = .assistant
            case "tool_call", "function_call": self = .toolCall
            case "tool", "tool_response", "function_response", "function", "observation", "observations": self = .tool
            default: return nil
            }
        }
    }

    private static let userKeys = ["user", "human"]
    private static let assistantKeys = ["assistant", "gpt", "bot"]

    private mutating func append(pair: JSONObject) throws {
        func text(_ keys: [String]) throws -> String {
            guard let value = keys.lazy.compactMap({ pair[$0] }).first else {
                throw RowRejection("a pair of turns lacks \(keys[0]) or its aliases", "it has \(pair.columnList)")
            }
            return try MessageContent.text(value)
        }
        messages.append(Message(role: "user", content: try text(Self.userKeys)))
        messages.append(Message(role: "assistant", content: try text(Self.assistantKeys)))
    }

    private mutating func append(_ object: JSONObject) throws {
        var rest = object
        let name = rest.take("role", "from")
        guard let name = name?.stringValue else {
            throw RowRejection(
                "a message has no role", "it has \(object.columnList); give each a \"role\" and a \"content\"")
        }
        guard let role = Role(name) else {
            throw RowRejection(
                "an unknown role", "\"\(name)\"; known are system, user, assistant, tool_call, tool_response and tool")
        }
        let content = rest.take("content", "value") ?? .null
        let training = try Self.training(&rest)
        switch role {
        case .system:
            messages.append(Message(role: "system", text: try MessageContent.text(content), training: training))
        case .user:
            try appendUser(content, rest, training)
        case .assistant:
            try appendAssistant(content, rest, training)
        case .toolCall:
            appendCalls(try ToolCalls.calls(from: content), training)
        case .tool:
            let text = try content.objectValue == nil ? MessageContent.text(content) : content.serialized()
            messages.append(Message(role: "tool", text: text, others: rest, training: training))
        }
    }

    /// A user's text, with Anthropic's tool results as messages of their own.
    private mutating func appendUser(_ content: JSONValue, _ rest: JSONObject, _ training: TurnTraining) throws {
        let blocks = content.arrayValue ?? []
        let results = blocks.filter { $0["type"] == "tool_result" }
        for result in results {
            messages.append(Message(role: "tool", content: try MessageContent.text(result["content"] ?? "")))
        }
        let others = blocks.filter { $0["type"] != "tool_result" }
        if !results.isEmpty, others.isEmpty { return }
        let text = try MessageContent.text(results.isEmpty ? content : .array(others))
        messages.append(Message(role: "user", text: text, others: rest, training: training))
    }

    /// An assistant's text, with OpenAI's or Anthropic's calls.
    private mutating func appendAssistant(_ content: JSONValue, _ rest: JSONObject, _ training: TurnTraining) throws {
        var rest = rest
        let blocks = content.arrayValue ?? []
        var calls = try blocks.filter { $0["type"] == "tool_use" }.map { try ToolCalls.call(anthropic: $0) }
        let content = calls.isEmpty ? content : .array(blocks.filter { $0["type"] != "tool_use" })
        // `function_call` is what OpenAI wrote before `tool_calls`.
        for key in ["tool_calls", "function_call"] {
            if let list = rest.take(key) { calls += try ToolCalls.calls(from: list) }
        }
        let text = content.isNull && !calls.isEmpty ? "" : try MessageContent.text(content)
        var message = Message(role: "assistant", text: text, others: rest, training: training)
        message.append(toolCalls: calls)
        messages.append(message)
    }

    /// A `tool_call` message continues the assistant's message before it: chat templates know them as one.
    private mutating func appendCalls(_ calls: [JSONValue], _ training: TurnTraining) {
        if let last = messages.last, last.role == "assistant", last.isTrained == training.isTrained,
            last.weight == training.weight
        {
            messages[messages.count - 1].append(toolCalls: calls)
            return
        }
        var message = Message(role: "assistant", text: "", training: training)
        message.append(toolCalls: calls)
        messages.append(message)
    }

    private static func training(_ message: inout JSONObject) throws -> TurnTraining {
        do {
            return try TurnTraining(takenFrom: &message)
        } catch let error as MessageError {
            throw RowRejection("what is trained of a message is unclear", error.description)
        }
    }
}

/// The text of a message.
enum MessageContent {
    /// A text, a text part, or a list of them joined.
    static func text(_ content: JSONValue) throws -> String {
        switch content {
        case .string(let text): return text
        case .null: throw RowRejection("the content of a message is null")
        case .array(let parts):
            return try parts.map { part in
                if let text = part.stringValue { return text }
                if let text = part["text"]?.stringValue, part["type"] == nil || part["type"] == "text" { return text }
                if let type = part["type"]?.stringValue, type != "text" {
                    throw RowRejection("content parts other than text are not supported yet", "\"\(type)\"")
                }
                throw RowRejection("the content of a message is not text", part.excerpt)
            }.joined()
        case .object where content["text"] != nil: return try text([content])
        default: throw RowRejection("the content of a message is not text", "it is \(content.kind): \(content.excerpt)")
        }
    }
}

extension JSONObject {
    /// Takes members out and returns the first of them that is not null.
    fileprivate mutating func take(_ keys: String...) -> JSONValue? {
        var first: JSONValue?
        for key in keys {
            if let value = self[key], !value.isNull, first == nil { first = value }
            self[key] = nil
        }
        return first
    }
}
