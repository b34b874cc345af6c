import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusRunLog
import ApusText
import ApusTraining
import Foundation

/// What a task brings to a run: the model with its head, what it learns from, and what is minimised.
struct TrainingTask {
    let model: any TextModel
    let samples: TrainingSamples
    let objective: any Objective
    /// How labels are read, in tasks that have them.
    let labels: LabelScheme?
    /// Files that belong to a trained model of the task, by name.
    private(set) var companions: [(name: String, data: Data)] = []

    /// Describes the model and reads the data; no weights are needed.
    init(
        _ settings: SFTSettings, source: ModelSource, config: JSONValue, text: TextParts, console: Console
    ) throws {
        switch settings.taskType {
        case .causalLM:
            let model = try Models.registry.model(config)
            samples = try TrainingSamples(
                conversations: settings, text: text, model: model, console: console)
            (self.model, objective, labels) = (model, NextToken(model), nil)
        case .sequenceClassification:
            var options = LabelledRecognizer.Options()
            options.columns = settings.columns
            let rows = try DatasetLoader(settings).load(
                settings.dataset, validation: settings.valDataset, as: LabelledRecognizer(options))
            console.print(rows.report.text)
            let scheme = try LabelScheme(
                problemType: settings.problemType,
                labelCount: settings.numLabels, map: LabelMap(config: config),
                format: settings.multiLabelFormat,
                inferredFrom: rows.train, threads: settings.datasetNumProc)
            console.print(scheme.text)
            try BestMetric.check(settings.metricForBestModel, for: scheme.problemType)
            let model = try Models.registry.classifier(config, labels: scheme.labelCount)
            samples = try TrainingSamples(
                labelled: rows, scheme: scheme, settings: settings, text: text, model: model, console: console)
            self.model = model
            objective = SequenceScores(model, scheme.problemType, classNames: scheme.map?.names ?? [])
            labels = scheme
        case .maskedLanguageModel:
            let model = try Models.registry.masked(config)
            samples = try TrainingSamples(masked: settings, text: text, model: model, console: console)
            (self.model, objective, labels) = (model, MaskedToken(model), nil)
        case .embedding:
            let model = try Models.registry.model(config, for: .hiddenStates)
            let files = try SentenceFiles(source, model: model)
            console.print(files.text)
            samples = try TrainingSamples(sentences: settings, text: text, model: model, files: files, console: console)
            (self.model, labels, companions) = (model, nil, files.companions)
            objective = SentencePairs(files.embedder(model), settings.sentenceLoss)
        case .reranker:
            let model = try Models.registry.classifier(config, labels: 1)
            samples = try TrainingSamples(documents: settings, text: text, model: model, console: console)
            self.model = model
            objective = DocumentScores(model, isListwise: settings.lossType == .listwiseReranker)
            labels = try LabelScheme(problemType: .regression, labelCount: 1)
        }
        if model.isEncoder,
            let note = settings.withoutEffect(["system", "pair_format"], because: "an encoder sees texts as segments")
        {
            console.print("note: \(note)")
        }
    }
}

extension ModelRegistry {
    /// The model that a configuration describes, with a head that scores whole sequences.
    func classifier(_ config: JSONValue, labels: Int) throws -> SequenceClassifier {
        guard let model = try model(config, for: .sequenceClassification(labels: labels)) as? SequenceClassifier
        else { throw ModelError("config.json does not describe a model that can score whole texts") }
        return model
    }

    /// The model that a configuration describes, with a head that fills in masked tokens.
    func masked(_ config: JSONValue) throws -> MaskedLanguageModel {
        guard let model = try model(config, for: .maskedLanguageModel) as? MaskedLanguageModel else {
            throw ModelError("config.json does not describe a model that can fill in masked tokens")
        }
        return model
    }
}

extension TextModel {
    /// Whether a text stands between special tokens, and two texts are two segments.
    var isEncoder: Bool { !trunk.isCausal }

    /// The tokens of a sequence at most: what was asked for, within what the model allows.
    func limit(_ asked: Int?) -> Int { min(asked ?? maximumLength, maximumLength) }
}

extension LabelMap {
    /// The names of classes that a `config.json` knows, if it knows any.
    init?(config: JSONValue) throws {
        guard let names = config["id2label"], !names.isNull else { return nil }
        try self.init(id2label: names)
    }
}

extension LabelScheme {
    /// What the `config.json` of a classifier says of its labels.
    var configuration: JSONObject {
        let placeholder = try? LabelMap(names: (0..<labelCount).map { "LABEL_\($0)" })
        var object: JSONObject = ["problem_type": .string(problemType.rawValue)]
        if let names = map ?? placeholder {
            object["id2label"] = .object(names.id2label)
            object["label2id"] = .object(names.label2id)
        }
        return object
    }
}
