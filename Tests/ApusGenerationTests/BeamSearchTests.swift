import ApusJSON
import ApusLanguageModel
import Testing

@testable import ApusGeneration

/// All answers of beam searches with their scores, against `generate` of transformers (Scripts/fixtures/make_generation.py).
struct BeamSearchTests {
    @Test(arguments: GreedyTests.models)
    func answersOfTransformers(model: String) throws {
        let file = try GenerationFixture.json("beams.json")
        let expected = try #require(file[model])
        let loaded = try GenerationFixture.model(model)
        let ends = Set((expected["ends"]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) })
        let rows = expected["rows"]?.arrayValue ?? []
        #expect(rows.count == 33 && ends.count == 3)
        func ids(_ value: JSONValue?) -> [Int32] {
            (value?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
        }
        for row in rows {
            let config = try #require(row["config"])
            var sampling = Sampling()
            sampling.processors.repetitionPenalty = config["repetition_penalty"]?.doubleValue ?? 1
            sampling.processors.noRepeatSize = config["no_repeat_ngram_size"]?.intValue ?? 0
            sampling.processors.minimumNewTokens = config["min_new_tokens"]?.intValue ?? 0
            sampling.processors.renormalizes = config["renormalize_logits"]?.boolValue ?? false
            let stop: BeamSearch.Stop =
                switch config["early_stopping"] {
                case .bool(true)?: .whenFull
                case .string("never")?: .whenHopeless
                default: .whenWorse
                }
            let search = BeamSearch(
                loaded, sampling: sampling, endTokens: ends, count: config["num_beams"]?.intValue ?? 1,
                lengthPenalty: config["length_penalty"]?.doubleValue ?? 1, stop: stop)
            let found = try search.answers(to: ids(row["prompt"]), limit: 10)
            let what = Comment(rawValue: "\(config.serialized()) behind \(ids(row["prompt"]))")
            #expect(found.map(\.ids) == (row["answers"]?.arrayValue ?? []).map(ids), what)
            let scores = (row["scores"]?.arrayValue ?? []).compactMap(\.doubleValue)
            #expect(zip(found, scores).allSatisfy { abs(Double($0.score) - $1) <= 1e-5 * max(1, abs($1)) }, what)
        }
    }

    /// Ends an answer behind any of some tokens.
    private struct LastTokens: AnswerReader {
        let tokens: Set<Int32>
        mutating func ends(with token: Int32) -> Bool { tokens.contains(token) }
    }

    /// A candidate that a stopping criterion ends is an answer, whatever would come behind it.
    @Test(arguments: GreedyTests.models)
    func stoppedAnswersOfTransformers(model: String) throws {
        let expected = try #require(GenerationFixture.json("beams-stopped.json")[model])
        let loaded = try GenerationFixture.model(model)
        func ids(_ value: JSONValue?) -> [Int32] {
            (value?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
        }
        let stops = Set(ids(expected["stops"]))
        let rows = expected["rows"]?.arrayValue ?? []
        #expect(rows.count == 12 && stops.count > 1)
        for row in rows {
            let config = try #require(row["config"])
            let stop: BeamSearch.Stop =
                switch config["early_stopping"] {
                case .bool(true)?: .whenFull
                case .string("never")?: .whenHopeless
                default: .whenWorse
                }
            let search = BeamSearch(
                loaded, sampling: Sampling(), endTokens: [], count: config["num_beams"]?.intValue ?? 1,
                lengthPenalty: config["length_penalty"]?.doubleValue ?? 1, stop: stop,
                reader: LastTokens(tokens: stops))
            let found = try search.answers(to: ids(row["prompt"]), limit: 10)
            let what = Comment(rawValue: "\(config.serialized()) behind \(ids(row["prompt"]))")
            #expect(found.map(\.ids) == (row["answers"]?.arrayValue ?? []).map(ids), what)
            let scores = (row["scores"]?.arrayValue ?? []).compactMap(\.doubleValue)
            #expect(zip(found, scores).allSatisfy { abs(Double($0.score) - $1) <= 1e-5 * max(1, abs($1)) }, what)
        }
    }

    /// Where no token may come there is no answer, but for what has ended before.
    @Test(arguments: GreedyTests.models)
    func nothingIsAllowed(model: String) throws {
        let loaded = try GenerationFixture.model(model)
        func answers(allowing allowed: Int32?) throws -> [[Int32]] {
            var sampling = Sampling()
            sampling.processors.suppressed = (0..<Int32(loaded.vocabularySize)).filter { $0 != allowed }
            return try BeamSearch(loaded, sampling: sampling, endTokens: [5], count: 2)
                .answers(to: [1, 2, 3], limit: 3).map(\.ids)
        }
        #expect(throws: ModelError.nothingAllowed) { try answers(allowing: nil) }
        #expect(try answers(allowing: 5) == [[]])
        // One of two beginnings cannot go on.
        #expect(try answers(allowing: 4).first == [4, 4, 4])
    }
}
