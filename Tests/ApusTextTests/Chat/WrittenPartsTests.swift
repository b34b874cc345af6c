import ApusJSON
import Testing

@testable import ApusText

/// Whether a template writes what a turn holds beside its answer, and which of it is learned: calls, tools, thoughts.
struct WrittenPartsTests {
    private let tokenize: @Sendable (String) throws -> [Int32] = { $0.utf8.map { Int32($0) } }

    /// Writes of a message what is asked for.
    private func template(_ answer: String, head: String = "", prompt: String = "") throws -> ChatTemplate {
        try ChatTemplate(
            source: """
                \(head){% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}\(answer){% else %}\
                {{ m.content }}{% endif %}</s>{% endfor %}{% if add_generation_prompt %}<assistant>\(prompt){% endif %}
                """)
    }

    private func encoder(_ template: ChatTemplate) -> ChatEncoder {
        ChatEncoder(template: template, tokenize: tokenize)
    }

    private static let tools: [JSONValue] = [["type": "function", "function": ["name": "get_weather"]]]
    private static let writesTools = "{% if tools %}{{ tools | tojson }}{% endif %}"

    /// A question that names the tool, calls of it, its result and an answer.
    private func turns(calls: String...) -> [Message] {
        var call = Message(role: "assistant", content: "I ask get_weather.")
        call.fields["tool_calls"] = .array(
            calls.map { ["type": "function", "function": ["name": .string($0), "arguments": ["city": "Berlin"]]] })
        return [
            Message(role: "user", content: "use get_weather for Berlin"), call,
            Message(role: "tool", content: "sunny"), Message(role: "assistant", content: "It is sunny."),
        ]
    }

    // MARK: - Calls and tools

