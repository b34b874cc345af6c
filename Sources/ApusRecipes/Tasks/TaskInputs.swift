import ApusAdapters
import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusRunLog
import ApusText
import ApusTorch

/// The files that say what a model is for.
struct TaskFiles {
    let source: ModelSource
    let config: JSONValue
    /// PEFT's word for the task of an adapter on the model, where the adapter has one.
    var adapterTask: String?
    var hasAdapter = false
}

/// What a task makes a run of.
struct TrainingInputs {
    let settings: SFTSettings
    let source: ModelSource
    let config: JSONValue
    let text: TextParts
    let console: Console
    /// What the prompt that will be put in front of each text takes.
    let promptPlaces: Int
    let surroundings: Surroundings

    /// Reads the rows of the data, and says what became of them.
    func rows<Recognizer: RowRecognizer>(as recognizer: Recognizer) throws -> LoadedRows<Recognizer> {
        var loader = try DatasetLoader(settings.data, surroundings: surroundings)
        loader.requiresTraining = true
        let rows = try loader.load(settings.data.dataset, validation: settings.data.valDataset, as: recognizer)
        console.print(rows.report.text)
        try DroppedShare.check(
            rows.report.droppedShare, limit: settings.data.maxDroppedRatio,
            rows: rows.report.files.flatMap(\.droppedRows))
        return rows
    }

    /// Looks whether the weights of a second model are there and fit it.
    ///
    /// - Parameter option: What named it.
    func checkWeights(_ model: any TextModel, _ name: String, _ config: JSONValue, _ option: String) throws {
        do {
            let weights = try WeightLoading(
                ModelSource(name, surroundings: surroundings), config: config, options: settings.model.quantization,
                dtype: settings.precision ?? LanguageModel.storedDType(config) ?? .float32,
                device: settings.hardware.chosen)
            try model.checkWeights(weights.store, matrices: weights.matrices)
        } catch let error as ModelError {
            throw ModelError("\(option) \(name): \(error)")
        }
    }

    /// What makes sequences of texts for a model.
    func encoder(for model: any TextModel, files: SentenceFiles? = nil) -> SequenceEncoder {
        SequenceEncoder(settings.encoding, text: text, model: model, files: files, leaving: promptPlaces)
    }
}

/// What a task loads a model from.
struct LoadingInputs {
    let settings: ModelSettings
    let device: Device
    let source: ModelSource
    let config: JSONValue
    /// The adapter that goes on the model.
    let adapter: (folder: String, method: any AdapterMethod)?

    /// Loads the weights of the files.
    ///
    /// - Parameter newHeadSeed: For a head that the files do not have; nil where they must.
    /// - Returns: The names of the weights that were made anew.
    @discardableResult
    func load(_ model: any TextModel, newHeadSeed: UInt64? = nil) throws -> [String] {
        let dtype = settings.torchDType ?? LanguageModel.storedDType(config) ?? .float32
        try device.open()
        let weights = try WeightLoading(
            source, config: config, options: settings.quantization, dtype: dtype, device: device,
            wholeModules: adapter?.method.base.storedModules ?? [])
        return try model.loadWeights(
            weights.store, dtype: dtype, device: device, newHeadSeed: newHeadSeed, matrices: weights.matrices)
    }
}
