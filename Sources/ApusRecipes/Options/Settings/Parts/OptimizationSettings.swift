import ApusFiles
import ApusJSON
package import ApusOptimizers
import ApusTorch
package import ApusTraining

/// What is minimised, in how many steps of which size.
package struct OptimizationSettings: Sendable {
    /// The passes over the data.
    package var numTrainEpochs = 3.0
    /// Passes over the data that end the run early; the schedule stays that of `numTrainEpochs` or `maxSteps`.
    package var maxEpochs: Int?
    /// The optimizer steps of the run; wins over epochs when it is positive.
    package var maxSteps = -1
    /// The samples of one training micro-batch.
    package var perDeviceTrainBatchSize = 1
    private var givenGradientAccumulationSteps: Int?
    /// What is minimised, in tasks that leave a choice; nil takes the task's.
    package var lossType: LossType?
    /// What InfoNCE divides cosines by.
    package var infonceTemperature = 0.1
    /// The highest learning rate; nil is 1e-4 for an adapter and 1e-5 for all weights.
    package var learningRate: Double?
    /// The course of the learning rate.
    package var lrSchedulerType = ScheduleKind.cosine
    /// What else the course has, a JSON object such as `{"min_lr": 1e-6}`.
    package var lrSchedulerKwargs: String?
    /// The share of the steps that warm up.
    package var warmupRatio = 0.0
    /// The steps that warm up; below 1 a share of all.
    package var warmupSteps = 0.0
    /// The optimizer.
    package var optim = OptimizerName.fusedAdamW
    /// One of ms-swift's optimizers instead; nil and `default` leave it to `optim`.
    package var optimizer: OptimizerPlugin?
    /// What else the optimizer has, such as `momentum=0.9,nesterov=true`.
    package var optimArgs: String?
    /// The layers whose gradients are projected, by parts of their names; nil takes all linear layers.
    package var optimTargetModules: [String]?
    /// How much of paged moments stays in memory, such as `2GiB`; nil leaves it to the system.
    package var pagedMemory: String?
    /// The decay of all weights but biases and norms.
    package var weightDecay = 0.1
    /// The decay of the first moment.
    package var adamBeta1 = 0.9
    /// The decay of the second moment.
    package var adamBeta2 = 0.95
    /// What keeps the division by the second moment finite.
    package var adamEpsilon = 1e-8
    /// The norm to which gradients are clipped; 0 leaves them.
    package var maxGradNorm = 1.0
    /// The weight of the loss that spreads tokens over experts, 0 without it; nil is what `config.json` says.
    package var routerAuxLossCoef: Double?
    /// Whether to compute activations again instead of keeping them; nil does so when memory would run out.
    package var gradientCheckpointing: Bool?
    /// The most memory a run may take, such as `6GB`, or a JSON object by device such as `{"cpu": "6GB"}`; nil is what is free.
    package var maxMemory: String?
    /// Whether to compute in bfloat16; nil follows the type of the weights.
    package var bf16: Bool?
    /// Whether to compute in float16; nil follows the type of the weights.
    package var fp16: Bool?
    /// What happens at a gradient that is not a number.
    package var nanPolicy = NaNPolicy.stop

    /// Micro-batches of one step where the method of a run has a number of its own.
    var usualAccumulation: Int?

    package init() {}

    /// Micro-batches of one optimizer step; by default as many as make 16 samples.
    package var gradientAccumulationSteps: Int {
        get { givenGradientAccumulationSteps ?? usualAccumulation ?? 15 / max(1, perDeviceTrainBatchSize) + 1 }
        set { givenGradientAccumulationSteps = newValue }
    }
}

