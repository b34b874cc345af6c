/// When a run is evaluated and saved, what makes a checkpoint the best, and which one the run goes on from.
package struct EvaluationSettings: Sendable {
    /// The checkpoint to go on from: a folder, `last` or `auto`.
    package var resumeFromCheckpoint: String?
    /// Whether to take only the weights of that checkpoint.
    package var resumeOnlyModel = false
    /// The samples of one evaluation micro-batch.
    package var perDeviceEvalBatchSize = 1
    /// When to evaluate, where there are validation data; nil whenever a checkpoint is saved.
    package var evalStrategy: IntervalStrategy?
    /// Steps between evaluations, where steps decide; below 1 a share of all; nil is `saveSteps`.
    package var evalSteps: Double?
    /// When to save.
    package var saveStrategy = IntervalStrategy.steps
    /// Steps between checkpoints; below 1 a share of all.
    package var saveSteps = 500.0
    /// Checkpoints to keep besides the best; nil keeps all.
    package var saveTotalLimit: Int?
    /// Whether to leave out what resuming needs.
    package var saveOnlyModel = false
    private var givenMetricForBestModel: String?
    /// Whether an evaluation also compares the answers that the model makes with the wanted ones.
    package var predictWithGenerate = false
    /// The most tokens of such an answer, with the one that it begins with; nil is the most of an answer in training.
    package var generationMaxLength: Int?
    /// The most tokens of an answer that continues its question.
    package var maxNewTokens = 64
    /// Epochs between evaluations, where epochs decide; nil is `saveEpochs`.
    package var evalEpochs: Int?
    /// Epochs between checkpoints, where epochs decide.
    package var saveEpochs = 1
    /// Whether a new run is evaluated before its first step.
    package var evalOnStart = false
    /// Steps, or epochs where epochs decide, before which nothing is evaluated but the last step.
    package var evalDelay = 0.0
    /// Checkpoints in a row without a better evaluation after which the run ends; nil goes on.
    package var earlyStopInterval: Int?
    /// What else happens in a run.
    package var callbacks: [RunCallback] = []
    /// Whether what is published and returned at the end is the best checkpoint, and not the last.
    package var loadBestModelAtEnd = false
    private var givenGreaterIsBetter: Bool?
    /// What makes a checkpoint the best where the method of a run has something of its own.
    var usualMetric: String?

    package init() {}

    /// What makes a checkpoint the best; by default the loss, or rouge-l where answers are made.
    package var metricForBestModel: String {
        get { givenMetricForBestModel ?? usualMetric ?? (predictWithGenerate ? "rouge-l" : "loss") }
        set { givenMetricForBestModel = newValue }
    }

    /// Whether more of the metric is better; by default as the metric is meant.
    package var greaterIsBetter: Bool {
        get { givenGreaterIsBetter ?? BestMetric.greaterIsBetter(metricForBestModel) }
        set { givenGreaterIsBetter = newValue }
    }
}

/// What else happens in a run, in ms-swift's words; the last three happen where they are needed without being asked for.
package enum RunCallback: String, Sendable, CaseIterable {
    /// `earlyStopInterval` ends the run.
    case earlyStop = "early_stop"
    case adalora, lisa
    /// A signal saves before it ends the run.
    case gracefulExit = "graceful_exit"
}

extension RunCallback: OptionChoice {}

extension EvaluationSettings: SettingsPart {
    package static let fields: [SettingsField<EvaluationSettings>] = [
        SettingsField("resume_from_checkpoint", \.resumeFromCheckpoint),
        SettingsField("resume_only_model", \.resumeOnlyModel),
        SettingsField("per_device_eval_batch_size", \.perDeviceEvalBatchSize),
        SettingsField("eval_strategy", \.evalStrategy),
        SettingsField("eval_steps", \.evalSteps),
        SettingsField("save_strategy", \.saveStrategy),
        SettingsField("save_steps", \.saveSteps),
        SettingsField("save_total_limit", \.saveTotalLimit),
        SettingsField("save_only_model", \.saveOnlyModel),
        SettingsField("metric_for_best_model", \.metricForBestModel),
        SettingsField("greater_is_better", \.greaterIsBetter),
        SettingsField("predict_with_generate", \.predictWithGenerate),
        SettingsField("generation_max_length", \.generationMaxLength),
        SettingsField("max_new_tokens", \.maxNewTokens),
        SettingsField("eval_epochs", \.evalEpochs),
        SettingsField("save_epochs", \.saveEpochs),
        SettingsField("eval_on_start", \.evalOnStart),
        SettingsField("eval_delay", \.evalDelay),
        SettingsField("early_stop_interval", \.earlyStopInterval),
        SettingsField("callbacks", \.callbacks),
        SettingsField("load_best_model_at_end", \.loadBestModelAtEnd),
    ]

    /// - Throws: `SettingsError` for steps that are no whole number.
    mutating func settle() throws {
        try SettingChecks.steps(saveSteps, "save_steps")
        try SettingChecks.steps(evalSteps, "eval_steps")
        if let limit = saveTotalLimit, limit <= 0 { saveTotalLimit = nil }
        if callbacks.contains(.earlyStop), earlyStopInterval == nil {
            throw SettingsError(
                "--callbacks early_stop: needs the checkpoints that may bring nothing: give --early_stop_interval 3.")
        }
    }

    /// Settings that follow evaluations and choose among checkpoints, of a run without one or the other.
    ///
    /// - Parameter evaluates: Whether there are evaluations.
    /// - Throws: `SettingsError` that names the first.
    func checkFollowing(evaluates: Bool) throws {
        guard let first = followingWords.first else { return }
        guard saveStrategy != .no else {
            throw SettingsError(
                "\(first) goes by checkpoints, and --save_strategy no makes none. Give --save_strategy steps or epoch.")
        }
        guard !evaluates else { return }
        throw SettingsError(
            "\(first) follows evaluations, and there are none. Give --val_dataset or --split_dataset_ratio, and no "
                + "--eval_strategy no.")
    }

    /// What was asked that evaluations decide, in the words of the command line.
    var followingWords: [String] {
        [
            earlyStopInterval.map { "--early_stop_interval \($0)" },
            loadBestModelAtEnd ? "--load_best_model_at_end true" : nil,
        ].compactMap(\.self)
    }

    /// Why no step is followed by an evaluation, whatever data there are; nil where some are.
    var neverReason: String? {
        switch (evalStrategy, saveStrategy) {
        case (.no?, _): "--eval_strategy is no"
        case (nil, .no): "--save_strategy is no, which --eval_strategy follows where it is not given"
        default: nil
        }
    }

    /// What was asked of an evaluation, in the words of the command line.
    var askedWords: [String] {
        [
            evalStrategy.flatMap { $0 == .no ? nil : "--eval_strategy \($0.rawValue)" },
            evalSteps.map { "--eval_steps \(readable($0))" },
            givenMetricForBestModel == nil || metricForBestModel == "loss"
                ? nil : "--metric_for_best_model \(metricForBestModel)",
        ].compactMap(\.self)
    }
}
