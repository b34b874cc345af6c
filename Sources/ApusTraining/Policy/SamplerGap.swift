import Foundation

/// How far a model that learns answers is from the one that sampled them, over the answers of a micro-batch.
///
/// With `u = log π_old − log π_sampler` of a token, within ±20, and d = −mean u of an answer: the divergence of the sampler from
/// the model, `mean(−u)` and `mean(e^u − u − 1)`; the perplexities `e^−mean(log p)` of both, with d between their logarithms;
/// χ², `mean(e^2u) − 1` of tokens and `mean(e^−2d) − 1` of answers. Where losses are weighed by what the sampler found, also the
/// mean weight, the share of what was cut, and the effective share of tokens, `mean(w)² / mean(w²)`, w within `1/C … C`.
struct SamplerGap {
    /// The means of an answer's log-probabilities, by the model and by the sampler, and of u.
    private var answers: [(own: Double, sampled: Double, gap: Double)] = []
    /// u.
    private var tokens: [Double] = []
    private var weights: [Double] = []

    /// - Parameters:
    ///   - old: `log π_old` of the tokens of an answer.
    ///   - weights: What their losses are multiplied by; nil where they are not.
    mutating func add(old: [Double], sampled: [Double], weights: [Double]?) {
        guard !old.isEmpty else { return }
        let gaps = zip(old, sampled).map { min(max($0 - $1, -20), 20) }
        answers.append((old[...].mean, sampled[...].mean, gaps[...].mean))
        tokens += gaps
        self.weights += weights ?? []
    }

    /// What the figures are called.
    static func names(_ correction: (form: SamplerCorrection, limit: Double)?) -> [String] {
        var gap = SamplerGap()
        gap.add(old: [0], sampled: [0], weights: correction.map { _ in [1] })
        return gap.figures(correction).map(\.name)
    }

    /// By ms-swift's names; means over tokens or answers, as sums of so many.
    func figures(_ correction: (form: SamplerCorrection, limit: Double)?) -> [(name: String, sum: Double, count: Int)] {
        guard !answers.isEmpty else { return [] }
        func overTokens(_ value: (Double) -> Double) -> (sum: Double, count: Int) {
            (tokens.reduce(0) { $0 + value($1) }, tokens.count)
        }
        func overAnswers(
            _ value: ((own: Double, sampled: Double, gap: Double)) -> Double
        ) -> (sum: Double, count: Int) {
            (answers.reduce(0) { $0 + value($1) }, answers.count)
        }
        let differences = answers.map { $0.sampled - $0.own }
        var figures: [(String, (sum: Double, count: Int))] = [
            ("kl", overTokens { -$0 }), ("k3_kl", overTokens { min(exp($0) - $0 - 1, 10) }),
            ("training_ppl", overAnswers { exp(-$0.own) }), ("training_log_ppl", overAnswers { -$0.own }),
            ("rollout_ppl", overAnswers { exp(-$0.sampled) }), ("rollout_log_ppl", overAnswers { -$0.sampled }),
            ("log_ppl_diff", overAnswers { $0.sampled - $0.own }),
            ("log_ppl_abs_diff", overAnswers { abs($0.sampled - $0.own) }),
            ("log_ppl_diff_max", (differences.max() ?? 0, 1)), ("log_ppl_diff_min", (differences.min() ?? 0, 1)),
            ("ppl_ratio", overAnswers { exp($0.sampled - $0.own) }),
            ("chi2_token", overTokens { exp(2 * $0) - 1 }), ("chi2_seq", overAnswers { exp(2 * $0.gap) - 1 }),
        ]
        if let (form, limit) = correction, !weights.isEmpty {
            let held = weights.map { min(max($0, 1 / limit), limit) }
            let mean = held[...].mean
            let cut =
                switch form {
                case .tokenTruncate, .tokenMask: overTokens { exp($0) > limit ? 1 : 0 }
                case .sequenceTruncate, .sequenceMask: overAnswers { exp($0.gap) > limit ? 1 : 0 }
                }
            figures += [
                ("is_weight_mean", (weights.reduce(0, +), weights.count)), ("clipped_frac", cut),
                ("ess", (mean * mean / held.map { $0 * $0 }[...].mean, 1)),
            ]
        }
        return figures.map { ($0.0, $0.1.sum, $0.1.count) }
    }
}
