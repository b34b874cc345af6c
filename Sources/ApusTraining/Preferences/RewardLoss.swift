/// The loss of two rewards: `-ln σ(r_c - r_r - m) + λ (r_c + r_r)²`.
///
/// Bradley and Terry's model of pairs, with the margin of Llama 2 (Touvron et al. 2023,
/// <https://arxiv.org/abs/2307.09288>) and the term that keeps rewards around zero (Eisenstein et al. 2023,
/// <https://arxiv.org/abs/2312.09244>).
package struct RewardLoss: Sendable, Equatable {
    /// λ; nil leaves the term out.
    package var centerCoefficient: Double?

    package init(centerCoefficient: Double? = nil) { self.centerCoefficient = centerCoefficient }

    /// The loss of a pair, its derivatives with respect to the two rewards, and `(r_c + r_r)²`.
    package func loss(
        chosen: Double, rejected: Double, margin: Double = 0
    ) -> (value: Double, chosen: Double, rejected: Double, square: Double) {
        let x = chosen - rejected - margin
        let (sum, weight) = (chosen + rejected, centerCoefficient ?? 0)
        let pull = 2 * weight * sum
        return (-logLogistic(x) + weight * sum * sum, pull - logistic(-x), pull + logistic(-x), sum * sum)
    }
}
