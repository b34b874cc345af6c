import ApusGeneration
package import ApusTraining

/// How a model learns from answers that it gives itself (`--rlhf_type grpo`).
package struct PolicySettings: Sendable {
    // MARK: Answers
    /// G, the answers to each question.
    package var numGenerations = 8
    /// The same in evaluations; nil is as many.
    package var numGenerationsEval: Int?
    /// Answers that are sampled together; nil follows from `stepsPerGeneration`.
    package var generationBatchSize: Int?
    /// Micro-batches that a round of answers is sampled for; nil is those of one step.
    package var stepsPerGeneration: Int?
    /// How often each answer is learned from.
    package var numIterations = 1
    /// The most tokens of an answer.
    package var maxCompletionLength = 512
    /// The same by its older name; it counts where it is given.
    package var maxNewTokens: Int?
    /// What scores are divided by, in sampling and in learning.
    package var temperature = 0.9
    /// Draw among this many likeliest tokens; -1 draws among all.
    package var topK = -1
    /// Draw among the likeliest tokens that together have this probability.
    package var topP = 1.0
    /// Draw among the tokens that have at least this share of the likeliest one's probability.
    package var minP = 0.0
    /// Above 1 makes tokens that were used less likely.
    package var repetitionPenalty = 1.0
    /// Texts that end an answer.
    package var stopWords: [String] = []
    /// A regular expression that answers match as a whole.
    package var structuredOutputsRegex: String?
    /// What goes on behind answers: a name or a program; nil leaves each alone.
    package var multiTurnScheduler: String?
    /// The most answers of a conversation; nil sets no limit.
    package var maxTurns: Int?
    /// What `maxCompletionLength` limits where there are several answers.
    package var completionLengthLimitScope = LengthLimitScope.answer
    /// Whether answers and their rewards are written to `completions.jsonl`.
    package var logCompletions = false

    // MARK: Rewards
    /// Models that reward answers.
    package var rewardModel: [String] = []
    /// Adapters on those models.
    package var rewardAdapters: [String] = []
    package var advantageEstimator = AdvantageEstimator.grpo
    /// What advantages are divided by; nil is the estimator's own.
    package var scaleRewards: RewardScale?
    /// Whether what it costs to leave the reference is taken off the rewards; nil is the estimator's own.
    package var klInReward: Bool?
    /// Whether questions whose answers are all rewarded alike are replaced by others.
    package var dynamicSample = false
    /// How often at most.
    package var maxResampleTimes = 3
    /// Whether answers that were cut off are left out of the loss.
    package var overlongFilter = false

    // MARK: Loss
    /// How far below 1 a ratio counts.
    package var epsilon = 0.2
    /// How far above; nil is as far.
    package var epsilonHigh: Double?
    /// The highest ratio of answers that were bad; nil sets none.
    package var delta: Double?
    package var importanceSamplingLevel = RatioLevel.token
    /// Whether what keeps the model near its reference is multiplied by the ratio.
    package var useBiasCorrectionKL = false
    /// The gates of `sapo`.
    package var tauPos = 1.0
    package var tauNeg = 1.05
    package var fipoDecayRate = 32.0
    package var fipoClipRange: Double? = 0.2
    package var fipoClipHighOnly = true
    package var fipoSafetyThreshold: Double? = 4.0
    /// The share of tokens with the highest entropy that count.
    package var topEntropyQuantile = 1.0
    /// Whether the entropy of answers is logged.
    package var logEntropy = false
    /// What is done where sampler and trainer find an answer differently probable; nil does nothing.
    package var rolloutImportanceSamplingMode: SamplerCorrection?
    package var rolloutImportanceSamplingThreshold = 2.0
    /// Whether it is logged how far the model is from the one that sampled, also where nothing is done about it.
    package var logRolloutOffpolicyMetrics = false
    /// Bad answers that became less probable by more than it, on the mean of their tokens, do not count; nil counts all.
    package var offPolicySequenceMaskDelta: Double?

    package init() {}
}

/// What a limit of answers counts, by ms-swift's words.
package enum LengthLimitScope: String, Sendable, CaseIterable {
    /// The tokens of one answer.
    case answer = "per_round"
    /// The tokens of all answers of a conversation.
    case total
}

extension LengthLimitScope: OptionChoice {}
extension AdvantageEstimator: OptionChoice {}
extension RewardScale: OptionChoice {}
extension RatioLevel: OptionChoice {}
extension SamplerCorrection: OptionChoice {}

