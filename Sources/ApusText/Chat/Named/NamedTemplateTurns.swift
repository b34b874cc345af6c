import ApusJSON
import Foundation

/// A conversation as named templates take it: a system text, and questions and answers by turns.
struct NamedTemplateTurns {
    /// Text of an answer with what is said of its training; several make one answer.
    struct Segment {
        var text: String
        var isTrained: Bool?
        var weight: Float?
    }

    enum Turn {
        case question(String)
        case answer([Segment])
        /// What tools gave, with all that stands around it.
        case results([NamedTemplate.Part])

        /// What is asked; nil for what is no question.
        var text: String? {
            if case .question(let text) = self { text } else { nil }
        }
    }

    var system: String?
    var turns: [Turn] = []

    /// Reads messages: calls become text, neighbours of one role are joined, results of tools stand in turns of their own.
    ///
    /// - Throws: `ChatTrainingError` for what no named template writes.
    init(_ messages: [Message], tools: [JSONValue], agent: AgentTemplate?, template: NamedTemplate) throws {
        var rest = messages[...]
        if let first = rest.first, first.role == "system" {
            system = try Self.text(of: first)
            rest = rest.dropFirst()
        }
        func needed() throws -> AgentTemplate {
            if let agent { return agent }
            let known = NamedTemplate.agentNames.joined(separator: ", ")
            throw ChatTrainingError(
                description: "the template \(template.name) has no way to write tools; give one with --agent_template "
                    + "(\(known))")
        }
        var waiting: [AgentTemplate.Result] = []
        func flush(_ turns: inout [Turn]) throws {
            guard !waiting.isEmpty else { return }
            defer { waiting = [] }
            switch turns.last {
            case .answer(var segments)?:
                let behind = segments.last?.text ?? ""
                let whole = segments.map(\.text).joined()
                let (answer, parts) = try needed().parts(of: waiting, behind: behind, whole: whole, template)
                if !segments.isEmpty { segments[segments.count - 1].text = answer }
                turns[turns.count - 1] = .answer(segments)
                turns.append(.results(parts))
            case .question(let text)?:
                guard let added = try needed().standalone(waiting, template) else {
                    throw ChatTrainingError(
                        description:
                            "a tool's result stands behind a question, and the agent template writes none without "
                            + "a call before it")
                }
                turns[turns.count - 1] = .question(text + added)
            default:
                throw ChatTrainingError(description: "a tool's result needs a question or a call before it")
            }
        }
        var turns: [Turn] = []
        func answer(_ segments: [Segment]) {
            if case .answer(let before)? = turns.last {
                turns[turns.count - 1] = .answer(before + segments)
            } else {
                turns.append(.answer(segments))
            }
        }
        var calls: [(call: AgentTemplate.Call, message: Message)] = []
        func flushCalls() throws {
            guard let first = calls.first else { return }
            defer { calls = [] }
            let agent = try needed()
            let before: [Segment]? = if case .answer(let segments)? = turns.last { segments } else { nil }
            var text = try agent.text(of: calls.map(\.call), continues: before != nil)
            if var segments = before, let last = segments.last {
                let (said, separator) = agent.separator(last.text)
                segments[segments.count - 1].text = said
                turns[turns.count - 1] = .answer(segments)
                text = separator + text
            }
            answer([Segment(text: text, isTrained: first.message.isTrained, weight: first.message.lossWeight)])
        }
        for message in Self.ordered(rest) {
            if message.role != "tool_call" { try flushCalls() }
            if message.role != "tool", message.role != "tool_response" { try flush(&turns) }
            switch message.role {
            case "user":
                let text = try Self.text(of: message)
                if case .question(let before)? = turns.last {
                    turns[turns.count - 1] = .question(before + text)
                } else {
                    turns.append(.question(text))
                }
            case "assistant":
                if let reasoning = message.reasoning, !reasoning.isEmpty {
                    throw ChatTrainingError(
                        description:
                            "named templates have no place for \"\(Message.reasoningKeys[0])\" beside the answer; "
                            + "write it into the answer as <think>…</think>, or leave --template out")
                }
                let text = try Self.text(of: message)
                if message.toolCalls.isEmpty || !text.isEmpty {
                    answer([Segment(text: text, isTrained: message.isTrained, weight: message.lossWeight)])
                }
                calls = try message.toolCalls.map { (try AgentTemplate.Call($0), message) }
            case "tool_call":
                calls.append((try AgentTemplate.Call(message.content ?? .null), message))
            case "tool", "tool_response":
                try flushCalls()
                waiting.append(AgentTemplate.Result(try Self.text(of: message), of: message))
            default:
                throw ChatTrainingError(
                    description: "the template \(template.name) knows no role \"\(message.role)\""
                        + (message.role == "system" ? " behind the beginning" : "")
                        + "; it takes one system text at the beginning, user, assistant, tool_call and tool")
            }
        }
        try flushCalls()
        try flush(&turns)
        self.turns = turns
    }

    /// Messages with the results of tools in the order of their calls, where the ids of both are the same ones.
    private static func ordered(_ messages: ArraySlice<Message>) -> [Message] {
        var messages = Array(messages)
        for (index, message) in messages.enumerated() where message.role == "assistant" {
            let ids = message.toolCalls.compactMap { $0["id"]?.stringValue }
            let results = messages[(index + 1)...].prefix { $0.role == "tool" || $0.role == "tool_response" }
            let answered = results.compactMap { $0.fields["tool_call_id"]?.stringValue }
            guard !ids.isEmpty, ids.count == message.toolCalls.count, ids.count == results.count,
                Set(ids).count == ids.count, Set(answered) == Set(ids)
            else { continue }
            let byID = Dictionary(zip(answered, results), uniquingKeysWith: { first, _ in first })
            messages.replaceSubrange(results.indices, with: ids.compactMap { byID[$0] })
        }
        return messages
    }

    /// The text of a message; parts of text are joined, other values written as JSON.
    private static func text(of message: Message) throws -> String {
        switch message.content {
        case nil, .null?: return ""
        case .string(let text)?: return text
        case .array(let parts)? where message.role != "tool" && message.role != "tool_response":
            return try parts.map { part in
                if let text = part.stringValue
                    ?? (part["type"]?.stringValue == "text" ? part["text"]?.stringValue : nil)
                {
                    return text
                }
                throw ChatTrainingError(
                    description:
                        "a message holds a part of type \(part["type"]?.serialized() ?? "?"), and only text can be "
                        + "written")
            }.joined()
        case let value?: return value.serialized()
        }
    }

    /// The position of the last question, tools' results included; -1 where there is none.
    var lastQuestion: Int {
        turns.lastIndex { if case .answer = $0 { false } else { true } } ?? -1
    }

    /// Changes the first text of every answer.
    mutating func mapAnswers(_ change: (_ position: Int, _ text: String) -> String) {
        for (position, turn) in turns.enumerated() {
            guard case .answer(var segments) = turn, let first = segments.first else { continue }
            segments[0].text = change(position, first.text)
            turns[position] = .answer(segments)
        }
    }
}

extension Message {
    /// The weight where it is said.
    fileprivate var lossWeight: Float? { weight == 1 ? nil : weight }
}
