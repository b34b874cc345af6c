import ApusJSON
import ApusLanguageModel
import ApusText

/// What a chat needs of a model.
protocol ChatAnswering {
    /// The most tokens of a prompt.
    var promptLimit: Int { get }
    /// The ids of a prompt of any length, for exactly these messages.
    func wholePrompt(_ messages: [Message], tools: [JSONValue]?) throws -> [Int32]
    /// Answers some prompts; `onText` sees the text as it comes and ends an answer by false.
    func answers(
        to prompts: [[Int32]], draws: [UInt64], onText: (_ prompt: Int, _ text: String) throws -> Bool
    ) throws -> [Answering.Answer]
}

extension Answering: ChatAnswering {}

/// A conversation of a person with a model.
///
/// What goes wrong with one question is said, and the chat goes on, unless there is nowhere to answer.
struct Chat {
    private let model: any ChatAnswering
    private let input: any LineInput
    private let streams: Bool
    private let show: (String) throws -> Void
    private var system: String?
    private var isMultiline = false
    private var turn: UInt64 = 0
    /// Without the system prompt.
    private(set) var conversation: [Message] = []

    /// - Parameters:
    ///   - streams: Whether answers are shown as they come.
    ///   - show: Takes the text of the answers.
    init(
        _ model: any ChatAnswering, input: any LineInput, system: String? = nil, streams: Bool = true,
        show: @escaping (String) throws -> Void = StandardOutput.write
    ) {
        self.model = model
        self.input = input
        self.streams = streams
        self.show = show
        self.system = system
    }

    /// Talks until the person leaves.
    ///
    /// - Parameter say: Takes lines that are no part of the conversation.
    mutating func run(_ say: (String) -> Void) throws {
        while let line = nextInput() {
            switch ChatCommand(line) {
            case .exit: return
            case .help: say(ChatCommand.summary)
            case .clear: conversation = []
            case .system(let text): setSystem(text, say)
            case .multiLine:
                isMultiline = true
                say("A question ends with a line that ends with #.")
            case .singleLine: isMultiline = false
            case .unknown(let word): say("\(word): there is no such command. /help lists them.")
            case nil where line.allSatisfy(\.isWhitespace): continue
            case nil: try ask(line, say)
            }
        }
        try show("\n")
    }

    private mutating func setSystem(_ text: String?, _ say: (String) -> Void) {
        let text = text ?? input.line(prompt: "system <<< ")
        system = text.flatMap { $0.isEmpty ? nil : $0 }
        conversation = []
        say(system == nil ? "The template's own system prompt is used." : "The system prompt is set.")
    }

    private mutating func ask(_ question: String, _ say: (String) -> Void) throws {
        let before = conversation
        conversation.append(Message(role: "user", content: question))
        do {
            let prompt = try fittedPrompt(say)
            _ = input.takeInterruption()
            var isInterrupted = false
            let answer = try model.answers(to: [prompt], draws: [turn]) { _, text in
                if streams { try show(text) }
                isInterrupted = isInterrupted || input.takeInterruption()
                return !isInterrupted
            }[0].checked()
            turn += 1
            try show(streams ? "\n" : answer.text + "\n")
            if isInterrupted, answer.text.isEmpty {
                conversation = before
            } else {
                conversation.append(Message(role: "assistant", content: answer.text))
            }
            if isInterrupted {
                say("(ended by Ctrl-C)")
            } else if answer.filledContext {
                say("The context is full, and the answer ends here. /clear begins anew.")
            }
        } catch let error as StandardOutputError {
            throw error
        } catch {
            conversation = before
            say("error: \(error)")
        }
    }

    /// The prompt of the conversation, which forgets its oldest turns where it outgrew the context.
    private mutating func fittedPrompt(_ say: (String) -> Void) throws -> [Int32] {
        let opening = system.map { [Message(role: "system", content: $0)] } ?? []
        let limit = model.promptLimit
        // Room for an answer.
        let wanted = limit - min(limit / 4, 512)
        var forgotten = 0
        while true {
            let prompt = try model.wholePrompt(opening + conversation, tools: nil)
            guard !prompt.isEmpty else { throw ModelError("the prompt is empty; there is nothing to continue") }
            let next = conversation.indices.dropFirst().first { conversation[$0].role == "user" }
            if prompt.count <= wanted || next == nil && prompt.count <= limit {
                if forgotten > 0 {
                    let turns = forgotten == 1 ? "its oldest turn is" : "its \(forgotten) oldest turns are"
                    say("The conversation outgrew the context of \(limit + 1) tokens: \(turns) forgotten.")
                }
                return prompt
            }
            guard let next else {
                throw ModelError(
                    "the question makes a prompt of \(prompt.count) tokens, the limit is \(limit). Ask a shorter one.")
            }
            conversation.removeSubrange(..<next)
            forgotten += 1
        }
    }

    /// A line, or in multi-line mode the lines up to one that ends with #.
    private func nextInput() -> String? {
        guard isMultiline else { return input.line(prompt: "<<< ") }
        var lines: [String] = []
        while let line = input.line(prompt: lines.isEmpty ? "<<<[M] " : "... ") {
            if line.hasSuffix("#") { return (lines + [String(line.dropLast())]).joined(separator: "\n") }
            if lines.isEmpty, ChatCommand(line) != nil || line.isEmpty { return line }
            if line.hasPrefix("/"), ChatCommand(line) == .exit { return line }
            lines.append(line)
        }
        return lines.isEmpty ? nil : lines.joined(separator: "\n")
    }
}