extension PolicySettings: SettingsPart {
    package static let fields: [SettingsField<PolicySettings>] = [
        SettingsField("num_generations", \.numGenerations, affectsNumbers: true),
        SettingsField("num_generations_eval", \.numGenerationsEval),
        SettingsField("generation_batch_size", \.generationBatchSize, affectsNumbers: true),
        SettingsField("steps_per_generation", \.stepsPerGeneration, affectsNumbers: true),
        SettingsField("num_iterations", \.numIterations, affectsNumbers: true),
        SettingsField("max_completion_length", \.maxCompletionLength, affectsNumbers: true),
        SettingsField("max_new_tokens", \.maxNewTokens, affectsNumbers: true),
        SettingsField("temperature", \.temperature, affectsNumbers: true),
        SettingsField("top_k", \.topK, affectsNumbers: true),
        SettingsField("top_p", \.topP, affectsNumbers: true),
        SettingsField("min_p", \.minP, affectsNumbers: true),
        SettingsField("repetition_penalty", \.repetitionPenalty, affectsNumbers: true),
        SettingsField("stop_words", \.stopWords, affectsNumbers: true),
        SettingsField("structured_outputs_regex", \.structuredOutputsRegex, affectsNumbers: true),
        SettingsField("multi_turn_scheduler", \.multiTurnScheduler, affectsNumbers: true),
        SettingsField("max_turns", \.maxTurns, affectsNumbers: true),
        SettingsField("completion_length_limit_scope", \.completionLengthLimitScope, affectsNumbers: true),
        SettingsField("log_completions", \.logCompletions),
        SettingsField("reward_model", \.rewardModel, affectsNumbers: true),
        SettingsField("reward_adapters", \.rewardAdapters, affectsNumbers: true),
        SettingsField("advantage_estimator", \.advantageEstimator, affectsNumbers: true),
        SettingsField("scale_rewards", \.scaleRewards, affectsNumbers: true),
        SettingsField("kl_in_reward", \.klInReward, affectsNumbers: true),
        SettingsField("dynamic_sample", \.dynamicSample, affectsNumbers: true),
        SettingsField("max_resample_times", \.maxResampleTimes, affectsNumbers: true),
        SettingsField("overlong_filter", \.overlongFilter, affectsNumbers: true),
        SettingsField("epsilon", \.epsilon, affectsNumbers: true),
        SettingsField("epsilon_high", \.epsilonHigh, affectsNumbers: true),
        SettingsField("delta", \.delta, affectsNumbers: true),
        SettingsField("importance_sampling_level", \.importanceSamplingLevel, affectsNumbers: true),
        SettingsField("use_bias_correction_kl", \.useBiasCorrectionKL, affectsNumbers: true),
        SettingsField("tau_pos", \.tauPos, affectsNumbers: true),
        SettingsField("tau_neg", \.tauNeg, affectsNumbers: true),
        SettingsField("fipo_decay_rate", \.fipoDecayRate, affectsNumbers: true),
        SettingsField("fipo_clip_range", \.fipoClipRange, affectsNumbers: true),
        SettingsField("fipo_clip_high_only", \.fipoClipHighOnly, affectsNumbers: true),
        SettingsField("fipo_safety_threshold", \.fipoSafetyThreshold, affectsNumbers: true),
        SettingsField("top_entropy_quantile", \.topEntropyQuantile, affectsNumbers: true),
        SettingsField("log_entropy", \.logEntropy),
        SettingsField("rollout_importance_sampling_mode", \.rolloutImportanceSamplingMode, affectsNumbers: true),
        SettingsField(
            "rollout_importance_sampling_threshold", \.rolloutImportanceSamplingThreshold, affectsNumbers: true),
        SettingsField("log_rollout_offpolicy_metrics", \.logRolloutOffpolicyMetrics),
        SettingsField("off_policy_sequence_mask_delta", \.offPolicySequenceMaskDelta, affectsNumbers: true),
    ]

    /// The options of `--rlhf_type grpo` beside those that other methods have too.
    static let options = Set(fields.map(\.name))

    /// Those of them that say how answers are sampled.
    static let ofOwnAnswers: Set<String> = [
        "max_completion_length", "max_new_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty",
        "stop_words", "structured_outputs_regex",
    ]

    /// And by what they are rewarded.
    static let ofSampling = ofOwnAnswers.union([
        "log_completions", "reward_model", "reward_adapters",
    ])
}

// MARK: Computed defaults

extension PolicySettings {
    /// The most tokens of an answer, by either name.
    package var completionLimit: Int { maxNewTokens ?? maxCompletionLength }

    /// The most tokens behind a question, as far as they are known: what others say comes on top.
    func longestEpisode(room: Int) -> Int {
        guard multiTurnScheduler != nil, completionLengthLimitScope == .answer else { return completionLimit }
        let (all, overflows) = completionLimit.multipliedReportingOverflow(by: maxTurns ?? .max)
        return overflows ? room : min(all, room)
    }

    /// Answers to each question of an evaluation.
    var evaluationGroup: Int { numGenerationsEval ?? numGenerations }

    /// `scaleRewards`, or the estimator's.
    var chosenScale: RewardScale {
        scaleRewards
            ?? {
                switch advantageEstimator {
                case .grpo: .group
                case .rloo: .none
                case .reinforcePlusPlus: .batch
                }
            }()
    }

    /// `klInReward`, or the estimator's; GDPO measures each reward alone.
    var takesDivergenceOffRewards: Bool { chosenScale != .gdpo && (klInReward ?? (advantageEstimator != .grpo)) }

    /// `stepsPerGeneration`, or what the batch of answers comes to, or the micro-batches of a step.
    func batchesPerRound(batchSize: Int, accumulation: Int) -> Int {
        stepsPerGeneration ?? generationBatchSize.map { max(1, $0 / batchSize) } ?? accumulation
    }

