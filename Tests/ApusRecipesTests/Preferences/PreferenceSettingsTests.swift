import ApusJSON
import ApusText
import ApusTraining
import Foundation
import Testing

@testable import ApusRecipes

/// The words of `apus rlhf`: defaults, what goes together, and what is refused.
struct PreferenceSettingsTests {
    private func settings(_ words: [String]) throws -> (settings: RLHFSettings, notices: [String]) {
        var notices: [String] = []
        let line = try ArgumentLine(["--model", "m", "--dataset", "d.jsonl"] + words, for: .rlhf)
        return (try RLHFSettings(line, notices: &notices), notices)
    }

    private func refusal(_ words: [String]) -> String {
        do {
            _ = try settings(words)
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func defaultsAreThoseOfMSSwift() throws {
        let plain = try settings([]).settings
        #expect(plain.preferences.method == .dpo)
        #expect(plain.preferences.chosenBeta == 0.1)
        #expect(plain.preferences.chosenLossTypes == [.sigmoid])
        #expect(plain.training.encoding.lossScale == .lastRound)
        #expect(plain.training.learningRate == 1e-4)
        #expect(try settings(["--rlhf_type", "simpo"]).settings.preferences.chosenBeta == 2)
        #expect(try settings(["--rlhf_type", "orpo"]).settings.training.encoding.lossScale == .everyAnswer)
        let reward = try settings(["--rlhf_type", "rm"]).settings
        #expect(reward.training.taskType == .sequenceClassification)
        #expect(try settings(["--rlhf_type", "kto"]).settings.preferences.chosenLossTypes == [.kto])
        #expect(try settings(["--loss_scale", "all"]).settings.training.encoding.lossScale == .all)
    }

    @Test func mixes() throws {
        let words = [
            "--loss_type", "sigmoid", "bco_pair", "sft", "--loss_weights", "0.8", "0.2", "1", "--rpo_alpha", "0.5",
        ]
        let terms = try settings(words).settings.preferences.pairTerms
        #expect(terms.losses.map(\.loss) == [.sigmoid, .bcoPair] && terms.losses.map(\.weight) == [0.8, 0.2])
        #expect(terms.likelihoodWeight == 1.5)
        let simpo = try settings(["--rlhf_type", "simpo", "--simpo_gamma", "0.5"]).settings.preferences.pairTerms
        #expect(simpo.options.margin == 0.5 && simpo.likelihoodWeight == 1 && simpo.logsMeans)
    }

    /// Divergences and shapes of TRL, by its flags.
    @Test func shapes() throws {
        func terms(_ words: [String]) throws -> PairTerms { try settings(words).settings.preferences.pairTerms }
        for (word, shape) in [
            ("reverse_kl", .plain), ("forward_kl", .forwardKL), ("js_divergence", .jensenShannon),
            ("alpha_divergence", .alpha(0.3)),
        ] as [(String, ScoreShape)] {
            let made = try terms(["--f_divergence_type", word, "--f_alpha_divergence_coef", "0.3"])
            #expect(made.options.shape == shape)
        }
        #expect(try terms(["--f_divergence_type", "alpha_divergence"]).options.shape == .alpha(0.5))
        let tails = try terms(["--ld_alpha", "0.5", "--ld_alpha_reference", "true"])
        #expect(tails.tailWeight == 0.5 && tails.weighsReferenceTails)
        #expect(try !terms(["--ld_alpha", "0.5"]).weighsReferenceTails)
        for method in ["cpo", "simpo"] {
            let made = try terms(["--rlhf_type", method, "--loss_type", "alphapo", "--alpha", "0.25"])
            #expect(made.losses.map(\.loss) == [.sigmoidNorm] && made.options.margin == 1)
            #expect(made.options.shape == .power(0.25) && made.likelihoodWeight == 0 && made.logsMeans)
        }
        let shaped = try terms(["--rlhf_type", "cpo", "--loss_type", "ipo", "--alpha", "-0.5"])
        #expect(shaped.options.shape == .power(-0.5) && shaped.likelihoodWeight == 1)
        #expect(try terms(["--rlhf_type", "cpo"]).options.shape == .plain)
        let policy = try settings([
            "--rlhf_type", "grpo", "--reward_funcs", "format", "--per_device_train_batch_size", "8",
            "--use_bias_correction_kl", "true",
        ]).settings.preferences.policy
        #expect(policy.loss(.grpo, beta: 0.04).weighsDivergence)
    }

    @Test(arguments: [
        (["--f_divergence_type", "forward_kl", "--loss_type", "nca_pair"], "nca_pair is made for reverse_kl"),
        (
            ["--f_divergence_type", "js_divergence", "--loss_type", "sigmoid", "bco_pair"],
            "bco_pair is made for reverse_kl"
        ), (["--f_divergence_type", "chi"], "--f_divergence_type"),
        (
            ["--ld_alpha", "0.5", "--ld_alpha_reference", "true", "--precompute_ref_log_probs", "true"],
            "Leave one of them out"
        ), (["--rlhf_type", "dpo", "--loss_type", "alphapo"], "--loss_type alphapo does not go with"),
        (["--rlhf_type", "grpo"], "grpo"), (["--rlhf_type", "ppo"], "not"),
        (["--sync_ref_model", "true", "--precompute_ref_log_probs", "true"], "Leave one of them out"),
        (["--sync_ref_model", "true", "--ref_model_mixup_alpha", "0"], "--ref_model_mixup_alpha"),
        (["--sync_ref_model", "true", "--ref_model_sync_steps", "0"], "--ref_model_sync_steps"),
        (["--rlhf_type", "orpo", "--loss_type", "sigmoid"], "It has one loss"),
        (["--rlhf_type", "cpo", "--loss_type", "exo_pair"], "sigmoid, hinge, ipo, simpo"),
        (["--rlhf_type", "cpo", "--loss_type", "sigmoid", "hinge"], "mixed by --rlhf_type dpo alone"),
        (["--loss_type", "sigmoid", "sft", "--loss_weights", "1"], "1 weights for 2 losses"),
        (["--loss_type", "robust", "--label_smoothing", "0.5"], "less than 0.5"),
        (["--rlhf_type", "simpo", "--ref_model", "other"], "compares with no reference"),
        (["--rlhf_type", "rm", "--ref_adapters", "a"], "compares with no reference"),
        (["--ref_adapters", "a", "b"], "got 2, wanted one"),
        (["--ref_model", "m", "--ref_adapters", "a"], "Give one of"),
        (["--beta", "0"], "--beta"), (["--ld_alpha", "2"], "--ld_alpha"),
        (["--rlhf_type", "rm", "--num_labels", "2"], "--num_labels"), (["--streaming", "true"], "--streaming"),
        (["--truncation_strategy", "split"], "cannot be split"),
        (["--reward_model_plugin", "8"], "--reward_model_plugin"),
        (["--rlhf_type", "grpo"], "nothing rewards the answers"),
        (
            ["--rlhf_type", "grpo", "--reward_funcs", "format", "--reward_weights", "1", "2"],
            "got 2 for 1 rewards"
        ),
        (
            ["--rlhf_type", "grpo", "--reward_funcs", "format", "--per_device_train_batch_size", "6"],
            "--num_generations 8 does not divide the 6 answers"
        ),
        (
            [
                "--rlhf_type", "grpo", "--reward_funcs", "format", "--per_device_train_batch_size", "8", "--loss_type",
                "cispo",
            ], "Its authors give 5"
        ),
        (
            [
                "--rlhf_type", "grpo", "--reward_funcs", "format", "--per_device_train_batch_size", "8", "--delta",
                "1.1",
            ], "must be above 1 + --epsilon_high"
        ),
        (
            [
                "--rlhf_type", "grpo", "--reward_funcs", "format", "--per_device_train_batch_size", "8",
                "--num_generations", "1",
            ], "alone every advantage is 0"
        ),
        (
            [
                "--rlhf_type", "grpo", "--reward_funcs", "format", "--per_device_train_batch_size", "8",
                "--truncation_strategy", "right",
            ], "whose end cannot be cut"
        ),
        (
            [
                "--rlhf_type", "grpo", "--reward_funcs", "format", "--per_device_train_batch_size", "8",
                "--generation_batch_size", "12",
            ], "--generation_batch_size 12 is not a multiple"
        ),
        (["--rlhf_type", "grpo", "--loss_type", "sigmoid"], "grpo, bnpo, dr_grpo, dapo, cispo, sapo, fipo"),
        (["--rlhf_type", "grpo", "--gym_env", "x"], "--gym_env"),
        (["--task_type", "seq_cls"], "--task_type causal_lm"),
        (
            ["--rlhf_type", "kto", "--tuner_type", "longlora", "--precompute_ref_log_probs", "true"],
            "with kto and --tuner_type longlora the reference is asked in the step"
        ),
        (
            [
                "--rlhf_type", "kto", "--per_device_train_batch_size", "1", "--gradient_accumulation_steps", "1",
            ], "one sample a step"
        ),
        (["--rlhf_type", "kto", "--loss_scale", "all"], "it is not known where an answer begins"),
        (["--rlhf_type", "kto", "--loss_scale", "last_round+react"], "parts of answers are left out"),
        (["--rlhf_type", "gkd", "--loss_scale", "all"], "has the model answer questions itself"),
        (["--rlhf_type", "gkd", "--tuner_type", "longlora"], "Give --tuner_type lora, or --lmbda 0."),
        (["--rlhf_type", "grpo", "--loss_type", "real"], "ms-swift has \"real\", Apus does not yet"),
    ])
    func contradictionsAreRefused(_ words: [String], _ part: String) {
        #expect(refusal(words).contains(part), "\(refusal(words))")
    }

    @Test(arguments: [
        (
            ["--rlhf_type", "orpo", "--label_smoothing", "0.1"],
            "--label_smoothing: without effect, because --rlhf_type is orpo"
        ),
        (["--rlhf_type", "rm", "--beta", "0.5"], "--beta 0.5: without effect"),
        (["--discopop_tau", "1"], "--loss_type is not discopop"),
        (["--f_alpha_divergence_coef", "1"], "--f_divergence_type is not alpha_divergence"),
        (["--ld_alpha_reference", "true"], "there is no --ld_alpha"),
        (["--alpha", "0.25"], "--alpha: without effect, because --rlhf_type is dpo"),
        (
            ["--ref_model_sync_steps", "8", "--ref_model_mixup_alpha", "0.5"],
            "--ref_model_sync_steps, --ref_model_mixup_alpha: without effect, because --sync_ref_model is false"
        ), (["--rlhf_type", "orpo", "--sync_ref_model", "true"], "--sync_ref_model: without effect"),
        (["--rlhf_type", "kto", "--f_divergence_type", "forward_kl"], "--rlhf_type is kto"),
        (["--rlhf_type", "cpo", "--loss_type", "alphapo"], "--alpha 0 is simpo"),
        (
            ["--rlhf_type", "cpo", "--loss_type", "alphapo", "--alpha", "0.25", "--cpo_alpha", "0.5"],
            "alphapo, which has no likelihood"
        ),
        (
            [
                "--rlhf_type", "grpo", "--reward_funcs", "format", "--per_device_train_batch_size", "8", "--beta", "0",
                "--use_bias_correction_kl", "true",
            ], "--use_bias_correction_kl: without effect"
        ),
        (["--loss_type", "hinge", "--label_smoothing", "0.1"], "--loss_type hinge has none"),
        (["--rlhf_type", "simpo"], "--cpo_alpha 0"),
        (["--rlhf_type", "rm", "--loss_scale", "all"], "--loss_scale all: without effect, because --rlhf_type is rm"),
        (["--adapters", "/nowhere/checkpoint-1", "--load_args", "false"], "--adapters without --ref_adapters"),
        (
            ["--rlhf_type", "kto", "--adapters", "/nowhere/checkpoint-1", "--load_args", "false"],
            "--adapters without --ref_adapters"
        ),
        (
            [
                "--rlhf_type", "grpo", "--reward_funcs", "format", "--per_device_train_batch_size", "8", "--adapters",
                "/nowhere/checkpoint-1", "--load_args", "false",
            ], "--adapters without --ref_adapters"
        ),
    ])
    func whatHasNoEffectIsSaid(_ words: [String], _ part: String) throws {
        let notices = try settings(words).notices
        #expect(notices.contains { $0.contains(part) }, "\(notices)")
    }

    /// Whoever names another model as the reference is not told that it is the bare one.
    @Test(arguments: [["--ref_model", "r"], ["--ref_adapters", "/nowhere/checkpoint-1"]])
    func namedReferencesAreNotBare(_ reference: [String]) throws {
        let adapters = ["--adapters", "/nowhere/checkpoint-1", "--load_args", "false"]
        for method in [["--rlhf_type", "dpo"], ["--rlhf_type", "kto"], Self.sampled("grpo", "")] {
            let notices = try settings(method + adapters + reference).notices
            #expect(!notices.contains { $0.contains("without --ref_adapters") }, "\(notices)")
        }
    }

    /// Where questions keep their answers, every token may be learned; where they do not, what leaves nothing out within answers.
    @Test(arguments: [
        ["--rlhf_type", "kto", "--loss_type", "apo_zero_unpaired", "--loss_scale", "all"],
        ["--rlhf_type", "gkd", "--lmbda", "0", "--loss_scale", "all"],
        ["--rlhf_type", "gkd", "--lmbda", "0", "--tuner_type", "longlora", "--loss_scale", "all"],
        ["--rlhf_type", "orpo", "--loss_scale", "all"],
        ["--rlhf_type", "kto", "--loss_scale", "default+hermes+ignore_empty_think"],
    ])
    func lossScalesThatFit(_ words: [String]) throws {
        #expect(try settings(words).settings.training.encoding.lossScale.rawValue == words.last)
    }

    /// Words of a run that rewards the model's own answers.
    private static func sampled(_ method: String, _ words: String) -> [String] {
        let more = words.split(separator: " ").map(String.init)
        let size = more.contains("--per_device_train_batch_size") ? [] : ["--per_device_train_batch_size", "8"]
        return ["--rlhf_type", method, "--reward_funcs", "format"] + size + more
    }

    /// Words of a run that learns of experts too.
    private static func experts(_ words: String) -> String {
        "--chord_sft_dataset e.jsonl --chord_sft_per_device_train_batch_size 1 --chord_mu_warmup_steps 0 "
            + "--chord_mu_decay_steps 200 " + words
    }

    private static let wrongSamplings: [(method: String, words: String, part: String)] = [
        ("grpo", "--tuner_type longlora", "--tuner_type longlora learns with attention in groups"),
        ("ppo", "--tuner_type longlora", "Give --tuner_type lora."),
        ("grpo", "--teacher_model t", "--teacher_model: ms-swift's grpo learns from a teacher too"),
        ("grpo", "--teacher_adapters t", "Give --rlhf_type gkd"),
        ("ppo", "--metric_for_best_model reward_std", "ppo has no metric \"reward_std\""),
        ("grpo", "--metric_for_best_model num_turns", "grpo has no metric \"num_turns\""),
        ("grpo", "--metric_for_best_model entropy/mean", "grpo has no metric"),
        ("ppo", "--metric_for_best_model kl", "has no metric \"kl\""),
        ("ppo", "--metric_for_best_model reward_std", "has no metric \"reward_std\""),
        ("grpo", "--metric_for_best_model objective/scores", "has no metric \"objective/scores\""),
        ("grpo", "--beta 0 --metric_for_best_model kl", "There are loss, reward, reward_std"),
        ("grpo", "--num_generations_eval 1 --metric_for_best_model reward_std", "has no metric \"reward_std\""),
        ("grpo", "--beta 0 --sync_ref_model true", "--beta 0 compares with no reference"),
        (
            "grpo", "--chord_sft_dataset e.jsonl --chord_mu_peak 0.9",
            "--chord_sft_per_device_train_batch_size, --chord_mu_warmup_steps, --chord_mu_decay_steps, --chord_mu_valley "
                + "are not given"
        ), ("grpo", experts("--chord_mu_peak 0.05 --chord_mu_valley 0.9"), "not below --chord_mu_valley 0.9"),
        ("grpo", experts("--chord_mu_peak 0 --chord_mu_valley 0"), "must be above 0"),
        ("grpo", experts("--chord_mu_peak 1.5 --chord_mu_valley 0"), "--chord_mu_peak"),
        (
            "grpo",
            experts(
                "--chord_mu_peak 1 --chord_mu_valley 0 --tuner_type full --optim lomo --gradient_accumulation_steps 1"),
            "the model runs twice in a step"
        ),
        (
            "grpo",
            experts("--chord_mu_peak 1 --chord_mu_valley 0").replacing("batch_size 1", with: "batch_size 2000000"),
            "than the 1048576 that a step learns"
        ), ("grpo", "--num_iterations 9000000000000000000", "--num_iterations"),
        ("grpo", "--num_generations 65537", "--num_generations"),
        (
            "grpo", "--per_device_train_batch_size 2147483647 --steps_per_generation 65536",
            "--per_device_train_batch_size 2147483647 × 65536 micro-batches"
        ),
        (
            "ppo",
            "--per_device_train_batch_size 2147483647 --gradient_accumulation_steps 2147483647 --num_mini_batches 65536",
            "than the 1048576 that are sampled together"
        ),
    ]

    @Test(arguments: PreferenceSettingsTests.wrongSamplings)
    func wrongSamplingsAreRefused(_ it: (method: String, words: String, part: String)) {
        let refusal = refusal(Self.sampled(it.method, it.words))
        #expect(refusal.contains(it.part), "\(refusal)")
    }

    private static let idleSamplings: [(method: String, words: String, part: String)] = [
        ("grpo", "--max_resample_times 5", "--max_resample_times: without effect, because --dynamic_sample is false"),
        ("grpo", "--rollout_importance_sampling_threshold 3", "there is no --rollout_importance_sampling_mode"),
        (
            "grpo", "--rollout_importance_sampling_mode token_mask --log_rollout_offpolicy_metrics true",
            "--log_rollout_offpolicy_metrics: without effect, because --rollout_importance_sampling_mode logs them"
        ), ("grpo", "--tau_pos 2 --tau_neg 2", "--tau_pos, --tau_neg: without effect, because --loss_type is not sapo"),
        ("grpo", "--fipo_decay_rate 2", "--fipo_decay_rate: without effect, because --loss_type is not fipo"),
        (
            "grpo", "--loss_type fipo --fipo_clip_range 0 --fipo_clip_high_only false",
            "--fipo_clip_high_only: without effect, because --fipo_clip_range is 0"
        ),
        (
            "grpo", "--loss_type sapo --epsilon 0.1 --epsilon_high 0.3 --delta 1.1",
            "--epsilon, --epsilon_high, --delta: without effect, because --loss_type sapo"
        ),
        (
            "grpo", "--loss_type cispo --epsilon 0.1 --epsilon_high 5 --delta 3",
            "--delta: without effect, because --loss_type cispo"
        ),
        (
            "grpo", "--loss_type cispo --epsilon 0.1 --epsilon_high 5",
            "--epsilon: without effect, because --loss_type cispo"
        ),
        ("grpo", "--beta 0 --kl_in_reward true", "--kl_in_reward: without effect, because --beta is 0"),
        ("grpo", "--num_generations_eval 4", "--num_generations_eval: without effect"),
        ("grpo", "--scale_rewards gdpo --advantage_estimator rloo", "--advantage_estimator: without effect"),
        ("grpo", "--max_turns 3", "--max_turns: without effect, because there is no --multi_turn_scheduler"),
        ("grpo", "--reward_timeout 3", "--reward_timeout: without effect"),
        (
            "grpo", "--chord_mu_peak 0.9 --chord_enable_phi_function true",
            "--chord_mu_peak, --chord_enable_phi_function: without effect, because there is no --chord_sft_dataset"
        ), ("grpo", "--loss_scale default", "--loss_scale default: without effect"),
        ("ppo", "--chord_sft_dataset e.jsonl", "--chord_sft_dataset: without effect, because --rlhf_type is ppo"),
        ("grpo", "--max_completion_length 9 --max_new_tokens 8", "--max_completion_length: without effect"),
        ("ppo", "--kl_coef 0 --kl_estimator k3", "--kl_estimator: without effect, because --kl_coef is 0"),
        ("ppo", "--vf_coef 0 --cliprange_value 0.1", "--cliprange_value: without effect, because --vf_coef is 0"),
    ]

    @Test(arguments: PreferenceSettingsTests.idleSamplings)
    func whatASamplingDoesNotReadIsSaid(_ it: (method: String, words: String, part: String)) throws {
        let notices = try settings(Self.sampled(it.method, it.words)).notices
        #expect(notices.contains { $0.contains(it.part) }, "\(notices)")
    }

    @Test(arguments: [
        (
            "--rlhf_type gkd --lmbda 0 --max_completion_length 9 --top_k 5",
            "--max_completion_length, --top_k: without effect, because --lmbda 0"
        ),
        ("--rlhf_type cpo --simpo_gamma 2", "--simpo_gamma: without effect, because --loss_type is not simpo"),
    ])
    func whatAMethodDoesNotReadIsSaid(_ words: String, _ part: String) throws {
        let notices = try settings(words.split(separator: " ").map(String.init)).notices
        #expect(notices.contains { $0.contains(part) }, "\(notices)")
    }

    /// What is read is not said to be idle.
    @Test(arguments: [
        "--multi_turn_scheduler ./turns.py --max_turns 3 --reward_timeout 3",
        "--dynamic_sample true --max_resample_times 5", "--loss_type cispo --epsilon 5",
        "--epsilon 0.1 --epsilon_high 0.3 --delta 3", "--loss_type sapo --tau_pos 2",
        "--metric_for_best_model rewards/Format/mean", "--metric_for_best_model completions/mean_length",
        "--metric_for_best_model eval_clip_ratio/region_mean",
        "--metric_for_best_model num_turns --multi_turn_scheduler ./turns.py",
        "--metric_for_best_model entropy/mean --log_entropy true",
        "--metric_for_best_model rollout_correction/kl --log_rollout_offpolicy_metrics true",
        experts("--chord_mu_peak 0.9 --chord_mu_valley 0.05 --chord_enable_phi_function true --loss_scale default"),
    ])
    func whatIsReadIsNotIdle(_ words: String) throws {
        let notices = try settings(Self.sampled("grpo", words)).notices
        #expect(!notices.contains { $0.contains("without effect") }, "\(notices)")
    }

    /// Settings come back from what a run records of them.
    @Test(arguments: PreferenceMethod.allCases) func recordsComeBack(method: PreferenceMethod) throws {
        let own =
            [.grpo, .ppo].contains(method)
            ? ["--reward_funcs", "format", "--per_device_train_batch_size", "8", "--epsilon_high", "0.3"] : []
        var first = try settings(["--rlhf_type", method.rawValue] + own).settings
        if method == .dpo { first.preferences.lossType = [.sigmoid, .sft] }
        let again = try RLHFSettings(argsJSON: first.argsJSON())
        #expect(JSONValue.object(again.argsJSON()) == JSONValue.object(first.argsJSON()))
        #expect(first.argsJSON()["rlhf_type"]?.stringValue == method.rawValue)
    }

    /// Every option of the command has a property, and none has two.
    @Test func everyOptionHasAField() {
        let supported = OptionTable.table(for: .rlhf).options.filter { $0.status == .supported }.map(\.name).filter {
            $0 != "ignore_args_error"
        }
        #expect(Set(RLHFSettings.fields.map(\.name)) == Set(supported))
        #expect(RLHFSettings.fields.count == supported.count)
        #expect(Set(supported).count == supported.count)
    }
}
