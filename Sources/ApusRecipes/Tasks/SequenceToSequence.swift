import ApusAdapters
import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusMetrics
import ApusModels
import ApusRunLog
import ApusText
import ApusTraining

extension TaskType {
    /// Texts that are read whole, and others that are written.
    package static let sequenceToSequence = TaskType(SequenceToSequence())
}

/// Texts that an encoder reads whole, and answers that a decoder learns to write.
struct SequenceToSequence: TextTask {
    let word = "seq2seq_lm"
    let activity = "answers texts one by one, without a chat template"
    let peft: PEFTTask? = .sequenceToSequence
    let writesText = true
    let gguf: GGUFUse? = .text
    let options = GenerationSettings.options.union([
        "max_target_length", "predict_with_generate", "generation_max_length", "prompt_format",
        "disable_auto_column_mapping", "label_smoothing_factor", "enable_dft_loss", "enable_channel_loss",
        "acc_strategy",
    ])
    let predictsTokens = true
    let generatedMetrics = AnswerMetrics.names

    /// The most tokens of an answer where nothing says another number.
    static let answerLimit = 512

    func isNamed(by files: TaskFiles) -> Bool {
        files.adapterTask == PEFTTask.sequenceToSequence.word || isOnlyTask(of: files.config)
    }

    func isOnlyTask(of config: JSONValue) -> Bool { config["is_encoder_decoder"] == true }

    func head(labelCount: Int?, config: JSONValue) -> ModelTask { .sequenceToSequence }

    func metrics(loss: LossType?, problem: ProblemType?) -> [String] { ["loss", "token_acc"] }

    func training(_ inputs: TrainingInputs) throws -> TrainingTask {
        let (settings, tokenizer, console) = (inputs.settings, inputs.text.tokenizer, inputs.console)
        let model = try Models.registry.sequenceToSequence(inputs.config)
        let start = model.trunk.startToken ?? 0
        let rows = try inputs.rows(as: ConversationRecognizer(ConversationRecognizer.Options(settings.data)))
        let encoding = SourceTargetEncoder(settings.encoding, tokenizer: tokenizer)
        let cache = inputs.sampleCache()
        let (train, validation) = try console.encoded(rows) { part, progress in
            let result = try part.tokenized(
                truncation: Truncation(), isStrict: settings.data.strict, threads: settings.data.datasetNumProc,
                progress: progress, cache: cache, encode: encoding.encode)
            return (result.dataset, result.report)
        }
        let data = train.0
        let samples = try TrainingSamples(
            rows: rows, isSplit: settings.data.isSplit, train: (SourceTargetSamples(data, start: start), train.1),
            validation: validation.map { (SourceTargetSamples($0.0, start: start), $0.1) },
            empty: SourceTargetSamples(start: start), row: { data.conversations[$0] }, bytes: data.withBytes,
            maximumDroppedShare: settings.data.maxDroppedRatio)
        let first = SourceTargetSamples(data, start: start).batch([0], draw: nil)
        let (source, answer) = (first.source?.tokens ?? [], first.targets.labels)
        console.print(
            "first sample:\n[INPUT_IDS] \(source)\n[INPUT] \(tokenizer.decode(source))\n[LABELS_IDS] \(answer)\n"
                + "[LABELS] \(tokenizer.decode(answer))")
        return TrainingTask(model: model, samples: samples, objective: try objective(inputs, model))
    }

    private func objective(_ inputs: TrainingInputs, _ model: CausalLanguageModel) throws -> any Objective {
        let (evaluation, encoding) = (inputs.settings.evaluation, inputs.settings.encoding)
        guard evaluation.predictWithGenerate else { return NextToken(model, inputs.settings.objective.tokens) }
        let defaults = try GenerationDefaults(
            inputs.source, config: inputs.config, tokenizer: inputs.text.tokenizer,
            vocabularySize: model.vocabularySize)
        // As in transformers the length counts the token that an answer begins with.
        let limit = evaluation.generationMaxLength.map { $0 - 1 } ?? encoding.maxTargetLength ?? Self.answerLimit
        return AnsweredTargets(
            model: model, tokenizer: inputs.text.tokenizer, limit: limit,
            ends: AnswerEnds(tokens: defaults.endTokens, tokenizer: inputs.text.tokenizer),
            options: inputs.settings.objective.tokens)
    }

    func loaded(_ inputs: LoadingInputs) throws -> any LoadedTask {
        LoadedLanguage(
            language: try LanguageModel(
                inputs.source, for: .sequenceToSequence, dtype: inputs.settings.torchDType, device: inputs.device,
                quantization: inputs.settings.quantization,
                wholeModules: inputs.adapter?.method.base.storedModules ?? []))
    }
}

extension SourceTargetEncoder {
    /// The encoder that the settings ask for.
    init(_ settings: EncodingSettings, tokenizer: Tokenizer) {
        self.init(
            tokenizer: tokenizer, sourceLimit: settings.maxLength, answerLimit: settings.maxTargetLength,
            strategy: settings.truncationStrategy, system: settings.system)
    }
}
