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
        data.settleSplit(
            refused: evaluation.evalStrategy == .no ? "--eval_strategy is no" : nil, notices: &notices)
        try optimization.check()
        try objective.check()
        try checkOptimizer()
        try galore.check(model.tunerType, optimization.optim)
        try checkFollowing(&notices)
        try checkPrecision()
        try settleQuantization(&notices)
        try SettingChecks.loss(lossType, for: taskType)
        let generated = task.generatedMetrics
        guard !evaluation.predictWithGenerate || taskType != .causalLM || encoding.tellsAnswers else {
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
            of: taskType.rawValue + (lossType.map { " with \($0.rawValue)" } ?? ""))
        try encoding.check()
        try encoding.checkSplitting(taskType)
        try batches.check(data, maximumSteps: optimization.maxSteps)
        if batches.streaming, taskType != .causalLM {
            throw SettingsError(
                "--streaming true: --task_type \(taskType.rawValue) reads its data whole before it starts. Leave it out."
            )
        }
        _ = try data.interleaving()
        _ = try data.promptFormat.map { try PromptFormat($0) }
        try evaluation.settle()
        if evalStrategy == .no { try evaluation.checkEvaluated() }
        try output.check()
        try hardware.settle()
        noteNoEvaluation(&notices)
        if data.dataloaderNumWorkers > 1 {
            notices.append(
                "--dataloader_num_workers \(data.dataloaderNumWorkers): batches are cut from memory, which needs no "
                    + "workers.")
        }
        noteIdle(&notices)
    }

    /// What the evaluation reports of the task; the names of channels are in the data, those of rewards with the rewards.
    private var reportedMetrics: [String] {
        let names = task.metrics(loss: lossType, problem: model.problemType)
            .map { $0 == "token_acc" && objective.accStrategy == .seq ? "seq_acc" : $0 }
        let chosen = BestMetric.name(evaluation.metricForBestModel)
        let isOpen =
            objective.enableChannelLoss && chosen.hasPrefix("loss_")
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

    /// Says that nothing is evaluated though it was asked for.
    private func noteNoEvaluation(_ notices: inout [String]) {
        let asked = evaluation.askedWords
        guard !data.hasValidation, !asked.isEmpty else { return }
        notices.append(
            "\(asked.joined(separator: ", ")): nothing is evaluated, because there is no validation data. "
                + "Give --val_dataset, or --split_dataset_ratio 0.05 to hold some training data back.")
    }

    /// Says which settings were chosen that this run has no use for.
    private func noteIdle(_ notices: inout [String]) {
        func note(_ reason: String, _ names: some Collection<String>) {
            if let notice = withoutEffect(names, because: reason) { notices.append(notice) }
        }
        let read = model.tunerType.options
        let idle = (TunerSettings.fields.map(\.name) + FullTuningSettings.fields.map(\.name)).filter {
            !read.contains($0)
        }
        note(
            "--tuner_type \(model.tunerType.rawValue) "
                + (model.tunerType.isAdapter ? "does not read it" : "has no adapter"), idle)
        if model.adapters.isEmpty { noteConditions(note) }
        if !galore.isOn {
            note("--use_galore is false", GaLoreSettings.fields.map(\.name).filter { $0 != "use_galore" })
        }
        if galore.isOn, !galore.isQuantized {
            note("--galore_quantization is false", GaLoreSettings.ofQuantization)
        }
        if [.constant, .reduceOnPlateau].contains(optimization.lrSchedulerType) {
            note("--lr_scheduler_type is \(optimization.lrSchedulerType.rawValue)", ["warmup_ratio", "warmup_steps"])
        }
        if optimization.optimizer == .muon { note("--optimizer is muon", ["optim"]) }
        if optimization.optim != .apollo { note("--optim is not apollo_adamw", ["optim_target_modules"]) }
        if optimization.optim == .grokAdamW {
            note(
                "--optim grokadamw has constants of its own, as in the Trainer",
                ["adam_beta1", "adam_beta2", "adam_epsilon"])
            if optimization.optimArgs?.contains("grokking_signal_decay_rate") == true {
                notices.append(
                    "--optim_args grokking_signal_decay_rate: without effect, because no losses are compared, as in the "
                        + "Trainer.")
            }
        }
        if !optimization.optim.isPaged { note("--optim is not a paged one", ["paged_memory"]) }
        if full.lisaActivatedLayers == 0 { note("--lisa_activated_layers is 0", ["lisa_step_interval"]) }
        if !model.adapters.isEmpty {
            note("the file of the adapter says it", read.subtracting(["lora_dtype", "lorap_lr_ratio"]))
        }
        note("--task_type is \(taskType.rawValue)", taskType.idleOptions.subtracting(task.options))
        if !task.generatedMetrics.isEmpty, !evaluation.predictWithGenerate {
            note("--predict_with_generate is false", ["generation_max_length", "max_new_tokens"])
        }
        if taskType == .sequenceToSequence {
            note("--generation_max_length says it with --task_type seq2seq_lm", ["max_new_tokens"])
        }
        if evalStrategy != .epoch { note("--eval_strategy is not epoch", ["eval_epochs"]) }
        if evaluation.saveStrategy != .epoch { note("--save_strategy is not epoch", ["save_epochs"]) }
        if output.loggingStrategy != .steps { note("--logging_strategy is not steps", ["logging_steps"]) }
        if !batches.packing { note("--packing is false", ["packing_length", "packing_strategy"]) }
        if !batches.streaming { note("--streaming is false", ["shuffle_buffer_size"]) }
        if batches.streaming { note("--streaming is true", ["load_from_cache_file"]) }
        if data.interleaveProb.isEmpty { note("--interleave_prob is not given", ["stopping_strategy"]) }
        if lossType != .infoNCE { note("--loss_type is not infonce", ["infonce_temperature"]) }
        if output.addVersion { note("each run gets a new folder", ["overwrite_output_dir"]) }
    }

    /// Says which options of the method are read beside other choices than were made.
    private func noteConditions(_ note: (_ reason: String, _ names: [String]) -> Void) {
        let options = AdapterMethods.of(tunerType: model.tunerType.rawValue)?.options ?? []
        var idle: [(reason: String, names: [String])] = []
        for option in options {
            let unmet = option.conditions.first { condition in
                let chosen = Self.fields.first { $0.name == condition.option }?.read(self)?.plainJSON ?? .null
                return !condition.words.contains((chosen.stringValue ?? chosen.serialized()).lowercased())
            }
            guard let unmet else { continue }
            let reason = "--\(unmet.option) is not \(unmet.words[0])"
            if let index = idle.firstIndex(where: { $0.reason == reason }) {
                idle[index].names.append(option.name)
            } else {
                idle.append((reason, [option.name]))
            }
        }
        for (reason, names) in idle { note(reason, names) }
    }

    /// The optimizer of ms-swift's own, and the course of the learning rate, beside the other settings.
    private mutating func checkOptimizer() throws {
        switch optimization.optimizer {
        case .galore: galore.isOn = true
        case .lorap where tuner.methodOptions["lorap_lr_ratio"] == nil:
            throw SettingsError("--optimizer lorap needs the ratio of its learning rates: give --lorap_lr_ratio 16.")
        case .muon where galore.isOn:
            throw SettingsError("--optimizer muon and --use_galore true are two optimizers. Give one of them.")
        case .muon where optimization.optim.followsInPass:
            throw SettingsError(
                "--optimizer muon and --optim \(optimization.optim.rawValue) are two optimizers. Leave --optim out.")
        default: break
        }
        _ = try optimization.scheduleOptions(peak: learningRate)
        guard optimization.lrSchedulerType == .reduceOnPlateau else { return }
        guard evalStrategy != .no else {
            throw SettingsError(
                "--lr_scheduler_type reduce_lr_on_plateau follows evaluations, and there are none. Give --val_dataset or "
                    + "--split_dataset_ratio, and no --eval_strategy no.")
        }
        guard !evaluation.greaterIsBetter || optimization.lrSchedulerKwargs?.contains("\"mode\"") == true else {
            throw SettingsError(
                "--lr_scheduler_type reduce_lr_on_plateau lowers the learning rate where "
                    + "\(evaluation.metricForBestModel) does not fall, and more of it is better. Give "
                    + "--lr_scheduler_kwargs '{\"mode\": \"max\"}'.")
        }
    }

    /// Gradients that are followed in the backward pass are there once, and in part.
    private func checkFollowing(_ notices: inout [String]) throws {
        let word = optimization.optim.rawValue
        guard optimization.optim.followsInPass else { return }
        guard !model.tunerType.isAdapter else {
            throw SettingsError(
                "--optim \(word) keeps no gradients, which saves memory where the model's own weights train, and --tuner_type "
                    + "\(model.tunerType.rawValue) trains an adapter. Give --tuner_type full, or another --optim.")
        }
        guard optimization.gradientAccumulationSteps == 1 else {
            throw SettingsError(
                "--gradient_accumulation_steps \(optimization.gradientAccumulationSteps): --optim \(word) keeps no gradients "
                    + "that could be added up. Give --gradient_accumulation_steps 1.")
        }
        guard precision != .float16 else {
            throw SettingsError(
                "--optim \(word) follows gradients before it is known whether float16 overflowed. Give --torch_dtype bfloat16 or "
                    + "float32.")
        }
        guard optimization.gradientCheckpointing != false else {
            throw SettingsError(
                "--gradient_checkpointing false: with --optim \(word) a layer's gradients are complete when it runs again in "
                    + "the backward pass. Leave it out.")
        }
        if optimization.maxGradNorm > 0 {
            notices.append(
                "--max_grad_norm \(optimization.maxGradNorm): --optim \(word) needs a backward pass of its own to know the norm; "
                    + "0 clips nothing and takes half of the time.")
        }
    }

    private mutating func settleQuantization(_ notices: inout [String]) throws {
        try model.quantization.settle()
        if let method = model.quantization.method, model.tunerType == .full {
            throw SettingsError(
                "--quant_method \(method.rawValue) does not go with --tuner_type full: quantised weights are indices, which "
                    + "no gradient moves. Train an adapter over them (--tuner_type lora), or leave --quant_method out.")
        }
        if let reason = model.quantization.idleReason,
            let notice = withoutEffect(QuantizationOptions.ofFourBits, because: reason)
        {
            notices.append(notice)
        } else if model.quantization.storageType != nil {
            notices.append("--bnb_4bit_quant_storage: without effect, because the bytes are the same under any type.")
        }
    }

    /// What learning preferences does not go with.
    private func checkPreferences() throws {
        guard let preferences else { return }
        let method = preferences.method
        let wanted: TaskType = method == .rewardModel ? .sequenceClassification : .causalLM
        guard model.taskType == nil || model.taskType == wanted else {
            throw SettingsError(
                "--rlhf_type \(method.rawValue) is for models of --task_type \(wanted.rawValue), and this one is for "
                    + "\(model.taskType?.rawValue ?? ""). Leave --task_type out, or give another model.")
        }
        guard encoding.truncationStrategy != .split || preferences.samplesAnswers else {
            throw SettingsError(
                "--truncation_strategy split: answers that are compared cannot be split. Give delete, left or right.")
        }
        if method == .kto, preferences.judgedLoss.comparesWithOthers,
            optimization.perDeviceTrainBatchSize * optimization.gradientAccumulationSteps == 1
        {
            throw SettingsError(
                "--rlhf_type kto with one sample a step: its answers are compared with those to other questions of the step. "
                    + "Give more --per_device_train_batch_size or --gradient_accumulation_steps, or --loss_type "
                    + "apo_zero_unpaired.")
        }
    }

    /// Apus computes in the type of the weights, so `bf16` and `fp16` can only repeat it.
    private func checkPrecision() throws {
        for (flag, isSet, type) in [("bf16", optimization.bf16, DType.bfloat16), ("fp16", optimization.fp16, .float16)]
        {
            guard isSet == true, let weights = model.torchDType, weights != type else { continue }
            throw SettingsError(
                "--\(flag) true computes in \(type.rawValue), but --torch_dtype is \(weights.rawValue), and Apus "
                    + "computes in the type of the weights. Give --torch_dtype \(type.rawValue), or leave --\(flag) out."
            )
        }
    }
}
