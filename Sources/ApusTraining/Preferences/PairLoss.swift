import Foundation

/// What a model and its reference say of a pair of answers.
package struct PairScore: Sendable, Equatable {
    /// `Σ log p` of the tokens of the chosen answer.
    package var chosen: Double
    package var rejected: Double
    /// The same under the reference; 0 where there is none.
    package var chosenReference: Double
    package var rejectedReference: Double
    /// Tokens of the chosen answer.
    package var chosenCount: Int
    package var rejectedCount: Int

    package init(
        chosen: Double, rejected: Double, chosenReference: Double = 0, rejectedReference: Double = 0,
        chosenCount: Int, rejectedCount: Int
    ) {
        self.chosen = chosen
        self.rejected = rejected
        self.chosenReference = chosenReference
        self.rejectedReference = rejectedReference
        self.chosenCount = chosenCount
        self.rejectedCount = rejectedCount
    }

    /// How much more probable the chosen answer is than under the reference, `l_c`.
    var chosenGain: Double { chosen - chosenReference }
    /// The same of the rejected answer, `l_r`.
    var rejectedGain: Double { rejected - rejectedReference }
    var chosenMean: Double { chosen / Double(chosenCount) }
    var rejectedMean: Double { rejected / Double(rejectedCount) }
}

/// The numbers that losses of pairs depend on beside the scores.
package struct PairLossOptions: Sendable, Equatable {
    package var beta: Double
    /// The share of pairs that are believed to be the wrong way round, ε.
    package var labelSmoothing: Double
    /// The temperature of `discopop`, τ.
    package var discopopTau: Double
    /// The margin of `simpo`, γ.
    package var margin: Double
    /// What becomes of scores before they are compared.
    package var shape: ScoreShape

    package init(
        beta: Double, labelSmoothing: Double = 0, discopopTau: Double = 0.05, margin: Double = 0,
        shape: ScoreShape = .plain
    ) {
        self.beta = beta
        self.labelSmoothing = labelSmoothing
        self.discopopTau = discopopTau
        self.margin = margin
        self.shape = shape
    }
}

/// The losses of some pairs, and the derivative of their sum with respect to each score.
package struct PairLosses: Sendable, Equatable {
    package var values: [Double]
    /// Of the scores of the chosen answers.
    package var chosen: [Double]
    package var rejected: [Double]
}

