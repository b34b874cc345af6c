import ApusRewards

/// How answers are rewarded.
public struct RewardSettings: Sendable {
    /// Names of rewards, and programs.
    public var rewardFuncs: [String] = []
    /// What each of them counts; nil counts all the same.
    public var rewardWeights: [Double]?
    /// The seconds that a program may take for a batch.
    public var rewardTimeout = 60.0
    /// `cosine`: the reward of a wrong answer without tokens.
    public var cosineMinLenValueWrong = -0.5
    /// `cosine`: the reward of a wrong answer of the full length.
    public var cosineMaxLenValueWrong = 0.0
    /// `cosine`: the reward of a right answer without tokens.
    public var cosineMinLenValueCorrect = 1.0
    /// `cosine`: the reward of a right answer of the full length.
    public var cosineMaxLenValueCorrect = 0.5
    /// `cosine`: the full length in tokens; nil takes the longest that an answer may be.
    public var cosineMaxLen: Int?
    /// `repetition`: how many words are looked at together.
    public var repetitionNGrams = 3
    /// `repetition`: the reward of nothing but repetition.
    public var repetitionMaxPenalty = -1.0
    /// `soft_overlong`: the length in tokens at which the reward is -1.
    public var softMaxLength: Int?
    /// `soft_overlong`: how far below that the reward begins to fall.
    public var softCacheLength: Int?

    public init() {}
}

extension RewardSettings: SettingsPart {
    package static let fields: [SettingsField<RewardSettings>] = [
        SettingsField("reward_funcs", \.rewardFuncs, affectsNumbers: true),
        SettingsField("reward_weights", \.rewardWeights, affectsNumbers: true),
        SettingsField("reward_timeout", \.rewardTimeout),
        SettingsField("cosine_min_len_value_wrong", \.cosineMinLenValueWrong, affectsNumbers: true),
        SettingsField("cosine_max_len_value_wrong", \.cosineMaxLenValueWrong, affectsNumbers: true),
        SettingsField("cosine_min_len_value_correct", \.cosineMinLenValueCorrect, affectsNumbers: true),
        SettingsField("cosine_max_len_value_correct", \.cosineMaxLenValueCorrect, affectsNumbers: true),
        SettingsField("cosine_max_len", \.cosineMaxLen, affectsNumbers: true),
        SettingsField("repetition_n_grams", \.repetitionNGrams, affectsNumbers: true),
        SettingsField("repetition_max_penalty", \.repetitionMaxPenalty, affectsNumbers: true),
        SettingsField("soft_max_length", \.softMaxLength, affectsNumbers: true),
        SettingsField("soft_cache_length", \.softCacheLength, affectsNumbers: true),
    ]

    /// - Parameter length: The most tokens of an answer, where that is limited.
    func options(answerLength length: Int?, _ surroundings: Surroundings) -> RewardOptions {
        var options = RewardOptions()
        options.timeout = rewardTimeout
        options.environment = surroundings.environment
        options.cosineMinLenValueWrong = cosineMinLenValueWrong
        options.cosineMaxLenValueWrong = cosineMaxLenValueWrong
        options.cosineMinLenValueCorrect = cosineMinLenValueCorrect
        options.cosineMaxLenValueCorrect = cosineMaxLenValueCorrect
        options.cosineMaxLen = cosineMaxLen ?? length
        options.repetitionNGrams = repetitionNGrams
        options.repetitionMaxPenalty = repetitionMaxPenalty
        options.softMaxLength = softMaxLength
        options.softCacheLength = softCacheLength
        return options
    }

    /// - Parameter models: Reward models, whose weights come behind those of the rewards.
    /// - Throws: `SettingsError` for weights that are not those of the rewards.
    func check(models: [String] = []) throws {
        let sources = rewardFuncs + models
        guard let rewardWeights, !rewardWeights.isEmpty, rewardWeights.count != sources.count else { return }
        throw SettingsError(
            "--reward_weights: got \(rewardWeights.count) for \(sources.count) rewards (\(sources.joined(separator: ", "))); "
                + "wanted one for each.")
    }
}
