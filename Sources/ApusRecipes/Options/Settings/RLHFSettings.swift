import ApusAdapters
import ApusDatasets
import ApusJSON
import ApusOptimizers
import ApusRewards
import ApusText

/// The settings of a run that learns from preferences: those of fine-tuning, and what is learned of two answers.
///
/// The names are those of ms-swift's flags, and so are the defaults of version 4.6.
package struct RLHFSettings: Sendable {
    /// Model, data, what trains, and how: as in supervised fine-tuning.
    package var training: SFTSettings

    /// What is learned of preferences.
    package var preferences: PreferenceSettings {
        get { training.preferences ?? PreferenceSettings() }
        set { training.preferences = newValue }
    }

    /// The settings that ms-swift would use for this model and data.
    package init(_ method: PreferenceMethod = .dpo, model: String, dataset: [String]) {
        training = SFTSettings(model: model, dataset: dataset)
        training.preferences = PreferenceSettings(method)
    }

    /// Those of a run that learns preferences.
    init(_ training: SFTSettings) {
        self.training = training
        if training.preferences == nil { self.training.preferences = PreferenceSettings() }
    }

    fileprivate var resolvedBeta: Double { preferences.chosenBeta }
    fileprivate var resolvedLossTypes: [PreferenceLossType] { preferences.chosenLossTypes }
    fileprivate var resolvedLossScale: LossScale { preferences.chosenLossScale }
}

extension RLHFSettings: CommandSettings {
    package static var command: Command { .rlhf }

    package init() { self.init(SFTSettings()) }

    package static let fields: [SettingsField<RLHFSettings>] = {
        let own = PreferenceSettings.fields.map(\.name)
        let table = OptionTable.table(for: command)
        let shared = SFTSettings.fields.filter { !own.contains($0.name) && table[$0.name]?.status == .supported }
        return (PreferenceSettings.fields.map { $0.inside(\.preferences) } + shared.map { $0.inside(\.training) })
            .resolving("beta", \.resolvedBeta)
            .resolving("loss_type", \.resolvedLossTypes)
            .resolving("loss_scale", \.resolvedLossScale)
    }()

    package mutating func settle(notices: inout [String]) throws {
        chooseUsual()
        try preferences.check()
        training.encoding.lossScale = preferences.chosenLossScale
        try training.settle(notices: &notices)
        let method = preferences.method
        if preferences.samplesAnswers { try checkSampling(&notices) }
        if method == .gkd, preferences.distillation.lmbda > 0 { noteRestrictedSampling(&notices) }
        let tuner = training.model.tunerType.rawValue
        let narrowsAttention = AdapterMethods.of(tunerType: tuner)?.narrowsAttention == true
        let answersItself = preferences.samplesAnswers || method == .gkd && preferences.distillation.lmbda > 0
        guard !(narrowsAttention && answersItself) else {
            throw SettingsError(
                "--tuner_type \(tuner) learns with attention in groups and answers with all of it, so that --rlhf_type "
                    + "\(method.rawValue) would learn from answers of another model. Give --tuner_type lora"
                    + (method == .gkd ? ", or --lmbda 0." : "."))
        }
        if method == .kto, preferences.precomputesReference, narrowsAttention {
            throw SettingsError(
                "--precompute_ref_log_probs true: with kto and --tuner_type \(tuner) the reference is asked in the step. Leave "
                    + "it out.")
        }
        let idle = PreferenceSettings.fields.map(\.name).filter {
            // What a method chooses itself is asked for below.
            !method.options.contains($0) && !["rlhf_type", "loss_type", "beta", "loss_scale"].contains($0)
        }
        if let notice = withoutEffect(idle, because: "--rlhf_type is \(method.rawValue)") { notices.append(notice) }
        if preferences.samplesAnswers {
            let scheduler = method == .grpo ? preferences.policy.multiTurnScheduler : nil
            let asked = preferences.rewards.rewardFuncs + [scheduler].compactMap(\.self)
            for (names, reason) in RewardSettings.idle(of: asked) {
                if let notice = withoutEffect(names, because: reason) { notices.append(notice) }
            }
        }
        if let beta = preferences.beta, !method.options.contains("beta") {
            notices.append("--beta \(readable(beta)): without effect, because --rlhf_type is \(method.rawValue).")
        }
        if let scale = preferences.lossScale, !preferences.readsLossScale {
            notices.append("--loss_scale \(scale.rawValue): without effect, because --rlhf_type is \(method.rawValue).")
        }
        for (names, reason) in preferences.idleOfLoss(evaluates: training.evalStrategy != .no) {
            if let notice = withoutEffect(names, because: reason) { notices.append(notice) }
        }
        let types = preferences.chosenLossTypes
        if types == [.alphaPO], preferences.alpha == 0 {
            notices.append("--loss_type alphapo with --alpha 0 is simpo without the likelihood; its authors give 0.25.")
        }
        if method == .simpo, types != [.alphaPO], preferences.cpoAlpha != 0 {
            notices.append(
                "--rlhf_type simpo adds \(readable(preferences.cpoAlpha)) times the likelihood of chosen answers, as CPO-SimPO "
                    + "does; SimPO itself is --cpo_alpha 0.")
        }
        if preferences.usesReference, !training.model.adapters.isEmpty, preferences.refAdapters.isEmpty,
            preferences.refModel == nil
        {
            notices.append(
                "--adapters without --ref_adapters: the reference is the model without an adapter. To begin at the reference, "
                    + "give the same folder with --ref_adapters.")
        }
    }
}

