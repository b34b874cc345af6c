import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusMetrics
import ApusModels
import ApusOptimizers
import ApusRunLog
import ApusText
import ApusTraining
import Foundation

extension TaskType {
    /// Vectors of texts.
    package static let embedding = TaskType(SentenceEmbedding())
}

/// Vectors of texts, learned from texts that lie near or far.
struct SentenceEmbedding: TextTask {
    let word = "embedding"
    let activity = "makes vectors"
    let peft: PEFTTask? = .featureExtraction
    let gguf: GGUFUse? = .vectors
    let losses: [LossType] = [.cosineSimilarity, .contrastive, .infoNCE]
    let standardLoss: LossType? = .cosineSimilarity
    let options = EncodingSettings.templateOptions
    /// The vectors do not pass through a pooler.
    let usesHeads = false

    func isNamed(by files: TaskFiles) throws -> Bool {
        try files.adapterTask == PEFTTask.featureExtraction.word
            || !files.hasAdapter && SentenceFiles.describe(files.source)
    }

    func head(labelCount: Int?, config: JSONValue) -> ModelTask { .hiddenStates }

    /// InfoNCE has no labels to measure vectors against.
    func metrics(loss: LossType?, problem: ProblemType?) -> [String] {
        ["loss"] + (loss == .infoNCE ? ["acc"] : EmbeddingMetrics.names)
    }

    func training(_ inputs: TrainingInputs) throws -> TrainingTask {
        let (settings, console) = (inputs.settings, inputs.console)
        let (loss, label) = Self.loss(settings)
        let model = try Models.registry.model(inputs.config, for: .hiddenStates)
        let files = try SentenceFiles(inputs.source, model: model)
        console.print(files.text)
        var options = EmbeddingRecognizer.Options()
        options.columns = settings.data.columns
        options.label = label
        let rows = try inputs.rows(as: EmbeddingRecognizer(options))
        let encoder = inputs.encoder(for: model, files: files)
        let cache = inputs.sampleCache(with: ["label": .string("\(label)")])
        let (train, validation) = try console.encoded(rows) { part, progress in
            let result = try part.tokenized(
                maximumLength: encoder.limit, strategy: encoder.strategy, isStrict: settings.data.strict,
                threads: settings.data.datasetNumProc, progress: progress, cache: cache, encode: encoder.encode)
            return (result.dataset, result.report)
        }
        let data = train.0
        try Self.check(data, settings, console: console)
        if let validation, let warning = Self.warning(validation.0, settings) {
            if let word = settings.decidedWord, Self.lone(validation.0, settings) == validation.0.count {
                throw DatasetError("\(word) follows evaluations. \(warning)")
            }
            console.print("note: \(warning)")
        }
        let samples = try TrainingSamples(
            rows: rows, isSplit: settings.data.isSplit, train: (SentenceGroups(data), train.1),
            validation: validation.map { (SentenceGroups($0.0), $0.1) }, empty: SentenceGroups(),
            row: { data.rows[$0] }, bytes: data.withBytes,
            maximumDroppedShare: settings.data.maxDroppedRatio)
        console.print(data.sample(0).shown(by: inputs.text.tokenizer))
        return TrainingTask(
            model: model, samples: samples, objective: SentencePairs(files.embedder(model), loss),
            companions: files.companions)
    }

    func loaded(_ inputs: LoadingInputs) throws -> any LoadedTask {
        let model = try Models.registry.model(inputs.config, for: .hiddenStates)
        let files = try SentenceFiles(inputs.source, model: model)
        // A pooler has no part in the vectors and may be missing.
        try inputs.load(model, newHeadSeed: 0)
        return LoadedEmbedder(embedder: files.embedder(model), files: files)
    }

    /// The loss of vectors that `lossType` names, and what it reads of a label.
    static func loss(_ settings: SFTSettings) -> (SentenceLoss, PairLabel) {
        switch settings.lossType {
        case .contrastive: (.contrastive(margin: 0.5), .binary)
        case .infoNCE: (.infoNCE(temperature: settings.optimization.infonceTemperature), .none)
        default: (.cosineSimilarity, .score)
        }
    }

