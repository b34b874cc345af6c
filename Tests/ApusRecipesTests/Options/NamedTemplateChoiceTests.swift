import ApusDatasets
import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusRecipes

/// `--template` and the options beside it.
struct NamedTemplateChoiceTests {
    /// The parts of a model with a tokenizer, and settings changed by `change`.
    private func parts(_ change: (inout EncodingSettings) -> Void) throws -> TextParts {
        let folder = try #require(sharedFixtures("tokenizers/qwen2.5"))
        var settings = EncodingSettings()
        change(&settings)
        return try TextParts(ModelSource(folder.path, surroundings: Surroundings()), settings)
    }

    private let turns = [Message(role: "user", content: "Hello"), Message(role: "assistant", content: "Hi")]

    @Test func aNameChoosesTheTemplateOfTrainingAndAnswers() throws {
        let parts = try parts { $0.template = "llama3" }
        let start =
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"
            + "<|start_header_id|>assistant<|end_header_id|>\n\n"
        #expect(try parts.encoder.pieces(turns).map(\.text) == [start, "Hi<|eot_id|>"])
        #expect(try parts.encoder.prompt(Array(turns.prefix(1))) == start)
        #expect(!parts.fallsBack)
    }

    @Test func theFoldersTemplateStaysWithoutANameAndWithJinja() throws {
        let own = try parts { _ in }.encoder.pieces(turns)
        #expect(try parts { ($0.template, $0.templateBackend) = ("llama3", .jinja) }.encoder.pieces(turns) == own)
        let encoder = try parts { $0.template = "bert" }
        #expect(try encoder.encoder.pieces(turns) == own)
        #expect(encoder.notices.contains { $0.hasPrefix("--template bert: the chat template") })
    }

