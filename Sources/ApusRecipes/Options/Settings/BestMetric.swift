import ApusMetrics

/// The metric that a checkpoint is chosen by.
enum BestMetric {
    /// The name without `eval_`, under which the evaluation reports it.
    static func name(_ given: String) -> String {
        given.hasPrefix("eval_") ? String(given.dropFirst(5)) : given
    }

    static func greaterIsBetter(_ given: String) -> Bool { !MetricNames.measureMistakes.contains(name(given)) }

    /// Looks whether a metric that is one of a single reward is one of those that are asked.
    ///
    /// - Parameters:
    ///   - asked: Rewards as they were asked for, which are the first of those that are logged.
    ///   - logged: The names that rewards have in logs.
    /// - Throws: `SettingsError` that names them.
    static func check(_ given: String, ofRewards asked: [String], loggedAs logged: [String]) throws {
        let known = logged.flatMap { ["rewards/\($0)/mean", "rewards/\($0)/std"] }
        guard name(given).hasPrefix("rewards/"), !known.contains(name(given)) else { return }
        let others = zip(asked, logged).filter { $0 != $1 }.map { "\($0) is logged as \($1)" }
        throw SettingsError(
            "--metric_for_best_model: no reward of this run has a metric \"\(given)\". There are "
                + known.joined(separator: ", ")
                + (others.isEmpty ? "." : " (\(others.joined(separator: ", "))).")
        )
    }

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
