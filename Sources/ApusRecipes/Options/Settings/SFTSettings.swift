import ApusAdapters
import ApusDatasets
import ApusJSON
import ApusOptimizers
import ApusText
import ApusTorch
import ApusTraining

/// The settings of a fine-tuning run.
///
/// The names are those of ms-swift's flags, spelled out and grouped by what they concern; so are the defaults of
/// version 4.6. Where ms-swift computes a default from other settings, so does the property of that name:
/// `learningRate` is `optimization.learningRate` where that is set.
package struct SFTSettings: Sendable {
    /// `sft`, or `pt`, whose defaults are others.
    private var supervised = Command.sft
    /// The command whose settings these are.
    package var command: Command { preferences == nil ? supervised : .rlhf }
    package var model: ModelSettings
    package var data: DataSettings
    package var batches = PackingSettings()
    package var encoding = EncodingSettings()
    package var tuner = TunerSettings()
    package var full = FullTuningSettings()
    package var optimization = OptimizationSettings()
    package var objective = ObjectiveSettings()
    package var galore = GaLoreSettings()
    package var evaluation = EvaluationSettings()
    package var output = OutputSettings()
    package var hardware = DeviceSettings()
    package var hub = HubSettings()
    /// What is learned of preferences; nil learns what the data say.
    var preferences: PreferenceSettings?

    /// The settings that ms-swift would use for this model and data.
    package init(model: String, dataset: [String]) {
        self.model = ModelSettings(model)
        data = DataSettings(dataset)
    }

    /// The settings of `apus pt`: text without a conversation around it, of which every token is learned.
    package static func pretraining(model: String, dataset: [String]) -> SFTSettings {
        var settings = SFTSettings(model: model, dataset: dataset)
        settings.becomePretraining()
        return settings
    }

    private mutating func becomePretraining() {
        supervised = .pt
        encoding.useChatTemplate = false
        encoding.lossScale = .all
    }

    /// The settings after the checks that the command line makes.
    ///
    /// - Throws: An error that names a setting outside its range, or settings which contradict each other.
    package func validated() throws -> SFTSettings {
        _ = try SFTSettings(argsJSON: argsJSON())
        var settings = self
        var notices: [String] = []
        try settings.settle(notices: &notices)
        return settings
    }
}

// MARK: Computed defaults

extension SFTSettings {
    /// What the model is for; with `numLabels` a classifier.
    package var taskType: TaskType {
        if preferences?.method == .rewardModel { return .sequenceClassification }
        return model.taskType ?? (model.numLabels == nil ? .causalLM : .sequenceClassification)
    }

    /// What is learned.
    var task: any TextTask {
        guard let preferences else { return taskType.task }
        return preferences.method == .gkd ? Distilling(preferences) : PreferenceLearning(preferences)
    }

    /// What is minimised, in tasks that leave a choice.
    package var lossType: LossType? {
        optimization.lossType ?? task.standardLoss
    }

    /// The highest learning rate; by default 1e-4 for an adapter and 1e-5 for all weights.
    package var learningRate: Double {
        optimization.learningRate ?? (model.tunerType == .full ? 1e-5 : 1e-4)
    }

    /// When to evaluate; by default whenever a checkpoint is saved.
    ///
    /// Without validation data it is `no`.
    package var evalStrategy: IntervalStrategy {
        data.hasValidation ? evaluation.evalStrategy ?? evaluation.saveStrategy : .no
    }

    /// Steps between evaluations, below 1 a share of all; by default `saveSteps`.
    ///
    /// Nil unless steps decide.
    package var evalSteps: Double? {
        evalStrategy == .steps ? evaluation.evalSteps ?? evaluation.saveSteps : nil
    }

    /// The folder of runs; by default `output/` and the name of the model.
    package var outputDirectory: String {
        output.outputDirectory ?? "output/\(ModelName.short(model.name ?? ""))"
    }

    /// The type that the weights are to have; nil for that of the files.
    var precision: DType? {
        model.torchDType ?? (optimization.bf16 == true ? .bfloat16 : optimization.fp16 == true ? .float16 : nil)
    }
}

extension SFTSettings: CommandSettings {
    package static var command: Command { .sft }

    package init() {
        model = ModelSettings()
        data = DataSettings()
    }

    /// The settings that the words of `sft` or of `pt` ask for.
    package init(_ line: ArgumentLine, of command: Command, notices: inout [String]) throws {
        self.init()
        if command == .pt { becomePretraining() }
        try take(line, notices: &notices)
    }

