import ApusMetrics

/// The metric that a checkpoint is chosen by.
enum BestMetric {
    /// The name without `eval_`, under which the evaluation reports it.
    static func name(_ given: String) -> String {
        given.hasPrefix("eval_") ? String(given.dropFirst(5)) : given
    }

    static func greaterIsBetter(_ given: String) -> Bool { !MetricNames.measureMistakes.contains(name(given)) }

    /// - Parameter known: What the evaluation reports.
    /// - Throws: `SettingsError` that names them.
    static func check(_ given: String, among known: [String], of what: String) throws {
        guard !known.contains(name(given)) else { return }
        let near = NearestNames.find(name(given), among: known).first.map { " Did you mean \"\($0)\"?" } ?? ""
        throw SettingsError(
            "--metric_for_best_model: \(what) has no metric \"\(given)\".\(near) "
                + "There are \(known.joined(separator: ", ")).")
    }
}
