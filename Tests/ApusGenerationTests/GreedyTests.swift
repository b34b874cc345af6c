import Foundation
import Testing

@testable import ApusGeneration
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusTorch
@testable import ApusWeights

/// Answers against those of `generate` of transformers (Scripts/fixtures/make_generation.py).
struct GreedyTests {
    struct Row {
        let prompt: [Int32]
        let ids: [Int32]

        init(_ json: JSONValue) {
            func ids(_ key: String) -> [Int32] {
                (json[key]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
            }
            prompt = ids("prompt")
            self.ids = ids("ids")
        }
    }

    static let models = ["qwen2-tied-gqa", "llama-tied-gqa"]

    static func rows(_ model: String, _ kind: String) throws -> [Row] {
        let file = try GenerationFixture.json("greedy.json")
        return (file[model]?[kind]?.arrayValue ?? []).map(Row.init)
    }

    static func greedy(penalty: Double = 1) -> Sampling {
        var sampling = Sampling()
        sampling.temperature = 0
        sampling.processors.repetitionPenalty = penalty
        return sampling
    }

    @Test(arguments: models, [("greedy", 1.0), ("repetitionPenalty1.2", 1.2)])
    func idsOfTransformers(model: String, kind: (name: String, penalty: Double)) throws {
        let rows = try Self.rows(model, kind.name)
        #expect(rows.count == 5)
        let generator = TokenGenerator(
            try GenerationFixture.model(model), sampling: Self.greedy(penalty: kind.penalty), endTokens: [])
        // All at once, and each by itself: company changes nothing.
        #expect(try generator.answers(to: rows.map(\.prompt), limit: 12) == rows.map(\.ids))
        for row in rows { #expect(try generator.answers(to: [row.prompt], limit: 12) == [row.ids]) }
    }

    @Test func anAnswerEndsBeforeAnyEndToken() throws {
        let rows = try Self.rows("qwen2-tied-gqa", "greedy")
        let ends: Set<Int32> = [94, 210, 999]
        let generator = TokenGenerator(
            try GenerationFixture.model("qwen2-tied-gqa"), sampling: Self.greedy(), endTokens: ends)
        let answers = try generator.answers(to: rows.map(\.prompt), limit: 12)
        #expect(answers == rows.map { Array($0.ids.prefix { !ends.contains($0) }) })
        #expect(answers[0] == [173, 194, 167, 93])
    }

    /// The lengths are taken from `generate(min_new_tokens:)` by what they mean: the best other token instead of the end.
    @Test func noEndBeforeTheShortestLength() throws {
        let row = try Self.rows("qwen2-tied-gqa", "greedy")[1]
        var sampling = Self.greedy()
        let model = try GenerationFixture.model("qwen2-tied-gqa")
        let plain = try TokenGenerator(model, sampling: sampling, endTokens: [249]).answers(to: [row.prompt], limit: 4)
        #expect(plain == [[]])
        sampling.processors.minimumNewTokens = 3
        let longer = try TokenGenerator(model, sampling: sampling, endTokens: [249]).answers(to: [row.prompt], limit: 4)
        #expect(longer[0].count >= 3)
        #expect(!longer[0].contains(249))
    }

    @Test func theLastTokenIsTheForcedEnd() throws {
        let row = try Self.rows("qwen2-tied-gqa", "greedy")[0]
        var sampling = Self.greedy()
        sampling.processors.forcedLast = [7]
        let model = try GenerationFixture.model("qwen2-tied-gqa")
        let answer = try TokenGenerator(model, sampling: sampling, endTokens: []).answers(to: [row.prompt], limit: 5)
        #expect(answer == [Array(row.ids.prefix(4)) + [7]])
    }

    @Test func drawsDependOnSeedAndNameAlone() throws {
        let model = try GenerationFixture.model("qwen2-tied-gqa")
        let prompts = try Self.rows("qwen2-tied-gqa", "greedy").map(\.prompt)
        var sampling = Sampling()
        sampling.topK = 50
        let generator = TokenGenerator(model, sampling: sampling, endTokens: [])
        let all = try generator.answers(to: prompts, limit: 8, draws: [4, 3, 2, 1, 0])
        #expect(try generator.answers(to: [prompts[2]], limit: 8, draws: [2]) == [all[2]])
        sampling.seed = 43
        let others = try TokenGenerator(model, sampling: sampling, endTokens: [])
            .answers(to: prompts, limit: 8, draws: [4, 3, 2, 1, 0])
        #expect(others != all)
    }

    @Test func falseEndsAnAnswer() throws {
        let rows = try Self.rows("llama-tied-gqa", "greedy")
        let generator = TokenGenerator(
            try GenerationFixture.model("llama-tied-gqa"), sampling: Self.greedy(), endTokens: [])
        var counts = [0, 0, 0, 0, 0]
        let answers = try generator.answers(to: rows.map(\.prompt), limit: 12) { prompt, _ in
            counts[prompt] += 1
            return counts[prompt] <= prompt
        }
        #expect(answers == rows.enumerated().map { Array($1.ids.prefix($0 + 1)) })
    }
}

enum GenerationFixture {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures")

    static func json(_ name: String) throws -> JSONValue {
        try JSONValue(parsing: Data(contentsOf: root.appendingPathComponent("generation/\(name)")))
    }

    static func tensors(_ name: String) throws -> SafetensorsFile {
        try SafetensorsFile(path: root.appendingPathComponent("generation/\(name)").path)
    }

    static func model(_ name: String) throws -> CausalLanguageModel {
        let folder = root.appendingPathComponent("models/\(name)")
        let config = try JSONValue(parsing: Data(contentsOf: folder.appendingPathComponent("config.json")))
        let model = try Models.registry.model(config)
        try model.loadWeights(ModelWeights(folder: folder.path), dtype: .float32, device: .cpu)
        return model
    }
}
