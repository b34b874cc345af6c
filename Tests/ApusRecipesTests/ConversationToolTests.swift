import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusText
import ApusTraining
import Foundation
import Testing

@testable import ApusRecipes

/// What a run and `apus template` make of conversations, and the date that a run keeps.
struct ConversationToolTests {
    private let folder: TemporaryFolder

    /// A folder with a tokenizer of one token for each byte and three special ones.
    init() throws {
        folder = try TemporaryFolder()
        try write(chatTemplate: nil)
    }

    private static let toolTemplate = """
        {% if tools %}{% for t in tools %}[TOOL]{{ t.function.name }}{% endfor %}{% endif %}\
        {% for m in messages %}<|im_start|>{{ m.role }}:{{ m.content }}\
        {% for c in m.tool_calls or [] %}[CALL]{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}<|im_end|>\
        {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant:{% endif %}
        """

    private func write(chatTemplate: String?) throws {
        let printable = Set(Array(33...126) + Array(161...172) + Array(174...255))
        var spare = 256
        var vocabulary = JSONObject()
        for byte in 0..<256 {
            let scalar = printable.contains(byte) ? byte : spare
            if scalar == spare { spare += 1 }
            vocabulary[String(Character(Unicode.Scalar(UInt32(scalar)) ?? " "))] = .int(byte)
        }
        let special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].enumerated().map { index, token -> JSONValue in
            ["id": .int(256 + index), "content": .string(token), "special": true, "normalized": false]
        }
        let byteLevel: JSONValue = ["type": "ByteLevel", "add_prefix_space": false, "use_regex": true]
        let tokenizer: JSONValue = [
            "version": "1.0", "added_tokens": .array(special), "normalizer": nil, "pre_tokenizer": byteLevel,
            "post_processor": nil, "decoder": byteLevel,
            "model": ["type": "BPE", "vocab": .object(vocabulary), "merges": []],
        ]
        var config: JSONObject = ["tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>"]
        if let chatTemplate { config["chat_template"] = .string(chatTemplate) }
        try folder.write(tokenizer.serialized(), to: "tokenizer.json")
        try folder.write(JSONValue.object(config).serialized(), to: "tokenizer_config.json")
    }

    private func rendered(
        _ messages: String, _ change: (inout TemplateSettings) -> Void = { _ in }
    ) throws -> String {
        var settings = TemplateSettings(model: folder.path, messages: messages)
        change(&settings)
        return try TemplateTool(settings).rendered(usesColor: false)
    }

    private func message(_ messages: String) -> String {
        (#expect(throws: ModelError.self) { try rendered(messages) })?.description ?? ""
    }

    @Test func theToolReadsWhatTrainingReads() throws {
        try write(chatTemplate: Self.toolTemplate)
        let calls = #"""
            {"conversations": [{"from": "human", "value": "t?"}, {"from": "function_call", "value": "{'name': 'clock'}"},
            {"from": "observation", "value": "12"}, {"from": "gpt", "value": "noon"}], "tools": "[{\"name\": \"clock\"}]"}
            """#
        let text =
            "[TOOL]clock<|im_start|>user:t?<|im_end|><|im_start|>assistant:[CALL]clock{}<|im_end|>"
            + "<|im_start|>tool:12<|im_end|><|im_start|>assistant:noon<|im_end|>"
        #expect(try rendered(calls) == text)
        #expect(
            try rendered(calls) { $0.showLabels = true }
                == text.replacing("[CALL]clock{}<|im_end|>", with: "«[CALL]clock{}<|im_end|>»")
                .replacing("noon<|im_end|>", with: "«noon<|im_end|>»"))
        let parts = #"[{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]"#
        #expect(
            try rendered(parts) { $0.addGenerationPrompt = true }
                == "<|im_start|>user:ab<|im_end|><|im_start|>assistant:")
        #expect(try rendered(#"{"query": "q", "response": "a"}"#).hasSuffix("<|im_start|>assistant:a<|im_end|>"))
        let given = try rendered(parts) { $0.tools = #"{"name": "clock", "input_schema": {}}"# }
        #expect(given.hasPrefix("[TOOL]clock"))
        #expect(
            message(#"[{"role": "narrator", "content": "x"}]"#).contains("an unknown role: message 1, \"narrator\""))
        #expect(
            message(#"[{"role": "user", "content": [{"type": "image"}]}]"#).contains("content parts other than text"))
        try write(chatTemplate: "{% if enable_thinking %}[T]{% endif %}" + Self.toolTemplate)
        let told = #"{"query": "q", "response": "a", "chat_template_kwargs": {"enable_thinking": true}}"#
        #expect(try rendered(told).hasPrefix("[T]<|im_start|>user:q"))
        #expect(try rendered(told) { $0.showLabels = true }.hasPrefix("[T]<|im_start|>user:q"))
        #expect(message("[]").contains("no messages"))
        #expect(message("3").contains("wanted a list"))
    }

    @Test func theToolShowsWeightsAndNoEmptySystemText() throws {
        let turns = #"[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "weight": 0.5}]"#
        #expect(
            try rendered(turns) {
                $0.system = ""
                $0.showLabels = true
            } == "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n«a<|im_end|>\n»×0.5")
        #expect(try rendered(turns) { $0.system = "S" }.hasPrefix("<|im_start|>system\nS<|im_end|>\n"))
    }

    private func encoder(_ change: (inout EncodingSettings) -> Void = { _ in }) throws -> ConversationEncoder {
        var settings = EncodingSettings()
        change(&settings)
        return ConversationEncoder(
            settings, text: try TextParts(ModelSource(folder.path, surroundings: Surroundings())))
    }

    @Test func textsWithoutATemplateFollowTheStrategy() throws {
        let turns = [
            Message(role: "system", content: ""), Message(role: "user", content: "q"),
            Message(role: "assistant", content: "a"), Message(role: "user", content: "r"),
            Message(role: "assistant", content: "b"),
        ]
        func weights(_ change: (inout EncodingSettings) -> Void) throws -> [Float] {
            try encoder {
                $0.useChatTemplate = false
                change(&$0)
            }.encode(Conversation(messages: turns)).weights
        }
        // The last question, its answer and the end.
        #expect(try weights { _ in } == [0, 1, 1])
        #expect(try weights { $0.lossScale = .lastRound } == [0, 1, 1])
        #expect(try weights { $0.lossScale = .all } == [0, 1, 1])
        var call = Message(role: "assistant", content: "")
        call.fields["tool_calls"] = [["function": ["name": "f"]]]
        #expect(throws: RowRejection.self) {
            try encoder { $0.useChatTemplate = false }.encode(Conversation(messages: [turns[1], call]))
        }
        call.fields = ["role": "assistant", "content": "a", "reasoning_content": "so"]
        let rejection = #expect(throws: RowRejection.self) {
            try encoder { $0.useChatTemplate = false }.encode(Conversation(messages: [turns[1], call]))
        }
        #expect(rejection.map { "\($0)".contains("message 2") } == true)
    }

    /// ms-swift's generation template: `system = None`, of several rounds the last (`chat_sep` is None), and neighbours of
    /// one weight are one text, `_swift_encode` and `_simplify_context_list` of template/base.py.
    @Test func bareTextsAreThoseOfMsSwift() throws {
        let folder = try #require(sharedFixtures("tokenizers/qwen2.5"))
        let source = try ModelSource(folder.path, surroundings: Surroundings())
        let text = try TextParts(source)
        let end = try #require(text.tokenizer.eosTokenID)
        func encoded(
            _ turns: [(String, String)], tools: [JSONValue]? = nil,
            _ change: (inout EncodingSettings) -> Void = { _ in }
        ) throws -> EncodedConversation {
            var settings = EncodingSettings()
            (settings.useChatTemplate, settings.lossScale) = (false, .all)
            change(&settings)
            let messages = turns.map { Message(role: $0.0, content: $0.1) }
            return try ConversationEncoder(settings, text: text).encode(Conversation(messages: messages, tools: tools))
        }
        func ids(_ texts: String...) -> [Int32] {
            texts.flatMap { text.tokenizer.encode($0, addSpecialTokens: false) } + [end]
        }
        let pair = [("user", "hel"), ("assistant", "lo")]
        #expect(ids("hello") != ids("hel", "lo"))
        #expect(try encoded(pair).ids == ids("hello"))
        #expect(try encoded(pair) { $0.lossScale = .everyAnswer }.ids == ids("hel", "lo"))
        #expect(try encoded([("user", "hel")]).ids == ids("hel").dropLast())

        let systemNote = "a system text left out (without a chat template there is no place for it)"
        let given = try encoded(pair) { $0.system = "You help." }
        #expect(given.ids == ids("hello") && given.notes == [systemNote])
        #expect(try encoded([("system", "You help.")] + pair).notes == [systemNote])
        #expect(try encoded([("system", "")] + pair).notes == [])
        let rounds = try encoded([("user", "one"), ("assistant", "two")] + pair)
        #expect(rounds.ids == ids("hello"))
        #expect(rounds.notes == ["earlier rounds left out (only the last question and its answer are written)"])
        #expect(try encoded([("user", "hel"), ("user", "lo"), ("assistant", "!")]).ids == ids("hello!"))
        #expect(try encoded(pair, tools: [["name": "f"]]).notes.map { $0.prefix(14) } == ["tools left out"])

        // A text that ends itself gets no second end.
        let whole = text.tokenizer.decode([end])
        #expect(try encoded([("assistant", "lo" + whole)]).ids == ids("lo"))
    }

    /// What a row says itself goes before what the run says, in training, in questions and where a sequence is judged.
    @Test(arguments: [nil, "qwen3"])
    func rowsTellTheTemplate(_ name: String?) throws {
        try write(chatTemplate: "{% if enable_thinking %}[T]{% endif %}" + Self.toolTemplate)
        let question = [Message(role: "user", content: "q")]
        func text(_ given: Bool?, _ own: Bool?) throws -> [[Int32]] {
            var settings = EncodingSettings()
            (settings.template, settings.enableThinking) = (name, given)
            let parts = try TextParts(ModelSource(folder.path, surroundings: Surroundings()), settings)
            let kwargs: JSONObject = own.map { ["enable_thinking": .bool($0)] } ?? [:]
            let variables = Dictionary(uniqueKeysWithValues: kwargs.map { ($0.key, $0.value) })
            let row = Conversation(
                messages: question + [Message(role: "assistant", content: "a")], variables: variables)
            let sequences = SequenceEncoder(
                tokenizer: parts.tokenizer, chat: parts.encoder, isEncoder: false, limit: 999, strategy: .delete,
                variables: settings.templateVariables)
            let prompts = PromptEncoder(settings, parts.tokenizer, parts.encoder)
            let judged = LabelledRow(.messages(question), otherColumns: ["chat_template_kwargs": .object(kwargs)])
            return [
                try ConversationEncoder(settings, text: parts).encode(row).ids,
                try prompts(question, variables: variables), try sequences.encode(judged).ids,
                try sequences.encode(.messages(question), of: judged.otherColumns).ids,
                try sequences.encode(.text("q"), of: judged.otherColumns).ids,
            ]
        }
        #expect(try text(nil, true) == text(true, nil))
        #expect(try text(true, false) == text(false, nil))
        #expect(try text(false, true) == text(true, nil))
        // A named template writes its mark where an answer begins.
        #expect(try zip(text(true, nil), text(false, nil)).dropFirst().allSatisfy { $0 != $1 })
    }

    @Test func aTemplateThatRunsAwayNamesTheRow() throws {
        try write(chatTemplate: "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}")
        let path = try folder.write(#"{"query": "q", "response": "a"}"#, to: "rows.jsonl")
        let rows = try DatasetLoader().load([path]).train
        let encoding = try encoder()
        let error = #expect(throws: DatasetError.self) {
            try rows.tokenized(truncation: Truncation(), encode: encoding.encode)
        }
        #expect(error?.description.hasPrefix("\(path):1: ") == true)
    }

    @Test func aRunKeepsItsDate() throws {
        try folder.write(#"{"template_date": "2026-03-05T08:07:06"}"#, to: "args.json")
        #expect(try RunClock.clock(of: folder.path).face == "2026-03-05T08:07:06")
        try folder.write(#"{"template_date": "yesterday"}"#, to: "args.json")
        #expect(throws: TrainingError.self) { try RunClock.clock(of: folder.path) }
        try folder.write("{}", to: "args.json")
        let new = try RunClock.clock(of: folder.path)
        #expect(new.face == new.stopped.face)
        #expect(try RunClock.clock(of: nil).face >= new.face)
    }

    /// Without the kept date the same rows would be other tokens the next day.
    @Test func theDateOfARunIsInItsTokens() throws {
        try write(
            chatTemplate: "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}")
        let text = try TextParts(ModelSource(folder.path, surroundings: Surroundings()))
        let row = Conversation(messages: [
            Message(role: "user", content: "q"), Message(role: "assistant", content: "a"),
        ])
        func ids(_ face: String) throws -> [Int32] {
            let clock = try #require(TemplateClock(face: face))
            return try ConversationEncoder(EncodingSettings(), text: text.with(clock))
                .encode(row).ids
        }
        #expect(try ids("2026-03-05T00:00:00") == ids("2026-03-05T23:59:59"))
        #expect(try ids("2026-03-05T00:00:00") != ids("2026-03-06T00:00:00"))
    }
}
