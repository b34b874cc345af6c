import ApusMetrics
import ApusTraining
import Testing

@testable import ApusDatasets
@testable import ApusRecipes

/// Questions for which no order of documents is wrong are not measured, and that is said.
struct RankingEvaluationTests {
    @Test func onlyQuestionsWithBothAreMeasured() throws {
        var evaluation = RerankerEvaluation()
        // The relevant document comes second: mrr 1/2, ndcg 1 / log2(3).
        evaluation.add(2, relevance: 0, question: 0)
        evaluation.add(1, relevance: 1, question: 0)
        // One document, only relevant ones, none.
        evaluation.add(1, relevance: 1, question: 1)
        for score in [1.0, 2] { evaluation.add(score, relevance: 1, question: 2) }
        for score in [1.0, 2] { evaluation.add(score, relevance: 0, question: 3) }
        #expect(evaluation.count == 1)
        let values = try evaluation.metrics().map(\.value)
        let expected = [0.5, 0.630_929_753_571_457_4, 0.630_929_753_571_457_4, 0.5]
        #expect(zip(values, expected).allSatisfy { abs($0 - $1) <= 1e-12 }, "\(values)")
    }

    @Test func whereNoneHasBothThereAreNoNumbers() throws {
        var evaluation = RerankerEvaluation()
        evaluation.add(1, relevance: 1, question: 0)
        let metrics = try evaluation.metrics()
        #expect(metrics.map(\.name) == RerankerMetrics.names)
        #expect(metrics.allSatisfy { $0.value.isNaN })
    }

    /// Rows with their question, positives and negatives.
    private func note(
        _ rows: [(Int32, Int, Int)], _ change: (inout SFTSettings) -> Void = { _ in }
    ) -> String? {
        let text = GroupedDataset.Text(ids: [1])
        var data = GroupedDataset()
        for (row, (_, positives, negatives)) in rows.enumerated() {
            let group = GroupedDataset.Group(
                anchor: nil, positives: Array(repeating: text, count: positives),
                negatives: Array(repeating: text, count: negatives))
            data.appendSample(sequence: data.appendGroup(group), row: row)
        }
        var settings = SFTSettings(model: "m", dataset: ["d"])
        settings.model.taskType = .reranker
        settings.data.valDataset = ["v"]
        change(&settings)
        return DocumentRanking.note(DocumentGroups(data, questions: rows.map(\.0)), settings)
    }

    @Test func whatIsLeftOutIsCounted() {
        #expect(
            note([(0, 1, 2), (1, 1, 0), (2, 0, 2)])?.hasPrefix("mrr, ndcg, ndcg@10, map are those of 1 of 3 ") == true)
        #expect(note([(0, 1, 0), (1, 2, 0)])?.contains("no validation question has both") == true)
        // Two rows of one question.
        #expect(note([(0, 1, 0), (0, 0, 1)]) == nil)
        #expect(note([(0, 1, 0)]) { $0.evaluation.evalStrategy = .no } == nil)
    }
}