extension RLHFSettings {
    /// What a method sets otherwise than others where nothing else is asked for.
    private mutating func chooseUsual() {
        guard preferences.samplesAnswers else { return }
        if preferences.method == .grpo { training.optimization.usualAccumulation = 1 }
        training.encoding.usualTruncation = .left
        training.evaluation.usualMetric = "reward"
    }

    private func noteRestrictedSampling(_ notices: inout [String]) {
        guard preferences.policy.restrictsSampling else { return }
        notices.append(
            "answers are drawn from fewer tokens than the loss looks at (--top_k, --top_p, --min_p, --repetition_penalty or "
                + "--structured_outputs_regex), which biases it. --temperature alone does not.")
    }

    /// What learning from a model's own answers does not go with.
    private func checkSampling(_ notices: inout [String]) throws {
        let policy = preferences.policy
        let word = preferences.method.rawValue
        let rewards = preferences.rewards
        guard !rewards.rewardFuncs.isEmpty || !policy.rewardModel.isEmpty || !preferences.ownRewards.isEmpty else {
            throw SettingsError(
                "--rlhf_type \(word): nothing rewards the answers. Give --reward_funcs, as in --reward_funcs accuracy format "
                    + "or --reward_funcs ./score.py, or --reward_model.")
        }
        try rewards.check(besides: preferences.ownRewards.map(\.name) + policy.rewardModel)
        guard policy.rewardAdapters.isEmpty || policy.rewardModel.count == 1 else {
            throw SettingsError(
                "--reward_adapters: they go on one --reward_model, and there are \(policy.rewardModel.count). Merge them "
                    + "into their models first.")
        }
        if preferences.method == .grpo {
            try policy.check(
                form: preferences.policyForm, batchSize: training.optimization.perDeviceTrainBatchSize,
                accumulation: training.optimization.gradientAccumulationSteps)
            _ = try preferences.experts.lessons(accumulation: training.optimization.gradientAccumulationSteps)
        }
        if preferences.method == .ppo {
            let (batches, overflows) = training.optimization.gradientAccumulationSteps.multipliedReportingOverflow(
                by: preferences.proximal.numMiniBatches)
            _ = try PolicySettings.roundSize(
                training.optimization.perDeviceTrainBatchSize, overflows ? .max : batches,
                "--gradient_accumulation_steps × --num_mini_batches")
        }
        guard [.left, .delete].contains(training.encoding.truncationStrategy) else {
            throw SettingsError(
                "--truncation_strategy \(training.encoding.truncationStrategy.rawValue): --rlhf_type \(word) asks questions, "
                    + "whose end cannot be cut. Give left or delete.")
        }
        guard !training.batches.groupByLength else {
            throw SettingsError(
                "--group_by_length true: how long answers get is not known before. Leave it out with --rlhf_type \(word)."
            )
        }
        noteRestrictedSampling(&notices)
    }
}

extension SFTSettings {
    /// How a model that was trained so is tagged on a hub.
    var trainingWord: String { preferences?.method.rawValue ?? command.rawValue }

    /// Leaves empty thoughts out of what trains, where the template writes them.
    ///
    /// - Returns: What a user should know of it; nil where nothing changes.
    mutating func leaveEmptyThoughtsOut(_ encoder: ChatEncoder) -> String? {
        guard taskType.task.options.contains("loss_scale"), preferences?.readsLossScale ?? true else { return nil }
        let scale = encoding.lossScale(with: encoder)
        guard scale != encoding.lossScale else { return nil }
        encoding.lossScale = scale
        preferences?.lossScale = scale
        let reason =
            encoding.useChatTemplate
            ? "the template writes empty thoughts, which are not to be learned"
            : "empty thoughts of models that think on request are not to be learned"
        return "--loss_scale is \(scale.rawValue), because \(reason); --disable_ignore_empty_think true learns them"
    }

    /// All settings under their names in `args.json`.
    var record: JSONObject { preferences == nil ? argsJSON() : RLHFSettings(self).argsJSON() }

    /// The options without which a run computes other numbers.
    var decisiveOptions: [String] {
        let names =
            preferences == nil
            ? Self.fields.filter(\.affectsNumbers).map(\.name)
            : RLHFSettings.fields.filter(\.affectsNumbers).map(\.name)
        guard optimization.lrSchedulerType == .reduceOnPlateau else { return names }
        // There the learning rate follows the evaluations.
        return names + [
            "eval_strategy", "eval_steps", "eval_epochs", "eval_delay", "metric_for_best_model", "greater_is_better",
        ]
    }

    /// What an option is where a record does not name it.
    func assumed(_ name: String) -> JSONValue? {
        var values = record
        values[name] = nil
        return preferences == nil
            ? (try? SFTSettings(argsJSON: values))?.argsJSON()[name]
            : (try? RLHFSettings(argsJSON: values))?.argsJSON()[name]
    }
}
