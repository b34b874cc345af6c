public import ApusDatasets
public import ApusOptimizers
public import ApusText
public import ApusTorch
public import ApusTraining

/// The settings of a fine-tuning run.
///
/// The names are those of ms-swift's flags, spelled out; so are the defaults of version 4.6. Where ms-swift computes a
/// default from other settings, the property does, until it is set.
public struct SFTSettings: Sendable {
    // MARK: Model

    /// The folder of the model.
    public var model: String
    /// The family the model must be of; nil takes what its `config.json` says.
    public var modelType: String?
    /// The type of the weights; nil takes what `config.json` says.
    public var torchDType: DType?
    private var givenTaskType: TaskType?
    /// Classes, or numbers predicted at once; nil takes what the model or the data says.
    public var numLabels: Int?
    /// What is learned from a label; nil follows from `numLabels` and the labels.
    public var problemType: ProblemType?
    /// What lists of numbers are where a row has several classes; nil takes what the labels show.
    public var multiLabelFormat: MultiLabelFormat?
    /// Whether to show the model as a tree of its layers.
    public var printModel = false
    /// Folders of adapters to go on with.
    public var adapters: [String] = []
    /// Whether to take settings from the `args.json` of a checkpoint.
    public var loadArgs = false
    /// Whether to take the data settings of that file too.
    public var loadDataArgs = false
    /// The seed of everything random but the order of the data.
    public var seed = 42

    // MARK: Data

    /// Training data, each `path[#count]`.
    public var dataset: [String]
    /// Validation data.
    public var valDataset: [String] = []
    /// The share of the training data to validate on when there is no `valDataset`.
    public var splitDatasetRatio = 0.0
    /// New names of columns, by their old names.
    public var columns: [String: String] = [:]
    /// Whether to stop at a bad row instead of leaving it out.
    public var strict = false
    /// The seed of the order of the data.
    public var dataSeed = 42
    /// Whether to shuffle the training data once.
    public var datasetShuffle = true
    /// Whether to shuffle the validation data once.
    public var valDatasetShuffle = false
    /// Whether to shuffle the training data again for each epoch.
    public var trainDataloaderShuffle = true
    /// Threads that prepare the data.
    public var datasetNumProc = 1
    /// Threads that make batches ahead.
    public var dataloaderNumWorkers = 1
    /// Whether to leave out a last batch that is not full.
    public var dataloaderDropLast = false
    /// The name that self-cognition data gives the model, in Chinese and in English.
    public var modelName: [String]?
    /// The name that self-cognition data gives its author, in Chinese and in English.
    public var modelAuthor: [String]?

    // MARK: Template

    /// The system prompt of rows that bring none; nil takes the template's.
    public var system: String?
    /// The most tokens of one sample; nil takes the model's limit.
    public var maxLength: Int?
    /// What happens to a longer sample.
    public var truncationStrategy = TruncationStrategy.delete
    /// Whether to use the chat template, or the bare text.
    public var useChatTemplate = true
    /// How a decoder sees two texts: `{text1}` and `{text2}` stand for them.
    public var pairFormat = PairFormat.standard
    /// The share of tokens that masked language modelling hides.
    public var mlmProbability = 0.15
    /// Which tokens train.
    public var lossScale = TrainedTurns.everyAnswer

    // MARK: Tuner

    /// What trains.
    public var tunerType = TunerType.lora
    /// The rank r of the adapter.
    public var loraRank = 8
    /// The adapter is scaled by α / r.
    public var loraAlpha = 32.0
    /// The dropout before the adapter.
    public var loraDropout = 0.05
    /// Ends of the names of the layers to adapt, or `all-linear`.
    public var targetModules = ["all-linear"]
    /// A regular expression over the whole names of the layers to adapt; wins over `targetModules`.
    public var targetRegex: String?
    /// Whether to scale the adapter by α / √r instead of α / r.
    public var useRSLoRA = false
    /// How the adapter starts.
    public var initWeights = AdapterInitialization.kaiming
    /// The type of the adapter; nil is float32.
    public var loraDType: DType?
    /// What else the method of the adapter takes.
    var methodOptions = MethodOptions()

    // MARK: Training

