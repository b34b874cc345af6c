/// A metric's name and its value; NaN where the metric is not defined.
package typealias MetricValue = (name: String, value: Double)

/// What names of metrics tell.
package enum MetricNames {
    /// Metrics that measure a mistake, of which less is better; every other one measures a merit.
    package static let measureMistakes: Set<String> = [
        "loss", "mse", "rmse", "mae", "nll_loss", "jsd", "kl", "center_rewards_loss", "objective/kl",
        "loss/policy_avg", "loss/value_avg",
    ]
}

/// Why no metric can be computed: the rows do not fit together.
package struct MetricError: Error, CustomStringConvertible, Equatable, Sendable {
    package let description: String

    init(_ description: String) { self.description = description }

    /// Checks that there are as many predictions as labels, and at least one.
    static func checkCounts(_ what: String, _ predictions: Int, _ labels: Int) throws {
        guard predictions == labels else {
            throw MetricError("\(what): \(predictions) predictions and \(labels) labels; each row needs one of both")
        }
        guard labels > 0 else {
            throw MetricError("\(what): no rows to evaluate; is the validation set empty?")
        }
    }

    /// Checks that all rows have the width of the first, and returns it.
    static func checkedWidth(_ what: String, _ rows: [[Double]], width: Int? = nil) throws -> Int {
        let wanted = width ?? rows.first?.count ?? 0
        guard wanted > 0 else {
            throw MetricError("\(what): the first row is empty; every row needs at least one value")
        }
        if let wrong = rows.firstIndex(where: { $0.count != wanted }) {
            throw MetricError("\(what): row \(wrong) has \(rows[wrong].count) values instead of \(wanted)")
        }
        return wanted
    }
}
