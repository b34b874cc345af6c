import ApusAdapters
import ApusDatasets
import ApusGeneration
import ApusJSON
import ApusLanguageModel
import ApusText
import ApusTraining
import Foundation

/// Answers from a model that continues text: to a person at a terminal, or to every row of a file.
struct Conversing {
    private let settings: InferSettings
    private let surroundings: Surroundings
    private let language: LanguageModel
    private let sampling: Sampling

    init(_ settings: InferSettings, language: LanguageModel, surroundings: Surroundings) {
        self.settings = settings
        self.surroundings = surroundings
        self.language = language
        var sampling = language.generation.sampling
        sampling.temperature = settings.temperature ?? sampling.temperature
        sampling.topK = settings.topK ?? sampling.topK
        sampling.topP = settings.topP ?? sampling.topP
        sampling.repetitionPenalty = settings.repetitionPenalty ?? sampling.repetitionPenalty
        sampling.seed = UInt64(bitPattern: Int64(settings.seed))
        self.sampling = sampling
    }

    /// Chats, or goes through the data set that the settings name.
    func callAsFunction() throws {
        if settings.hasData { try answerRows() } else { try chat() }
    }

    private var generator: TokenGenerator {
        TokenGenerator(language.model, sampling: sampling, endTokens: language.generation.endTokens)
    }

    private func promptIDs(_ messages: [Message], tools: [JSONValue]? = nil) throws -> [Int32] {
        var messages = messages
        if let system = settings.system, messages.first?.role != "system" {
            messages.insert(Message(role: "system", content: system), at: 0)
        }
        guard settings.useChatTemplate else {
            return try shortened(language.tokenizer.encode(messages.compactMap(\.text).joined()))
        }
        var variables: [String: JSONValue] = [:]
        if let thinks = settings.enableThinking { variables["enable_thinking"] = .bool(thinks) }
        let prompt = try language.encoder.generationPrompt(messages, tools: tools, variables: variables)
        return try shortened(prompt + language.tokenizer.encode(settings.responsePrefix ?? "", addSpecialTokens: false))
    }

    /// A prompt within `--max_length`, cut as `--truncation_strategy` says.
    private func shortened(_ prompt: [Int32]) throws -> [Int32] {
        guard let limit = settings.maxLength, prompt.count > limit else { return prompt }
        switch settings.truncationStrategy {
        case .left: return Array(prompt.suffix(limit))
        case .right: return Array(prompt.prefix(limit))
        case .delete:
            throw ModelError(
                "a prompt has \(prompt.count) tokens, --max_length is \(limit). Raise it, or cut with --truncation_strategy left."
            )
        }
    }

    // MARK: - A file

    private func answerRows() throws {
        var loader = DatasetLoader(settings)
        loader.recognition.columns = settings.columns
        loader.recognition.requiresAnswer = false
        let console = Console(style: ConsoleStyle(environment: surroundings.environment))
        let rows = try AnsweredRows(
            loader.load(settings.answered, validation: settings.answeredWhole).validation, settings, console: console)
        try rows(
            prepare: { try promptIDs(asked($0), tools: $0.tools) },
            answer: { indices, group in
                let answers = try answers(to: group.map(\.prepared), draws: indices.map(UInt64.init))
                return zip(group, answers).map { part, answer in
                    if settings.stream { console.print("[RESPONSE] \(answer)") }
                    let reference = part.row.messages.last
                    var row: JSONObject = ["response": .string(answer)]
                    row["labels"] =
                        reference?.role == "assistant" ? reference?.text.map(JSONValue.string) ?? .null : .null
                    row["logprobs"] = .null
                    let answered = asked(part.row) + [Message(role: "assistant", content: answer)]
                    row["messages"] = .array(answered.map(\.json))
                    return row
                }
            })
        try rows.finish()
    }

    /// The messages before the answer that a row may bring.
    private func asked(_ conversation: Conversation) -> [Message] {
        conversation.messages.last?.role == "assistant"
            ? Array(conversation.messages.dropLast()) : conversation.messages
    }

    private func answers(to prompts: [[Int32]], draws: [UInt64]) throws -> [String] {
        var texts = prompts.map { _ in AnswerText(language.tokenizer, stopWords: settings.stopWords) }
        _ = try generator.answers(to: prompts, limit: settings.maxNewTokens, draws: draws) { prompt, token in
            texts[prompt].append(token)
            return !texts[prompt].isStopped
        }
        return texts.indices.map { texts[$0].finish() }
    }

    // MARK: - A person

    private func chat() throws {
        show(
            "Chat with \(language.source.name). `exit` ends, `clear` forgets, `reset-system` sets a system prompt, "
                + "`multi-line` lets you end input with #, `single-line` goes back.\n")
        var conversation: [Message] = []
        var system = settings.system
        var isMultiline = false
        var turn: UInt64 = 0
        while let line = readInput(isMultiline) {
            switch line.trimmingCharacters(in: .whitespacesAndNewlines) {
            case "": continue
            case "exit", "quit": return
            case "clear": conversation = []
            case "multi-line": isMultiline = true
            case "single-line": isMultiline = false
            case "reset-system":
                show("system <<< ")
                system = readLine()
                conversation = []
            default:
                conversation.append(Message(role: "user", content: line))
                let opening = system.map { [Message(role: "system", content: $0)] } ?? []
                var text = AnswerText(language.tokenizer, stopWords: settings.stopWords)
                let prompt = try promptIDs(opening + conversation)
                _ = try generator.answers(to: [prompt], limit: settings.maxNewTokens, draws: [turn]) { _, token in
                    let piece = text.append(token)
                    if settings.stream { show(piece) }
                    return !text.isStopped
                }
                let answer = text.finish()
                show(settings.stream ? text.lastPiece + "\n" : answer + "\n")
                conversation.append(Message(role: "assistant", content: answer))
                turn += 1
            }
        }
    }

    private func show(_ text: String) {
        FileHandle.standardOutput.write(Data(text.utf8))
    }

    private func readInput(_ isMultiline: Bool) -> String? {
        show("<<< ")
        guard isMultiline else { return readLine() }
        var lines: [String] = []
        while let line = readLine() {
            if line.hasSuffix("#") { return (lines + [String(line.dropLast())]).joined(separator: "\n") }
            lines.append(line)
        }
        return lines.isEmpty ? nil : lines.joined(separator: "\n")
    }
}
