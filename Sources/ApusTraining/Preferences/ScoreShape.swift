import Foundation

/// What becomes of log-probabilities before a loss of pairs compares them.
///
/// | case | of a gain l over the reference |
/// |---|---|
/// | `plain` | l, as the reverse KL divergence has it |
/// | `forwardKL` | -e^(-l) |
/// | `jensenShannon` | ln σ(l) |
/// | `alpha` | e^((α-1)l) / (α-1), and l where α is 1 |
///
/// These are derivatives of the divergence that keeps the model near its reference, without constants that cancel; Wang et
/// al. 2023, <https://arxiv.org/abs/2309.16240>. `power` is of what has no reference, by means where the loss is of means:
/// (1 - e^(-αc)) / α; Gupta et al. 2025, <https://arxiv.org/abs/2501.03884>.
package enum ScoreShape: Sendable, Equatable {
    case plain, forwardKL, jensenShannon
    case alpha(Double)
    case power(Double)

    /// Exponents above it are cut, as TRL cuts them where float32 would overflow.
    private static let largestExponent = 80.0

    /// The value of a score, and the derivative there.
    func callAsFunction(_ score: Double) -> (value: Double, slope: Double) {
        /// `e^(fx) / f`, whose derivative is the exponential.
        func exponential(_ factor: Double) -> (value: Double, slope: Double) {
            let exponent = factor * score
            let power = exp(min(exponent, Self.largestExponent))
            return (power / factor, exponent > Self.largestExponent ? 0 : power)
        }
        switch self {
        case .plain: return (score, 1)
        case .forwardKL: return exponential(-1)
        case .jensenShannon: return (logLogistic(score), logistic(-score))
        case .alpha(let alpha):
            // As TRL tells the limit.
            return abs(alpha - 1) < 1e-6 ? (score, 1) : exponential(alpha - 1)
        case .power(let alpha):
            let shaped = exponential(-alpha)
            return (shaped.value + 1 / alpha, shaped.slope)
        }
    }
}

extension PairLoss {
    /// Whether it compares means over the tokens of answers.
    var comparesMeans: Bool { self == .ipo || self == .sigmoidNorm || self == .oddsRatio }

    /// Whether it is one of gains alone, each in its place, which another divergence can take.
    package var takesDivergences: Bool {
        switch self {
        case .sigmoid, .hinge, .ipo, .exoPair, .robust, .discopop, .sigmoidNorm: true
        case .ncaPair, .bcoPair, .sppoHard, .aot, .aotUnpaired, .apoZero, .apoDown, .oddsRatio: false
        }
    }

    /// Losses of scores that were shaped, with derivatives by those that were not.
    func shaped(_ pairs: [PairScore], _ options: PairLossOptions) -> PairLosses {
        var plain = options
        plain.shape = .plain
        let isOfMeans = if case .power = options.shape { comparesMeans } else { false }
        func shaped(_ gain: Double, _ count: Int) -> (value: Double, slope: Double) {
            guard isOfMeans else { return options.shape(gain) }
            let mean = options.shape(gain / Double(count))
            return (mean.value * Double(count), mean.slope)
        }
        let chosen = pairs.map { shaped($0.chosenGain, $0.chosenCount) }
        let rejected = pairs.map { shaped($0.rejectedGain, $0.rejectedCount) }
        var losses = losses(
            pairs.indices.map {
                PairScore(
                    chosen: chosen[$0].value, rejected: rejected[$0].value, chosenCount: pairs[$0].chosenCount,
                    rejectedCount: pairs[$0].rejectedCount)
            }, plain)
        for index in pairs.indices {
            losses.chosen[index] *= chosen[index].slope
            losses.rejected[index] *= rejected[index].slope
        }
        return losses
    }
}