    @Test(
        arguments: [
            ("llama33", nil, "did you mean llama3?"), ("generic_decision", nil, "for decision models"),
            ("qwen3", "hermez", "known are chatglm4"), (nil, "hermes", "Give a --template by name"),
        ] as [(String?, String?, String)])
    func wrongNamesAreNamed(template: String?, agent: String?, words: String) throws {
        let error = #expect(throws: SettingsError.self) {
            try parts { ($0.template, $0.agentTemplate) = (template, agent) }
        }
        #expect(error?.description.contains(words) == true)
    }

    /// Of the tasks that write no conversations the options are said to be without effect.
    @Test func tasksThatWriteConversationsTakeATemplate() {
        for task in [TaskType.causalLM, .sequenceClassification, .embedding, .reranker] {
            #expect(task.idleOptions.isDisjoint(with: EncodingSettings.templateOptions), "\(task.rawValue)")
        }
        for task in [TaskType.maskedLanguageModel, .sequenceToSequence] {
            #expect(task.idleOptions.isSuperset(of: EncodingSettings.templateOptions), "\(task.rawValue)")
        }
    }

    @Test func sequencesAreWrittenAsTheTemplateSays() throws {
        let parts = try parts { $0.template = "llama3" }
        let encoder = SequenceEncoder(
            tokenizer: parts.tokenizer, chat: parts.encoder, isEncoder: false, limit: 100, strategy: .delete)
        let text = parts.tokenizer.decode(try encoder.encode(.text("Hello")).ids)
        #expect(text.hasPrefix("<|begin_of_text|><|start_header_id|>user<|end_header_id|>") && text.contains("Hello"))
    }

    /// A stop word that is a token of the model ends answers; one that is none does not become text to look for.
    @Test func stopWordsOfTheTemplateEndAnswers() throws {
        let parts = try parts { $0.template = "qwen2_5" }
        let end = try #require(parts.tokenizer.encode("<|endoftext|>", addSpecialTokens: false).first)
        var ends = AnswerEnds(tokens: [], tokenizer: parts.tokenizer)
        ends.addSuffix(of: parts.encoder)
        #expect(ends.tokens.contains(end) && ends.tokens.count == 2 && ends.stops.isEmpty)
    }

    /// ms-swift adds `+ignore_empty_think` for templates that think and have a mark of no thoughts.
    @Test(
        arguments: [
            ("qwen3", "default", false, "default+ignore_empty_think"), ("qwen3", "default", true, "default"),
            ("qwen3", "last_round+hermes", false, "last_round+hermes+ignore_empty_think"),
            ("qwen3", "ignore_empty_think+hermes", true, "default+ignore_empty_think+hermes"),
            ("qwen3_thinking", "default", false, "default"), ("qwen2_5", "default", false, "default"),
            (nil, "default", false, "default"),
        ] as [(String?, String, Bool, String)])
    func emptyThoughtsAreLeftOut(name: String?, given: String, isDisabled: Bool, scale: String) throws {
        var settings = EncodingSettings()
        settings.lossScale = try #require(LossScale(rawValue: given))
        settings.disableIgnoreEmptyThink = isDisabled
        let encoder = try parts { $0.template = name }.encoder
        #expect(settings.lossScale(with: encoder).rawValue == scale)
    }

    /// Of the model's own template its prompts say it.
    @Test func emptyThoughtsOfTheFoldersTemplateAreLeftOut() throws {
        let folder = try #require(sharedFixtures("tokenizers/qwen3"))
        let text = try TextParts(ModelSource(folder.path, surroundings: Surroundings()), EncodingSettings())
        #expect(EncodingSettings().lossScale(with: text.encoder).rawValue == "default+ignore_empty_think")
        var settings = EncodingSettings()
        settings.lossScale = settings.lossScale(with: text.encoder)
        let encoded = try ConversationEncoder(settings, text: text).encode(Conversation(messages: turns))
        let trained = zip(encoded.ids, encoded.weights).filter { $1 > 0 }.map(\.0)
        #expect(text.tokenizer.decode(trained) == "Hi<|im_end|>\n")
    }

    /// The records of both kinds of runs name what was computed.
    @Test func theRecordNamesTheLossScale() throws {
        let encoder = try parts { $0.template = "qwen3" }.encoder
        var settings = SFTSettings(model: "m", dataset: ["d"])
        #expect(settings.leaveEmptyThoughtsOut(encoder)?.contains("--disable_ignore_empty_think true") == true)
        #expect(settings.record["loss_scale"] == "default+ignore_empty_think")
        #expect(settings.leaveEmptyThoughtsOut(encoder) == nil)
        settings.learnPreferences()
        settings.encoding.lossScale = .lastRound
        #expect(settings.leaveEmptyThoughtsOut(encoder) != nil)
        #expect(settings.record["loss_scale"] == "last_round+ignore_empty_think")
        settings.preferences = PreferenceSettings(.rewardModel)
        settings.encoding.lossScale = .lastRound
        #expect(settings.leaveEmptyThoughtsOut(encoder) == nil)
    }

    @Test func runsLeaveEmptyThoughtsOut() throws {
        let run = try TinyRun().with {
            $0.encoding.template = "qwen3"
            $0.optimization.maxSteps = 2
        }
        let all = run.with {
            $0.encoding.disableIgnoreEmptyThink = true
            $0.output.outputDirectory = "\(run.folder.path)/all"
        }
        for (run, scale) in [(run, "default+ignore_empty_think"), (all, "default")] {
            try run()
            let arguments = try JSONValue(parsing: String(contentsOfFile: "\(run.output)/args.json", encoding: .utf8))
            #expect(arguments["loss_scale"]?.stringValue == scale)
        }
        #expect(try run.losses() != all.losses())
    }

    @Test func whatTheFoldersTemplateDoesNotReadIsSaid() throws {
        let notices = try parts { ($0.preserveThinking, $0.enableThinking) = (true, false) }.notices
        for name in ["preserve_thinking", "enable_thinking"] {
            #expect(notices.contains("--\(name) is without effect: the chat template does not read it"), "\(notices)")
        }
        let named = try parts { ($0.template, $0.preserveThinking) = ("qwen3", true) }.notices
        #expect(!named.contains { $0.contains("preserve_thinking") })
    }

    @Test func thoughtsAreMarkedAsTheOptionsSay() throws {
        func texts(_ change: (inout EncodingSettings) -> Void) throws -> [String] {
            try parts { settings in
                settings.template = "qwen3"
                change(&settings)
            }.encoder.pieces(turns).map(\.text)
        }
        #expect(try texts { _ in }.last == "<think>\n\n</think>\n\nHi<|im_end|>\n")
        #expect(try texts { $0.addNonThinkingPrefix = false }.last == "Hi<|im_end|>\n")
        let question = Array(turns.prefix(1))
        let prompts = try [nil, false, true].map { thinks in
            try parts { ($0.template, $0.enableThinking) = ("qwen3", thinks) }.encoder.prompt(question)
        }
        #expect(prompts.map { $0.hasSuffix("</think>\n\n") } == [true, true, false])
    }
}
