import ApusAdapters
import ApusDatasets
import ApusRunLog
import ApusTorch
import Foundation

/// What a model says: to a person at a terminal, or of every row of a file.
public struct Inference {
    private let settings: InferSettings
    private let surroundings: Surroundings
    private let adapted: AdaptedModel

    /// Loads the model and its adapter.
    public init(_ settings: InferSettings, surroundings: Surroundings = Surroundings()) throws {
        self.settings = settings
        self.surroundings = surroundings
        if settings.hasData, let path = settings.resultPath {
            try ResultFile.check(path, existing: settings.existingResult)
        }
        adapted = try AdaptedModel(
            AdaptedModel.Request(
                model: settings.model, adapters: settings.adapters, taskType: settings.taskType,
                labelCount: settings.numLabels, problemType: settings.problemType, dtype: settings.torchDType,
                device: settings.device ?? .fastest),
            surroundings: surroundings)
        if settings.mergeLoRA { try adapted.attached?.merge() }
        let console = Console(style: ConsoleStyle(environment: surroundings.environment))
        for note in adapted.notices + idleSettings { console.print("note: \(note)") }
    }

    /// Names the settings that a model of this kind has no use for.
    private var idleSettings: [String] {
        let generation = [
            "max_new_tokens", "temperature", "top_k", "top_p", "repetition_penalty", "stop_words", "response_prefix",
            "enable_thinking",
        ]
        let (idle, reason): ([String], String) =
            switch adapted.form {
            case .language: (["problem_type", "pair_format", "reranker_use_activation"], "the model continues text")
            case .masked:
                (
                    generation.filter { $0 != "top_k" } + ["problem_type", "reranker_use_activation"],
                    "the model fills in masks"
                )
            case .sentences:
                (generation + ["problem_type", "pair_format", "reranker_use_activation"], "the model makes vectors")
            case .classifier where settings.taskType == .reranker: (generation, "the model scores documents")
            case .classifier: (generation + ["reranker_use_activation"], "the model scores texts")
            }
        let ofEncoder =
            adapted.form.model.isEncoder
            ? settings.withoutEffect(
                ["system", "pair_format"].filter { !idle.contains($0) }, because: "an encoder sees texts as segments")
            : nil
        let ofFile =
            settings.hasData
            ? nil
            : settings.withoutEffect(
                ["result_path", "existing_result"], because: "only answers to a dataset are written to a file")
        return [settings.withoutEffect(idle, because: reason), ofEncoder, ofFile].compactMap(\.self)
    }

    /// Answers the question or the data set that the settings name, or standard input.
    public func callAsFunction() throws {
        try callAsFunction(terminal: nil)
    }

    /// - Parameter terminal: Where a person types, for a chat.
    package func callAsFunction(terminal: (any LineInput)?) throws {
        switch adapted.form {
        case .language(let language):
            try Conversing(settings, language: language, surroundings: surroundings)(terminal)
        case .masked(let model):
            try MaskFilling(settings, model: model, source: adapted.source, surroundings: surroundings)()
        case .sentences(let embedder, let files):
            try Embedding(
                settings, embedder: embedder, files: files, source: adapted.source, surroundings: surroundings)()
        case .classifier(let model, _) where settings.taskType == .reranker:
            try Reranking(settings, model: model, source: adapted.source, surroundings: surroundings)()
        case .classifier(let model, let labels):
            try Scoring(settings, model: model, labels: labels, source: adapted.source, surroundings: surroundings)()
        }
    }
}

extension DatasetLoader {
    /// The loader that the settings ask for; with the data settings of a training run, the rows that it had split off
    /// are meant.
    init(_ settings: InferSettings) {
        self.init()
        isStrict = settings.strict
        // Training left such rows out before it split; whole data keeps them, to say of each why it has no answer.
        keepsUnusable = !settings.strict && !settings.isSplit
        threads = settings.datasetNumProc
        seed = UInt32(truncatingIfNeeded: settings.dataSeed)
        shufflesValidation = settings.valDatasetShuffle
        if settings.isSplit {
            splitRatio = settings.splitDatasetRatio
            shufflesTraining = settings.datasetShuffle
        }
    }
}

extension InferSettings {
    var isSplit: Bool { valDataset.isEmpty && splitDatasetRatio > 0 }

    /// Rows that go through the model together.
    var groupSize: Int { maxBatchSize > 0 ? maxBatchSize : 32 }

    /// Data of which the split-off part is answered.
    var answered: [String] { isSplit ? dataset : [] }

    /// Data that is answered whole.
    var answeredWhole: [String] { isSplit ? [] : valDataset.isEmpty ? dataset : valDataset }
}
