import Foundation

/// How much better an answer is than could be expected.
package enum AdvantageEstimator: String, Sendable, CaseIterable {
    /// Than the mean of its group (GRPO, <https://arxiv.org/abs/2402.03300>).
    case grpo
    /// Than the mean of the others of its group (RLOO, <https://arxiv.org/abs/2402.14740>).
    case rloo
    /// Than the mean of its group, measured by the spread of the whole round
    /// (REINFORCE++, <https://arxiv.org/abs/2501.03262>).
    case reinforcePlusPlus = "reinforce_plus_plus"
}

/// What advantages are divided by.
package enum RewardScale: String, Sendable, CaseIterable {
    /// The standard deviation of the rewards of the group.
    case group
    /// That of all rewards of the round.
    case batch
    case none
    /// Each reward function by its own in the group, then the sum by that of the round
    /// (GDPO, <https://arxiv.org/abs/2601.05242>).
    case gdpo
}

/// Rewards of the answers of a round and what follows from them, in Double.
///
/// N answers, G to each question one behind the other, F reward functions.
package struct Advantages: Sendable {
    /// `Σ wₖ rₖ` of each answer, [N], less what leaving the reference costs; what a function does not say counts nothing.
    package let rewards: [Double]
    /// [N].
    package let values: [Double]

    /// - Parameters:
    ///   - scores: What each function says of each answer, [F][N]; NaN where it says nothing.
    ///   - weights: Of the functions, [F].
    ///   - costs: What is taken off each reward, [N]; nil takes nothing.
    ///   - groupSize: G.
    package init(
        scores: [[Double]], weights: [Double], costs: [Double]? = nil, groupSize: Int, estimator: AdvantageEstimator,
        scale: RewardScale
    ) {
        let count = scores.first?.count ?? 0
        var rewards = Array(repeating: 0.0, count: count)
        for (column, weight) in zip(scores, weights) {
            for index in column.indices where !column[index].isNaN { rewards[index] += weight * column[index] }
        }
        if let costs { for index in rewards.indices { rewards[index] -= costs[index] } }
        self.rewards = rewards
        guard scale != .gdpo else {
            values = Self.normalizedByFunction(scores, weights, groupSize)
            return
        }
        var centered = rewards
        for group in Self.groups(count, groupSize) {
            let mean = rewards[group].mean
            let size = Double(group.count)
            let factor = estimator == .rloo && group.count > 1 ? size / (size - 1) : 1
            for index in group { centered[index] = (rewards[index] - mean) * factor }
        }
        let measured = estimator == .reinforcePlusPlus ? centered : rewards
        switch scale {
        case .batch:
            let deviation = measured.deviation
            values = centered.map { $0 / (deviation + 1e-4) }
        case .group:
            for group in Self.groups(count, groupSize) {
                let deviation = Array(measured[group]).deviation
                for index in group { centered[index] /= deviation + 1e-4 }
            }
            values = centered
        case .none, .gdpo: values = centered
        }
    }

    private static func normalizedByFunction(
        _ scores: [[Double]], _ weights: [Double], _ groupSize: Int
    ) -> [Double] {
        var sums = Array(repeating: 0.0, count: scores.first?.count ?? 0)
        for (column, weight) in zip(scores, weights) {
            for group in groups(column.count, groupSize) {
                let known = column[group].filter { !$0.isNaN }
                let (mean, deviation) = (known[...].mean, known.deviation)
                for index in group where !column[index].isNaN {
                    sums[index] += weight * (column[index] - mean) / (deviation + 1e-8)
                }
            }
        }
        let (mean, deviation) = (sums[...].mean, sums.deviation)
        return sums.map { ($0 - mean) / (deviation + 1e-8) }
    }

    /// The answers to each question.
    package static func groups(_ count: Int, _ size: Int) -> [Range<Int>] {
        stride(from: 0, to: count, by: max(1, size)).map { $0..<min($0 + max(1, size), count) }
    }
}

extension Array where Element == Double {
    /// The standard deviation with n − 1; 0 of fewer than two.
    var deviation: Double {
        guard count > 1 else { return 0 }
        let mean = self[...].mean
        return (reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count - 1)).squareRoot()
    }
}

extension Array where Element == Double {
    /// Whether all are the same but for rounding, as `torch.isclose` judges their deviation.
    var isFlat: Bool { deviation <= 1e-8 }
}

extension ArraySlice where Element == Double {
    /// 0 of none.
    var mean: Double { isEmpty ? 0 : reduce(0, +) / Double(count) }
}