    /// The passes over the data.
    public var numTrainEpochs = 3.0
    /// Wins over `numTrainEpochs`.
    public var maxEpochs: Int?
    /// The optimizer steps of the run; wins over epochs when it is positive.
    public var maxSteps = -1
    /// The samples of one training micro-batch.
    public var perDeviceTrainBatchSize = 1
    private var givenGradientAccumulationSteps: Int?
    private var givenLearningRate: Double?
    private var givenLossType: LossType?
    /// What InfoNCE divides cosines by.
    public var infonceTemperature = 0.1
    /// The course of the learning rate.
    public var lrSchedulerType = ScheduleKind.cosine
    /// The share of the steps that warm up.
    public var warmupRatio = 0.0
    /// The steps that warm up; below 1 a share of all.
    public var warmupSteps = 0.0
    /// The optimizer.
    public var optim = OptimizerName.fusedAdamW
    /// The decay of all weights but biases and norms.
    public var weightDecay = 0.1
    /// The decay of the first moment.
    public var adamBeta1 = 0.9
    /// The decay of the second moment.
    public var adamBeta2 = 0.95
    /// What keeps the division by the second moment finite.
    public var adamEpsilon = 1e-8
    /// The norm to which gradients are clipped; 0 leaves them.
    public var maxGradNorm = 1.0
    /// Whether to compute activations again instead of keeping them; nil does so when memory would run out.
    public var gradientCheckpointing: Bool?
    /// Whether to compute in bfloat16; nil follows the type of the weights.
    public var bf16: Bool?
    /// Whether to compute in float16; nil follows the type of the weights.
    public var fp16: Bool?
    /// What happens at a gradient that is not a number.
    public var nanPolicy = NaNPolicy.stop
    /// The checkpoint to go on from: a folder, `last` or `auto`.
    public var resumeFromCheckpoint: String?
    /// Whether to take only the weights of that checkpoint.
    public var resumeOnlyModel = false

    // MARK: Evaluating and saving

    /// The samples of one evaluation micro-batch.
    public var perDeviceEvalBatchSize = 1
    private var givenEvalStrategy: IntervalStrategy?
    private var givenEvalSteps: Double?
    /// When to save.
    public var saveStrategy = IntervalStrategy.steps
    /// Steps between checkpoints; below 1 a share of all.
    public var saveSteps = 500.0
    /// Checkpoints to keep besides the best; nil keeps all.
    public var saveTotalLimit: Int?
    /// Whether to leave out what resuming needs.
    public var saveOnlyModel = false
    /// What makes a checkpoint the best.
    public var metricForBestModel = "loss"
    private var givenGreaterIsBetter: Bool?

    // MARK: Output

    private var givenOutputDirectory: String?
    /// Whether the run gets a new folder `v<N>-<time>` in `outputDirectory`.
    public var addVersion = true
    /// Whether to remove what an earlier run left in `outputDirectory`, where runs get no folder of their own.
    public var overwriteOutputDirectory = false
    /// Whether to keep the links `best` and `last`.
    public var createCheckpointSymlink = false
    /// Steps between lines of the log.
    public var loggingSteps = 5
    /// Whether to log the first step too.
    public var loggingFirstStep = true
    /// The folder of the TensorBoard files; nil is `runs` in the run's folder.
    public var loggingDirectory: String?
    /// Where the log also goes.
    public var reportTo = [ReportTarget.tensorBoard]
    /// Whether there is no progress bar; nil shows one in a terminal.
    public var disableTQDM: Bool?

    // MARK: Device

    /// The device; nil takes the fastest there is.
    public var device: Device?
    /// The same as `device` being `cpu`.
    public var useCPU = false

    /// The settings that ms-swift would use for this model and data.
    public init(model: String, dataset: [String]) {
        self.model = model
        self.dataset = dataset
    }
}

// MARK: Computed defaults

extension SFTSettings {
    /// Micro-batches of one optimizer step; by default as many as make 16 samples.
    public var gradientAccumulationSteps: Int {
        get { givenGradientAccumulationSteps ?? 15 / max(1, perDeviceTrainBatchSize) + 1 }
        set { givenGradientAccumulationSteps = newValue }
    }

    /// The highest learning rate; by default 1e-4 for an adapter and 1e-5 for all weights.
    public var learningRate: Double {
        get { givenLearningRate ?? (tunerType == .full ? 1e-5 : 1e-4) }
        set { givenLearningRate = newValue }
    }

    /// When to evaluate; by default whenever a checkpoint is saved.
    ///
    /// Without validation data it is `no`.
    public var evalStrategy: IntervalStrategy {
        get { hasValidationData ? givenEvalStrategy ?? saveStrategy : .no }
        set { givenEvalStrategy = newValue }
    }

    /// Steps between evaluations, below 1 a share of all; by default `saveSteps`.
    ///
    /// Nil unless steps decide.
    public var evalSteps: Double? {
        get { evalStrategy == .steps ? givenEvalSteps ?? saveSteps : nil }
        set { givenEvalSteps = newValue }
    }

    /// What the model is for; with `numLabels` a classifier.
    public var taskType: TaskType {
        get { givenTaskType ?? (numLabels == nil ? .causalLM : .sequenceClassification) }
        set { givenTaskType = newValue }
    }

    /// What is minimised, in tasks that leave a choice.
    public var lossType: LossType? {
        get { givenLossType ?? taskType.task.standardLoss }
        set { givenLossType = newValue }
    }

    /// Whether more of the metric is better; by default as the metric is meant.
    public var greaterIsBetter: Bool {
        get { givenGreaterIsBetter ?? BestMetric.greaterIsBetter(metricForBestModel) }
        set { givenGreaterIsBetter = newValue }
    }

    /// The folder of runs; by default `output/` and the name of the model.
    public var outputDirectory: String {
        get { givenOutputDirectory ?? "output/\(ModelName.short(model))" }
        set { givenOutputDirectory = newValue }
    }

