import ApusTraining

/// What of the options that a method reads it has no use for beside what else was chosen.
extension PreferenceSettings {
    /// Names of options, and why they do nothing.
    ///
    /// - Parameter evaluates: Whether anything is evaluated.
    func idleOfLoss(evaluates: Bool) -> [(names: [String], reason: String)] {
        var idle: [(isIdle: Bool, names: [String], reason: String)] =
            switch method {
            case .grpo: idleOfPolicy(evaluates: evaluates) + idleOfForm
            case .ppo: idleOfProximal
            case .gkd: idleOfDistillation
            case .dpo, .cpo, .simpo, .orpo, .kto, .rewardModel: idleOfPairs
            }
        if method.options.contains("sync_ref_model") {
            idle.append(
                (
                    !moving.syncRefModel, ["ref_model_sync_steps", "ref_model_mixup_alpha"],
                    "--sync_ref_model is false"
                ))
        }
        if samplesAnswers || method == .gkd {
            idle.append(
                (policy.maxNewTokens != nil, ["max_completion_length"], "--max_new_tokens says it"))
        }
        return idle.filter(\.isIdle).map { ($0.names, $0.reason) }
    }

    private typealias Idle = [(isIdle: Bool, names: [String], reason: String)]

    private var idleOfPairs: Idle {
        let types = chosenLossTypes
        let words = types.map(\.rawValue).joined(separator: " ")
        let smoothed: Set<PreferenceLossType> = [
            .sigmoid, .robust, .exoPair, .aot, .aotUnpaired, .sigmoidNorm, .simpo, .alphaPO,
        ]
        return [
            (method == .dpo && !types.contains(.discopop), ["discopop_tau"], "--loss_type is not discopop"),
            (
                method == .dpo && fDivergenceType != .alphaDivergence, ["f_alpha_divergence_coef"],
                "--f_divergence_type is not alpha_divergence"
            ),
            (method == .dpo && ldAlpha == nil, ["ld_alpha_reference"], "there is no --ld_alpha"),
            (
                types == [.alphaPO] && cpoAlpha != 0, ["cpo_alpha"],
                "--loss_type is alphapo, which has no likelihood"
            ),
            (method == .cpo && types != [.simpo] && types != [.alphaPO], ["simpo_gamma"], "--loss_type is not simpo"),
            (
                method.options.contains("label_smoothing") && smoothed.isDisjoint(with: types), ["label_smoothing"],
                "--loss_type \(words) has none"
            ),
        ]
    }

    /// How answers are sampled and what they are compared by.
    private func idleOfPolicy(evaluates: Bool) -> Idle {
        [
            (!policy.dynamicSample, ["max_resample_times"], "--dynamic_sample is false"),
            (
                policy.multiTurnScheduler == nil, ["max_turns", "completion_length_limit_scope"],
                "there is no --multi_turn_scheduler"
            ),
            (!evaluates, ["num_generations_eval"], "nothing is evaluated"),
            (
                !experts.areGiven, ExpertSettings.fields.map(\.name).filter { $0 != "chord_sft_dataset" },
                "there is no --chord_sft_dataset"
            ),
            (chosenBeta == 0, ["kl_in_reward"], "--beta is 0"),
            (
                !usesReference || policy.takesDivergenceOffRewards, ["use_bias_correction_kl"],
                "the loss has no distance to a reference (--beta 0 or --kl_in_reward)"
            ),
            (policy.chosenScale == .gdpo, ["advantage_estimator"], "--scale_rewards gdpo measures each reward alone"),
            (
                policy.rolloutImportanceSamplingMode != nil, ["log_rollout_offpolicy_metrics"],
                "--rollout_importance_sampling_mode logs them"
            ),
            (
                policy.rolloutImportanceSamplingMode == nil, ["rollout_importance_sampling_threshold"],
                "there is no --rollout_importance_sampling_mode"
            ),
        ]
    }

    /// What of a loss the others do not read.
    private var idleOfForm: Idle {
        let form = policyForm
        return [
            (form != .sapo, ["tau_pos", "tau_neg"], "--loss_type is not sapo"),
            (
                form != .fipo, ["fipo_decay_rate", "fipo_clip_range", "fipo_clip_high_only", "fipo_safety_threshold"],
                "--loss_type is not fipo"
            ),
            (form == .fipo && policy.fipoClipRange == 0, ["fipo_clip_high_only"], "--fipo_clip_range is 0"),
            (form == .sapo, ["epsilon", "epsilon_high", "delta"], "--loss_type sapo has gates and clips nothing"),
            (form == .cispo, ["delta"], "--loss_type cispo caps ratios at --epsilon_high"),
            (
                form == .cispo && policy.epsilonHigh != nil, ["epsilon"],
                "--loss_type cispo caps ratios at --epsilon_high"
            ),
        ]
    }

    private var idleOfProximal: Idle {
        [
            (proximal.klCoef == 0, ["kl_estimator"], "--kl_coef is 0"),
            (proximal.vfCoef == 0, ["cliprange_value"], "--vf_coef is 0"),
        ]
    }

    private var idleOfDistillation: Idle {
        [
            (
                distillation.lmbda == 0, PolicySettings.ofOwnAnswers.subtracting(["temperature"]).sorted(),
                "--lmbda 0 learns from the answers of the data alone"
            )
        ]
    }
}