extension OptimizationSettings: SettingsPart {
    package static let fields: [SettingsField<OptimizationSettings>] = [
        SettingsField("num_train_epochs", \.numTrainEpochs),
        SettingsField("max_epochs", \.maxEpochs),
        SettingsField("max_steps", \.maxSteps),
        SettingsField("per_device_train_batch_size", \.perDeviceTrainBatchSize, affectsNumbers: true),
        SettingsField("gradient_accumulation_steps", \.gradientAccumulationSteps, affectsNumbers: true),
        SettingsField("loss_type", \.lossType, affectsNumbers: true),
        SettingsField("infonce_temperature", \.infonceTemperature, affectsNumbers: true),
        SettingsField("learning_rate", \.learningRate, affectsNumbers: true),
        SettingsField("lr_scheduler_type", \.lrSchedulerType, affectsNumbers: true),
        SettingsField("warmup_ratio", \.warmupRatio, affectsNumbers: true),
        SettingsField("warmup_steps", \.warmupSteps, affectsNumbers: true),
        SettingsField("optim", \.optim, affectsNumbers: true),
        SettingsField("paged_memory", \.pagedMemory),
        SettingsField("weight_decay", \.weightDecay, affectsNumbers: true),
        SettingsField("adam_beta1", \.adamBeta1, affectsNumbers: true),
        SettingsField("adam_beta2", \.adamBeta2, affectsNumbers: true),
        SettingsField("adam_epsilon", \.adamEpsilon, affectsNumbers: true),
        SettingsField("max_grad_norm", \.maxGradNorm, affectsNumbers: true),
        SettingsField("gradient_checkpointing", \.gradientCheckpointing),
        SettingsField("max_memory", \.maxMemory),
        SettingsField("bf16", \.bf16),
        SettingsField("fp16", \.fp16),
        SettingsField("nan_policy", \.nanPolicy),
        SettingsField("router_aux_loss_coef", \.routerAuxLossCoef, affectsNumbers: true),
        SettingsField("lr_scheduler_kwargs", \.lrSchedulerKwargs, affectsNumbers: true),
        SettingsField("optimizer", \.optimizer, affectsNumbers: true),
        SettingsField("optim_args", \.optimArgs, affectsNumbers: true),
        SettingsField("optim_target_modules", \.optimTargetModules, affectsNumbers: true),
    ]

    /// `pagedMemory` in bytes.
    var pagedBytes: Int? {
        get throws {
            guard let pagedMemory else { return nil }
            guard let bytes = ByteCount.parse(pagedMemory), bytes >= 1_000_000 else {
                throw SettingsError(
                    "--paged_memory: got \"\(pagedMemory)\", wanted a size of at least 1MB such as 500MB, 2GB or 2GiB.")
            }
            return bytes
        }
    }

    /// `maxMemory` in bytes; nil where nothing is said of the device.
    func memoryLimit(on device: Device) throws -> Int? {
        guard let maxMemory else { return nil }
        let wanted = #"wanted a size such as 6GB or 6GiB, or sizes by device such as {"cpu": "6GB", "0": "20GiB"}."#
        func bytes(_ size: String) throws -> Int {
            guard let bytes = ByteCount.parse(size), bytes >= 1_000_000 else {
                throw SettingsError("--max_memory: got \"\(size)\", \(wanted)")
            }
            return bytes
        }
        guard maxMemory.first == "{" else { return try bytes(maxMemory) }
        guard let sizes = try? JSONValue(parsing: maxMemory).objectValue else {
            throw SettingsError("--max_memory: \"\(maxMemory)\" is no JSON object; \(wanted)")
        }
        let limits = try sizes.map { name, size in
            // A bare number counts bytes, as in Accelerate.
            guard let number = size.intValue else { return (name, try bytes(size.stringValue ?? size.serialized())) }
            return (name, number)
        }
        // `cpu`, or `cuda:0` and its `0`.
        let name = device.description
        return limits.first { name == $0.0 || name.hasSuffix(":" + $0.0) }?.1
    }

    /// - Throws: `SettingsError` for settings that contradict each other.
    func check() throws {
        guard warmupRatio == 0 || warmupSteps == 0 else {
            throw SettingsError("--warmup_ratio and --warmup_steps cannot both be set. Give one of them.")
        }
        try SettingChecks.steps(warmupSteps, "warmup_steps")
        _ = try pagedBytes
        _ = try memoryLimit(on: .cpu)
        _ = try OptimizerArguments(self)
        guard bf16 != true || fp16 != true else {
            throw SettingsError("--bf16 true and --fp16 true contradict each other. Give one of them.")
        }
    }
}
