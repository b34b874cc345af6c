import ApusTraining

extension OptionTable {
    /// What `--rlhf_type grpo` reads, and parts of it others: how answers are sampled, rewarded and learned from.
    static let policyOptions = ofAnswers + ofGroups + ofSampler + ofExperts

    private static let ofAnswers: [CommandOption] = [
        option(
            "max_completion_length", .integer(from: 1), default: .integer(512), "The most tokens of an answer."),
        option("max_new_tokens", .integer(from: 1), "The older name of --max_completion_length."),
        option(
            "temperature", .number(.above(0)), default: .number(0.9),
            "What scores are divided by, in sampling and in learning."),
        option("top_k", .integer(from: -1), default: .integer(-1), "Draw among this many likeliest tokens; -1: all."),
        option(
            "top_p", .number(.above(0, upTo: 1)), default: .number(1),
            "Draw among the likeliest tokens that together have this probability."),
        option(
            "min_p", .number(.from(0, upTo: 1)), default: .number(0),
            "Draw among tokens with at least this share of the likeliest one's probability."),
        option(
            "repetition_penalty", .number(.above(0)), default: .number(1),
            "Above 1 makes tokens that were used less likely."),
        option("stop_words", .list, default: .list([]), "Texts that end an answer."),
        option("structured_outputs_regex", .text, "A regular expression that answers match as a whole."),
        option(
            "log_completions", .boolean, default: .boolean(false),
            "Write answers with their rewards to completions.jsonl, and show some."),
        option("reward_model", .list, default: .list([]), "Models with one score that reward answers."),
        option("reward_adapters", .list, default: .list([]), "Adapters on those models."),
    ]

    private static let ofGroups: [CommandOption] = [
        grouped(
            "num_generations", .integer(1...65_536), default: .integer(8),
            "Answers to each question, which are compared."),
        grouped(
            "num_generations_eval", .integer(1...65_536), computed: "num_generations", "The same in evaluations."),
        grouped(
            "generation_batch_size", .integer(1...65_536), computed: "from steps_per_generation",
            "Answers that are sampled together."),
        grouped(
            "steps_per_generation", .integer(1...65_536), computed: "gradient_accumulation_steps",
            "Micro-batches that answers are sampled for at once."),
        grouped(
            "num_iterations", .integer(1...65_536), default: .integer(1), "How often each answer is learned from."),
        grouped(
            "multi_turn_scheduler", .text,
            "What follows answers: math_tip_trick, a program's path, or 'exec:COMMAND WORDS'."),
        grouped("max_turns", .integer(1...65_536), "The most answers of a conversation."),
        grouped(
            "completion_length_limit_scope", .words(of: LengthLimitScope.self), default: .text("per_round"),
            "Whether an answer or all of a conversation has at most max_completion_length tokens."),
        grouped(
            "advantage_estimator", .words(of: AdvantageEstimator.self), default: .text("grpo"),
            "Than what an answer is better."),
        grouped(
            "scale_rewards", .words(of: RewardScale.self), computed: "by the estimator: group, none, batch",
            "What advantages are divided by."),
        grouped(
            "kl_in_reward", .boolean, computed: "by the estimator",
            "Take what it costs to leave the reference off the rewards, and not off the loss."),
        grouped(
            "dynamic_sample", .boolean, default: .boolean(false),
            "Replace questions whose answers are all rewarded alike."),
        grouped("max_resample_times", .integer(1...65_536), default: .integer(3), "How often at most."),
        grouped(
            "overlong_filter", .boolean, default: .boolean(false), "Leave answers that were cut off out of the loss."),
        grouped("epsilon", .number(.above(0)), default: .number(0.2), "How far below 1 a ratio counts."),
        grouped("epsilon_high", .number(.above(0)), computed: "epsilon", "How far above 1 a ratio counts."),
        grouped("delta", .number(.above(1)), "The highest ratio of answers that were bad."),
        grouped(
            "importance_sampling_level", .words(of: RatioLevel.self), default: .text("token"),
            "Of what the ratio is taken: each token, or whole answers (GSPO)."),
        grouped(
            "use_bias_correction_kl", .boolean, default: .boolean(false),
            "Multiply the distance to the reference by the ratio, so that it is that of the model which trains."),
        grouped("tau_pos", .number(.above(0)), default: .number(1), "Gate of sapo for good answers."),
        grouped("tau_neg", .number(.above(0)), default: .number(1.05), "Gate of sapo for bad answers."),
        grouped("fipo_decay_rate", .number(.above(0)), default: .number(32), "Half life of fipo's weights, in tokens."),
        grouped("fipo_clip_range", .number(.from(0)), default: .number(0.2), "How far fipo's weights go; 0: any."),
        grouped(
            "fipo_clip_high_only", .boolean, default: .boolean(true), "Whether fipo's weights are at least 1."),
        grouped(
            "fipo_safety_threshold", .number(.above(0)), default: .number(4),
            "From which ratio on fipo makes no more of bad answers."),
        grouped(
            "top_entropy_quantile", .number(.above(0, upTo: 1)), default: .number(1),
            "The share of tokens with the highest entropy that count."),
        grouped("log_entropy", .boolean, default: .boolean(false), "Log the entropy of answers."),
    ]

