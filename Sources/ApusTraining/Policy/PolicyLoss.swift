import Foundation

/// What is minimised of answers with advantages.
package enum PolicyLossForm: String, Sendable, CaseIterable {
    /// Clipped ratios, by means over each answer (GRPO, <https://arxiv.org/abs/2402.03300>).
    case grpo
    /// The same by the mean over all tokens that count.
    case bnpo
    /// The same divided by the most tokens that an answer may have (<https://arxiv.org/abs/2503.20783>).
    case drGRPO = "dr_grpo"
    /// The same by the mean over all tokens (<https://arxiv.org/abs/2503.14476>).
    case dapo
    /// Weighted likelihood with capped ratios (<https://arxiv.org/abs/2506.13585>).
    case cispo
    /// Ratios through a soft gate (<https://arxiv.org/abs/2511.20347>).
    case sapo
    /// As `dapo`, by what a token does to those behind it (<https://arxiv.org/abs/2603.19835>).
    case fipo

    /// Whether the losses of all tokens are added up before they are divided.
    var countsTokens: Bool { self == .bnpo || self == .dapo || self == .cispo || self == .fipo }
}

/// Of what the ratio between the model and the one that sampled is taken.
package enum RatioLevel: String, Sendable, CaseIterable {
    case token
    /// Of whole answers, by the mean over their tokens (GSPO, <https://arxiv.org/abs/2507.18071>).
    case sequence
    /// The value of whole answers with the gradient of tokens.
    case sequenceToken = "sequence_token"
}

/// What is done where sampler and trainer find an answer differently probable.
package enum SamplerCorrection: String, Sendable, CaseIterable {
    case tokenTruncate = "token_truncate"
    case tokenMask = "token_mask"
    case sequenceTruncate = "sequence_truncate"
    case sequenceMask = "sequence_mask"
}

