package import ApusJSON
import ApusText

/// Turns rows of the formats that ms-swift knows into conversations.
///
/// Each row is looked at by itself, so that files which mix formats work. In this order: a column of messages
/// (`messages`, `conversation`, `conversations`); `instruction` beside `input` (alpaca); else query, response, history
/// and system under their many names. A response without a query is plain text. A query may be a list of messages, as TRL
/// writes prompts; then only the response is trained.
package struct ConversationRecognizer: RowRecognizer {
    package struct Options: Sendable {
        /// `--columns`: new column name by old name.
        package var columns: [String: String] = [:]
        /// Whether columns are recognised under names other than the canonical one.
        package var mapsColumns = true
        /// `--prompt_format`: makes the prompt of columns, instead of taking one that is called like one; rows with
        /// messages have theirs.
        package var promptFormat: PromptFormat?
        /// Whether a row without an assistant's message is a fault.
        ///
        /// Off for prompts and for classification.
        package var requiresAnswer = true
        /// Whether a response beside a query is the answer to it.
        ///
        /// Off where the row's columns are wanted as they stand.
        package var takesResponse = true
        /// What replaces `{{NAME}}`: the Chinese and the English name, or one for both.
        package var modelName: [String] = []
        /// What replaces `{{AUTHOR}}`: the Chinese and the English name, or one for both.
        package var modelAuthor: [String] = []

        package init() {}
    }

    package typealias Row = Conversation
    package typealias Result = RecognizedRow<Conversation>

    package static let advice =
        "Give rows with \"messages\", or with \"query\" and \"response\"; "
        + "--columns '{\"yours\": \"query\"}' renames columns."

    private let options: Options
    package let mapping: ColumnMapping
    private let placeholders: SelfCognition

    package init(_ options: Options) throws {
        self.options = options
        mapping = ColumnMapping(options.columns)
        placeholders = try SelfCognition(names: options.modelName, authors: options.modelAuthor)
    }

    /// - Throws: `RowRejection` when the row cannot be used.
    package func recognize(_ value: JSONValue) throws -> Result {
        let object = try Self.row(of: value)
        var reader = RowReader(row: try mapping.applied(to: object), usesAliases: options.mapsColumns)
        try reader.refuseMedia()
        let given = reader.row
        // What the prompt is made of by name is used, and still a column of the row.
        var formatted: Set<String> = []
        var notes: [String] = []
        var messages: [Message]
        if let list = try reader.take(.messages) {
            messages = try MessageList(value: list, system: try reader.takeText(.system), notes: &notes).messages
        } else if let format = options.promptFormat {
            let prompt = try format.prompt(of: &reader.row, original: object)
            formatted = Set(given.keys.filter { reader.row[$0] == nil } + format.columns.map(mapping.name(of:)))
            messages = try turns(&reader, query: prompt)
        } else if let list = try promptTurns(&reader, notes: &notes) {
            messages = list
        } else {
            messages = try turns(&reader)
        }
        guard !messages.isEmpty else { throw RowRejection("no messages", "the row has \(object.columnList)") }
        if options.requiresAnswer, !messages.contains(where: { $0.role == "assistant" }) {
            throw RowRejection("no assistant message to learn from", "the row has \(object.columnList)")
        }
        let tools = try reader.take(.tools).flatMap { try ToolCalls.tools(from: $0) }
        let isChinese = (reader.row["tag"]?.stringValue).map { $0 == "zh" }
        notes += placeholders.fill(&messages, isChinese: isChinese)
        if messages.contains(where: { $0.role == "assistant" && $0.hasNothing }) { notes.append("an empty answer") }
        let variables = try Conversation.variables(of: given, notes: &notes)
        let unused = reader.row.keys.filter {
            !RowColumns.ofObjectives.contains($0.trimmed.lowercased()) && !formatted.contains($0)
        }
        var others = formatted.isEmpty ? reader.row : JSONObject()
        for (key, value) in given where !formatted.isEmpty {
            if reader.row[key] != nil || formatted.contains(key) { others[key] = value }
        }
        return Result(
            Conversation(messages: messages, tools: tools, otherColumns: others, variables: variables), notes: notes,
            unusedColumns: unused)
    }

    /// The object of a row; a list of messages is a row of that alone.
    private static func row(of value: JSONValue) throws -> JSONObject {
        if let first = value.arrayValue?.first?.objectValue, MessageList.isMessage(first.keys) {
            return ["messages": value]
        }
        let object = try value.row
        if MessageList.isMessage(object.keys), !object.keys.contains(where: RowColumns.messages.names.contains) {
            throw RowRejection(
                "a row is a single message", "write the messages of a conversation into one row: {\"messages\": [ … ]}")
        }
        return object
    }

    /// The messages of a prompt that is a list of them, and of its completion; nil for other rows.
    private func promptTurns(_ reader: inout RowReader, notes: inout [String]) throws -> [Message]? {
        func isList(_ value: JSONValue?) -> Bool { value?.arrayValue?.first?.objectValue != nil }
        guard reader.row.contains(where: { isList($0.value) }), !reader.isAlpaca else { return nil }
        var rest = reader
        guard let prompt = try rest.take(.query), isList(prompt) else { return nil }
        let system = try rest.takeText(.system)
        var messages = try MessageList(value: prompt, system: system, notes: &notes).messages
        for index in messages.indices where messages[index].role == "assistant" {
            messages[index].isTrained = messages[index].isTrained ?? false
        }
        if let answer = try response(&rest) {
            if isList(answer) {
                messages += try MessageList(value: answer, system: nil, notes: &notes).messages
            } else if let text = try Self.answerText(answer) {
                messages.append(Message(role: "assistant", content: text))
            }
        }
        reader = rest
        return messages
    }

    /// The messages of query, response, history and system columns, and of alpaca's.
    ///
    /// - Parameter prompt: The query where it is known already.
    private func turns(_ reader: inout RowReader, query prompt: String? = nil) throws -> [Message] {
        let isAlpaca = prompt == nil && reader.isAlpaca
        let query: String?
        if let prompt {
            query = prompt
        } else if isAlpaca {
            let parts = try ["instruction", "input"].map { try reader.takeText(RowColumns(names: [$0])) ?? "" }
            query = parts.filter { !$0.isEmpty }.joined(separator: "\n")
        } else {
            query = try reader.takeText(.query)
        }
        let answer = isAlpaca && options.takesResponse ? try reader.take(RowColumns(names: ["output"])) : nil
        let response = try answer ?? response(&reader)
        var messages: [Message] = []
        if let system = try reader.takeText(.system) { messages.append(Message(role: "system", content: system)) }
        // In tables an empty cell is what null is in JSON.
        if let history = try reader.take(.history), history.stringValue != "" {
            for turn in try LooseJSON.list(history, column: "history") {
                guard let pair = turn.arrayValue, pair.count == 2 else {
                    throw RowRejection("history is not a list of [query, response] pairs", turn.excerpt)
                }
                try appendTurn(
                    query: pair[0].textOrNil("history"), response: pair[1].textOrNil("history"), to: &messages)
            }
        }
        try appendTurn(query: query, response: response.flatMap(Self.answerText), to: &messages)
        return messages.contains { $0.role != "system" } ? messages : []
    }

    /// What the row brings as the answer.
    private func response(_ reader: inout RowReader) throws -> JSONValue? {
        guard options.takesResponse else { return nil }
        // Where no answer is asked for, a number that answers are compared with is none.
        if !options.requiresAnswer, reader.row["solution"]?.doubleValue != nil,
            try RowColumns.response.column(in: reader.row, usingAliases: reader.usesAliases, isRequired: false)
                == "solution"
        {
            return nil
        }
        return try reader.take(.response, isRequired: options.requiresAnswer)
    }

    private func appendTurn(query: String?, response: String?, to messages: inout [Message]) throws {
        if let query { messages.append(Message(role: "user", content: query)) }
        if let response { messages.append(Message(role: "assistant", content: response)) }
    }

    /// A list of answers stands for its first.
    private static func answerText(_ value: JSONValue) throws -> String? {
        guard let list = value.arrayValue else { return try value.textOrNil("response") }
        guard let first = list.first else { throw RowRejection("the list of responses is empty") }
        return try first.textOrNil("response")
    }
}

extension RowReader {
    /// Whether the row is one of alpaca's, whose query is in two columns.
    fileprivate var isAlpaca: Bool { row["instruction"] != nil && row["input"] != nil }
}

extension RecognizedRow where Row == Conversation {
    package var conversation: Conversation { row }
}
