import Foundation

/// How well scores name one class of C, over N rows: the definitions of `sklearn.metrics`.
///
/// The predicted class is the first with the highest score. accuracy is the share of rows where it is the label;
/// precision, recall and f1 stand in `ClassCounts`, macro over the classes that occur; mcc is Matthews' correlation
/// coefficient for C classes (Gorodkin 2004), 0 where undefined. auroc ranks rows by softmax probability: of class 1
/// for two classes, else one class against the rest, averaged; NaN where a class is absent. A NaN score makes every
/// metric NaN.
package struct ClassificationMetrics: Sendable {
    package static let names = [
        "accuracy", "macro_f1", "micro_f1", "weighted_f1", "macro_precision", "micro_precision", "weighted_precision",
        "macro_recall", "micro_recall", "weighted_recall", "mcc", "auroc",
    ]

    package let classes: Int
    package let labels: [Int]
    /// The predicted class of each row, nil where a score is NaN.
    package let predictions: [Int?]
    /// Counts of the rows that have a prediction.
    package let counts: ClassCounts
    package let auroc: Double

    /// - Parameters:
    ///   - scores: N rows of C logits.
    ///   - labels: N class ids from 0 to C − 1.
    /// - Throws: `MetricError` when there are no rows, rows do not fit together or a label is no class.
    package init(scores: [[Double]], labels: [Int]) throws {
        try MetricError.checkCounts("classification", scores.count, labels.count)
        let classes = try MetricError.checkedWidth("classification scores", scores)
        if let wrong = labels.firstIndex(where: { !(0..<classes).contains($0) }) {
            throw MetricError(
                "classification: the label of row \(wrong) is \(labels[wrong]), but there are scores for the classes 0 to "
                    + "\(classes - 1); is num_labels right?")
        }
        var counts = ClassCounts(classes: classes)
        let predictions = scores.map(Self.prediction)
        for case (let label, let prediction?) in zip(labels, predictions) {
            counts.add(truth: label, prediction: prediction)
        }
        (self.classes, self.labels, self.predictions, self.counts) = (classes, labels, predictions, counts)
        auroc = predictions.contains(nil) ? .nan : Self.areaUnderROC(scores, labels, classes: classes)
    }

    package var accuracy: Double { ClassCounts.sum(counts.right) / Double(labels.count) }

    /// With c right of s rows, p predicted and t true per class: (c s − Σ p t) / √((s² − Σ p²)(s² − Σ t²)).
    package var mcc: Double {
        let total = ClassCounts.sum(counts.support)
        let (predicted, support) = (counts.predicted.map(Double.init), counts.support.map(Double.init))
        let both = zip(predicted, support).reduce(0) { $0 + $1.0 * $1.1 }
        let spreads = [predicted, support].map { total * total - $0.reduce(0) { $0 + $1 * $1 } }
        guard spreads[0] > 0, spreads[1] > 0 else { return 0 }
        return (ClassCounts.sum(counts.right) * total - both) / (spreads[0].squareRoot() * spreads[1].squareRoot())
    }

    package var values: [MetricValue] {
        let (macro, micro, weighted) = (counts.macro(onlySeen: true), counts.micro, counts.weighted)
        let all = [
            accuracy, macro.f1, micro.f1, weighted.f1, macro.precision, micro.precision, weighted.precision,
            macro.recall, micro.recall, weighted.recall, mcc, auroc,
        ]
        let isUndecided = predictions.contains(nil)
        return zip(Self.names, all).map { ($0, isUndecided ? .nan : $1) }
    }

    /// How often each class (row) was taken for each class (column); rows with a NaN score are left out.
    package var confusionMatrix: [[Int]] {
        var matrix = Array(repeating: Array(repeating: 0, count: classes), count: classes)
        for case (let label, let prediction?) in zip(labels, predictions) { matrix[label][prediction] += 1 }
        return matrix
    }

    private static func prediction(_ scores: [Double]) -> Int? {
        var best = 0
        for (index, score) in scores.enumerated() {
            if score.isNaN { return nil }
            if score > scores[best] { best = index }
        }
        return best
    }

    private static func areaUnderROC(_ scores: [[Double]], _ labels: [Int], classes: Int) -> Double {
        guard classes > 1, Set(labels).count == classes else { return .nan }
        // exp(x − max) / Σ, in SciPy's order of operations: where it saturates, ties arise that count.
        let normalizers = scores.map { row in
            let largest = row.max() ?? 0
            return (largest: largest, sum: row.reduce(0) { $0 + exp($1 - largest) })
        }
        let areas = (classes == 2 ? 1..<2 : 0..<classes).map { id in
            let probabilities = zip(scores, normalizers).map { exp($0[id] - $1.largest) / $1.sum }
            return AreaUnderROC.binary(probabilities, isPositive: labels.map { $0 == id })
        }
        return areas.reduce(0, +) / Double(areas.count)
    }
}
