import Apus
import ApusJSON
import Foundation
import Testing

@testable import ApusRecipes

/// Sampling in the library, with a reward of the program's own.
struct SamplingLibraryTests {
    private struct Length: Reward {
        let name = "length"
        func reward(for answer: JudgedAnswer) -> Double? {
            guard answer.messages.map(\.role) == ["user"], answer.columns["level"] == "3",
                answer.columns["mark"] == "a b"
            else { return nil }
            return Double(answer.text.utf8.count)
        }
    }

    private struct NoNumber: Reward {
        let name = "broken"
        func reward(for answer: JudgedAnswer) -> Double? { .nan }
    }

    @Test func ownReward() throws {
        let model = try TinyModelFolder.chat()
        let folder = try TemporaryFolder()
        try folder.write(
            #"{"messages": [{"role": "user", "content": "n"}], "level": 3, "mark": "a b"}"# + "\n", to: "rows.jsonl")
        var sampling = Sampling(model: model.path, data: ["\(folder.path)/rows.jsonl"])
        sampling.maximumTokens = 8
        sampling.rewards = [Length()]
        sampling.keptCount = 3
        sampling.outputFolder = folder.path
        sampling.outputFile = "pairs.jsonl"
        let rows = try TinyModelFolder.rows(sampling.run())
        #expect(!rows.isEmpty && rows.count <= 3)
        for row in rows {
            let chosen = try #require(row["messages"]?.arrayValue?.last?["content"]?.stringValue)
            let rejected = try #require(row["rejected_response"]?.stringValue)
            #expect(chosen.utf8.count > rejected.utf8.count)
        }
        // What was sampled before is no answer to what is asked now.
        sampling.rewards = [NoNumber()]
        let again = #expect(throws: (any Error).self) { _ = try sampling.run() }
        #expect(again.map { "\($0)" }?.contains("pairs.jsonl is there already") == true)
        sampling.outputFile = "broken.jsonl"
        sampling.rewards = [NoNumber()]
        let error = #expect(throws: (any Error).self) { _ = try sampling.run() }
        #expect(error.map { "\($0)" }?.contains("broken: says nan") == true)
    }
}
