import Testing

@testable import ApusDatasets
@testable import ApusRecipes

/// An evaluation that holds each positive against nothing measures nothing, and that is said.
struct EmbeddingEvaluationTests {
    private func warning(
        rows: Int, negatives: Int = 0, _ change: (inout SFTSettings) -> Void = { _ in }
    ) -> String? {
        let text = GroupedDataset.Text(ids: [1])
        var data = GroupedDataset()
        for row in 0..<rows {
            let group = GroupedDataset.Group(
                anchor: text, positives: [text], negatives: Array(repeating: text, count: row == 0 ? negatives : 0))
            data.appendSample(sequence: data.appendGroup(group), row: row)
        }
        var settings = SFTSettings()
        settings.model.taskType = .embedding
        settings.optimization.lossType = .infoNCE
        settings.data.dataset = ["d"]
        settings.data.valDataset = ["v"]
        change(&settings)
        return SentenceEmbedding.warning(data, settings)
    }

    @Test func oneRowAtATimeIsNotMeasured() {
        #expect(warning(rows: 4)?.hasSuffix("Give --per_device_eval_batch_size 2 or more.") == true)
        let one = warning(rows: 1) { $0.evaluation.perDeviceEvalBatchSize = 4 }
        #expect(one?.hasSuffix("Give more validation rows, or negatives.") == true)
    }

    @Test func whatIsMeasuredIsNotWarnedOf() {
        #expect(warning(rows: 4) { $0.evaluation.perDeviceEvalBatchSize = 2 } == nil)
        #expect(warning(rows: 4, negatives: 1) == nil)
        #expect(warning(rows: 4) { $0.optimization.lossType = .cosineSimilarity } == nil)
        #expect(warning(rows: 4) { $0.evaluation.evalStrategy = .no } == nil)
    }
}
