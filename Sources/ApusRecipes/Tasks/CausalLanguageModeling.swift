import ApusAdapters
import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusMetrics
import ApusModels
import ApusNN
import ApusRunLog
import ApusText
import ApusTraining

extension TaskType {
    /// Continuing text.
    package static let causalLM = TaskType(CausalLanguageModeling())
}

/// Continuing text: conversations, of which the answers are learned.
struct CausalLanguageModeling: TextTask {
    let word = "causal_lm"
    let activity = "continues text"
    let peft: PEFTTask? = .causalLM
    let writesText = true
    let gguf: GGUFUse? = .text
    let converses = true
    let options = EncodingSettings.templateOptions.union(GenerationSettings.options).union([
        "loss_scale", "response_prefix", "router_aux_loss_coef", "prompt_format", "packing", "packing_length",
        "packing_strategy", "streaming", "shuffle_buffer_size", "is_binary_loss_scale", "disable_auto_column_mapping",
        "disable_ignore_empty_think",
        "label_smoothing_factor", "enable_dft_loss", "enable_channel_loss", "acc_strategy", "predict_with_generate",
    ])
    let predictsTokens = true
    let generatedMetrics = AnswerMetrics.names

    func isNamed(by files: TaskFiles) -> Bool { true }

    func head(labelCount: Int?, config: JSONValue) -> ModelTask { .causalLanguageModel }

    func metrics(loss: LossType?, problem: ProblemType?) -> [String] { ["loss", "token_acc"] }

    func training(_ inputs: TrainingInputs) throws -> TrainingTask {
        let (settings, text, console) = (inputs.settings, inputs.text, inputs.console)
        if text.fallsBack, settings.encoding.useChatTemplate {
            console.print("\(inputs.source.name) has no chat template; ChatML is used")
        }
        let model = try Models.registry.model(inputs.config)
        try model.setRouterLoss(settings.optimization.routerAuxLossCoef)
        let objective = try objective(inputs, model)
        let recognizer = try ConversationRecognizer(ConversationRecognizer.Options(settings.data))
        let truncation = try inputs.truncation(for: model)
        let encoding = ConversationEncoder(settings.encoding, text: text)
        if settings.batches.streaming {
            let samples = try TrainingSamples(
                streaming: inputs, as: recognizer, truncation: truncation, encode: encoding.encode)
            return TrainingTask(model: model, samples: samples, objective: objective)
        }
        let rows = try inputs.rows(as: recognizer)
        let cache = inputs.sampleCache()
        let (train, validation) = try console.encoded(rows) { part, progress in
            let result = try part.tokenized(
                truncation: truncation, isStrict: settings.data.strict, threads: settings.data.datasetNumProc,
                progress: progress, cache: cache, encode: encoding.encode)
            return (result.dataset, result.report)
        }
        let data = train.0
        let samples = try TrainingSamples(
            rows: rows, isSplit: settings.data.isSplit, train: train, validation: validation, empty: TokenizedDataset(),
            row: { data.conversations[$0] }, bytes: data.withBytes,
            maximumDroppedShare: settings.data.maxDroppedRatio)
        console.preview(data.sample(0), text.tokenizer)
        return TrainingTask(model: model, samples: samples, objective: objective)
    }

    private func objective(_ inputs: TrainingInputs, _ model: CausalLanguageModel) throws -> any Objective {
        let settings = inputs.settings
        guard settings.evaluation.predictWithGenerate else { return NextToken(model, settings.objective.tokens) }
        return AnsweredTargets(
            model: model, tokenizer: inputs.text.tokenizer, limit: settings.evaluation.maxNewTokens,
            ends: try inputs.answerEnds(of: model),
            options: settings.objective.tokens)
    }

    func loaded(_ inputs: LoadingInputs) throws -> any LoadedTask {
        LoadedLanguage(
            language: try LanguageModel(
                inputs.source, dtype: inputs.settings.torchDType, device: inputs.device,
                quantization: inputs.settings.quantization,
                wholeModules: inputs.adapter?.method.base.storedModules ?? []))
    }
}

/// A model that continues text.
struct LoadedLanguage: LoadedTask {
    let language: LanguageModel

    var model: any TextModel { language.model }
    var notices: [String] { language.notices }

    func answer(_ request: AnswerRequest) throws {
        try Conversing(request, language: language)()
    }
}

extension CausalLanguageModel {
    /// Has the loss that spreads tokens over experts count as the settings of a run say.
    ///
    /// - Parameter weight: 0 leaves it out; nil leaves what `config.json` says.
    func setRouterLoss(_ weight: Double?) throws {
        guard let weight else { return }
        guard weight == 0 || modules().contains(where: { $0.module is any BalancedRouter }) else {
            throw SettingsError(
                "--router_aux_loss_coef \(weight): \(architecture) has no routers that send tokens to experts by softmax, "
                    + "and such a loss is not there for it. Leave the option out.")
        }
        trunk.routerLossWeight = weight == 0 ? nil : weight
    }
}

extension ConversationEncoder {
    /// The encoder that the settings of a run ask for.
    init(_ settings: EncodingSettings, text: TextParts) {
        self.init(
            tokenizer: text.tokenizer, chat: settings.useChatTemplate ? text.encoder : nil, system: settings.system,
            lossScale: settings.lossScale, isBinary: settings.isBinaryLossScale == true,
            variables: settings.templateVariables)
    }
}

extension ConversationRecognizer.Options {
    /// What the settings say of columns.
    init(_ settings: DataSettings) throws {
        self.init()
        columns = settings.columns
        mapsColumns = !settings.disableAutoColumnMapping
        promptFormat = try settings.promptFormat.map { try PromptFormat($0) }
        modelName = settings.modelName ?? []
        modelAuthor = settings.modelAuthor ?? []
    }
}

extension Console {
    /// Shows a sample and what is trained of it.
    ///
    /// - Parameter name: What it is, such as the chosen side of a pair.
    func preview(_ sample: TokenizedDataset.Sample, _ tokenizer: Tokenizer, as name: String = "first sample") {
        let preview = SamplePreview(sample) { tokenizer.decode($0) }
        print("\(name), what is trained between « »:\n\(preview.marked(usesColor: false))")
        print(preview.labels)
    }
}
