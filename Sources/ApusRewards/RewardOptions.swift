/// What rewards are told, under ms-swift's names and with its values.
package struct RewardOptions: Sendable {
    /// `cosine`: the reward of a wrong answer without tokens.
    package var cosineMinLenValueWrong = -0.5
    /// `cosine`: the reward of a wrong answer of the full length.
    package var cosineMaxLenValueWrong = 0.0
    /// `cosine`: the reward of a right answer without tokens.
    package var cosineMinLenValueCorrect = 1.0
    /// `cosine`: the reward of a right answer of the full length.
    package var cosineMaxLenValueCorrect = 0.5
    /// `cosine`: the full length in tokens; whoever makes the options gives the longest that an answer may be.
    package var cosineMaxLen: Int?
    /// `repetition`: how many words are looked at together.
    package var repetitionNGrams = 3
    /// `repetition`: the reward of nothing but repetition.
    package var repetitionMaxPenalty = -1.0
    /// `soft_overlong`: the length in tokens at which the reward is -1.
    package var softMaxLength: Int?
    /// `soft_overlong`: how far below that the reward begins to fall.
    package var softCacheLength: Int?
    /// The seconds that a program may write nothing while it is waited for.
    package var timeout = 60.0
    /// What a program finds in its environment.
    package var environment: [String: String] = [:]

    package init() {}
}
