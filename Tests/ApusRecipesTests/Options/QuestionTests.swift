import Testing

@testable import ApusRecipes

/// The question of `apus infer` without a flag.
struct QuestionTests {
    static func settings(_ words: [String]) throws -> InferSettings {
        var notices: [String] = []
        return try InferSettings(ArgumentLine(words, for: .infer), notices: &notices)
    }

    @Test(
        arguments: [
            ["What is 2+2?", "--model", "m"], ["--model", "m", "What is 2+2?"],
            ["--model", "m", "--temperature", "0", "What is 2+2?"], ["--model", "m", "What is 2+2?", "--top_k", "5"],
            ["--adapters", "/a", "What is 2+2?"], ["--model", "m", "--stream", "What is 2+2?"],
            ["--model", "m", "--stream", "false", "What is 2+2?"], ["--model", "m", "--question", "What is 2+2?"],
            ["--model_id_or_path", "m", "What is 2+2?"], ["--model=m", "--seed", "1", "What is 2+2?"],
        ])
    func sentences(words: [String]) throws {
        let settings = try Self.settings(words)
        #expect(settings.question == "What is 2+2?")
        #expect(settings.model.name == "m" || settings.model.adapters == ["/a"])
    }

    @Test func oneWordAtTheEndOrAlone() throws {
        #expect(try Self.settings(["--model", "m", "hello"]).question == "hello")
        #expect(try Self.settings(["你好", "--model", "m"]).question == "你好")
        #expect(try Self.settings(["--model", "m", "你好", "--seed", "1"]).question == "你好")
        #expect(try Self.settings(["--adapters", "/a", "hello"]).question == "hello")
        #expect(try Self.settings(["--adapters", "/a", "hello", "--seed", "1"]).question == "hello")
    }

    /// Words that are more likely slips stay slips.
    @Test(
        arguments: [
            ["--model", "m", "n", "--seed", "1"], ["--model", "m", "one two", "three four"],
            ["one two", "three four", "--model", "m"], ["--model", "m", "--seed", "1", "2", "3"],
        ])
    func slips(words: [String]) {
        #expect(throws: UsageError.self) { try Self.settings(words) }
    }

    @Test func otherCommandsTakeNone() {
        #expect(throws: UsageError.self) {
            try ArgumentLine(["--model", "m", "What is 2+2?"], for: .sft)
        }
    }

    @Test func aQuestionExcludesData() {
        #expect(throws: SettingsError.self) {
            try Self.settings(["--model", "m", "--val_dataset", "d", "--question", "a b"])
        }
        #expect(throws: UsageError.self) { try Self.settings(["--model", "m", "--question", " "]) }
    }
}
