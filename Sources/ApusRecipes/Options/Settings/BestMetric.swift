import ApusDatasets
import ApusMetrics

/// The metrics that a checkpoint can be chosen by.
enum BestMetric {
    /// The name without `eval_`, under which the evaluation reports it.
    static func name(_ given: String) -> String {
        given.hasPrefix("eval_") ? String(given.dropFirst(5)) : given
    }

    static func greaterIsBetter(_ given: String) -> Bool {
        let name = name(given)
        return accuracies.contains(name) || MetricTask.allCases.contains { $0.greaterIsBetter(name) == true }
    }

    /// - Throws: `SettingsError` naming the metrics of the task.
    static func check(_ given: String, for task: TaskType) throws {
        let known = names(of: task)
        guard known.contains(name(given)) else {
            let near = NearestNames.find(name(given), among: known).first.map { " Did you mean \"\($0)\"?" } ?? ""
            throw SettingsError(
                "--metric_for_best_model: \(task.rawValue) has no metric \"\(given)\".\(near) "
                    + "There are \(known.joined(separator: ", ")).")
        }
    }

    /// - Throws: `SettingsError` naming the metrics of the problem.
    static func check(_ given: String, for problem: ProblemType) throws {
        let task: MetricTask =
            switch problem {
            case .regression: .regression
            case .singleLabel: .classification
            case .multiLabel: .multiLabel
            }
        let known = ["loss"] + (problem == .singleLabel ? ["acc"] : []) + task.metricNames
        guard known.contains(name(given)) else {
            throw SettingsError(
                "--metric_for_best_model: \(problem.rawValue) has no metric \"\(given)\". "
                    + "There are \(known.joined(separator: ", ")).")
        }
    }

    /// - Throws: `SettingsError` for a metric that only other losses of the task have.
    static func check(_ given: String, for loss: LossType?) throws {
        let isAccuracy = name(given) == "acc"
        switch loss {
        case .infoNCE where !isAccuracy && name(given) != "loss":
            throw SettingsError(
                "--metric_for_best_model: infonce has no labels to measure \"\(given)\" against. Give loss or acc.")
        case .cosineSimilarity where isAccuracy, .contrastive where isAccuracy:
            throw SettingsError(
                "--metric_for_best_model: only infonce has the metric \"acc\". Give loss, "
                    + EmbeddingMetrics.names.joined(separator: ", ") + ".")
        default: break
        }
    }

    private static let accuracies = ["token_acc", "acc"]

    private static func names(of task: TaskType) -> [String] {
        switch task {
        case .causalLM, .maskedLanguageModel: ["loss", "token_acc"]
        case .embedding: ["loss", "acc"] + EmbeddingMetrics.names
        case .reranker: ["loss"] + RerankerMetrics.names
        case .sequenceClassification:
            ["loss", "acc"]
                + [MetricTask.regression, .classification, .multiLabel].flatMap(\.metricNames).uniqued()
        }
    }
}

extension Array where Element: Hashable {
    /// Each element once, where it first stands.
    fileprivate func uniqued() -> [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