    /// What is wrong with an evaluation that tells no positive from another text; nil where it does.
    static func warning(_ validation: GroupedDataset, _ settings: SFTSettings) -> String? {
        guard settings.lossType == .infoNCE, settings.evalStrategy != .no || settings.evaluation.evalOnStart else {
            return nil
        }
        let (lone, count) = (lone(validation, settings), validation.count)
        guard lone > 0 else { return nil }
        guard lone == count else {
            return
                "--loss_type infonce: \(lone) of \(count) validation rows \(lone == 1 ? "is" : "are") alone in a batch and "
                + "without negatives, which counts as a loss of 0 and an acc of 1 whatever is learned. Give a "
                + "--per_device_eval_batch_size that leaves no row alone, or negatives."
        }
        let advice =
            count == 1 ? "Give more validation rows, or negatives." : "Give --per_device_eval_batch_size 2 or more."
        return "--loss_type infonce: no validation row has negatives, and a batch of one row brings none, so that "
            + "eval_loss is 0 and eval_acc 1 whatever is learned. \(advice)"
    }

    /// Rows of an evaluation that have nothing to be told from: no negatives, and no other row in their batch.
    private static func lone(_ validation: GroupedDataset, _ settings: SFTSettings) -> Int {
        let size = settings.evaluation.perDeviceEvalBatchSize
        let alone = size == 1 ? validation.indices : validation.indices.suffix(validation.count % size == 1 ? 1 : 0)
        return alone.count { validation.counts(of: $0).negatives == 0 }
    }

    private static func check(_ data: GroupedDataset, _ settings: SFTSettings, console: Console) throws {
        if settings.lossType == .infoNCE, settings.optimization.perDeviceTrainBatchSize == 1 || data.count == 1,
            !data.indices.contains(where: { data.counts(of: $0).negatives > 0 })
        {
            throw DatasetError(
                "--loss_type infonce: no row has negatives, and a batch of one row brings none, so there is nothing to "
                    + "tell a positive from. Give --per_device_train_batch_size 2 or more.")
        }
        guard settings.lossType == .cosineSimilarity else { return }
        let labels = data.indices.compactMap { data.sample($0).label }
        if let least = labels.min(), let most = labels.max(), least < -1 || most > 1 {
            console.print(
                "labels go from \(least) to \(most), but a cosine only from -1 to 1: bring them there, such as by "
                    + "dividing by \(max(abs(least), abs(most)))")
        }
    }
}

extension SFTSettings {
    /// What of the run evaluations decide, in the words of the command line; nil where that is nothing.
    fileprivate var decidedWord: String? {
        evaluation.followingWords.first
            ?? (optimization.lrSchedulerType == .reduceOnPlateau ? "--lr_scheduler_type reduce_lr_on_plateau" : nil)
    }
}

/// A model that turns texts into vectors.
struct LoadedEmbedder: LoadedTask {
    let embedder: SentenceEmbedder
    let files: SentenceFiles

    var model: any TextModel { embedder.model }
    var companions: [(name: String, data: Data)] { files.companions }

    func answer(_ request: AnswerRequest) throws {
        try Embedding(request, embedder: embedder, files: files)()
    }
}

extension GroupedDataset.Group {
    /// The first sample of a run as a person reads it.
    func shown(by tokenizer: Tokenizer) -> String {
        let names =
            (anchor == nil ? [] : ["ANCHOR"]) + positives.map { _ in "POSITIVE" } + negatives.map { _ in "NEGATIVE" }
        let lines = zip(names, texts).map { "[\($0)_IDS] \($1.ids)\n[\($0)] \(tokenizer.decode($1.ids))" }
        return (["first sample:"] + lines + (label.map { ["[LABEL] \($0)"] } ?? [])).joined(separator: "\n")
    }
}
