import ApusAdapters
import ApusDatasets
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
        adapted = try AdaptedModel(
            AdaptedModel.Request(
                model: settings.model, adapters: settings.adapters, taskType: settings.taskType,
                labelCount: settings.numLabels, problemType: settings.problemType, dtype: settings.torchDType?.dtype,
                device: Devices.device(settings.device)),
            surroundings: surroundings)
        if settings.mergeLoRA { try adapted.attached?.merge() }
    }

    /// Talks, or goes through the data set that the settings name.
    public func callAsFunction() throws {
        switch adapted.form {
        case .language(let language):
            try Conversing(settings, language: language, surroundings: surroundings)()
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
