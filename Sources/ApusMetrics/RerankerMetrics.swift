import Foundation

/// How high scores place what is relevant, as means over groups (queries).
///
/// - mrr: the mean of 1 / rank of the first relevant document, in expectation over the orders of equal scores, so that
///   constant scores earn nothing from the order of the file.
/// - ndcg: DCG / ideal DCG with DCG = Σ relevance / log₂(rank + 1), equal scores sharing their ranks' discounts;
///   `ndcg@10` counts the first ten ranks (`sklearn.metrics.ndcg_score`).
/// - map: the mean of average precision Σ (recallₖ − recallₖ₋₁) precisionₖ over the distinct scores
///   (`sklearn.metrics.average_precision_score`).
///
/// Relevant is what has a relevance above 0. A group with nothing relevant counts as 0; one with a NaN score is NaN.
package struct RerankerMetrics: Sendable {
    package typealias Document = (score: Double, relevance: Double)

    package static let names = ["mrr", "ndcg", "ndcg@10", "map"]

    package let values: [MetricValue]

    /// - Throws: `MetricError` when there are no groups, one is empty, or a relevance is negative or not finite.
    package init(groups: [[Document]]) throws {
        guard !groups.isEmpty else {
            throw MetricError("reranker: no groups to evaluate; is the validation set empty?")
        }
        var sums = [0.0, 0.0, 0.0, 0.0]
        for (index, group) in groups.enumerated() {
            guard !group.isEmpty else { throw MetricError("reranker: group \(index) has no documents") }
            if let wrong = group.firstIndex(where: { !($0.relevance >= 0 && $0.relevance.isFinite) }) {
                throw MetricError(
                    "reranker: the relevance of document \(wrong) in group \(index) is \(group[wrong].relevance); "
                        + "it must be a number from 0 up")
            }
            for (place, value) in Self.values(of: group).enumerated() { sums[place] += value }
        }
        values = zip(Self.names, sums).map { ($0, $1 / Double(groups.count)) }
    }

    /// The metrics of one group, in the order of `names`.
    private static func values(of group: [Document]) -> [Double] {
        guard !group.contains(where: { $0.score.isNaN }) else { return names.map { _ in .nan } }
        guard group.contains(where: { $0.relevance > 0 }) else { return names.map { _ in 0 } }
        let ranked = group.sorted { $0.score > $1.score }
        let ideal = group.map(\.relevance).sorted(by: >)
        let relevant = ideal.prefix { $0 > 0 }.count

        var reciprocalRank: Double?
        var (gain, gainAt10, precisions) = (0.0, 0.0, 0.0)
        var (start, found) = (0, 0)
        while start < ranked.count {
            // The documents with one score.
            var (end, hits, sum) = (start, 0, 0.0)
            while end < ranked.count, ranked[end].score == ranked[start].score {
                sum += ranked[end].relevance
                if ranked[end].relevance > 0 { hits += 1 }
                end += 1
            }
            let mean = sum / Double(end - start)
            gain += mean * discounts(start..<end)
            gainAt10 += mean * discounts(start..<min(end, max(start, 10)))
            if hits > 0 {
                found += hits
                precisions += Double(hits) * Double(found) / Double(end)
                reciprocalRank = reciprocalRank ?? expectedReciprocalRank(start..<end, hits: hits)
            }
            start = end
        }
        let best = zip(ideal, 0...).map { $0 * discounts($1..<$1 + 1) }
        return [
            reciprocalRank ?? 0, gain / best.reduce(0, +), gainAt10 / best.prefix(10).reduce(0, +),
            precisions / Double(relevant),
        ]
    }

    /// Σ 1 / log₂(place + 2): the discounts of some places, counted from 0.
    private static func discounts(_ places: Range<Int>) -> Double {
        places.reduce(0) { $0 + 1 / log2(Double($1 + 2)) }
    }

    /// The mean of 1 / rank of the first of `hits` documents that lie anywhere among `places`.
    ///
    /// The chance that the first lies at a place is the chance that none came before, times hits / places left.
    private static func expectedReciprocalRank(_ places: Range<Int>, hits: Int) -> Double {
        var (none, expected) = (1.0, 0.0)
        for place in places where places.upperBound - place >= hits {
            let chance = Double(hits) / Double(places.upperBound - place)
            expected += none * chance / Double(place + 1)
            none *= 1 - chance
        }
        return expected
    }
}
