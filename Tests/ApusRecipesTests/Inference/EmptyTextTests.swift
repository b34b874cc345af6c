import ApusTorch
import Testing

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusRecipes

/// Texts without a token: there is nothing that a score or a vector could be of, whatever is judged beside them.
struct EmptyTextTests {
    private static let names: JSONObject = [
        "id2label": ["0": "bad", "1": "fair", "2": "good"], "label2id": ["bad": 0, "fair": 1, "good": 2],
    ]

    @Test(arguments: ["classifiers/llama-single", "classifiers/qwen2-regression"])
    func texts(fixture: String) throws {
        let model = try TinyModelFolder.bytes(fixture, config: fixture.hasSuffix("single") ? Self.names : [:])
        func answer(_ lines: [String], failed: Int) throws -> [JSONValue] {
            try AnsweredRowsTests.answer(lines, with: model, failed: failed) {
                $0.encoding.useChatTemplate = false
            }
        }
        let alone = try answer([#"{"text": "a b"}"#, #"{"text": "cd"}"#], failed: 0)
        let rows = try answer(
            [#"{"text": ""}"#, #"{"text": "a b"}"#, #"{"text": ""}"#, #"{"text": "cd"}"#, #"{"text": ""}"#], failed: 3)
        #expect([rows[1], rows[3]].map { $0["response"] } == alone.map { $0["response"] })
        for (index, row) in rows.enumerated() where index % 2 == 0 {
            #expect(AnsweredRowsTests.hasFailed(row, line: index + 1, "the text is empty"))
        }
        #expect(try answer([#"{"text": ""}"#], failed: 1)[0]["response"] == .null)
    }

    @Test func vectors() throws {
        let model = try TinyModelFolder.bytes("sentences/qwen2-embedding")
        let rows = try AnsweredRowsTests.answer(
            [#"{"text": "0"}"#, #"{"text": ""}"#, #"{"anchor": "", "positive": "1"}"#, #"{"text": "0"}"#],
            with: model, failed: 2
        ) {
            $0.model.taskType = .embedding
            $0.encoding.useChatTemplate = false
        }
        #expect(rows[0]["response"] == rows[3]["response"] && rows[0]["response"]?.arrayValue?.isEmpty == false)
        #expect(AnsweredRowsTests.hasFailed(rows[1], line: 2, "the text is empty"))
        #expect(AnsweredRowsTests.hasFailed(rows[2], line: 3, "the text is empty"))
    }

    /// Nor does a batch give such a text the row of its neighbour.
    @Test func batches() throws {
        let model = try TinyModelFolder.bytes("classifiers/llama-single", config: Self.names)
        let adapted = try AdaptedModel(
            InferSettings(model: model.path).model, device: .cpu, surroundings: Surroundings())
        let classifier = try #require((adapted.form as? LoadedClassifier)?.classifier)
        for sequences in [[[1, 2], []], [[], [1, 2]], [[]]] as [[[Int32]]] {
            let batch = TokenBatch(sequences)
            #expect(throws: ModelError.self) { try classifier.scores(batch, classifier.context(for: batch)) }
        }
    }
}