    package static let fields: [SettingsField<SFTSettings>] =
        (fields(of: \.model) + fields(of: \.data) + fields(of: \.encoding) + fields(of: \.tuner)
        + fields(of: \.full) + fields(of: \.batches) + fields(of: \.optimization) + fields(of: \.objective)
        + fields(of: \.galore)
        + fields(of: \.evaluation)
        + fields(of: \.output)
        + fields(of: \.hardware) + fields(of: \.hub))
        .resolving("task_type", \.taskType)
        .resolving("loss_type", \.lossType)
        .resolving("learning_rate", \.learningRate)
        .resolving("eval_strategy", \.evalStrategy)
        .resolving("eval_steps", \.evalSteps)
        .resolving("output_dir", \.outputDirectory)

    package mutating func settle(notices: inout [String]) throws {
        try SettingChecks.model(model.name, command)
        guard !data.dataset.isEmpty else {
            throw UsageError("--dataset: not given. Give the training data, as in --dataset train.jsonl.")
        }
        chooseOnlyTask()
        try checkPreferences()
        data.settleSplit(refused: evaluation.neverReason, notices: &notices)
        try optimization.check()
        try objective.check()
        try checkOptimizer()
        try galore.check(model.tunerType, optimization.optim)
        try checkFollowing(&notices)
        try checkPrecision()
        try settleQuantization(&notices)
        try SettingChecks.loss(lossType, for: taskType)
        let generated = task.generatedMetrics
        guard !evaluation.predictWithGenerate || !taskType.task.options.contains("loss_scale") || encoding.tellsAnswers
        else {
            throw SettingsError(
                "--predict_with_generate true answers questions, and with --loss_scale \(encoding.lossScale.rawValue) it is "
                    + "not seen where an answer begins. Give --loss_scale default or last_round.")
        }
        guard !evaluation.predictWithGenerate || !generated.isEmpty else {
            throw SettingsError(
                "--predict_with_generate true: with --task_type \(taskType.rawValue) no answers are made while training. "
                    + "Leave it out; `apus infer --val_dataset` answers a dataset after training.")
        }
        try BestMetric.check(
            evaluation.metricForBestModel,
            among: reportedMetrics + (evaluation.predictWithGenerate ? generated : []),
            of: preferences?.method.rawValue ?? taskType.rawValue + (lossType.map { " with \($0.rawValue)" } ?? ""))
        try encoding.check()
        try encoding.checkSplitting(taskType)
        try batches.check(data, maximumSteps: optimization.maxSteps)
        if batches.streaming, !taskType.task.options.contains("streaming") {
            throw SettingsError(
                "--streaming true: --task_type \(taskType.rawValue) reads its data whole before it starts. Leave it out."
            )
        }
        _ = try data.interleaving()
        _ = try data.promptFormat.map { try PromptFormat($0) }
        try evaluation.settle()
        try evaluation.checkFollowing(evaluates: evalStrategy != .no)
        try output.check()
        try hardware.settle()
        noteNoEvaluation(&notices)
        if data.dataloaderNumWorkers > 1 {
            notices.append(
                "--dataloader_num_workers \(data.dataloaderNumWorkers): batches are cut from memory, which needs no "
                    + "workers.")
        }
        noteIdle(&notices)
        // Whoever reads it would take samples of another kind for a pack.
        if !task.options.contains("packing") { batches.packing = false }
    }

    /// What the evaluation reports of the task; the names of channels are in the data, those of rewards with the rewards.
    private var reportedMetrics: [String] {
        let countsAnswers = objective.accStrategy == .seq && task.options.contains("acc_strategy")
        let names = task.metrics(loss: lossType, problem: model.problemType)
            .map { $0 == "token_acc" && countsAnswers ? "seq_acc" : $0 }
        let chosen = BestMetric.name(evaluation.metricForBestModel)
        let isOpen =
            objective.enableChannelLoss && task.options.contains("enable_channel_loss") && chosen.hasPrefix("loss_")
            || preferences?.samplesAnswers == true && chosen.hasPrefix("rewards/")
        let ofRewards = preferences?.samplesAnswers == true ? ["rewards/<name>/mean", "rewards/<name>/std"] : []
        return names + (isOpen ? [chosen] : []) + ofRewards
    }

    /// Takes the task that the model's files leave no choice about.
    ///
    /// What is wrong with the files is said where they are read; a GGUF file, which takes long to read, leaves a
    /// choice.
    mutating func chooseOnlyTask(_ surroundings: Surroundings = Surroundings()) {
        guard model.taskType == nil, model.numLabels == nil, model.name?.lowercased().hasSuffix(".gguf") != true,
            let source = try? ModelSource(model.name ?? "", surroundings: surroundings),
            let config = try? source.config()
        else { return }
        model.taskType = TaskType.only(for: config)
    }
}
