/// The loss of answers that were judged one by one: good ones are to become more probable than z₀, bad ones less.
///
/// `w (1 - σ(β(l - z₀)))` of a good answer and `w (1 - σ(β(z₀ - l)))` of a bad one, with l the gain over the reference.
/// Ethayarajh et al. 2024, <https://arxiv.org/abs/2402.01306>.
package struct JudgedLoss: Sendable, Equatable {
    package var beta: Double
    /// What the losses of good answers are multiplied by.
    package var desirableWeight: Double
    package var undesirableWeight: Double
    /// Whether z₀ is how far the model is from the reference on answers to other questions, or 0 (`apo_zero_unpaired`).
    package var comparesWithOthers: Bool

    package init(
        beta: Double, desirableWeight: Double = 1, undesirableWeight: Double = 1, comparesWithOthers: Bool = true
    ) {
        self.beta = beta
        self.desirableWeight = desirableWeight
        self.undesirableWeight = undesirableWeight
        self.comparesWithOthers = comparesWithOthers
    }

    /// z₀ of the sum of gains of so many answers to other questions.
    package static func zero(ofGains sum: Double, count: Int) -> Double { max(0, sum / Double(max(1, count))) }

    /// The loss of an answer, and its derivative with respect to the gain.
    package func loss(gain: Double, isGood: Bool, zero: Double) -> (value: Double, slope: Double) {
        let sign = isGood ? 1.0 : -1.0
        let weight = isGood ? desirableWeight : undesirableWeight
        let x = sign * beta * (gain - zero)
        return (weight * logistic(-x), -sign * weight * beta * logisticSlope(x))
    }
}
