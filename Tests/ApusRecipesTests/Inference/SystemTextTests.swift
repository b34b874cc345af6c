import ApusDatasets
import ApusTorch
import Testing

@testable import ApusJSON
@testable import ApusRecipes
@testable import ApusText

/// The system text of the settings, in questions as in training, on the command line and in the library.
@Suite(.serialized) struct SystemTextTests {
    /// As Qwen's: a text of its own where the messages bring none.
    static let template = """
        {% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nown<|im_end|>\\n' }}{% endif %}\
        \(TinyModelFolder.chatML)
        """

    @Test(
        arguments: [
            (nil, "<|im_start|>system\nown<|im_end|>\n"), ("", ""), ("brief", "<|im_start|>system\nbrief<|im_end|>\n"),
        ] as [(String?, String)])
    func anEmptyTextIsNoBlock(system: String?, block: String) throws {
        let folder = try TinyModelFolder.chat(template: Self.template)
        defer { withExtendedLifetime(folder) {} }
        let language = try LanguageModel(folder.path)
        var settings = InferSettings()
        settings.encoding.system = system
        let ids = try Answering(settings, language: language).prompt([Message(role: "user", content: "a")])
        let expected = "\(block)<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"
        #expect(language.tokenizer.decode(ids, skipSpecialTokens: false) == expected)
        // What training makes of a row without a system text.
        let row = [Message(role: "user", content: "a"), Message(role: "assistant", content: "b")]
        let encoder = ConversationEncoder(
            tokenizer: language.tokenizer, chat: language.encoder, system: settings.encoding.system)
        let sample = try encoder.encode(Conversation(messages: row))
        #expect(language.tokenizer.decode(sample.ids, skipSpecialTokens: false).hasPrefix(expected + "b"))
    }

    @Test func aWordOfTheCommandLineMayBeEmpty() throws {
        var notices: [String] = []
        let line = try ArgumentLine(["--model", "m", "--system", ""], for: .infer)
        #expect(try InferSettings(line, notices: &notices).encoding.system == "")
    }

    /// What a checkpoint was trained with is used by programs too.
    @Test func checkpointsKeepTheirSystemText() throws {
        let run = try TinyRun().with {
            $0.optimization.maxSteps = 2
            $0.encoding.system = "brief"
        }
        try run()
        let checkpoint = "\(run.output)/checkpoint-2"
        func answer(_ messages: [Message]) throws -> String {
            let model = try LoadedModel(checkpoint, dtype: nil, device: .cpu)
            return try model.answer(
                messages, maximumTokens: 12, temperature: 0, topK: nil, topP: nil, seed: 1, onText: { _ in true })
        }
        // Also one that is named by the folder of the user.
        let named = try LoadedModel("~/checkpoint-2", dtype: nil, device: .cpu, environment: ["HOME": run.output])
        #expect(try named.adapterNames == LoadedModel(checkpoint, dtype: nil, device: .cpu).adapterNames)
        #expect(!named.adapterNames.isEmpty)
        let question = Message(role: "user", content: "n 1")
        let plain = try answer([question])
        #expect(try plain == answer([Message(role: "system", content: "brief"), question]))
        #expect(try plain != answer([Message(role: "system", content: "a long one"), question]))
    }
}
