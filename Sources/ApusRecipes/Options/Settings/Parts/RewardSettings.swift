package import ApusRewards

/// How answers are rewarded.
package struct RewardSettings: Sendable {
    /// Names of rewards, and programs.
    package var rewardFuncs: [String] = []
    /// What each of them counts; nil counts all the same.
    package var rewardWeights: [Double]?
    /// What the rewards are told.
    package var options = RewardOptions()

    package init() {}
}

extension RewardSettings: SettingsPart {
    package static let fields: [SettingsField<RewardSettings>] = [
        SettingsField("reward_funcs", \.rewardFuncs, affectsNumbers: true),
        SettingsField("reward_weights", \.rewardWeights, affectsNumbers: true),
        SettingsField("reward_timeout", \.options.timeout),
        SettingsField("cosine_min_len_value_wrong", \.options.cosineMinLenValueWrong, affectsNumbers: true),
        SettingsField("cosine_max_len_value_wrong", \.options.cosineMaxLenValueWrong, affectsNumbers: true),
        SettingsField("cosine_min_len_value_correct", \.options.cosineMinLenValueCorrect, affectsNumbers: true),
        SettingsField("cosine_max_len_value_correct", \.options.cosineMaxLenValueCorrect, affectsNumbers: true),
        SettingsField("cosine_max_len", \.options.cosineMaxLen, affectsNumbers: true),
        SettingsField("repetition_n_grams", \.options.repetitionNGrams, affectsNumbers: true),
        SettingsField("repetition_max_penalty", \.options.repetitionMaxPenalty, affectsNumbers: true),
        SettingsField("soft_max_length", \.options.softMaxLength, affectsNumbers: true),
        SettingsField("soft_cache_length", \.options.softCacheLength, affectsNumbers: true),
    ]

    /// - Parameter length: The most tokens of an answer, where that is limited.
    func options(answerLength length: Int?, _ surroundings: Surroundings) -> RewardOptions {
        var options = options
        options.environment = surroundings.environment
        options.cosineMaxLen = options.cosineMaxLen ?? length
        return options
    }

    /// Options that no reward of those that are asked looks at, and why.
    ///
    /// - Parameter sources: Names of rewards and programs.
    static func idle(of sources: [String]) -> [(names: [String], reason: String)] {
        let names = fields.map(\.name)
        var idle: [(names: [String], reason: String)] = ["cosine", "repetition", "soft_overlong"].compactMap { reward in
            guard !sources.contains(reward) else { return nil }
            let prefix = reward == "soft_overlong" ? "soft_" : "\(reward)_"
            return (names.filter { $0.hasPrefix(prefix) }, "there is no reward \(reward) among those that are asked")
        }
        if !sources.contains(where: RewardFunctions.isProgram) {
            idle.append((["reward_timeout"], "no program is asked for a reward"))
        }
        return idle
    }

    /// - Parameter others: Rewards that are named elsewhere, whose weights come behind those of the rewards.
    /// - Throws: `SettingsError` for weights that are not those of the rewards.
    func check(besides others: [String] = []) throws {
        let sources = rewardFuncs + others
        guard let rewardWeights, !rewardWeights.isEmpty, rewardWeights.count != sources.count else { return }
        throw SettingsError(
            "--reward_weights: got \(rewardWeights.count) for \(sources.count) rewards "
                + "(\(sources.joined(separator: ", "))); wanted one for each.")
    }
}
