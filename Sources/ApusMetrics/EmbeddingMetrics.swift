/// How well the likeness of embedded pairs follows their labels.
///
/// The correlations of the labels with cosine similarity, negative Euclidean distance, negative Manhattan distance and
/// dot product, under the names of ms-swift's `paired` metric; `pearson` and `spearman` alone mean those of the cosine.
/// The cosine with a zero vector is 0 (`sklearn.metrics.pairwise`). A NaN makes every correlation NaN that it enters.
package struct EmbeddingMetrics: Sendable {
    package static let names =
        ["pearson", "spearman"]
        + ["pearson", "spearman"].flatMap { kind in Likeness.allCases.map { "\(kind)_\($0.rawValue)" } }

    package let values: [MetricValue]

    /// How alike two vectors are; more is more alike.
    package enum Likeness: String, CaseIterable, Sendable {
        case cosine
        case euclidean
        case manhattan
        case dotProduct = "dot_product"

        package func callAsFunction(_ a: [Double], _ b: [Double]) -> Double {
            switch self {
            case .dotProduct: return zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
            case .euclidean: return -zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
            case .manhattan: return -zip(a, b).reduce(0) { $0 + ($1.0 - $1.1).magnitude }
            case .cosine:
                let lengths = [a, b].map { $0.reduce(0) { $0 + $1 * $1 }.squareRoot() }
                // Normalised before the product: the product of two lengths may overflow.
                return zip(a, b).reduce(0) {
                    $0 + ($1.0 / (lengths[0] == 0 ? 1 : lengths[0])) * ($1.1 / (lengths[1] == 0 ? 1 : lengths[1]))
                }
            }
        }
    }

    /// - Parameters:
    ///   - left: N embeddings.
    ///   - right: N embeddings, the partners.
    ///   - labels: N degrees of likeness.
    /// - Throws: `MetricError` when there are no rows or the rows do not fit together.
    package init(left: [[Double]], right: [[Double]], labels: [Double]) throws {
        try MetricError.checkCounts("embedding, first of the pairs", left.count, labels.count)
        try MetricError.checkCounts("embedding, second of the pairs", right.count, labels.count)
        let width = try MetricError.checkedWidth("embedding, first of the pairs", left)
        _ = try MetricError.checkedWidth("embedding, second of the pairs", right, width: width)

        let likeness = Likeness.allCases.map { likeness in zip(left, right).map { likeness($0, $1) } }
        let pearson = likeness.map { Correlation.pearson($0, labels) }
        let spearman = likeness.map { Correlation.spearman($0, labels) }
        values = Array(zip(Self.names, [pearson[0], spearman[0]] + pearson + spearman))
    }
}