    /// The passes over the data, which count when `maxSteps` is not positive.
    public var epochs: Double {
        maxEpochs.map(Double.init) ?? numTrainEpochs
    }

    /// Whether there is anything to evaluate on.
    public var hasValidationData: Bool {
        !valDataset.isEmpty || (!dataset.isEmpty && splitDatasetRatio > 0)
    }

    /// The settings after the checks that the command line makes.
    ///
    /// - Throws: An error that names a setting outside its range, or settings which contradict each other.
    public func validated() throws -> SFTSettings {
        _ = try SFTSettings(argsJSON: argsJSON())
        var settings = self
        var notices: [String] = []
        try settings.settle(notices: &notices)
        return settings
    }
}

// MARK: Checks

extension SFTSettings {
    package mutating func settle(notices: inout [String]) throws {
        try SettingChecks.model(model, .sft)
        guard !dataset.isEmpty else {
            throw UsageError("--dataset: not given. Give the training data, as in --dataset train.jsonl.")
        }
        if splitDatasetRatio > 0, !valDataset.isEmpty || givenEvalStrategy == .no {
            splitDatasetRatio = 0
            let reason = valDataset.isEmpty ? "--eval_strategy is no" : "--val_dataset is given"
            notices.append("--split_dataset_ratio is 0, because \(reason).")
        }
        guard warmupRatio == 0 || warmupSteps == 0 else {
            throw SettingsError("--warmup_ratio and --warmup_steps cannot both be set. Give one of them.")
        }
        try SettingChecks.loss(lossType, for: taskType)
        try BestMetric.check(
            metricForBestModel, among: taskType.task.metrics(loss: lossType, problem: problemType),
            of: taskType.rawValue + (lossType.map { " with \($0.rawValue)" } ?? ""))
        try PairFormat.check(pairFormat)
        try SettingChecks.steps(warmupSteps, "warmup_steps")
        try SettingChecks.steps(saveSteps, "save_steps")
        try SettingChecks.steps(givenEvalSteps, "eval_steps")
        try settlePrecision()
        noteNoEvaluation(&notices)
        if dataloaderNumWorkers > 1 {
            notices.append(
                "--dataloader_num_workers \(dataloaderNumWorkers): batches are cut from memory, which needs no workers."
            )
        }
        noteIdle(&notices)
        guard reportTo.count <= 1 || !reportTo.contains(.none) else {
            throw SettingsError("--report_to: got none among others. Give none alone.")
        }
        if let limit = saveTotalLimit, limit <= 0 { saveTotalLimit = nil }
        device = try SettingChecks.device(device, useCPU: useCPU)
    }

    /// Says that nothing is evaluated though it was asked for.
    private func noteNoEvaluation(_ notices: inout [String]) {
        guard !hasValidationData else { return }
        let asked = [
            givenEvalStrategy.map { $0 != .no } == true ? "--eval_strategy \(givenEvalStrategy?.rawValue ?? "")" : nil,
            givenEvalSteps.map { "--eval_steps \(readable($0))" },
            metricForBestModel == "loss" ? nil : "--metric_for_best_model \(metricForBestModel)",
        ].compactMap(\.self)
        guard !asked.isEmpty else { return }
        notices.append(
            "\(asked.joined(separator: ", ")): nothing is evaluated, because there is no validation data. "
                + "Give --val_dataset, or --split_dataset_ratio 0.05 to hold some training data back.")
    }

    /// Says which settings were chosen that this run has no use for.
    private func noteIdle(_ notices: inout [String]) {
        let table = OptionTable.table(for: .sft)
        func note(_ reason: String, _ names: some Collection<String>) {
            if let notice = withoutEffect(names, because: reason) { notices.append(notice) }
        }
        let read = tunerType.options
        let idle = Self.fields.map(\.name).filter {
            [.tuner, .method].contains(table[$0]?.group) && $0 != "tuner_type" && !read.contains($0)
        }
        note(
            "--tuner_type \(tunerType.rawValue) " + (tunerType == .full ? "has no adapter" : "does not read it"), idle)
        note("--task_type is \(taskType.rawValue)", taskType.idleOptions)
        if lossType != .infoNCE { note("--loss_type is not infonce", ["infonce_temperature"]) }
        if addVersion { note("each run gets a new folder", ["overwrite_output_dir"]) }
    }

    /// Apus computes in the type of the weights, so `bf16` and `fp16` can only repeat it.
    private func settlePrecision() throws {
        guard bf16 != true || fp16 != true else {
            throw SettingsError("--bf16 true and --fp16 true contradict each other. Give one of them.")
        }
        for (flag, isSet, type) in [("bf16", bf16, DType.bfloat16), ("fp16", fp16, .float16)] {
            guard isSet == true, let weights = torchDType, weights != type else { continue }
            throw SettingsError(
                "--\(flag) true computes in \(type.rawValue), but --torch_dtype is \(weights.rawValue), and Apus "
                    + "computes in the type of the weights. Give --torch_dtype \(type.rawValue), or leave --\(flag) out."
            )
        }
    }
}
