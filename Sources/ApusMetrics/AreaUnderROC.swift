/// The area under the receiver operating characteristic (`sklearn.metrics.roc_auc_score`).
package enum AreaUnderROC {
    /// The chance that a positive row scores higher than a negative one, ties counting half.
    ///
    /// With R⁺ the sum of the positives' average ranks: (R⁺ − n⁺(n⁺ + 1) / 2) / (n⁺ n⁻) (Mann and Whitney 1947).
    /// NaN where one of the classes is absent or a score is NaN.
    package static func binary(_ scores: [Double], isPositive: [Bool]) -> Double {
        precondition(scores.count == isPositive.count, "every score needs a label")
        let positives = Double(isPositive.count { $0 })
        let negatives = Double(isPositive.count) - positives
        guard positives > 0, negatives > 0, !scores.contains(where: \.isNaN) else { return .nan }
        let ranks = Correlation.averageRanks(scores)
        let sum = zip(ranks, isPositive).reduce(0) { $1.1 ? $0 + $1.0 : $0 }
        return (sum - positives * (positives + 1) / 2) / (positives * negatives)
    }
}
