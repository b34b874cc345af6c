/// When a run is evaluated and saved, what makes a checkpoint the best, and which one the run goes on from.
public struct EvaluationSettings: Sendable {
    /// The checkpoint to go on from: a folder, `last` or `auto`.
    public var resumeFromCheckpoint: String?
    /// Whether to take only the weights of that checkpoint.
    public var resumeOnlyModel = false
    /// The samples of one evaluation micro-batch.
    public var perDeviceEvalBatchSize = 1
    /// When to evaluate, where there are validation data; nil whenever a checkpoint is saved.
    public var evalStrategy: IntervalStrategy?
    /// Steps between evaluations, where steps decide; below 1 a share of all; nil is `saveSteps`.
    public var evalSteps: Double?
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
    /// Whether an evaluation also compares the answers that the model makes with the wanted ones.
    public var predictWithGenerate = false
    /// The most tokens of such an answer, with the one that it begins with; nil is the most of an answer in training.
    public var generationMaxLength: Int?
    private var givenGreaterIsBetter: Bool?

    public init() {}

    /// Whether more of the metric is better; by default as the metric is meant.
    public var greaterIsBetter: Bool {
        get { givenGreaterIsBetter ?? BestMetric.greaterIsBetter(metricForBestModel) }
        set { givenGreaterIsBetter = newValue }
    }
}

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
    ]

    /// - Throws: `SettingsError` for steps that are no whole number.
    mutating func settle() throws {
        try SettingChecks.steps(saveSteps, "save_steps")
        try SettingChecks.steps(evalSteps, "eval_steps")
        if let limit = saveTotalLimit, limit <= 0 { saveTotalLimit = nil }
    }

    /// What was asked of an evaluation, in the words of the command line.
    var askedWords: [String] {
        [
            evalStrategy.flatMap { $0 == .no ? nil : "--eval_strategy \($0.rawValue)" },
            evalSteps.map { "--eval_steps \(readable($0))" },
            metricForBestModel == "loss" ? nil : "--metric_for_best_model \(metricForBestModel)",
        ].compactMap(\.self)
    }
}
