import ApusTorch
import Foundation
import Testing

@testable import ApusDatasets
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusRecipes
@testable import ApusText

/// A model with NaN in the embedding of `w`: what holds that token has no answer, all else has its own.
struct ScoresThatAreNoNumbersTests {
    private static let complaint = "the model's scores are not numbers"

    /// Rows with and without `w`, whose answers are checked against those of the sound model.
    private func check(
        _ model: TinyModelFolder, _ matrix: String, _ lines: [String], bad: Set<Int>,
        _ change: @escaping (inout InferSettings) -> Void = { _ in }
    ) throws {
        let sound = try AnsweredRowsTests.answer(lines, with: model, failed: 0, change)
        try model.spoil(row: Int(UInt8(ascii: "w")), of: matrix)
        let rows = try AnsweredRowsTests.answer(lines, with: model, failed: bad.count, change)
        #expect(rows.count == sound.count)
        for (index, row) in rows.enumerated() {
            if bad.contains(index) {
                #expect(AnsweredRowsTests.hasFailed(row, line: index + 1, Self.complaint))
            } else {
                #expect(row["response"] == sound[index]["response"] && row["error"] == nil)
            }
        }
        #expect(throws: DatasetError.self) {
            try AnsweredRowsTests.answer(lines, with: model, failed: 0) {
                change(&$0)
                $0.data.strict = true
            }
        }
    }

    @Test func classes() throws {
        try check(
            .bytes("classifiers/llama-single"), "model.embed_tokens.weight",
            ["a", "w", "b"].map { #"{"text": "\#($0)"}"# }, bad: [1]
        ) { $0.encoding.useChatTemplate = false }
    }

    @Test(arguments: [1, 2]) func answers(beams: Int) throws {
        try check(
            .bytes("models/qwen2-untied"), "model.embed_tokens.weight",
            ["a", "w", "b", "awb"].map { #"{"query": "\#($0)"}"# }, bad: [1, 3]
        ) {
            $0.encoding.useChatTemplate = false
            $0.generation.numBeams = beams
        }
    }

    /// To one question there is no answer either.
    @Test func aQuestion() throws {
        let model = try TinyModelFolder.bytes("models/qwen2-untied")
        try model.spoil(row: Int(UInt8(ascii: "w")), of: "model.embed_tokens.weight")
        let language = try LanguageModel(model.path)
        var settings = InferSettings(model: model.path)
        settings.encoding.useChatTemplate = false
        settings.generation.maxNewTokens = 2
        let answering = try Answering(settings, language: language)
        let prompt = try answering.prompt([Message(role: "user", content: "w")])
        let error = #expect(throws: ModelError.self) { try answering.answers(to: [prompt], draws: [0])[0].checked() }
        #expect(error == ModelError.notNumbers && error?.description.contains(Self.complaint) == true)
    }

    /// What every answer begins with is not shown of one that there is not.
    @Test func aPrefix() throws {
        let model = try TinyModelFolder.chat()
        var settings = InferSettings(model: model.path)
        settings.generation.responsePrefix = "So: "
        settings.generation.maxNewTokens = 2
        func shown() throws -> (text: String, failure: ModelError?) {
            let answering = try Answering(settings, language: LanguageModel(model.path))
            let prompt = try answering.prompt([Message(role: "user", content: "w")])
            var shown = ""
            let answer = try answering.answers(to: [prompt], draws: [0]) { _, text in
                shown += text
                return true
            }[0]
            return (shown, answer.failure)
        }
        #expect(try shown().text.hasPrefix("So: "))
        try model.spoil(row: Int(UInt8(ascii: "w")), of: "model.embed_tokens.weight")
        let failed = try shown()
        #expect(failed.text.isEmpty && failed.failure == ModelError.notNumbers)
    }

    /// Nor do a base and an adapter show any.
    @Test func aComparison() throws {
        let model = try TinyModelFolder.bytes("models/qwen2-untied")
        try model.spoil(row: Int(UInt8(ascii: "w")), of: "model.embed_tokens.weight")
        let language = try LanguageModel(model.path)
        var settings = InferSettings(model: model.path, adapters: ["a"])
        settings.encoding.useChatTemplate = false
        settings.generation.maxNewTokens = 2
        var said: [String] = []
        let compared = ComparedAnswering(
            try Answering(settings, language: language), AdapterComparison(settings, trunk: language.model.trunk),
            say: { said.append($0) })
        let prompt = try compared.wholePrompt([Message(role: "user", content: "w")], tools: nil)
        #expect(throws: ModelError.notNumbers) {
            try compared.answers(to: [prompt], draws: [0]) { _, _ in true }
        }
        #expect(said.isEmpty)
    }
}
