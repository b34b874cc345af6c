import ApusJSON
import Foundation
import Testing

@testable import ApusText

/// Conversations that templates were not made for: an answer first, no system text, weights, calls.
struct ChatPreparationTests {
    private static let hasTemplates = sharedFixtures("jinja/templates") != nil
    private let tokenize: @Sendable (String) throws -> [Int32] = { $0.utf8.map { Int32($0) } }

    private func real(_ name: String) throws -> ChatTemplate {
        let file = try #require(sharedFixtures("jinja/templates/\(name).jinja"))
        return try ChatTemplate(
            source: String(decoding: Data(contentsOf: file), as: UTF8.self), bosToken: "<s>", eosToken: "</s>",
            clock: .fixed(Date(timeIntervalSince1970: 1_772_698_026)))
    }

    /// The text with its trained parts between « and ».
    private func marked(
        _ template: ChatTemplate, _ messages: [Message], tools: [JSONValue]? = nil,
        training: LossScale = .everyAnswer
    ) throws -> String {
        try ChatEncoder(template: template, tokenize: tokenize)
            .pieces(messages, tools: tools, training: training)
            .map { $0.isTrained ? "«\($0.text)»" : $0.text }.joined()
    }

    private func messages(_ turns: (String, String)...) -> [Message] {
        turns.map { Message(role: $0.0, content: $0.1) }
    }

    // MARK: - An answer first

