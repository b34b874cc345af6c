/// How near predicted numbers lie to labels, over N rows of L outputs.
///
/// With e = prediction − label: mse = mean e², rmse = √mse, mae = mean |e|, all over the N × L elements. pearson,
/// spearman and r2 = 1 − Σe² / Σ(label − mean label)² are means over the outputs. Definitions: `scipy.stats`, and
/// `sklearn.metrics` with `multioutput="uniform_average"` (except that rmse is the root of the mean, not a mean of roots).
/// A NaN among the values makes its metrics NaN.
package struct RegressionMetrics: Sendable {
    package static let names = ["mse", "rmse", "mae", "pearson", "spearman", "r2"]

    package let mse: Double
    package let rmse: Double
    package let mae: Double
    package let pearson: Double
    package let spearman: Double
    package let r2: Double

    /// - Throws: `MetricError` when there are no rows or the rows do not fit together.
    package init(predictions: [[Double]], labels: [[Double]]) throws {
        try MetricError.checkCounts("regression", predictions.count, labels.count)
        let width = try MetricError.checkedWidth("regression labels", labels)
        _ = try MetricError.checkedWidth("regression predictions", predictions, width: width)

        var sums = (squares: 0.0, magnitudes: 0.0, pearson: 0.0, spearman: 0.0, r2: 0.0)
        for output in 0..<width {
            let (x, y) = (predictions.map { $0[output] }, labels.map { $0[output] })
            for (prediction, label) in zip(x, y) {
                let error = prediction - label
                sums.squares += error * error
                sums.magnitudes += error.magnitude
            }
            sums.pearson += Correlation.pearson(x, y)
            sums.spearman += Correlation.spearman(x, y)
            sums.r2 += Self.determination(x, y)
        }
        let elements = Double(labels.count * width)
        mse = sums.squares / elements
        rmse = mse.squareRoot()
        mae = sums.magnitudes / elements
        pearson = sums.pearson / Double(width)
        spearman = sums.spearman / Double(width)
        r2 = sums.r2 / Double(width)
    }

    package var values: [MetricValue] {
        Array(zip(Self.names, [mse, rmse, mae, pearson, spearman, r2]))
    }

    /// R² of one output.
    ///
    /// For constant labels 1 if all are met, else 0; NaN for fewer than two rows (as scikit-learn).
    private static func determination(_ predictions: [Double], _ labels: [Double]) -> Double {
        guard labels.count > 1 else { return .nan }
        let centre = Correlation.mean(labels)
        var (residual, total) = (0.0, 0.0)
        for (prediction, label) in zip(predictions, labels) {
            residual += (label - prediction) * (label - prediction)
            total += (label - centre) * (label - centre)
        }
        if total == 0, !residual.isNaN { return residual == 0 ? 1 : 0 }
        return 1 - residual / total
    }
}