    /// What is done, and said, of answers that other weights or another program sampled.
    private static let ofSampler: [CommandOption] = [
        sampler(
            "rollout_importance_sampling_mode", .words(of: SamplerCorrection.self),
            "What is done where sampler and trainer find an answer differently probable."),
        sampler(
            "rollout_importance_sampling_threshold", .number(.above(0)), default: .number(2), "From which ratio on."),
        sampler(
            "log_rollout_offpolicy_metrics", .boolean, default: .boolean(false),
            "Log how far the model is from the one that sampled: divergence, perplexities, chi2."),
        sampler(
            "off_policy_sequence_mask_delta", .number(.any),
            "Bad answers that became less probable by more than it do not count."),
    ]

    private static let ofExperts: [CommandOption] = [
        expert(
            "chord_sft_dataset", .list, default: .list([]),
            "Conversations whose answers are learned beside the model's own (CHORD): files or names, each with #COUNT if not "
                + "whole."),
        expert(
            "chord_sft_per_device_train_batch_size", .integer(from: 1),
            "How many of them for each micro-batch of a whole step."),
        expert(
            "chord_mu_warmup_steps", .integer(from: 0), "Steps in which their share rises from 0 to chord_mu_peak."),
        expert("chord_mu_decay_steps", .integer(from: 0), "Steps in which it falls from there to chord_mu_valley."),
        expert("chord_mu_peak", .number(.from(0, upTo: 1)), "The most that they count; the answers count the rest."),
        expert("chord_mu_valley", .number(.from(0, upTo: 1)), "What they count in the end."),
        expert(
            "chord_enable_phi_function", .boolean, default: .boolean(false),
            "Weigh their tokens by p(1 - p), most where the model is unsure."),
    ]

    private static func grouped(
        _ name: String, _ kind: OptionKind, default defaultValue: OptionValue? = nil, computed: String? = nil,
        _ help: String
    ) -> CommandOption {
        option(name, kind, default: defaultValue, computed: computed, help, section: "grpo")
    }

    private static func sampler(
        _ name: String, _ kind: OptionKind, default defaultValue: OptionValue? = nil, _ help: String
    ) -> CommandOption {
        option(name, kind, default: defaultValue, help, section: "grpo, sampler and trainer")
    }

    private static func expert(
        _ name: String, _ kind: OptionKind, default defaultValue: OptionValue? = nil, _ help: String
    ) -> CommandOption {
        option(name, kind, default: defaultValue, help, section: "grpo, experts")
    }

    private static func option(
        _ name: String, _ kind: OptionKind, default defaultValue: OptionValue? = nil, computed: String? = nil,
        _ help: String, section: String = "answers of the model's own: grpo, ppo, gkd"
    ) -> CommandOption {
        CommandOption(
            name, kind, default: defaultValue, computed: computed, help, in: .preferences, for: [.rlhf],
            section: section)
    }
}