    @Test func anAnswerFirstGetsAnEmptyQuestion() throws {
        let template = try ChatTemplate.chatML()
        let question = "<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n"
        #expect(try marked(template, messages(("assistant", "text"))) == question + "«text<|im_end|>\n»")
        #expect(
            try marked(template, messages(("system", "S"), ("assistant", "hi"), ("user", "q"), ("assistant", "a")))
                == "<|im_start|>system\nS<|im_end|>\n\(question)«hi<|im_end|>\n»"
                + "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n«a<|im_end|>\n»")
        let all = try ChatEncoder(template: template, tokenize: tokenize)
            .pieces(messages(("assistant", "text")), training: .all)
        #expect(all.map(\.text) == [question + "text<|im_end|>\n"])
        let prompt = try ChatEncoder(template: template, tokenize: tokenize).prompt(
            messages(("assistant", "hi"), ("user", "q")))
        #expect(prompt == question + "hi<|im_end|>\n<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n")
    }

    /// What ms-swift's templates of these models give: an empty turn of the user, then the text and its end.
    @Test(
        .enabled(if: hasTemplates),
        arguments: [
            (
                "Qwen-Qwen2.5-7B-Instruct",
                "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
                    + "<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n«text<|im_end|>\n»"
            ),
            (
                "meta-llama-Llama-3.2-3B-Instruct",
                "<s><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
                    + "Today Date: 05 Mar 2026\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n<|eot_id|>"
                    + "<|start_header_id|>assistant<|end_header_id|>\n\n«text<|eot_id|>»"
            ),
            (
                "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
                "<s><｜User｜><｜Assistant｜>«text<｜end▁of▁sentence｜>»"
            ),
            ("mistralai-Mistral-Nemo-Instruct-2407", "<s>[INST][/INST]«text</s>»"),
            (
                "google-gemma-2-2b-it",
                "<s><start_of_turn>user\n<end_of_turn>\n<start_of_turn>model\n«text<end_of_turn>\n»"
            ),
        ])
    func plainTextIsTrained(_ name: String, _ expected: String) throws {
        #expect(try marked(real(name), messages(("assistant", "text"))) == expected)
    }

    /// Every template that writes a question with its answer writes an answer alone and a greeting first.
    @Test(.enabled(if: hasTemplates)) func everyRealTemplateTakesAnAnswerFirst() throws {
        let folder = try #require(sharedFixtures("jinja/templates"))
        var refused: [String] = []
        for file in try FileManager.default.contentsOfDirectory(atPath: folder.path) where file.hasSuffix(".jinja") {
            let template = try real(String(file.dropLast(6)))
            guard (try? marked(template, messages(("user", "q"), ("assistant", "one")))) != nil else { continue }
            do {
                let alone = try marked(template, messages(("assistant", "The river was high.")))
                #expect(alone.firstMatch(of: /«[^»]*The river was high\.[^»]*»/) != nil, "\(file): \(alone)")
                let greeting = messages(("assistant", "hello"), ("user", "q"), ("assistant", "one"))
                let text = try marked(template, greeting)
                #expect(text.matches(of: /«[^»]*(hello|one)[^»]*»/).count == 2, "\(file): \(text)")
            } catch { refused.append("\(file): \(error)") }
        }
        print(refused.joined(separator: "\n"))
        #expect(refused.count <= 2, "\(refused)")
    }

    // MARK: - No system text

    @Test func anEmptySystemTextIsNone() throws {
        let turns = messages(("system", ""), ("user", "q"), ("assistant", "a"))
        let bare = "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n«a<|im_end|>\n»"
        #expect(try marked(.chatML(), turns) == bare)
        // A template with a system text of its own writes neither that nor an empty one.
        let own = try ChatTemplate(
            source: """
                {{ bos_token }}{% for m in messages %}{% if loop.first and m.role != 'system' %}{{ '<|im_start|>system\\nDEFAULT<|im_end|>\\n' }}{% endif %}\
                {{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}\
                {% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
                """, bosToken: "<s>")
        let encoder = ChatEncoder(template: own, tokenize: tokenize)
        #expect(try marked(own, turns) == "<s>" + bare)
        #expect(try marked(own, Array(turns.dropFirst())) == "<s><|im_start|>system\nDEFAULT<|im_end|>\n" + bare)
        #expect(
            try encoder.prompt(Array(turns.dropLast())) == "<s><|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n")
        #expect(
            try marked(own, messages(("system", ""), ("assistant", "a"))).hasPrefix("<s><|im_start|>user\n<|im_end|>"))
        // Blocks of the generation move with the text.
        let blocks = try ChatTemplate(
            source: """
                {% if messages[0].role != 'system' %}[S]DEFAULT{% endif %}{% for m in messages %}{% if m.role == 'assistant' %}[A]\
                {% generation %}{{ m.content }}</s>{% endgeneration %}{% else %}[{{ m.role[0]|upper }}]{{ m.content }}{% endif %}{% endfor %}
                """)
        #expect(try marked(blocks, turns) == "[U]q[A]«a</s>»")
        #expect(try marked(blocks, Array(turns.dropFirst())) == "[S]DEFAULT[U]q[A]«a</s>»")
    }

    @Test(
        .enabled(if: hasTemplates),
        arguments: [
            (
                "Qwen-Qwen2.5-7B-Instruct", "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n«a<|im_end|>\n»"
            ),
            (
                "meta-llama-Llama-3.2-3B-Instruct",
                "<s><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
                    + "Today Date: 05 Mar 2026\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nq<|eot_id|>"
                    + "<|start_header_id|>assistant<|end_header_id|>\n\n«a<|eot_id|>»"
            ),
            ("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "<s><｜User｜>q<｜Assistant｜>«a<｜end▁of▁sentence｜>»"),
            ("mistralai-Mistral-Nemo-Instruct-2407", "<s>[INST]q[/INST]«a</s>»"),
            (
                "google-gemma-2-2b-it",
                "<s><start_of_turn>user\nq<end_of_turn>\n<start_of_turn>model\n«a<end_of_turn>\n»"
            ),
        ])
    func realTemplatesWithoutSystemText(_ name: String, _ expected: String) throws {
        #expect(try marked(real(name), messages(("system", ""), ("user", "q"), ("assistant", "a"))) == expected)
    }

    /// With tools the block stays, for they stand in it, without the template's own words.
    @Test(.enabled(if: hasTemplates)) func toolsKeepTheirBlock() throws {
        let tool: JSONValue = ["type": "function", "function": ["name": "f", "parameters": [:]]]
        let turns = messages(("system", ""), ("user", "q"), ("assistant", "a"))
        let text = try marked(real("Qwen-Qwen2.5-7B-Instruct"), turns, tools: [tool])
        #expect(text.hasPrefix("<|im_start|>system\n\n\n# Tools"))
        #expect(!text.contains("You are Qwen"))
    }

    // MARK: - Weights and calls

    @Test func weightsOfTurnsReachTheTokens() throws {
        var turns = messages(("user", "q"), ("assistant", "a"), ("user", "r"), ("assistant", "b"))
        turns[1].weight = 0.5
        let encoder = ChatEncoder(template: try .chatML(), tokenize: tokenize)
        let pieces = try encoder.pieces(turns)
        #expect(pieces.map(\.weight) == [0, 0.5, 0, 1])
        #expect(pieces[1].text == "a<|im_end|>\n")
        let encoded = try encoder.encoded(turns)
        #expect(encoded.weights.count { $0 == 0.5 } == "a<|im_end|>\n".utf8.count)
        #expect(encoded.trainedCount == 2 * "a<|im_end|>\n".utf8.count)
        #expect(try encoder.pieces(turns, training: .lastRound).map(\.weight) == [0, 1])
        #expect(try encoder.pieces(turns, training: .all).map(\.weight) == [1, 0.5, 1])
        turns[0].weight = 2
        #expect(throws: ChatTrainingError.self) { try encoder.pieces(turns) }
    }

    @Test func keysOfTrainingAreRead() throws {
        func message(_ keys: String) throws -> Message {
            try Message(JSONValue(parsing: #"{"role": "assistant", "content": "a", \#(keys)}"#))
        }
        for keys in [
            #""loss": false"#, #""train": false"#, #""training": 0"#, #""weight": 0"#, #""loss_scale": 0.0"#,
            #""loss": true, "weight": 0"#,
        ] {
            #expect(try message(keys).isTrained == false, "\(keys)")
            #expect(try message(keys).fields.keys == ["role", "content"])
        }
        for keys in [#""weight": 1"#, #""loss_scale": null"#, #""loss_weight": 1.0"#] {
            #expect(try message(keys) == Message(role: "assistant", content: "a"), "\(keys)")
        }
        #expect(try message(#""weight": 0.25"#).weight == 0.25)
        #expect(try message(#""loss_scale": 2, "weight": 2, "loss": true"#).weight == 2)
        for keys in [
            #""weight": "1""#, #""weight": -1"#, #""weight": 1e99"#, #""train": "yes""#,
            #""loss": true, "train": false"#,
            #""loss_scale": 1, "weight": 2"#, #""train_detail": [1]"#,
        ] {
            #expect(throws: MessageError.self, "\(keys)") { try message(keys) }
        }
    }

    @Test func callsThatTheTemplateLeavesOutAreRefused() throws {
        var turns = messages(("user", "q"), ("assistant", ""))
        turns[1].fields["tool_calls"] = [["type": "function", "function": ["name": "clock", "arguments": [:]]]]
        let error = #expect(throws: ChatTrainingError.self) { try marked(.chatML(), turns) }
        #expect(error?.description.contains("\"clock\"") == true)
        let encoder = ChatEncoder(template: try .chatML(), tokenize: tokenize)
        let tool: JSONValue = ["type": "function", "function": ["name": "clock"]]
        let notes = try encoder.encoded(messages(("user", "q"), ("assistant", "a")), tools: [tool]).notes
        #expect(notes == ["tools left out (the chat template writes none)"])
    }

    @Test func positionsInErrorsAreThoseOfTheRow() throws {
        let closed = try ChatTemplate(
            source: "{% if messages|length < 3 %}{{ raise_exception('short') }}{% endif %}{{ messages }}")
        let error = #expect(throws: ChatBoundaryError.self) {
            try marked(closed, messages(("assistant", "a"), ("user", "b")))
        }
        #expect(error?.turn == 0)
    }

    // MARK: - The date

    @Test func aDateCanBeKept() throws {
        let date = Date(timeIntervalSince1970: 1_772_698_026)
        let zone = try #require(TimeZone(identifier: "Asia/Shanghai"))
        let clock = TemplateClock.fixed(date, timeZone: zone)
        #expect(clock.face == "2026-03-05T16:07:06")
        let kept = try #require(TemplateClock(face: clock.face))
        #expect(kept.face == clock.face)
        for text in ["", "yesterday", "2026-13-05T16:07:06"] { #expect(TemplateClock(face: text) == nil) }
        let template = try ChatTemplate(source: "{{ strftime_now('%d %b %Y %H:%M:%S %A %j') }}", clock: clock)
        #expect(try template.rendered([]) == "05 Mar 2026 16:07:06 Thursday 064")
        #expect(try template.with(kept).rendered([]) == template.rendered([]))
    }
}
