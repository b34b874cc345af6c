/// Which of the answers to a question are kept, as ms-swift 4.6 chooses them.
///
/// What judges whole answers counts ten times what judges how good they are, each brought between 0 and 1 over the answers:
/// `(r − min) / (max − min + 10^-5)`, or where all are equal `min(1, r)`. Kept are the n best of those that are right (above 0)
/// and good enough, beside the worst of all. What ms-swift does not look at: a worst answer that is judged no lower than a kept
/// one makes no pair with it.
struct SampleScores {
    /// Judgements of whole answers and of how good they are; nil where nothing judges them.
    let outcomes: [Double?]?
    let processes: [Double?]?
    let count: Int
    let threshold: Double

    /// Of each answer, where it was judged.
    let totals: [Double?]

    init(outcomes: [Double?]?, processes: [Double?]?, count: Int, threshold: Double) {
        (self.outcomes, self.processes, self.count, self.threshold) = (outcomes, processes, count, threshold)
        let (whole, parts) = (Self.normalized(outcomes), Self.normalized(processes))
        totals = (0..<count).map { index in
            guard whole == nil || whole?[index] != nil, parts == nil || parts?[index] != nil else { return nil }
            return (parts?[index] ?? 1) + (whole?[index] ?? 1) * 10
        }
    }

    private static func normalized(_ rewards: [Double?]?) -> [Double?]? {
        guard let rewards else { return nil }
        let known = rewards.compactMap(\.self)
        guard let low = known.min(), let high = known.max() else { return rewards }
        guard low < high else { return rewards.map { $0.map { min(1, $0) } } }
        return rewards.map { $0.map { ($0 - low) / (high - low + 1e-5) } }
    }

    /// Whether an answer is right and good enough.
    func isGood(_ index: Int) -> Bool {
        func isAbove(_ rewards: [Double?]?, _ limit: Double) -> Bool {
            guard let rewards else { return true }
            return rewards[index].map { $0 > limit } ?? false
        }
        return isAbove(outcomes, 0) && isAbove(processes, threshold)
    }

    /// The answers that were judged, the best first; of equals the last first.
    private var ranked: [Int] {
        (0..<count).filter { totals[$0] != nil }.sorted { left, right in
            let (first, second) = (totals[left] ?? 0, totals[right] ?? 0)
            return first != second ? first > second : left > right
        }
    }

    /// The best answers, each with the worst beside it; none where nothing tells them apart.
    func pairs(keeping limit: Int) -> [(chosen: Int, rejected: Int)] {
        let ranked = ranked
        guard let worst = ranked.last, let lowest = totals[worst] else { return [] }
        return ranked.prefix(limit).filter { index in
            index != worst && isGood(index) && (totals[index] ?? lowest) > lowest
        }.map { ($0, worst) }
    }

    /// Whether a share of the first answers is right: above the lowest of all, or above 0 where all are equal.
    func isEasy(share: Double, of sampled: Int) -> Bool {
        guard let whole = Self.normalized(outcomes) else { return false }
        let right = whole.prefix(sampled).count { ($0 ?? 0) > 0 }
        return right >= Int(Double(sampled) * share)
    }
}
