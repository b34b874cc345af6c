import ApusText

extension OptionTable {
    /// The options of fine-tuning that have another meaning or none where preferences are learned.
    static let notForPreferences: Set<String> = [
        "loss_type", "loss_scale", "infonce_temperature", "num_labels", "problem_type", "multi_label_format",
        "pair_format", "mlm_probability", "max_target_length", "streaming", "shuffle_buffer_size", "packing",
        "packing_length", "packing_strategy", "packing_num_proc", "predict_with_generate", "generation_max_length",
        "prompt_format", "is_binary_loss_scale", "label_smoothing_factor", "enable_dft_loss", "enable_channel_loss",
        "acc_strategy", "neftune_noise_alpha", "temperature", "max_new_tokens",
    ]

    static let preferenceOptions: [CommandOption] = [
        option(
            "rlhf_type", .words(of: PreferenceMethod.self), default: .text("dpo"),
            "How preferences are learned."),
        option(
            "loss_type", .choices(PreferenceLossType.allCases.map(\.rawValue), later: ["real"]),
            computed: "dpo, cpo: sigmoid; simpo: simpo; kto: kto; grpo: grpo",
            "What is minimised; several make a mix, for dpo."),
        option(
            "loss_weights", .numbers(.from(0)), default: .numbers([]), "Weights of the losses of a mix; 1 unless given."
        ),
        option(
            "beta", .number(.from(0)), computed: "0.1; simpo: 2; grpo: 0.04; gkd: 0.5",
            "How much it costs to leave the reference; without one, the sharpness of the loss; in gkd from KL of the "
                + "teacher, 0, to KL of the student, 1."),
        option(
            "ref_model", .text, computed: "the model as it was",
            "The model that dpo, kto, grpo and ppo compare with; it needs the same vocabulary."),
        option(
            "ref_adapters", .list, default: .list([]),
            "An adapter on the model that dpo, kto, grpo and ppo compare with."),
        option(
            "precompute_ref_log_probs", .boolean, default: .boolean(false),
            "Ask the reference about every sample before the run; a second model is then given up."),
        option(
            "sync_ref_model", .boolean, default: .boolean(false),
            "Move the reference towards the model as it learns, in dpo, kto and grpo."),
        option(
            "ref_model_sync_steps", .integer(from: 1), default: .integer(512), "After how many steps each time."),
        option(
            "ref_model_mixup_alpha", .number(.above(0, upTo: 1)), default: .number(0.6),
            "The share of the model in what the reference becomes; 1 copies it."),
        option(
            "label_smoothing", .number(.from(0, below: 1)), default: .number(0),
            "The share of pairs that are believed to be the wrong way round."),
        option("rpo_alpha", .number(.from(0)), "Adds so much of the likelihood of chosen answers, in dpo."),
        option(
            "ld_alpha", .number(.from(0, upTo: 1)),
            "Weight of tokens behind the length of the shorter answer, in dpo."),
        option(
            "ld_alpha_reference", .boolean, default: .boolean(false),
            "Weigh the reference's tokens with --ld_alpha too, as TRL does, in dpo."),
        option(
            "f_divergence_type", .words(of: DivergenceType.self), default: .text("reverse_kl"),
            "The divergence that keeps dpo near its reference."),
        option(
            "f_alpha_divergence_coef", .number(.any), default: .number(0.5),
            "The α of --f_divergence_type alpha_divergence; 1 is reverse_kl."),
        option("discopop_tau", .number(.above(0)), default: .number(0.05), "Temperature of --loss_type discopop."),
        option(
            "cpo_alpha", .number(.from(0)), default: .number(1),
            "Weight of the likelihood of chosen answers, in cpo and simpo."),
        option("simpo_gamma", .number(.from(0)), default: .number(1), "Margin of simpo."),
        option(
            "alpha", .number(.any), default: .number(0),
            "Shape of rewards in cpo and simpo: (1 - p^-alpha) / alpha of the probability p that the loss compares; 0 is ln p."
        ),
        option("desirable_weight", .number(.from(0)), default: .number(1), "Weight of good answers, in kto."),
        option("undesirable_weight", .number(.from(0)), default: .number(1), "Weight of bad answers, in kto."),
        option(
            "center_rewards_coefficient", .number(.from(0)), "Weight of what keeps rewards around zero, in rm."),
        CommandOption(
            "loss_scale", .chain(TrainedTurns.allCases.map(\.rawValue), LossModifier.allCases.map(\.rawValue)),
            computed: "last_round; orpo: default",
            "Which tokens count: those of the last answer, or of every one; modifiers leave parts out.", in: .template,
            for: [.rlhf]),
    ]

    fileprivate static let neverForPreferences: [String: String] = [
        "external_plugins":
            "Give rewards as programs: --reward_funcs ./score.py; turns: --multi_turn_scheduler ./turns.py.",
        "num_labels": "A reward model gives one score; leave it out.",
        "problem_type": "A reward model gives one score; leave it out.",
        "packing": "Leave it out; the sequences of a batch lie end to end without padding.",
        "packing_length": "Leave it out; the sequences of a batch lie end to end without padding.",
        "streaming": "Leave it out; preferences are read whole before the run.",
        "is_binary_loss_scale": "Leave it out; every token that --loss_scale trains counts once.",
        "predict_with_generate": "Leave it out; `apus infer --val_dataset` answers a data set after training.",
    ]

    private static func option(
        _ name: String, _ kind: OptionKind, default defaultValue: OptionValue? = nil, computed: String? = nil,
        _ help: String
    ) -> CommandOption {
        CommandOption(name, kind, default: defaultValue, computed: computed, help, in: .preferences, for: [.rlhf])
    }
}

extension NotYetOptions {
    /// What to do instead of an option where preferences are learned.
    static func preferenceAdvice(_ field: String) -> String? {
        if let advice = OptionTable.neverForPreferences[field] ?? OptionTable.teacherAdvice[field] { return advice }
        let sampling = MSSwiftFields.reinforcement.filter { $0.argumentClass != "RLHFArguments" }.flatMap(\.names)
        guard sampling.contains(field) else { return nil }
        return samplingAdvice[field] ?? "It belongs to additions to grpo that are not there yet; leave it out."
    }

    private static let samplingAdvice: [String: String] = {
        let environment =
            "Give the environment as programs: --multi_turn_scheduler ./environment.py says what follows answers, "
            + "--reward_funcs ./score.py what they are worth."
        let files = "The files of the reward model say it; leave it out."
        return [
            "response_length": "Give --max_completion_length.", "gym_env": environment, "use_gym_env": environment,
            "reward_model_plugin":
                "Apus runs no code that is given as a file; --reward_funcs takes a program that reads lines and writes "
                + "numbers.",
            "reward_model_type": files, "reward_template": files,
            "reward_model_revision":
                "`apus download MODEL --revision …` fetches it; give the folder with --reward_model.",
            "async_generate": "Answers are sampled with the weights of the moment; leave it out.",
        ]
    }()
}