    /// That a question, a tool or the answer has the name is not that the call is written.
    @Test(arguments: ["", writesTools])
    func aNameElsewhereIsNoCall(_ head: String) throws {
        let silent = encoder(try template("{{ m.content }}", head: head))
        let error = #expect(throws: ChatTrainingError.self) {
            try silent.encoded(turns(calls: "get_weather"), tools: Self.tools)
        }
        #expect(error?.description.contains("writes no tool calls, and \"get_weather\" is called") == true)
        let writing = encoder(
            try template("{{ m.content }}{% for c in m.tool_calls or [] %}[{{ c.function.name }}]{% endfor %}"))
        let trained = try writing.pieces(turns(calls: "get_weather", "get_weather")).filter(\.isTrained)
        #expect(trained.map(\.text).first == "I ask get_weather.[get_weather][get_weather]</s>")
    }

    /// One call of several may be left out, and a template may refuse names or write them in another way.
    @Test func everyCallIsLookedFor() throws {
        let first = encoder(
            try template("{{ m.content }}{% if m.tool_calls %}[{{ m.tool_calls[0].function.name }}]{% endif %}"))
        #expect(throws: ChatTrainingError.self) { try first.pieces(turns(calls: "get_weather", "get_weather")) }
        #expect(try first.pieces(turns(calls: "get_weather")).count == 4)
        let upper = "{% for c in m.tool_calls or [] %}[{{ c.function.name | upper }}]{% endfor %}"
        #expect(try encoder(template("{{ m.content }}" + upper)).pieces(turns(calls: "get_weather")).count == 4)
        let strict = "{% if c.function.name != 'get_weather' %}{{ raise_exception('what?') }}{% endif %}"
        let refusing = "{{ m.content }}{% for c in m.tool_calls or [] %}\(strict)[{{ c.function.name }}]{% endfor %}"
        #expect(try encoder(template(refusing)).pieces(turns(calls: "get_weather")).count == 4)
    }

    /// A question with the name of a tool does not declare it.
    @Test func toolsThatAreLeftOutAreNoted() throws {
        let note = "tools left out (the chat template writes none)"
        let turns = [turns()[0], Message(role: "assistant", content: "I cannot.")]
        #expect(try encoder(template("{{ m.content }}")).encoded(turns, tools: Self.tools).notes == [note])
        let writing = encoder(try template("{{ m.content }}", head: Self.writesTools))
        #expect(try writing.encoded(turns, tools: Self.tools).notes == [])
    }

    // MARK: - Thoughts

    /// As Qwen3's template: thoughts only behind the last question, and there always.
    private static let thinking = """
        {% set parts = m.content.split('</think>') %}{% if loop.last %}<think>
        {{ (m.reasoning_content or parts[0].split('<think>')[-1] if parts | length > 1 or m.reasoning_content else '') | trim }}
        </think>

        {% endif %}{{ parts[-1] | trim }}
        """

    @Test func thoughtsThatAreLeftOutAreNoted() throws {
        let note = "thoughts left out (the chat template does not write them there)"
        let thoughtful = encoder(try template(Self.thinking))
        func notes(_ encoder: ChatEncoder, _ first: Message, _ last: Message, _ scale: LossScale) throws -> [String] {
            try encoder.encoded(
                [Message(role: "user", content: "one two"), first, Message(role: "user", content: "more"), last],
                training: scale
            ).notes
        }
        let bare = Message(role: "assistant", content: "an answer")
        let inside = Message(role: "assistant", content: "<think>\none two\n</think>\n\nan answer")
        var beside = bare
        beside.fields["reasoning_content"] = " one two\n"
        for scale in [LossScale.everyAnswer, .lastRound, .all] {
            #expect(try notes(thoughtful, bare, inside, scale) == [], "\(scale.rawValue)")
            #expect(try notes(thoughtful, bare, beside, scale) == [], "\(scale.rawValue)")
        }
        // The question holds the words of the thought, and the turn does not.
        #expect(try notes(thoughtful, inside, bare, .everyAnswer) == [note])
        #expect(try notes(thoughtful, inside, bare, .lastRound) == [])
        #expect(try notes(encoder(.chatML()), bare, inside, .everyAnswer) == [])
        #expect(try notes(encoder(.chatML()), bare, beside, .everyAnswer) == [note])
    }

    /// A model that thinks on request writes an empty thought where it does not think, and only there.
    @Test(arguments: [
        ("{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}", true),
        (
            "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}",
            true
        ),
        ("{% if thinking %}<think>{% else %}</think>{% endif %}", true),
        ("<think>\n", false), ("<think>\n\n</think>\n\n", false), ("", false),
        ("{% if enable_thinking %}<think>\n{% endif %}", false), ("{{ raise_exception('no') }}", false),
    ])
    func hybridTemplatesAreKnown(_ prompt: String, _ isHybrid: Bool) throws {
        #expect(try encoder(template("{{ m.content }}", prompt: prompt)).thinksOnRequest == isHybrid)
    }

    /// ms-swift 4.6.0: `is_thinking` and a `non_thinking_prefix`.
    @Test func hybridNamesAreKnown() {
        let hybrid = NamedTemplate.names.filter { NamedTemplate.named($0)?.thinksOnRequest == true }
        #expect(
            hybrid == [
                "deepseek_v3_1", "deepseek_v4", "deepseek_v4_flash", "glm4_5", "glm4_7", "glm5_1", "glm5_2", "glm5_3",
                "hunyuan", "hy_v3", "hy_v3_preview", "ling3", "minicpm5", "minicpm5_2b", "qwen3", "spark2_5", "xing4_0",
                "youtu_llm",
            ])
    }

    /// The whole thought is left out, also where the prompt opens it.
    @Test(arguments: ["", "<think>\n"])
    func emptyThoughtsAreNotTrained(_ prompt: String) throws {
        let encoder = encoder(try template(Self.thinking, prompt: prompt))
        let turns = [Message(role: "user", content: "q"), Message(role: "assistant", content: "a")]
        func marked(_ scale: LossScale, _ turns: [Message]) throws -> String {
            try encoder.pieces(turns, training: scale).map { $0.isTrained ? "«\($0.text)»" : $0.text }.joined()
        }
        #expect(
            try marked(LossScale.everyAnswer.leavingEmptyThoughtsOut, turns)
                == "<user>q</s><assistant><think>\n\n</think>\n\n«a</s>»")
        let rest = "<think>\n\n</think>\n\na</s>".dropFirst(prompt.count)
        #expect(try marked(.everyAnswer, turns) == "<user>q</s><assistant>\(prompt)«\(rest)»")
        var thoughtful = turns
        thoughtful[1].fields["reasoning_content"] = "so"
        let thought = "<think>\nso\n</think>\n\na</s>".dropFirst(prompt.count)
        #expect(
            try marked(LossScale.everyAnswer.leavingEmptyThoughtsOut, thoughtful)
                == "<user>q</s><assistant>\(prompt)«\(thought)»")
    }

    /// An answer that is not trained need not be delimited, whatever changes weights inside of the others.
    @Test func answersThatAreNotTrainedAreNotLookedFor() throws {
        // What is behind a turn changes its text, so that it has no end of its own.
        let entangled = encoder(
            try template("{{ m.content }}{% if not loop.last %}{{ messages[-1].content }}{% endif %}"))
        let turns = [("user", "q"), ("assistant", "a"), ("user", "r"), ("assistant", "answer")].map {
            Message(role: $0.0, content: $0.1)
        }
        #expect(throws: ChatBoundaryError.self) {
            try entangled.pieces(turns, training: LossScale.everyAnswer.leavingEmptyThoughtsOut)
        }
        let last = try entangled.pieces(turns, training: LossScale.lastRound.leavingEmptyThoughtsOut)
        #expect(last.filter(\.isTrained).map(\.text) == ["answer</s>"])
    }

    @Test func theModifierIsAddedOnce() {
        #expect(LossScale.lastRound.leavingEmptyThoughtsOut.rawValue == "last_round+ignore_empty_think")
        for text in ["default+ignore_empty_think", "all+ignore_empty_think+hermes"] {
            #expect(LossScale(rawValue: text)?.leavingEmptyThoughtsOut.rawValue == text)
        }
        #expect(LossScale(rawValue: "hermes")?.leavingEmptyThoughtsOut.rawValue == "default+hermes+ignore_empty_think")
    }
}
