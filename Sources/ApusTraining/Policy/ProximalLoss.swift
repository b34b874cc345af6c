import Foundation

/// How the distance between model and reference is measured of a token, with `q = log π_ref − log π`
/// (<http://joschu.net/blog/kl-approx.html>).
package enum DivergenceEstimator: String, Sendable, CaseIterable {
    /// `−q`.
    case k1
    /// `e^q − 1 − q`.
    case k3

    func callAsFunction(_ q: Double) -> Double { self == .k1 ? -q : exp(q) - 1 - q }
}

/// Proximal policy optimisation (PPO, <https://arxiv.org/abs/1707.06347>) with generalised advantages
/// (<https://arxiv.org/abs/1506.02438>), as TRL computes it.
package struct ProximalOptions: Sendable, Equatable {
    /// What leaving the reference costs.
    package var divergenceCost = 0.05
    package var estimator = DivergenceEstimator.k1
    /// γ, what a reward is worth a token later.
    package var discount = 1.0
    /// λ.
    package var trace = 0.95
    /// How far ratios count, to both sides of 1.
    package var clip = 0.2
    /// How far values move from what they were.
    package var valueClip = 0.2
    package var valueWeight = 0.1
    package var whitensRewards = false
    /// What an answer that does not end costs; nil asks for nothing.
    package var endlessCost: Double?

    package init() {}
}

/// What answers are worth token by token; n tokens of an answer.
package struct ProximalReturns: Sendable {
    /// An answer with what was measured of it; each list [n].
    package struct Answer: Sendable {
        package let old: [Double]
        package let reference: [Double]?
        /// What the model expects before each token.
        package let values: [Double]
        /// What the whole answer is worth.
        package let score: Double

        package init(old: [Double], reference: [Double]?, values: [Double], score: Double) {
            (self.old, self.reference, self.values, self.score) = (old, reference, values, score)
        }
    }

    /// `−c · KL_t`, and at the last token also the score.
    package private(set) var rewards: [[Double]]
    /// `A_t = Σ (γλ)^k δ_(t+k)`, `δ_t = r_t + γ V_(t+1) − V_t`, whitened over all tokens of all answers.
    package private(set) var advantages: [[Double]] = []
    /// `A_t + V_t` before that is whitened.
    package private(set) var returns: [[Double]] = []
    /// `Σ KL_t` of each answer.
    package let divergences: [Double]

    package init(_ answers: [Answer], _ options: ProximalOptions) {
        let steps = answers.map { answer in
            zip(answer.reference ?? answer.old, answer.old).map { options.estimator($0 - $1) }
        }
        divergences = steps.map { $0.reduce(0, +) }
        rewards = zip(steps, answers).map { steps, answer in
            var rewards = steps.map { -options.divergenceCost * $0 }
            if !rewards.isEmpty { rewards[rewards.count - 1] += answer.score }
            return rewards
        }
        if options.whitensRewards { rewards = Self.whitened(rewards, keepsMean: true) }
        var raw: [[Double]] = []
        for (reward, answer) in zip(rewards, answers) {
            var (last, row) = (0.0, Array(repeating: 0.0, count: reward.count))
            for index in reward.indices.reversed() {
                let next = index + 1 < reward.count ? answer.values[index + 1] : 0
                let surprise = reward[index] + options.discount * next - answer.values[index]
                last = surprise + options.discount * options.trace * last
                row[index] = last
            }
            raw.append(row)
            returns.append(zip(row, answer.values).map(+))
        }
        advantages = Self.whitened(raw, keepsMean: false)
    }

    /// `(x − mean) / √(var + 1e-8)` over all elements, the variance with n − 1.
    private static func whitened(_ rows: [[Double]], keepsMean: Bool) -> [[Double]] {
        let all = rows.flatMap { $0 }
        let (mean, deviation) = (all[...].mean, all.deviation)
        let factor = 1 / (deviation * deviation + 1e-8).squareRoot()
        return rows.map { $0.map { ($0 - mean) * factor + (keepsMean ? mean : 0) } }
    }
}

/// The loss of the tokens of an answer, in Double, with its derivatives: `max(−A ρ, −A clip(ρ))`, and
/// `½ max((V − R)², (clip(V) − R)²)` times its weight.
package struct ProximalLoss: Sendable {
    package let options: ProximalOptions

    package init(_ options: ProximalOptions) { self.options = options }

    package struct Value: Sendable {
        package var policy = 0.0
        package var value = 0.0
        /// The derivative of the whole by each `log π`, and by each value.
        package var slopes: [Double] = []
        package var valueSlopes: [Double] = []
        package var clipped = 0
        package var valuesClipped = 0
        /// `Σ ½ (log π − log π_old)²`.
        package var moved = 0.0
        package var ratios = 0.0
    }

    /// - Parameters: For each token, n; `before` are the values when the answer was sampled.
    package func callAsFunction(
        logs: [Double], old: [Double], advantages: [Double], values: [Double], before: [Double], returns: [Double]
    ) -> Value {
        var result = Value()
        for index in logs.indices {
            let gap = logs[index] - old[index]
            let ratio = exp(gap)
            let held = min(max(ratio, 1 - options.clip), 1 + options.clip)
            let (free, bound) = (-advantages[index] * ratio, -advantages[index] * held)
            let slopes = (free: free, bound: held == ratio ? free : 0)
            result.policy += max(free, bound)
            result.slopes.append(
                free == bound ? (slopes.free + slopes.bound) / 2 : free > bound ? slopes.free : slopes.bound)
            if bound > free { result.clipped += 1 }
            result.moved += gap * gap / 2
            result.ratios += ratio

            let (value, wanted) = (values[index], returns[index])
            let near = min(max(value, before[index] - options.valueClip), before[index] + options.valueClip)
            let (open, closed) = ((value - wanted) * (value - wanted), (near - wanted) * (near - wanted))
            let slope = (open: value - wanted, closed: near == value ? near - wanted : 0)
            result.value += max(open, closed) / 2
            result.valueSlopes.append(
                options.valueWeight
                    * (open == closed ? (slope.open + slope.closed) / 2 : open > closed ? slope.open : slope.closed))
            if closed > open { result.valuesClipped += 1 }
        }
        return result
    }
}
