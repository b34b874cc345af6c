import ApusDatasets
import ApusRunLog
import ApusText
import ApusTraining

extension TrainingSamples {
    /// Samples of the settings' data that are read and encoded while the run goes on.
    ///
    /// The validation data are read before it.
    init(
        streaming inputs: TrainingInputs, as recognizer: ConversationRecognizer, truncation: Truncation,
        encode: @escaping ConversationEncoding
    ) throws {
        let (settings, console) = (inputs.settings, inputs.console)
        var options = StreamedDataset.Options(truncation: truncation)
        options.seed = UInt32(truncatingIfNeeded: settings.data.dataSeed)
        options.bufferSize = settings.data.datasetShuffle ? settings.batches.shuffleBufferSize : 1
        options.interleaving = try settings.data.interleaving()
        let fetcher = try DatasetFetcher(inputs.surroundings, files: settings.data.customDatasetInfo)
        options.fetching = { try fetcher($0) }
        options.isStrict = settings.data.strict
        options.maximumDroppedShare = settings.data.maxDroppedRatio
        options.threads = settings.data.datasetNumProc
        options.window =
            settings.optimization.perDeviceTrainBatchSize * settings.optimization.gradientAccumulationSteps
        if settings.batches.packing {
            options.packing = (
                settings.batches.packingLength ?? truncation.maximumLength ?? .max, settings.batches.packingStrategy
            )
        }
        let stream = try StreamedDataset(settings.data.dataset, as: recognizer, options: options, encode: encode)
        let name = settings.data.dataset.joined(separator: ", ")
        console.print("streaming \(name)")
        var validation: (TokenizedDataset, EncodingReport)?
        var report: DatasetReport?
        if !settings.data.valDataset.isEmpty {
            let rows = try DatasetLoader(settings.data, surroundings: inputs.surroundings).load(
                [], validation: settings.data.valDataset, as: recognizer)
            console.print(rows.report.text)
            report = rows.report
            let bar = console.startProgress("Map (val)", total: rows.validation.count)
            let result = try rows.validation.tokenized(
                truncation: truncation, isStrict: settings.data.strict, threads: settings.data.datasetNumProc,
                progress: { done, _ in bar.update(to: done) }, encode: encode)
            bar.finish()
            console.print("val: \(result.report.text)")
            validation = (result.dataset, result.report)
        }
        try self.init(stream: stream, name: name, validation: validation, validationReport: report)
        if let sample = stream.samples(0).first { console.preview(sample, inputs.text.tokenizer) }
    }
}