    /// What answers are drawn with.
    func sampling(seed: UInt64) -> Sampling {
        var sampling = Sampling()
        sampling.temperature = temperature
        sampling.topK = topK > 0 ? topK : nil
        sampling.topP = topP < 1 ? topP : nil
        sampling.minP = minP > 0 ? minP : nil
        sampling.processors.repetitionPenalty = repetitionPenalty
        sampling.seed = seed
        return sampling
    }

    /// Whether it matters how probable the sampler found its answers.
    var comparesWithSampler: Bool { tellsSamplerGap || offPolicySequenceMaskDelta != nil }

    /// Whether it is logged how far the model is from the one that sampled.
    var tellsSamplerGap: Bool { logRolloutOffpolicyMetrics || rolloutImportanceSamplingMode != nil }

    /// Whether answers are drawn otherwise than the loss finds them probable.
    var restrictsSampling: Bool {
        topK > 0 || topP < 1 || minP > 0 || repetitionPenalty != 1 || structuredOutputsRegex != nil
    }

    /// What is minimised.
    func loss(_ form: PolicyLossForm, beta: Double) -> PolicyLoss {
        var loss = PolicyLoss()
        loss.form = form
        loss.level = importanceSamplingLevel
        loss.clipLow = epsilon
        loss.clipHigh = epsilonHigh ?? epsilon
        loss.cap = delta
        loss.divergenceWeight = takesDivergenceOffRewards ? 0 : beta
        loss.weighsDivergence = useBiasCorrectionKL
        loss.gates = (tauPos, tauNeg)
        loss.longest = completionLimit
        loss.future.halfLife = fipoDecayRate
        loss.future.clip = fipoClipRange
        loss.future.clipsHighOnly = fipoClipHighOnly
        loss.future.safety = fipoSafetyThreshold
        loss.correction = rolloutImportanceSamplingMode.map { ($0, rolloutImportanceSamplingThreshold) }
        loss.staleness = offPolicySequenceMaskDelta
        return loss
    }
}

// MARK: Checks

extension PolicySettings {
    /// The most answers of a round; who wants more, wants to learn from what is no longer the model's.
    static let largestRound = 1_048_576

    /// The answers that are sampled together.
    ///
    /// - Throws: `SettingsError` for more than anybody's.
    static func roundSize(_ batchSize: Int, _ batches: Int, _ name: String) throws -> Int {
        let (size, overflows) = batchSize.multipliedReportingOverflow(by: batches)
        guard !overflows, size <= largestRound else {
            throw SettingsError(
                "--per_device_train_batch_size \(batchSize) × \(batches) micro-batches (\(name)) are more answers than the "
                    + "\(largestRound) that are sampled together at most. Give less.")
        }
        return size
    }

    /// - Throws: `SettingsError` for settings that contradict each other.
    func check(form: PolicyLossForm, batchSize: Int, accumulation: Int) throws {
        guard stepsPerGeneration == nil || generationBatchSize == nil else {
            throw SettingsError(
                "--steps_per_generation and --generation_batch_size both say how many answers are sampled together. Give "
                    + "one of them.")
        }
        if let size = generationBatchSize, size % batchSize != 0 {
            throw SettingsError(
                "--generation_batch_size \(size) is not a multiple of --per_device_train_batch_size \(batchSize). Give one "
                    + "that is.")
        }
        let batches = batchesPerRound(batchSize: batchSize, accumulation: accumulation)
        let size = try Self.roundSize(batchSize, batches, "--steps_per_generation")
        guard size % numGenerations == 0 else {
            let fitting = (1...size).filter { size % $0 == 0 && $0 > 1 }.map(String.init).joined(separator: ", ")
            throw SettingsError(
                "--num_generations \(numGenerations) does not divide the \(size) answers that are sampled together "
                    + "(--per_device_train_batch_size × --steps_per_generation). "
                    + (fitting.isEmpty
                        ? "Give a larger --per_device_train_batch_size or --gradient_accumulation_steps."
                        : "Give one of \(fitting), or a larger batch."))
        }
        guard numGenerations > 1 else {
            throw SettingsError(
                "--num_generations 1: an answer is compared with others to its question, and alone every advantage is 0. "
                    + "Give 2 or more.")
        }
        if form == .cispo, (epsilonHigh ?? epsilon) < 1 {
            throw SettingsError(
                "--loss_type cispo caps ratios at --epsilon_high \(readable(epsilonHigh ?? epsilon)), below the 1 that they "
                    + "begin with, so that all would be cut. Its authors give 5.")
        }
        if let delta, form != .cispo, form != .sapo, delta <= 1 + (epsilonHigh ?? epsilon) {
            throw SettingsError(
                "--delta \(readable(delta)) is the highest ratio and must be above 1 + --epsilon_high "
                    + "(\(readable(1 + (epsilonHigh ?? epsilon)))).")
        }
        if chosenScale == .gdpo, klInReward == true {
            throw SettingsError(
                "--scale_rewards gdpo measures each reward alone and has no place for --kl_in_reward true. Leave one out."
            )
        }
    }
}
