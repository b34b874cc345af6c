import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusMetrics
import ApusRunLog
import ApusText
import Foundation

/// Answers from a model that continues text: to every row of a file, to one question, or to a person at a terminal.
struct Conversing {
    private let settings: InferSettings
    private let language: LanguageModel
    private let answering: Answering
    private let console: Console
    private let surroundings: Surroundings
    /// Where a person types; nil where standard input is a file or a pipe, whose whole text then is one question.
    private let terminal: (any LineInput)?
    /// The name of the model, and of the adapter on it.
    private let name: String
    /// The base model and each adapter, where all of them answer.
    private let comparison: AdapterComparison?

    init(_ request: AnswerRequest, language: LanguageModel) throws {
        settings = request.settings
        terminal = request.terminal
        self.language = language
        answering = try Answering(settings, language: language)
        console = Console(style: ConsoleStyle(environment: request.surroundings.environment))
        surroundings = request.surroundings
        name = ([language.source.name] + settings.model.adapters).joined(separator: " with ")
        comparison = settings.compare ? AdapterComparison(settings, trunk: language.model.trunk) : nil
        if let comparison, settings.hasData {
            console.print("note: \"response\", \"logprobs\" and metrics are those of \(comparison.first)")
        }
        for notice in answering.notices { console.print("note: \(notice)") }
    }

    func callAsFunction() throws {
        if settings.hasData { return try answerRows() }
        if let question = settings.question { return try answer(question) }
        if language.readsTexts {
            return try TypedLines(
                settings, hint: "Give a text a line; each has an answer of its own.", console: console)(answer(to:))
        }
        if let terminal {
            let model: any ChatAnswering =
                comparison.map { ComparedAnswering(answering, $0, say: { console.print($0) }) } ?? answering
            var chat = Chat(model, input: terminal, system: settings.encoding.system, streams: settings.stream)
            console.print("Chat with \(name).\n\(ChatCommand.summary)")
            return try chat.run { console.print($0) }
        }
        let question = try StandardInput.readAll().trimmingCharacters(in: .newlines)
        guard !question.isEmpty else {
            throw UsageError(
                "standard input is empty. Give a question there, as an argument (apus infer 'question' --model …), or "
                    + "rows with --val_dataset.")
        }
        try answer(question)
    }

    private func answer(_ question: String) throws {
        let prompt = try prompt(of: question)
        if let comparison { return try StandardOutput.writeLine(comparison.text { try onlyAnswer(to: prompt) }) }
        let answer = try answering.answers(to: [prompt], draws: [0]) { _, text in
            if settings.stream { try StandardOutput.write(text) }
            return true
        }[0].checked()
        try StandardOutput.writeLine(settings.stream ? "" : answer.text)
    }

    private func answer(to text: String) throws -> String {
        let prompt = try prompt(of: text)
        return try comparison?.text { try onlyAnswer(to: prompt) } ?? onlyAnswer(to: prompt)
    }

    /// The prompt of one question; says so where it is not all of it.
    private func prompt(of question: String) throws -> [Int32] {
        let (ids, cut) = try answering.fittedPrompt([Message(role: "user", content: question)])
        if cut > 0 { console.print(CutPrompts.note(tokens: cut, to: answering.shownLimit, settings.encoding)) }
        return ids
    }

    private func onlyAnswer(to prompt: [Int32]) throws -> String {
        try answering.answers(to: [prompt], draws: [0])[0].checked().text
    }

    private func answerRows() throws {
        var options = try ConversationRecognizer.Options(settings.data)
        options.requiresAnswer = false
        let rows = try AnsweredRows(
            settings, as: ConversationRecognizer(options), columns: \.otherColumns, console: console,
            surroundings: surroundings)
        var measured: [(answer: String, wanted: String)] = []
        try rows(
            prepare: { try answering.fittedPrompt(asked($0), tools: $0.tools, variables: $0.variables) },
            answer: { group in
                let answer = {
                    try answering.answers(
                        to: group.map(\.prepared.ids), draws: group.map { UInt64($0.index) },
                        starts: group.map { answering.start($0.row.variables) })
                }
                let compared = try comparison.map { try $0(answer) }
                let answers = try compared?[1].answers ?? answer()
                return zip(group, answers).enumerated().map { place, pair in
                    let (part, answer) = pair
                    return Result {
                        let answer = try answer.checked()
                        let byName = try compared?.map { ($0.name, try $0.answers[place].checked().text) }
                        if settings.stream { console.print("[RESPONSE] \(answer.text)") }
                        let row = result(part.row, answer, byName, tokensCut: part.prepared.cut)
                        if settings.metric != nil, let wanted = row["labels"]?.stringValue {
                            measured.append((answer.text, wanted))
                        }
                        return [row]
                    }
                }
            })
        if let metric = settings.metric { try report(metric, of: measured, rows: rows.count) }
        try rows.finish(limit: answering.shownLimit)
    }

    /// The row of the result file.
    ///
    /// - Parameter compared: What the base model and each adapter answered, where all of them do.
    private func result(
        _ conversation: Conversation, _ answer: Answering.Answer, _ compared: [(name: String, text: String)]?,
        tokensCut: Int
    ) -> JSONObject {
        let reference = conversation.messages.last
        var row: JSONObject = ["response": .string(answer.text)]
        row["labels"] = reference?.role == "assistant" ? reference?.text.map(JSONValue.string) ?? .null : .null
        row["logprobs"] =
            settings.generation.logprobs ? ["content": .array(answer.logProbabilities.map(\.json))] : .null
        if let compared {
            row["responses"] = .object(compared.reduce(into: JSONObject()) { $0[$1.name] = .string($1.text) })
        } else if !answer.others.isEmpty {
            row["responses"] = .array(([answer.text] + answer.others).map(JSONValue.string))
        }
        let answered = asked(conversation) + [Message(role: "assistant", content: answer.text)]
        row["messages"] = .array(answered.map(\.json))
        if let tools = conversation.tools { row["tools"] = .array(tools) }
        row.note(tokensCut: tokensCut)
        return row
    }

    private func report(_ metric: AnswerMetric, of rows: [(answer: String, wanted: String)], rows count: Int) throws {
        guard !rows.isEmpty else {
            return console.print("note: --metric \(metric.rawValue): no row brings an answer to compare with")
        }
        let shown = try metric.values(of: rows).map { "\($0.name): \(String(format: "%.6f", $0.value))" }
        console.print("metrics of \(rows.count) of \(count) rows: \(shown.joined(separator: ", "))")
    }

    /// The messages before the answer that a row may bring.
    private func asked(_ conversation: Conversation) -> [Message] {
        conversation.messages.last?.role == "assistant"
            ? Array(conversation.messages.dropLast()) : conversation.messages
    }
}

extension AnswerMetric {
    /// The metrics that ms-swift prints under this name.
    ///
    /// - Throws: `MetricError` when there are no rows.
    func values(of rows: [(answer: String, wanted: String)]) throws -> [MetricValue] {
        switch self {
        case .acc: [("acc", Double(rows.count { $0.answer == $0.wanted }) / Double(rows.count))]
        case .rouge: try AnswerMetrics(rows).values.filter { AnswerMetrics.inPercent.contains($0.name) }
        }
    }
}
