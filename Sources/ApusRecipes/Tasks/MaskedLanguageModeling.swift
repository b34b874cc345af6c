import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusRunLog
import ApusText
import ApusTraining

extension TaskType {
    /// Tokens behind masks.
    package static let maskedLanguageModel = TaskType(MaskedLanguageModeling())
}

/// Tokens behind masks: texts of which some tokens are hidden and learned.
struct MaskedLanguageModeling: TextTask {
    let word = "mlm"
    let activity = "fills in masks"
    let peft: PEFTTask? = nil
    let automaticClass: String? = "AutoModelForMaskedLM"
    let options: Set<String> = ["mlm_probability", "top_k", "label_smoothing_factor"]
    let predictsTokens = true
    let drawsSamples = true

    func isNamed(by files: TaskFiles) throws -> Bool {
        let names = files.config["architectures"]?.arrayValue?.compactMap(\.stringValue) ?? []
        return try !files.hasAdapter && names.contains { $0.hasSuffix("ForMaskedLM") }
            && !SentenceFiles.describe(files.source)
    }

    func head(labelCount: Int?, config: JSONValue) -> ModelTask { .maskedLanguageModel }

    func metrics(loss: LossType?, problem: ProblemType?) -> [String] { ["loss", "token_acc"] }

    func training(_ inputs: TrainingInputs) throws -> TrainingTask {
        let (settings, console, tokenizer) = (inputs.settings, inputs.console, inputs.text.tokenizer)
        let model = try Models.registry.masked(inputs.config)
        guard let mask = tokenizer.maskTokenID else {
            throw ModelError(
                "--task_type mlm: the tokenizer of \(inputs.source.name) has no mask token. Give a BERT or RoBERTa.")
        }
        var options = LabelledRecognizer.Options()
        options.columns = settings.data.columns
        options.requiresLabel = false
        let rows = try inputs.rows(as: LabelledRecognizer(options))
        let encoder = inputs.encoder(for: model)
        let special = Set(tokenizer.specialTokens.compactMap(tokenizer.id))
        func masked(_ data: ScoredDataset) -> MaskedTokens {
            MaskedTokens(
                data, mask: mask, special: special, vocabulary: min(tokenizer.vocabularySize, model.vocabularySize),
                share: settings.encoding.mlmProbability)
        }
        let cache = inputs.sampleCache()
        let (train, validation) = try console.encoded(rows) { part, progress in
            let result = try part.tokenized(
                scheme: nil, maximumLength: encoder.limit, strategy: encoder.strategy, isStrict: settings.data.strict,
                threads: settings.data.datasetNumProc, progress: progress, cache: cache
            ) { row in
                let encoded = try encoder.encode(row)
                guard !encoded.ids.allSatisfy(special.contains) else {
                    throw RowRejection("no token that can be hidden")
                }
                return encoded
            }
            return (result.dataset, result.report)
        }
        let data = train.0
        let samples = try TrainingSamples(
            rows: rows, isSplit: settings.data.isSplit, train: (masked(data), train.1),
            validation: validation.map { (masked($0.0), $0.1) }, empty: masked(ScoredDataset()),
            row: { data.rows[$0] }, bytes: data.withBytes,
            maximumDroppedShare: settings.data.maxDroppedRatio)
        let first = masked(data).batch([0], draw: 0)
        console.print(
            "first sample:\n[INPUT] \(tokenizer.decode(first.tokens))\n"
                + "[LABELS] \(first.targets.labels.map { tokenizer.decode([$0]) })")
        return TrainingTask(model: model, samples: samples, objective: MaskedToken(model, settings.objective.ofLabels))
    }

    func loaded(_ inputs: LoadingInputs) throws -> any LoadedTask {
        let model = try Models.registry.masked(inputs.config)
        try inputs.load(model)
        return LoadedMaskFiller(filler: model)
    }
}

/// A model that fills in masked tokens.
struct LoadedMaskFiller: LoadedTask {
    let filler: MaskedLanguageModel

    var model: any TextModel { filler }

    func answer(_ request: AnswerRequest) throws {
        try MaskFilling(request, model: filler)()
    }
}

extension ModelRegistry {
    /// The model that a configuration describes, with a head that fills in masked tokens.
    fileprivate func masked(_ config: JSONValue) throws -> MaskedLanguageModel {
        guard let model = try model(config, for: .maskedLanguageModel) as? MaskedLanguageModel else {
            throw ModelError("config.json does not describe a model that can fill in masked tokens")
        }
        return model
    }
}