/// The loss of an answer from how probable its tokens are, in Double, with its derivative by each `log p`.
///
/// With `w = log π − log π_old` and `ρ = e^w` of a token or of an answer, A the advantage:
/// - clipped: `−min(min(ρ, δ) A, clip(ρ, 1 − ε, 1 + ε_high) A)`
/// - `cispo`: `−min(ρ, ε_high) A log π`, the ratio without a gradient
/// - `sapo`: `−(4 / τ) σ(τ (ρ − 1)) A`, τ by the sign of A
///
/// and for each token `β (e^q − 1 − q)`, `q = log π_ref − log π`, on request times ρ.
package struct PolicyLoss: Sendable {
    package var form = PolicyLossForm.grpo
    package var level = RatioLevel.token
    /// ε.
    package var clipLow = 0.2
    /// ε_high.
    package var clipHigh = 0.2
    /// δ; nil caps nothing.
    package var cap: Double?
    /// β of the term beside the loss; 0 leaves it out.
    package var divergenceWeight = 0.0
    /// Whether that term is multiplied by the ratio, with its gradient, so that its mean over what another model sampled is
    /// the divergence of this one.
    package var weighsDivergence = false
    /// τ of `sapo` where A is above 0, and where it is not.
    package var gates = (positive: 1.0, negative: 1.05)
    /// The most tokens of an answer, for `dr_grpo`.
    package var longest = 1
    package var future = FutureWeight()
    package var correction: (form: SamplerCorrection, limit: Double)?
    /// Answers with a negative advantage do not count where `mean(log π_old − log π)` is above it; nil counts all.
    package var staleness: Double?

    package init() {}

    /// How `fipo` weighs a token by those behind it: `e^Σ γ^(s−t) w_s`, clipped.
    package struct FutureWeight: Sendable, Equatable {
        /// γ = 2^(−1/half life).
        package var halfLife = 32.0
        /// nil clips nothing.
        package var clip: Double? = 0.2
        package var clipsHighOnly = true
        /// Tokens of bad answers with a larger ratio are not made more of; nil makes no difference.
        package var safety: Double? = 4.0

        package init() {}
    }

    /// An answer as the loss sees it; n tokens.
    package struct Answer: Sendable {
        /// `log π`, [n].
        package var logs: [Double]
        /// `log π_old`, [n].
        package var old: [Double]
        /// `log π_ref`, [n]; nil where nothing is compared.
        package var reference: [Double]?
        /// `log π` of the sampler, [n].
        package var sampled: [Double]?
        /// `log π` with nothing dropped, as it was sampled, [n]; nil where `logs` are so.
        package var undropped: [Double]?
        /// The same of `log π_old`; nil where `old` is so.
        package var undroppedOld: [Double]?
        package var advantage: Double
        /// Tokens that count in the loss proper, [n]; nil counts all.
        package var counts: [Bool]?
        /// Whether the answer is left out.
        package var isMasked = false

        package init(logs: [Double], old: [Double], advantage: Double) {
            (self.logs, self.old, self.advantage) = (logs, old, advantage)
        }
    }

    /// What an answer adds to the sum that is divided by the count of answers or tokens.
    package struct Value: Sendable {
        package var sum = 0.0
        /// The derivative of `sum` by each `log π`, [n].
        package var slopes: [Double]
        /// `Σ (e^q − 1 − q)` over the tokens that count, times the ratio where the loss has it so.
        package var divergence = 0.0
        /// Tokens that count; 0 where the answer is left out.
        package var tokens = 0
        /// Tokens, or answers where the ratio is one of answers, that were clipped below, above; and how many there are.
        package var clipped = (low: 0, high: 0, of: 0)
        /// What the losses of tokens were multiplied by because the sampler found them otherwise probable; nil where nothing.
        package var correction: [Double]?
        /// The largest ratio between trainer and sampler; 0 where it is not known.
        package var largestCorrection = 0.0
    }

    package func callAsFunction(_ answer: Answer) -> Value {
        let count = answer.logs.count
        var value = Value(slopes: Array(repeating: 0, count: count))
        let logRatios = zip(answer.logs, answer.old).map { $0 - $1 }
        let meanLog = logRatios[...].mean
        let correction = correctionWeights(answer, &value)
        value.correction = correction
        if answer.isMasked || isStale(answer) { return value }
        value.tokens = count
        let advantage = answer.advantage
        let ratios = level == .token ? logRatios.map(exp) : Array(repeating: exp(meanLog), count: count)
        let weights = form == .fipo ? futureWeights(logRatios, ratios, advantage) : nil
        let share =
            switch form {
            case .grpo, .sapo: 1 / Double(max(1, count))
            case .drGRPO: 1 / Double(max(1, longest))
            case .bnpo, .dapo, .cispo, .fipo: 1.0
            }
        // The derivative by the logarithm of an answer's ratio, which its tokens share.
        var shared = 0.0
        for index in 0..<count {
            let scale = share * (correction?[index] ?? 1)
            if answer.counts?[index] ?? true {
                let (loss, slope) = term(ratios[index], advantage, log: answer.logs[index])
                let weight = scale * (weights?[index] ?? 1)
                value.sum += weight * loss
                if level == .sequence, form != .cispo {
                    shared += weight * slope
                } else {
                    value.slopes[index] += weight * slope
                }
            }
            guard let reference = answer.reference else { continue }
            let (divergence, slope) = Self.divergence(reference[index] - answer.logs[index])
            let factor = weighsDivergence ? ratios[index] : 1
            let weight = scale * divergenceWeight * factor
            value.divergence += factor * divergence
            value.sum += weight * divergence
            value.slopes[index] += weight * slope
            guard weighsDivergence else { continue }
            // By the ratio, whose derivative by its logarithm is the ratio.
            if level == .sequence {
                shared += weight * divergence
            } else {
                value.slopes[index] += weight * divergence
            }
        }
        for index in 0..<count where level == .sequence { value.slopes[index] += shared / Double(count) }
        noteClipping(level == .sequence ? ratios.prefix(1) : ratios[...], advantage, &value)
        return value
    }

    /// The loss of a token and its derivative by `log π`, or by the logarithm of the ratio of an answer.
    private func term(_ ratio: Double, _ advantage: Double, log: Double) -> (loss: Double, slope: Double) {
        switch form {
        case .cispo:
            let weight = min(ratio, clipHigh) * advantage
            return (-weight * log, -weight)
        case .sapo:
            let gate = advantage > 0 ? gates.positive : gates.negative
            let open = 1 / (1 + exp(-gate * (ratio - 1)))
            return (-4 / gate * open * advantage, -4 * open * (1 - open) * advantage * ratio)
        case .grpo, .bnpo, .drGRPO, .dapo, .fipo:
            let capped = min(ratio, cap ?? .infinity)
            let clipped = min(max(ratio, 1 - clipLow), 1 + clipHigh)
            let slopes = (
                free: ratio == capped ? ratio * advantage : 0, clipped: ratio == clipped ? ratio * advantage : 0
            )
            let (free, held) = (capped * advantage, clipped * advantage)
            // Where both are the least, each has half of the gradient.
            if free == held { return (-free, -(slopes.free + slopes.clipped) / 2) }
            return free < held ? (-free, -slopes.free) : (-held, -slopes.clipped)
        }
    }

    /// `e^q − 1 − q` within bounds, and its derivative by `log π`, which q falls with.
    static func divergence(_ given: Double) -> (value: Double, slope: Double) {
        let q = min(max(given, -20), 20)
        let value = exp(q) - q - 1
        guard q == given, value <= 10 else { return (min(value, 10), 0) }
        return (value, 1 - exp(q))
    }

    private func isStale(_ answer: Answer) -> Bool {
        guard let staleness, answer.advantage < 0 else { return false }
        let before = answer.sampled ?? answer.undroppedOld ?? answer.old
        return zip(before, answer.undropped ?? answer.logs).map({ $0 - $1 })[...].mean > staleness
    }

    private func futureWeights(_ logs: [Double], _ ratios: [Double], _ advantage: Double) -> [Double] {
        let decay = pow(2, -1 / future.halfLife)
        var weights = Array(repeating: 1.0, count: logs.count)
        var sum = 0.0
        for index in logs.indices.reversed() {
            sum = sum * decay + (cap.map { ratios[index] > $0 } ?? false ? 0 : logs[index])
            var weight = exp(sum)
            if let clip = future.clip, clip > 0 {
                weight = min(max(weight, future.clipsHighOnly ? 1 : 1 - clip), 1 + clip)
            }
            if let safety = future.safety, advantage < 0, ratios[index] > safety { weight = min(max(weight, 0.8), 1) }
            weights[index] = weight
        }
        return weights
    }

    /// What the loss of each token is multiplied by because the sampler found it otherwise probable.
    private func correctionWeights(_ answer: Answer, _ value: inout Value) -> [Double]? {
        guard let sampled = answer.sampled else { return nil }
        let logs = zip(answer.undroppedOld ?? answer.old, sampled).map { min(max($0 - $1, -20), 20) }
        let ratios = logs.map(exp)
        value.largestCorrection = ratios.max() ?? 0
        guard let (form, limit) = correction else { return nil }
        let whole = exp(logs[...].mean)
        switch form {
        case .tokenTruncate: return ratios.map { min($0, limit) }
        case .tokenMask: return ratios.map { $0 <= limit ? $0 : 0 }
        case .sequenceTruncate: return ratios.map { _ in min(whole, limit) }
        case .sequenceMask: return ratios.map { whole <= limit ? $0 : 0 }
        }
    }

    private func noteClipping(_ ratios: ArraySlice<Double>, _ advantage: Double, _ value: inout Value) {
        value.clipped.of = ratios.count
        for ratio in ratios {
            switch form {
            case .sapo: break
            case .cispo: if ratio > clipHigh, advantage > 0 { value.clipped.high += 1 }
            default:
                // As it is capped.
                let ratio = min(ratio, cap ?? .infinity)
                if ratio < 1 - clipLow, advantage < 0 { value.clipped.low += 1 }
                if ratio > 1 + clipHigh, advantage > 0 { value.clipped.high += 1 }
            }
        }
    }
}