/// A loss of pairs of answers.
///
/// With `l_c`, `l_r` the gains over the reference, `d = l_c - l_r`, n the tokens of an answer, σ the logistic function and
/// `smooth(x) = -(1 - ε) ln σ(x) - ε ln σ(-x)`:
///
/// | case | loss |
/// |---|---|
/// | `sigmoid` | smooth(βd); Rafailov et al. 2023, <https://arxiv.org/abs/2305.18290> |
/// | `hinge` | max(0, 1 - βd); Zhao et al. 2023, <https://arxiv.org/abs/2305.10425> |
/// | `ipo` | (l_c/n_c - l_r/n_r - 1/(2β))²; Azar et al. 2023, <https://arxiv.org/abs/2310.12036> |
/// | `exoPair` | σ(βd)(ln σ(βd) - ln(1-ε)) + σ(-βd)(ln σ(-βd) - ln ε); Ji et al. 2024, <https://arxiv.org/abs/2402.00856> |
/// | `ncaPair` | -ln σ(βl_c) - ½ ln σ(-βl_c) - ½ ln σ(-βl_r); Chen et al. 2024, <https://arxiv.org/abs/2402.05369> |
/// | `robust` | (-(1-ε) ln σ(βd) + ε ln σ(-βd)) / (1-2ε); Chowdhury et al. 2024, <https://arxiv.org/abs/2403.00409> |
/// | `bcoPair` | -ln σ(βl_c - δ) - ln σ(δ - βl_r), δ a running mean of rewards; Jung et al. 2024, <https://arxiv.org/abs/2404.04656> |
/// | `sppoHard` | (l_c - 1/(2β))² + (l_r + 1/(2β))²; Wu et al. 2024, <https://arxiv.org/abs/2405.00675> |
/// | `aot` | smooth(β(sort(c - r) - sort(ĉ - r̂))); Melnyk et al. 2024, <https://arxiv.org/abs/2406.05882> |
/// | `aotUnpaired` | smooth(β(sort(l_c) - sort(l_r))) |
/// | `apoZero` | 1 - σ(βl_c) + σ(βl_r); D'Oosterlinck et al. 2024, <https://arxiv.org/abs/2408.06266> |
/// | `apoDown` | σ(βl_c) + 1 - σ(βd) |
/// | `discopop` | (1-g)(-ln σ(βd)) + g e^(-βd), g = σ(βd/τ); Lu et al. 2024, <https://arxiv.org/abs/2406.08414> |
/// | `sigmoidNorm` | smooth(β(l_c/n_c - l_r/n_r) - γ); Meng et al. 2024, <https://arxiv.org/abs/2405.14734> |
/// | `oddsRatio` | -β ln σ(odds), odds = m_c - m_r - ln(1-e^m_c) + ln(1-e^m_r), m the mean log-probabilities; Hong et al. 2024, <https://arxiv.org/abs/2403.07691> |
package enum PairLoss: Sendable, Hashable, CaseIterable {
    case sigmoid, hinge, ipo, exoPair, ncaPair, robust, bcoPair, sppoHard, aot, aotUnpaired, apoZero, apoDown, discopop
    case sigmoidNorm, oddsRatio

    /// Whether it looks at all pairs of a micro-batch together.
    package var comparesPairs: Bool { self == .aot || self == .aotUnpaired }

    /// What smoothing `exoPair` has at least, as no logarithm of 0 is there.
    static let leastSmoothing = 1e-3
    /// A mean that is nearer to 0 has odds that are infinite: an answer of probability 1.
    static let largestMean = -1e-7

    /// - Parameter delta: What `bcoPair` takes off rewards.
    package func losses(_ pairs: [PairScore], _ options: PairLossOptions, delta: Double = 0) -> PairLosses {
        guard options.shape == .plain else { return shaped(pairs, options) }
        switch self {
        case .aot:
            return sorted(
                pairs, options, upper: pairs.map { $0.chosen - $0.rejected },
                lower: pairs.map { $0.chosenReference - $0.rejectedReference }
            ) { losses, upper, _, slope in
                losses.chosen[upper] += slope
                losses.rejected[upper] -= slope
            }
        case .aotUnpaired:
            return sorted(pairs, options, upper: pairs.map(\.chosenGain), lower: pairs.map(\.rejectedGain)) {
                losses, upper, lower, slope in
                losses.chosen[upper] += slope
                losses.rejected[lower] -= slope
            }
        default:
            let each = pairs.map { loss($0, options, delta: delta) }
            return PairLosses(values: each.map(\.value), chosen: each.map(\.chosen), rejected: each.map(\.rejected))
        }
    }

    /// The loss of one pair, and its derivatives with respect to the two scores.
    private func loss(
        _ pair: PairScore, _ options: PairLossOptions, delta: Double
    ) -> (value: Double, chosen: Double, rejected: Double) {
        let beta = options.beta
        let (a, b) = (beta * pair.chosenGain, beta * pair.rejectedGain)
        /// A loss of `x = βd` with its slope there.
        func ofDifference(_ value: Double, _ slope: Double) -> (Double, Double, Double) {
            (value, beta * slope, -beta * slope)
        }
        let (x, epsilon) = (a - b, options.labelSmoothing)
        switch self {
        case .sigmoid: return ofDifference(Self.smooth(x, epsilon), Self.smoothSlope(x, epsilon))
        case .hinge: return ofDifference(max(0, 1 - x), x < 1 ? -1 : 0)
        case .robust:
            let scale = 1 - 2 * epsilon
            return ofDifference(
                (-(1 - epsilon) * logLogistic(x) + epsilon * logLogistic(-x)) / scale,
                (-(1 - epsilon) * logistic(-x) - epsilon * logistic(x)) / scale)
        case .exoPair:
            let epsilon = epsilon == 0 ? Self.leastSmoothing : epsilon
            let (right, wrong) = (logLogistic(x) - log(1 - epsilon), logLogistic(-x) - log(epsilon))
            return ofDifference(logistic(x) * right + logistic(-x) * wrong, logisticSlope(x) * (right - wrong))
        case .discopop:
            let tau = options.discopopTau
            let (share, slope) = (logistic(x / tau), logisticSlope(x / tau) / tau)
            let (first, second) = (-logLogistic(x), exp(-x))
            return ofDifference(
                (1 - share) * first + share * second,
                slope * (second - first) - (1 - share) * logistic(-x) - share * second)
        case .ipo:
            let (chosen, rejected) = (1 / Double(pair.chosenCount), 1 / Double(pair.rejectedCount))
            let distance = pair.chosenGain * chosen - pair.rejectedGain * rejected - 1 / (2 * beta)
            return (distance * distance, 2 * distance * chosen, -2 * distance * rejected)
        case .sigmoidNorm:
            let (chosen, rejected) = (beta / Double(pair.chosenCount), beta / Double(pair.rejectedCount))
            let x = pair.chosenGain * chosen - pair.rejectedGain * rejected - options.margin
            let slope = Self.smoothSlope(x, epsilon)
            return (Self.smooth(x, epsilon), slope * chosen, -slope * rejected)
        case .ncaPair:
            return (
                -logLogistic(a) - 0.5 * logLogistic(-a) - 0.5 * logLogistic(-b),
                beta * (0.5 * logistic(a) - logistic(-a)), beta * 0.5 * logistic(b)
            )
        case .bcoPair:
            return (
                -logLogistic(a - delta) - logLogistic(delta - b), -beta * logistic(delta - a),
                beta * logistic(b - delta)
            )
        case .sppoHard:
            let (first, second) = (pair.chosenGain - 0.5 / beta, pair.rejectedGain + 0.5 / beta)
            return (first * first + second * second, 2 * first, 2 * second)
        case .apoZero:
            return (1 - logistic(a) + logistic(b), -beta * logisticSlope(a), beta * logisticSlope(b))
        case .apoDown:
            return (
                logistic(a) + 1 - logistic(x), beta * (logisticSlope(a) - logisticSlope(x)), beta * logisticSlope(x)
            )
        case .oddsRatio:
            let odds = Self.odds(pair)
            let slope = -beta * logistic(-odds)
            func change(_ mean: Double, _ count: Int) -> Double {
                mean > Self.largestMean ? 0 : -1 / expm1(mean) / Double(count)
            }
            return (
                -beta * logLogistic(odds), slope * change(pair.chosenMean, pair.chosenCount),
                -slope * change(pair.rejectedMean, pair.rejectedCount)
            )
        case .aot, .aotUnpaired: preconditionFailure("\(self) looks at all pairs together")
        }
    }

    /// How much larger the odds of the chosen answer are, as a logarithm.
    static func odds(_ pair: PairScore) -> Double {
        let (chosen, rejected) = (min(pair.chosenMean, largestMean), min(pair.rejectedMean, largestMean))
        return chosen - rejected - log1mexp(chosen) + log1mexp(rejected)
    }

    /// Losses of the differences of sorted numbers.
    ///
    /// - Parameter follow: Adds the slope of a loss to the derivatives, given the pairs that its two numbers come from.
    private func sorted(
        _ pairs: [PairScore], _ options: PairLossOptions, upper: [Double], lower: [Double],
        follow: (inout PairLosses, _ upper: Int, _ lower: Int, _ slope: Double) -> Void
    ) -> PairLosses {
        func order(_ numbers: [Double]) -> [Int] { numbers.indices.sorted { (numbers[$0], $0) < (numbers[$1], $1) } }
        let zeros = Array(repeating: 0.0, count: pairs.count)
        var losses = PairLosses(values: zeros, chosen: zeros, rejected: zeros)
        for (place, (above, below)) in zip(order(upper), order(lower)).enumerated() {
            let x = options.beta * (upper[above] - lower[below])
            losses.values[place] = Self.smooth(x, options.labelSmoothing)
            follow(&losses, above, below, options.beta * Self.smoothSlope(x, options.labelSmoothing))
        }
        return losses
    }

    private static func smooth(_ x: Double, _ epsilon: Double) -> Double {
        -(1 - epsilon) * logLogistic(x) - epsilon * logLogistic(-x)
    }

    private static func smoothSlope(_ x: Double, _ epsilon: Double) -> Double {
        -(1 - epsilon) * logistic(-x) + epsilon * logistic(x)
    }
}
