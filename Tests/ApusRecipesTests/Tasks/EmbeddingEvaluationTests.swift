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

    @Test func rowsThatAreLeftAloneAreCounted() {
        // The first row has a negative.
        #expect(warning(rows: 4, negatives: 1)?.contains(": 3 of 4 validation rows are alone in a batch") == true)
        let rest = warning(rows: 7) { $0.evaluation.perDeviceEvalBatchSize = 3 }
        #expect(rest?.contains(": 1 of 7 validation rows is alone in a batch") == true)
    }

    /// What an evaluation decides is not left to one that is the same whatever is learned.
    @Test func nothingIsDecidedByAConstant() throws {
        let run = try TinyRun()
        let rows = (0..<4).map { #"{"query": "n \#($0)", "response": "m \#($0)", "label": 1}"# }
        try run.folder.write(rows.joined(separator: "\n"), to: "pairs.jsonl")
        let pairs = run.with {
            $0.model.taskType = .embedding
            $0.optimization.lossType = .infoNCE
            $0.data.dataset = ["\(run.folder.path)/pairs.jsonl"]
            $0.data.valDataset = $0.data.dataset
            $0.optimization.maxSteps = 2
            $0.evaluation.saveSteps = 1
        }
        try pairs()
        let refusal = pairs.with {
            $0.output.overwriteOutputDirectory = true
            $0.evaluation.earlyStopInterval = 2
        }.refusal()
        #expect(refusal.contains("--early_stop_interval 2 follows evaluations. --loss_type infonce:"), "\(refusal)")
    }

    @Test func whatIsMeasuredIsNotWarnedOf() {
        #expect(warning(rows: 4) { $0.evaluation.perDeviceEvalBatchSize = 2 } == nil)
        #expect(warning(rows: 1, negatives: 1) == nil)
        #expect(warning(rows: 5) { $0.evaluation.perDeviceEvalBatchSize = 3 } == nil)
        #expect(warning(rows: 4) { $0.optimization.lossType = .cosineSimilarity } == nil)
        #expect(warning(rows: 4) { $0.evaluation.evalStrategy = .no } == nil)
    }
}
