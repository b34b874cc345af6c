import Testing

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusRecipes
@testable import ApusText

struct ChatTests {
    /// Lines in place of a keyboard; a prompt is kept for each.
    final class Script: LineInput {
        var lines: [String]
        var prompts: [String] = []
        /// Ctrl-C comes at this look for it.
        var interruptsAt = Int.max
        private var looks = 0

        init(_ lines: [String]) { self.lines = lines }

        func line(prompt: String) -> String? {
            prompts.append(prompt)
            return lines.isEmpty ? nil : lines.removeFirst()
        }

        func takeInterruption() -> Bool {
            looks += 1
            return looks == interruptsAt
        }
    }

    /// A model whose prompts have an id for each character, and which answers with the number of messages.
    struct Model: ChatAnswering {
        struct Refusal: Error {}

        var promptLimit = 1000
        var answer: @Sendable ([Int32]) -> [String] = { ["\($0.count)", " ids"] }

        func wholePrompt(_ messages: [Message], tools: [JSONValue]?) throws -> [Int32] {
            if messages.contains(where: { $0.text == "bad" }) { throw Refusal() }
            return messages.flatMap { ($0.text ?? "").unicodeScalars.map { Int32($0.value) } }
        }

        func answers(
            to prompts: [[Int32]], draws: [UInt64], onText: (Int, String) throws -> Bool
        ) throws -> [Answering.Answer] {
            var text = ""
            for piece in answer(prompts[0]) {
                text += piece
                if try !onText(0, piece) { break }
            }
            return [.init(text: text, filledContext: prompts[0].count > 900)]
        }
    }

    /// Runs a chat to its end.
    func talk(
        _ lines: [String], model: Model = Model(), system: String? = nil, interruptsAt: Int = .max
    ) throws -> (shown: String, said: [String], chat: Chat, input: Script) {
        var shown = ""
        var said: [String] = []
        let input = Script(lines)
        input.interruptsAt = interruptsAt
        var chat = Chat(model, input: input, system: system) { shown += $0 }
        try chat.run { said.append($0) }
        return (shown, said, chat, input)
    }

    func texts(_ chat: Chat) -> [String] { chat.conversation.map { $0.text ?? "" } }

    @Test func questionsFollowEachOther() throws {
        let result = try talk(["abc", "", "  ", "de", "exit", "never"])
        #expect(result.shown == "3 ids\n10 ids\n")
        #expect(texts(result.chat) == ["abc", "3 ids", "de", "10 ids"])
        #expect(result.said.isEmpty)
        #expect(result.input.lines == ["never"])
    }

    @Test func aSystemPromptIsPartOfThePrompt() throws {
        #expect(try talk(["abc"], system: "sys").shown == "6 ids\n\n")
        #expect(try talk(["abc"], system: "").shown == "3 ids\n\n")
        let result = try talk(["x", "/system You are kind", "abc", "reset-system", "", "abc"], system: "sys")
        #expect(result.shown.split(separator: "\n") == ["4 ids", "15 ids", "3 ids"])
        #expect(texts(result.chat) == ["abc", "3 ids"])
    }

    @Test func clearForgets() throws {
        for word in ["clear", "/clear", "CLEAR", "/new"] {
            #expect(try talk(["abc", word, "abc", "/bye"]).shown == "3 ids\n3 ids\n")
        }
    }

    @Test func commandsAreNoQuestions() throws {
        let result = try talk(["/help", "/what", "/bye"])
        #expect(result.shown.isEmpty)
        #expect(result.said.count == 2 && result.said[1].contains("/what"))
        #expect(ChatCommand("/etc/passwd holds what?") == nil)
        #expect(ChatCommand("exit the program how?") == nil)
        #expect(ChatCommand(" /bye") == nil)
        #expect(ChatCommand("/system be brief ") == .system("be brief"))
        #expect(ChatCommand("/system") == .system(nil))
        #expect(ChatCommand("quit") == .exit && ChatCommand("/multi") == .multiLine)
    }

    @Test func severalLinesAreOneQuestion() throws {
        let result = try talk(["/multi", "one", "", "two#", "exit", "never"])
        #expect(texts(result.chat).first == "one\n\ntwo")
        #expect(result.input.lines == ["never"])
        #expect(result.input.prompts == ["<<< ", "<<<[M] ", "... ", "... ", "<<<[M] "])
        #expect(try talk(["/multi", "exit#", "never"]).input.lines == ["never"])
        #expect(try talk(["/multi", "text", "/bye", "never"]).input.lines == ["never"])
        #expect(try talk(["/multi", "clear", "single-line", "abc", "/bye"]).shown == "3 ids\n")
    }

    @Test func anInterruptionEndsTheAnswer() throws {
        // The first look is before the answer, the second after its first piece.
        let result = try talk(["abc", "de"], interruptsAt: 2)
        #expect(result.shown == "3\n6 ids\n\n")
        #expect(texts(result.chat) == ["abc", "3", "de", "6 ids"])
        #expect(result.said.count == 1)
    }

    @Test func aFaultEndsItsQuestionAlone() throws {
        let result = try talk(["abc", "bad", "de"])
        #expect(texts(result.chat) == ["abc", "3 ids", "de", "10 ids"])
        #expect(result.said == ["error: Refusal()"])
    }

    @Test func aLongConversationForgetsItsBeginning() throws {
        let long = String(repeating: "x", count: 60)
        let result = try talk([long, long, "short"], model: Model(promptLimit: 100))
        #expect(texts(result.chat) == [long, "60 ids", "short", "71 ids"])
        #expect(result.said.count == 1 && result.said[0].contains("101 tokens"))
        let tooLong = try talk(["abc", long + long, "de"], model: Model(promptLimit: 100))
        #expect(texts(tooLong.chat) == ["abc", "3 ids", "de", "10 ids"])
        #expect(tooLong.said.count == 1 && tooLong.said[0].contains("120 tokens"))
    }

    /// Where nothing can be shown any more, there is nobody to go on for.
    @Test func nowhereToAnswer() throws {
        let input = Script(["abc", "de"])
        var chat = Chat(Model(), input: input) { _ in throw StandardOutputError(code: 28) }
        #expect(throws: StandardOutputError(code: 28)) { try chat.run { _ in } }
        #expect(input.lines == ["de"])
    }
}
