import ApusAdapters
import ApusFiles
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusQuantization
import ApusRunLog
import ApusTorch
import ApusWeights
import Foundation

/// What can be known of a run before its data are read, which may take minutes: whether there is such a model, such a
/// device, a folder to write into and a checkpoint to go on from, and whether they fit each other.
struct Preflight {
    let source: ModelSource
    let config: JSONValue
    let dtype: DType
    let device: Device
    let text: TextParts
    /// What the prompt that will be put in front of each text takes.
    let promptPlaces: Int
    let resume: ResumePoint
    /// The mark of the weights that an adapter is trained over; nil where the model itself is trained.
    let baseWeights: String?
    /// The weights of the model, opened.
    let weights: WeightLoading
    /// Of the model's matrices; nil where they are in full.
    let bits: Int?
    /// The settings of the run, with what the model's template decides.
    private(set) var settings: SFTSettings
    private let console: Console
    /// The folder of the run where it exists already, locked.
    private let folder: RunFolder?

    init(_ settings: SFTSettings, surroundings: Surroundings, console: Console) throws {
        self.settings = settings
        self.console = console
        var source = try ModelSource(settings.model.name ?? "", surroundings: surroundings)
        source.plan = try Tuner.layerPlan(settings, config: source.config())
        self.source = source
        config = try source.config()
        if let wanted = settings.model.modelType, let type = config["model_type"]?.stringValue, wanted != type {
            throw ModelError(
                "--model_type is \(wanted), but config.json of \(source.name) says \(type); "
                    + "leave the flag out")
        }
        let stored = LanguageModel.storedDType(config) ?? .float32
        dtype = settings.precision ?? stored
        if settings.model.torchDType == nil, dtype != stored {
            console.print(
                "--\(settings.optimization.bf16 == true ? "bf16" : "fp16") true: the weights, \(stored) in the model's files, are loaded in "
                    + "\(dtype), because Apus computes in the type of the weights")
        }
        device = settings.hardware.chosen
        try device.open()
        if let note = device.kernelNote(for: dtype) {
            console.print("note: on \(device) operations are computed by libtorch's alone, because \(note)")
        }
        let isOverBase = settings.tuner.own != nil || settings.model.tunerType.isAdapter
        baseWeights = isOverBase ? try source.weightsMark() : nil
        resume = try ResumePoint(settings, console: console)
        if resume.saved != nil {
            try resume.check(
                RunIdentity(settings, config: config, dtype: dtype, weights: baseWeights, task: nil, totalSteps: nil))
        }
        // Without a label, data or a head of its own, the model is what the tuner and the tokenizer must fit.
        let head = try settings.task.head(labelCount: settings.model.numLabels ?? 1, config: config)
        let model = try Models.registry.model(config, for: head)
        let packed = try source.bitsAndBytes(config)
        if let packed, !settings.model.tunerType.isAdapter {
            throw SettingsError(
                "--tuner_type full: the weights of \(source.name) are quantised (\(packed.bits) bits), and no gradient "
                    + "moves indices. Train an adapter over them (--tuner_type lora), or give the model in its original "
                    + "precision.")
        }
        bits = settings.model.quantization.bits ?? packed?.bits
        let tuner = try Tuner(settings, model: model, config: config, sourceName: source.recordedName, bits: bits)
        if settings.optimization.optim == .apollo, settings.optimization.optimizer != .muon {
            _ = try settings.optimization.projected(of: tuner.linearMatrices(of: model))
        }
        promptPlaces = model.promptPlaces
        text = try TextParts(source, of: model, settings.encoding)
        for notice in text.notices { console.print("note: \(notice)") }
        if let notice = self.settings.leaveEmptyThoughtsOut(text.encoder) { console.print("note: \(notice)") }
        // Opening weights compares what their headers say with the sizes of the files.
        weights = try WeightLoading(
            source, config: config, options: settings.model.quantization, dtype: dtype, device: device,
            wholeModules: tuner.wholeModules)
        for notice in [weights.notice].compactMap(\.self) + tuner.notices { console.print("note: \(notice)") }
        // How many scores a head gives, data may say.
        let isKnown = try settings.model.numLabels != nil || settings.task.head(labelCount: 2, config: config) == head
        if tuner.isFull, let checkpoint = resume.checkpoint {
            try model.checkWeights(
                ModelSource(checkpoint, surroundings: surroundings).weights(), scope: isKnown ? .all : .trunk)
        } else {
            try model.checkWeights(
                weights.store, allowsNewHead: true, scope: isKnown ? .all : .trunk, matrices: weights.matrices)
        }
        try surroundings.checkTrackers(settings.output)
        for adapter in settings.model.adapters { _ = try AdapterFiles.weights(in: adapter) }
        // Last, because entering a folder leaves the lock's file in it.
        folder = try Self.existingFolder(settings, resume: resume)
    }

    /// The folder of the run, made or entered.
    func enterFolder() throws -> RunFolder {
        let folder =
            try folder ?? RunFolder(outputDirectory: settings.outputDirectory, addVersion: settings.output.addVersion)
        guard resume.folder == nil, !settings.output.addVersion else { return folder }
        if settings.output.overwriteOutputDirectory {
            try folder.removeEarlierRun()
        } else if let aside = try folder.setAsideRecords() {
            console.print("the records of an earlier run in \(folder.path) are now in \(aside)")
        }
        return folder
    }

    // MARK: - Checks

    /// The folder that the run will write into, where it is there already.
    ///
    /// - Throws: `SettingsError` when nothing can be written there, or when a new run would mix with an earlier one.
    private static func existingFolder(_ settings: SFTSettings, resume: ResumePoint) throws -> RunFolder? {
        if let logging = settings.output.loggingDirectory { try OutputPlace.check(logging, "logging_dir") }
        if let folder = resume.folder { return try RunFolder(existing: folder) }
        let output = settings.outputDirectory
        try OutputPlace.check(output, "output_dir")
        guard !settings.output.addVersion, FileManager.default.fileExists(atPath: output) else { return nil }
        let present = try SavedCheckpoint.all(in: output)
        guard present.isEmpty || settings.output.overwriteOutputDirectory else {
            let names = present.suffix(3).map { FilePath.lastComponent(of: $0.path) }.joined(separator: ", ")
            throw SettingsError(
                "--add_version false: \(output) holds checkpoints of an earlier run (\(names)), with which those of this "
                    + "one would mix. Go on with that run (--resume_from_checkpoint last), give another --output_dir, "
                    + "leave out --add_version false, or remove that run (--overwrite_output_dir true).")
        }
        return try RunFolder(existing: output)
    }
}
