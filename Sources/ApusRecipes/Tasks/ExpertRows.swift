import ApusDatasets
import ApusLanguageModel
import ApusText
import ApusTraining

/// The conversations of `--chord_sft_dataset`, read and encoded as `apus sft` does it.
struct ExpertRows {
    let data: TokenizedDataset
    /// Rows that were left out.
    let dropped: [DroppedRow]

    init(_ settings: ExpertSettings, _ inputs: TrainingInputs, _ model: CausalLanguageModel) throws {
        var run = inputs.settings
        run.data.dataset = settings.chordSFTDataset
        (run.data.valDataset, run.data.splitDatasetRatio, run.data.interleaveProb) = ([], 0, [])
        let own = TrainingInputs(
            settings: run, source: inputs.source, config: inputs.config, text: inputs.text, console: inputs.console,
            promptPlaces: inputs.promptPlaces, surroundings: inputs.surroundings)
        let rows = try own.rows(as: ConversationRecognizer(ConversationRecognizer.Options(run.data)))
        let truncation = try own.truncation(for: model)
        let encoding = ConversationEncoder(run.encoding, text: inputs.text)
        let cache = own.sampleCache()
        let (train, _) = try inputs.console.encoded(rows, as: "experts") { part, progress in
            let result = try part.tokenized(
                truncation: truncation, isStrict: run.data.strict, threads: run.data.datasetNumProc,
                progress: progress, cache: cache, encode: encoding.encode)
            return (result.dataset, result.report)
        }
        data = train.0
        dropped = rows.report.files.flatMap(\.droppedRows) + train.1.droppedRows
        try DroppedShare.check(
            1 - (1 - rows.report.droppedShare) * (1 - train.1.droppedShare), limit: run.data.maxDroppedRatio,
            rows: dropped)
        inputs.console.preview(data.sample(0), inputs.text.tokenizer, as: "first answer of the experts")
    }

    /// The tokens of the longest rows, so many of them.
    func longest(_ count: Int) -> Int {
        data.indices.map(data.length(of:)).sorted(by: >).prefix(count).reduce(0, +)
    }
}
