package import ApusTraining

/// What proximal policy optimisation is told (`--rlhf_type ppo`).
package struct ProximalSettings: Sendable {
    /// How often each answer is learned from.
    package var numPPOEpochs = 4
    /// Steps in which the answers of a round are learned, each time.
    package var numMiniBatches = 1
    /// What leaving the reference costs.
    package var klCoef = 0.05
    package var klEstimator = DivergenceEstimator.k1
    package var whitenRewards = false
    /// How far ratios count, to both sides of 1.
    package var cliprange = 0.2
    package var cliprangeValue = 0.2
    /// The weight of the loss of values.
    package var vfCoef = 0.1
    package var gamma = 1.0
    package var lam = 0.95
    /// What an answer that does not end costs; nil asks for nothing.
    package var missingEOSPenalty: Double?

    package init() {}
}

extension DivergenceEstimator: OptionChoice {}

extension ProximalSettings: SettingsPart {
    package static let fields: [SettingsField<ProximalSettings>] = [
        SettingsField("num_ppo_epochs", \.numPPOEpochs, affectsNumbers: true),
        SettingsField("num_mini_batches", \.numMiniBatches, affectsNumbers: true),
        SettingsField("kl_coef", \.klCoef, affectsNumbers: true),
        SettingsField("kl_estimator", \.klEstimator, affectsNumbers: true),
        SettingsField("whiten_rewards", \.whitenRewards, affectsNumbers: true),
        SettingsField("cliprange", \.cliprange, affectsNumbers: true),
        SettingsField("cliprange_value", \.cliprangeValue, affectsNumbers: true),
        SettingsField("vf_coef", \.vfCoef, affectsNumbers: true),
        SettingsField("gamma", \.gamma, affectsNumbers: true),
        SettingsField("lam", \.lam, affectsNumbers: true),
        SettingsField("missing_eos_penalty", \.missingEOSPenalty, affectsNumbers: true),
    ]

    /// As the loss wants them.
    var options: ProximalOptions {
        var options = ProximalOptions()
        options.divergenceCost = klCoef
        options.estimator = klEstimator
        options.discount = gamma
        options.trace = lam
        options.clip = cliprange
        options.valueClip = cliprangeValue
        options.valueWeight = vfCoef
        options.whitensRewards = whitenRewards
        options.endlessCost = missingEOSPenalty
        return options
    }
}

extension OptionTable {
    /// What `--rlhf_type ppo` reads beside how answers are sampled and rewarded.
    static let proximalOptions: [CommandOption] = [
        option("num_ppo_epochs", .integer(1...65_536), .integer(4), "How often each answer is learned from."),
        option("num_mini_batches", .integer(1...65_536), .integer(1), "Steps in which a round is learned, each time."),
        option("kl_coef", .number(.from(0)), .number(0.05), "What leaving the reference costs."),
        option(
            "kl_estimator", .words(of: DivergenceEstimator.self), .text("k1"),
            "How the distance to the reference is measured."),
        option("whiten_rewards", .boolean, .boolean(false), "Measure rewards by their spread."),
        option("cliprange", .number(.above(0)), .number(0.2), "How far ratios count, to both sides of 1."),
        option("cliprange_value", .number(.above(0)), .number(0.2), "How far values move from what they were."),
        option("vf_coef", .number(.from(0)), .number(0.1), "The weight of the loss of values."),
        option("gamma", .number(.above(0, upTo: 1)), .number(1), "What a reward is worth a token later."),
        option("lam", .number(.from(0, upTo: 1)), .number(0.95), "How far advantages look ahead."),
        option("missing_eos_penalty", .number(.from(0)), nil, "What an answer that does not end costs."),
    ]

    private static func option(
        _ name: String, _ kind: OptionKind, _ value: OptionValue?, _ help: String
    ) -> CommandOption {
        CommandOption(name, kind, default: value, help, in: .preferences, for: [.rlhf], section: "ppo")
    }
}
