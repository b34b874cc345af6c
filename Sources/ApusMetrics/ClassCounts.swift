/// How often each class was right, was predicted and was true, and the averages that follow from it.
///
/// Per class, with tp = right: precision = tp / predicted, recall = tp / true, f1 = 2 tp / (predicted + true), each 0
/// where its denominator is (the default of `sklearn.metrics.precision_recall_fscore_support`).
package struct ClassCounts: Sendable {
    package private(set) var right: [Int]
    package private(set) var predicted: [Int]
    package private(set) var support: [Int]

    init(classes: Int) {
        right = Array(repeating: 0, count: classes)
        (predicted, support) = (right, right)
    }

    mutating func add(truth: Int, prediction: Int) {
        support[truth] += 1
        predicted[prediction] += 1
        if truth == prediction { right[truth] += 1 }
    }

    /// Counts one label of a multi-label row.
    mutating func add(label: Int, isTrue: Bool, isPredicted: Bool) {
        if isTrue { support[label] += 1 }
        if isPredicted { predicted[label] += 1 }
        if isTrue, isPredicted { right[label] += 1 }
    }

    package struct Scores: Sendable, Equatable {
        package var precision: Double
        package var recall: Double
        package var f1: Double
    }

    package func scores(_ label: Int) -> Scores {
        Self.scores(Double(right[label]), Double(predicted[label]), Double(support[label]))
    }

    /// From the sums of the counts.
    package var micro: Scores {
        Self.scores(Self.sum(right), Self.sum(predicted), Self.sum(support))
    }

    /// The plain mean over classes.
    ///
    /// - Parameter onlySeen: Leaves out classes that are neither true nor predicted anywhere, as scikit-learn does for
    ///   class ids (but not for multi-label columns).
    package func macro(onlySeen: Bool) -> Scores {
        average { onlySeen && predicted[$0] + support[$0] == 0 ? 0 : 1 }
    }

    /// The mean weighted by how often each class is true.
    package var weighted: Scores { average { Double(support[$0]) } }

    private func average(_ weight: (Int) -> Double) -> Scores {
        var (sum, weights) = (Scores(precision: 0, recall: 0, f1: 0), 0.0)
        for label in support.indices {
            let (scores, weight) = (scores(label), weight(label))
            sum.precision += weight * scores.precision
            sum.recall += weight * scores.recall
            sum.f1 += weight * scores.f1
            weights += weight
        }
        return Scores(
            precision: Self.ratio(sum.precision, weights), recall: Self.ratio(sum.recall, weights),
            f1: Self.ratio(sum.f1, weights))
    }

    private static func scores(_ right: Double, _ predicted: Double, _ support: Double) -> Scores {
        Scores(
            precision: ratio(right, predicted), recall: ratio(right, support), f1: ratio(2 * right, predicted + support)
        )
    }

    private static func ratio(_ part: Double, _ whole: Double) -> Double { whole == 0 ? 0 : part / whole }

    static func sum(_ counts: [Int]) -> Double { Double(counts.reduce(0, +)) }
}
