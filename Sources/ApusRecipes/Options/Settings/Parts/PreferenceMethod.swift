/// How preferences are learned.
package enum PreferenceMethod: String, Sendable, CaseIterable {
    /// Pairs of answers, against a reference.
    case dpo
    /// Pairs, by the odds of their answers beside the likelihood of the chosen one.
    case orpo
    /// Pairs without a reference, beside the likelihood of the chosen answer.
    case cpo
    /// The same by means over tokens, with a margin.
    case simpo
    /// Answers that were judged one by one, against a reference.
    case kto
    /// A model that rewards answers, from pairs.
    case rewardModel = "rm"
    /// Answers of the model itself, compared with others to the same question by their rewards.
    case grpo
    /// Answers of the model itself, token by token beside what it expects of them.
    case ppo
    /// What a teacher finds probable behind each token of answers.
    case gkd
}

extension PreferenceMethod {
    /// What can be minimised, the usual first; empty where there is no choice.
    var losses: [PreferenceLossType] {
        switch self {
        case .dpo:
            [
                .sigmoid, .hinge, .ipo, .exoPair, .ncaPair, .robust, .bcoPair, .sppoHard, .aot, .aotUnpaired, .apoZero,
                .apoDown, .discopop, .sigmoidNorm, .sft,
            ]
        case .cpo: [.sigmoid, .hinge, .ipo, .simpo, .alphaPO]
        case .simpo: [.simpo, .alphaPO]
        case .kto: [.kto, .apoZeroUnpaired]
        case .grpo: [.grpo, .bnpo, .drGRPO, .dapo, .cispo, .sapo, .fipo]
        case .orpo, .rewardModel, .ppo, .gkd: []
        }
    }

    /// The options that it reads beside `rlhf_type` and `loss_scale`.
    var options: Set<String> {
        switch self {
        case .dpo:
            [
                "ref_model", "ref_adapters", "precompute_ref_log_probs", "beta", "label_smoothing", "rpo_alpha",
                "ld_alpha", "ld_alpha_reference", "discopop_tau", "f_divergence_type", "f_alpha_divergence_coef",
                "loss_type", "loss_weights", "sync_ref_model", "ref_model_sync_steps", "ref_model_mixup_alpha",
            ]
        case .orpo: ["beta"]
        case .cpo, .simpo: ["beta", "label_smoothing", "loss_type", "cpo_alpha", "simpo_gamma", "alpha"]
        case .kto:
            [
                "ref_model", "ref_adapters", "precompute_ref_log_probs", "beta", "loss_type", "desirable_weight",
                "undesirable_weight", "sync_ref_model", "ref_model_sync_steps", "ref_model_mixup_alpha",
            ]
        case .rewardModel: ["center_rewards_coefficient"]
        case .grpo:
            PolicySettings.options.union(RewardSettings.fields.map(\.name)).union(MovingReferenceSettings.options)
                .union(ExpertSettings.options).union(["ref_model", "ref_adapters", "beta", "loss_type"])
        case .ppo:
            PolicySettings.ofSampling.union((RewardSettings.fields.map(\.name) + ProximalSettings.fields.map(\.name)))
                .union(["ref_model", "ref_adapters"])
        case .gkd:
            DistillationSettings.options.union(PolicySettings.ofOwnAnswers).union(["beta"])
        }
    }
}
