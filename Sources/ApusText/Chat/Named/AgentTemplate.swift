import ApusJSON
import Foundation

/// How tools, calls of them and their results are written (`--agent_template`), as ms-swift has them by name.
///
/// Each part is a small Jinja template: `tools` are wrapped schemas, `calls` have a `name` and `arguments`, `results` are
/// texts.
struct AgentTemplate: Sendable {
    /// Where the results of tools stand.
    enum Place: Sendable {
        /// Behind the answer, in a turn of their own that the template writes whole.
        case behindAnswer
        /// In the place of a question; "user" in its prompt becomes this word.
        case question(as: String = "user")
    }

    /// What the system text becomes: of `tools` and `system`, which may be none.
    var tools: String
    /// What the first question becomes where tools stand there: of `tools` and `question`.
    var question: String?
    /// An answer that calls: of `calls`, and `continues` for one that begins with text.
    var calls: String = AgentTemplate.reactCalls
    /// What stands between an answer and the calls behind it: of `answer`, and the answer without what is not kept.
    var separator: (@Sendable (_ answer: String) -> (answer: String, separator: String)) = { ($0, "") }
    /// Of `results`, of `senders`, which have a `name` and an `id` or none, and of the whole `answer` that called; nil: one
    /// after the other, as ReAct has them.
    var results: String?
    /// What results begin with; an answer that has written it already loses it.
    var openingOfResults: String?
    var place = Place.behindAnswer
    /// Results that follow a question and no call: of `results`; nil where there are none.
    var standalone: String?
    var words = ReActWords()
    /// Whether the results of an answer that calls in the way of ReAct go on in it.
    var goesOnInReAct = true

    /// The marks of a text that calls in the way of ReAct.
    ///
    /// Yao et al. 2022, https://arxiv.org/abs/2210.03629.
    struct ReActWords: Sendable {
        var action = "Action:"
        var input = "Action Input:"
        var observation = "Observation:"
    }

    static let reactCalls = """
        {%- for call in calls %}{{ action }} {{ call.name }}
        {{ input }} {{ call.arguments }}
        {% endfor %}{{ observation }}
        """

    /// A call of a tool.
    struct Call {
        let name: String
        let arguments: JSONValue

        /// - Throws: `ChatTrainingError` for what is no call.
        init(_ value: JSONValue) throws {
            let value = Self.parsed(value)
            let function = value["function"] ?? value
            guard let name = function["name"]?.stringValue else {
                throw ChatTrainingError(
                    description: "a tool call has no \"name\"; it takes {\"name\": …, \"arguments\": {…}}")
            }
            let arguments = function["arguments"] ?? function["parameters"] ?? .object([:])
            self.name = name
            self.arguments = arguments.isNull || arguments.stringValue == "" ? .object([:]) : Self.parsed(arguments)
        }

        private static func parsed(_ value: JSONValue) -> JSONValue {
            value.stringValue.flatMap { try? JSONValue(parsing: $0) } ?? value
        }

        var json: JSONValue { .object(["name": .string(name), "arguments": arguments]) }
    }

    /// What a tool gave.
    struct Result {
        let text: String
        /// What the message says of the tool and the call, or null.
        let sender: JSONValue

        init(_ text: String, of message: Message) {
            self.text = text
            sender = .object([
                "name": message.name.map { .string($0) } ?? .null, "id": message.fields["tool_call_id"] ?? .null,
            ])
        }
    }

    private func rendered(_ source: String, _ variables: [String: JSONValue]) throws -> String {
        var values = variables
        values["action"] = .string(words.action)
        values["input"] = .string(words.input)
        values["observation"] = .string(words.observation)
        let known = try values.mapValues { try JinjaValue($0) }
        let rendering = try JinjaTemplate(source: source).rendered(variables: { known[$0] })
        return String(decoding: rendering.bytes, as: UTF8.self)
    }

    func system(_ system: String?, tools: [JSONValue]) throws -> String {
        try rendered(self.tools, ["tools": .array(tools), "system": system.map { .string($0) } ?? .null])
    }

    func question(_ text: String, tools: [JSONValue]) throws -> String {
        try question.map { try rendered($0, ["tools": .array(tools), "question": .string(text)]) } ?? text
    }

    /// - Parameter continues: Whether text of the same answer stands before the calls.
    func text(of calls: [Call], continues: Bool) throws -> String {
        try rendered(self.calls, ["calls": .array(calls.map(\.json)), "continues": .bool(continues)])
    }

    /// What stands behind an answer for results, and the answer's last text, which may get or lose a mark at its end.
    ///
    /// - Parameters:
    ///   - answer: The last text of the answer.
    ///   - whole: All texts of the answer.
    func parts(
        of results: [Result], behind answer: String, whole: String, _ template: NamedTemplate
    ) throws -> (answer: String, parts: [NamedTemplate.Part]) {
        if goesOnInReAct, answer.contains(words.action), answer.contains(words.input) {
            var marked = answer
            if !marked.hasSuffix(words.observation) {
                if !Self.endsLine(marked) { marked += "\n" }
                marked += words.observation
            }
            let texts = results.enumerated().map { index, result in
                (index > 0 ? words.observation : "") + result.text + (Self.endsLine(result.text) ? "" : "\n")
            }
            return (marked, [.text(texts.joined())])
        }
        guard let source = self.results else { return (answer, [.text(results.map(\.text).joined())]) }
        let text = try rendered(
            source,
            [
                "results": .array(results.map { .string($0.text) }), "senders": .array(results.map(\.sender)),
                "answer": .string(whole),
            ])
        switch place {
        case .behindAnswer:
            let isOpen = openingOfResults.map { answer.hasSuffix($0) } ?? false
            return (isOpen ? String(answer.dropLast(openingOfResults?.count ?? 0)) : answer, [.text(text)])
        case .question(let role):
            let prompt = template.prompt.map { part in
                guard case .text(let words) = part else { return part }
                return .text(words.replacing("user", with: role).replacing("{{QUERY}}", with: text))
            }
            return (answer, (template.separator ?? []) + prompt)
        }
    }

    /// By the bytes: the end of a line of Windows is one character, and another than `\n`.
    private static func endsLine(_ text: String) -> Bool { text.utf8.last == UInt8(ascii: "\n") }

    /// What results without a call before them add to a question.
    func standalone(_ results: [Result], _ template: NamedTemplate) throws -> String? {
        let values = JSONValue.array(results.map { .string($0.text) })
        if let standalone { return try rendered(standalone, ["results": values]) }
        guard case .question = place, let source = self.results, self.words.action == "Action:" else { return nil }
        let text = try rendered(source, ["results": values])
        var written = (template.separator ?? []).compactMap(\.text).joined()
        for part in template.prompt.compactMap(\.text) {
            guard let mark = part.range(of: "{{QUERY}}") else {
                written += part
                continue
            }
            return written + part[..<mark.lowerBound] + text
        }
        return nil
    }
}
