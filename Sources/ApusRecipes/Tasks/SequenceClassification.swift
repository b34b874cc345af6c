import ApusAdapters
import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusMetrics
import ApusModels
import ApusRunLog
import ApusText
import ApusTorch
import ApusTraining

extension TaskType {
    /// Classes or numbers of whole texts.
    package static let sequenceClassification = TaskType(SequenceClassification())
}

/// Classes or numbers of whole texts, learned from labels.
struct SequenceClassification: TextTask {
    let word = "seq_cls"
    let activity = "scores texts"
    let peft: PEFTTask? = .sequenceClassification
    let gguf: GGUFUse? = .scores
    let options = EncodingSettings.templateOptions.union([
        "label_smoothing_factor",
        "num_labels", "problem_type", "multi_label_format", "pair_format",
    ])

    func isNamed(by files: TaskFiles) -> Bool {
        files.adapterTask == PEFTTask.sequenceClassification.word || LabelScheme.isDescribed(by: files.config)
    }

    func head(labelCount: Int?, config: JSONValue) throws -> ModelTask {
        .sequenceClassification(
            labels: try labelCount ?? LabelReading(config: config).scheme(labelCount: nil).labelCount)
    }

    func metrics(loss: LossType?, problem: ProblemType?) -> [String] {
        let all = (problem.map { [$0] } ?? ProblemType.allCases).flatMap { problem in
            switch problem {
            case .regression: RegressionMetrics.names
            case .singleLabel: ["acc"] + ClassificationMetrics.names
            case .multiLabel: MultiLabelMetrics.names
            }
        }
        return ["loss"] + all.enumerated().filter { all.firstIndex(of: $1) == $0 }.map(\.element)
    }

    func training(_ inputs: TrainingInputs) throws -> TrainingTask {
        let (settings, console) = (inputs.settings, inputs.console)
        var options = LabelledRecognizer.Options()
        options.columns = settings.data.columns
        let rows = try inputs.rows(as: LabelledRecognizer(options))
        let scheme = try LabelScheme(
            problemType: settings.model.problemType, labelCount: settings.model.numLabels,
            map: LabelMap(config: inputs.config),
            format: settings.model.multiLabelFormat, inferredFrom: rows.train, threads: settings.data.datasetNumProc)
        console.print(scheme.text)
        try BestMetric.check(
            settings.evaluation.metricForBestModel, among: metrics(loss: nil, problem: scheme.problemType),
            of: scheme.problemType.rawValue)
        if settings.objective.ofLabels != .crossEntropy, scheme.problemType != .singleLabel {
            throw SettingsError(
                "--label_smoothing_factor \(readable(settings.objective.labelSmoothingFactor)) spreads a label over classes, "
                    + "and the labels are \(scheme.problemType.rawValue). Leave it out.")
        }
        let model = try Models.registry.classifier(inputs.config, labels: scheme.labelCount)
        let encoder = inputs.encoder(for: model)
        let cache = inputs.sampleCache()
        let (train, validation) = try console.encoded(rows) { part, progress in
            let result = try part.tokenized(
                scheme: scheme, maximumLength: encoder.limit, strategy: encoder.strategy,
                isStrict: settings.data.strict,
                threads: settings.data.datasetNumProc, progress: progress, cache: cache, encode: encoder.encode)
            return (result.dataset, result.report)
        }
        let data = train.0
        let samples = try TrainingSamples(
            rows: rows, isSplit: settings.data.isSplit, train: train, validation: validation, empty: ScoredDataset(),
            row: { data.rows[$0] }, bytes: data.withBytes,
            maximumDroppedShare: settings.data.maxDroppedRatio)
        let first = data.sample(0)
        console.print(
            "first sample:\n[INPUT_IDS] \(first.ids)\n[INPUT] \(inputs.text.tokenizer.decode(first.ids))\n"
                + "[LABEL] \(first.target.map(scheme.shown) ?? "none")")
        return TrainingTask(
            model: model, samples: samples,
            objective: SequenceScores(
                model, scheme.problemType, classNames: scheme.map?.names ?? [], form: settings.objective.ofLabels),
            labels: scheme)
    }

    func loaded(_ inputs: LoadingInputs) throws -> any LoadedTask {
        let scheme = try LabelReading(config: inputs.config, adapter: inputs.adapter?.folder)
            .scheme(labelCount: inputs.settings.numLabels, problemType: inputs.settings.problemType)
        return try LoadedClassifier(inputs, scheme)
    }
}

/// A model that scores whole texts, and what the scores mean.
struct LoadedClassifier: LoadedTask {
    let classifier: SequenceClassifier
    let scheme: LabelScheme
    let newWeights: [String]

    init(_ inputs: LoadingInputs, _ scheme: LabelScheme) throws {
        self.scheme = scheme
        classifier = try Models.registry.classifier(inputs.config, labels: scheme.labelCount)
        newWeights = try inputs.load(classifier, newHeadSeed: inputs.headSeed)
    }

    var model: any TextModel { classifier }
    var labels: LabelScheme? { scheme }

    func answer(_ request: AnswerRequest) throws {
        try Scoring(request, model: classifier, labels: scheme)()
    }
}

extension LoadingInputs {
    /// The head of a base model is made anew only where an adapter brings the trained one.
    var headSeed: UInt64? { adapter?.method.base.storedModules.isEmpty == false ? 0 : nil }
}

extension ModelRegistry {
    /// The model that a configuration describes, with a head that scores whole sequences.
    func classifier(_ config: JSONValue, labels: Int) throws -> SequenceClassifier {
        guard let model = try model(config, for: .sequenceClassification(labels: labels)) as? SequenceClassifier
        else { throw ModelError("config.json does not describe a model that can score whole texts") }
        return model
    }
}
