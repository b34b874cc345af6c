import ApusRewards
import ApusTorch

/// What is told of some answers, those of a round or of a whole evaluation: spreads and extremes are of all of them.
///
/// N answers, F reward functions.
struct RoundFigures {
    /// Tokens of each answer, [N].
    var lengths: [Int]
    /// Whether it was cut off, [N].
    var isCut: [Bool]
    /// What each function says, [F][N]; NaN where it says nothing.
    var scores: [[Double]]
    /// [N].
    var rewards: [Double]
    /// What is taken off for leaving the reference, [N]; nil where nothing is compared in the reward.
    var costs: [Double]?
    /// Answers of each conversation, [N].
    var turns: [Int]
    /// Of answers that are told apart by tokens (PPO), [N]; else none.
    var tokens: [Tokens] = []

    /// An answer that is told apart by tokens.
    struct Tokens {
        /// `Σ KL_t`.
        let divergence: Double
        /// `−Σ log π`.
        let entropy: Double
        let score: Double
    }

    /// Adds answers to other questions.
    mutating func add(_ other: RoundFigures) {
        lengths += other.lengths
        isCut += other.isCut
        for index in scores.indices { scores[index] += other.scores[index] }
        rewards += other.rewards
        if let more = other.costs { costs = (costs ?? []) + more }
        turns += other.turns
        tokens += other.tokens
    }

    /// By ms-swift's names.
    ///
    /// - Parameter names: Of the functions, [F].
    func tallies(_ names: [String], _ options: RolloutMaker.Options) throws -> [Tally] {
        var tallies: [Tally] = []
        func tell(_ name: String, _ value: Double, of count: Int = 1) throws {
            tallies.append(Tally(name, try Tensor([value * Double(count)]), count: count))
        }
        let lengths = lengths.map(Double.init)
        let cut = isCut.count { $0 }
        try tell("completions/mean_length", lengths[...].mean, of: lengths.count)
        try tell("completions/min_length", lengths.min() ?? 0)
        try tell("completions/max_length", lengths.max() ?? 0)
        try tell("completions/clipped_ratio", Double(cut) / Double(max(1, isCut.count)), of: isCut.count)
        let groups = Advantages.groups(rewards.count, options.groupSize).map { Array(rewards[$0]) }
        try tell("reward", rewards[...].mean, of: rewards.count)
        // An answer alone has no spread.
        if options.groupSize > 1 {
            try tell("reward_std", options.scale == .batch ? rewards.deviation : groups.map(\.deviation)[...].mean)
            try tell("frac_reward_zero_std", Double(groups.count(where: \.isFlat)) / Double(max(1, groups.count)))
        }
        for (name, values) in zip(names, scores) {
            let known = values.filter { !$0.isNaN }
            // Said only where it happens: a reward that says nothing of an answer is easily overlooked.
            if known.count < values.count {
                try tell("rewards/\(name)/unjudged", Double(values.count - known.count))
            }
            guard !known.isEmpty else { continue }
            try tell("rewards/\(name)/mean", known[...].mean, of: known.count)
            try tell("rewards/\(name)/std", known.deviation)
        }
        if let costs, options.divergenceCost > 0 { try tell("kl", costs[...].mean / options.divergenceCost) }
        if options.tellsTurns { try tell("num_turns", turns.map(Double.init)[...].mean, of: turns.count) }
        if let proximal = options.proximal {
            let divergence = tokens.map(\.divergence)[...].mean
            let score = tokens.map(\.score)[...].mean
            try tell("objective/kl", divergence)
            try tell("objective/entropy", tokens.map(\.entropy)[...].mean)
            try tell("objective/non_score_reward", -proximal.divergenceCost * divergence)
            try tell("objective/rlhf_reward", score - proximal.divergenceCost * divergence)
            try tell("objective/scores", score)
            try tell("val/num_eos_tokens", Double(isCut.count - cut))
        }
        return tallies
    }

    /// Their names beside those of single rewards, as an evaluation has them.
    static func names(_ options: RolloutMaker.Options) -> [String] {
        let ofTokens =
            ["kl", "entropy", "non_score_reward", "rlhf_reward", "scores"].map { "objective/\($0)" } + [
                "val/num_eos_tokens"
            ]
        return ["reward"] + (options.groupSize > 1 ? ["reward_std", "frac_reward_zero_std"] : [])
            + (options.divergenceCost > 0 ? ["kl"] : []) + (options.tellsTurns ? ["num_turns"] : [])
            + (options.proximal == nil ? [] : ofTokens)
            + ["mean_length", "min_length", "max_length", "clipped_ratio"].map { "completions/\($0)" }
    }

    /// Refuses rewards that have no spread in a Double.
    ///
    /// - Throws: `TrainingError` that names the function.
    func check(_ names: [String], _ advantages: [Double]) throws {
        let advice = "Give rewards of a size such as 0 to 1."
        for (name, values) in zip(names, scores) {
            let known = values.filter { !$0.isNaN }
            guard known.allSatisfy(\.isFinite), known.deviation.isFinite else {
                throw TrainingError(
                    .notFinite,
                    "the reward \(name) said \(known.min() ?? 0) to \(known.max() ?? 0) of the answers of a round, whose spread "
                        + "is no number. \(advice)")
            }
        }
        guard rewards.deviation.isFinite, advantages.allSatisfy(\.isFinite) else {
            throw TrainingError(
                .notFinite,
                "the rewards \(names.joined(separator: ", ")), each times its weight (--reward_weights), add up to "
                    + "\(rewards.min() ?? 0) to \(rewards.max() ?? 0) in a round, whose spread is no number. \(advice)")
        }
    }
}
