import ApusFiles
package import ApusJSON

/// How far a run is: with the weights and the optimizer's state, all that resuming needs.
package struct TrainingProgress: Sendable, Equatable {
    /// Optimizer steps done.
    package var step = 0
    /// Target tokens seen.
    package var targets = 0
    /// What the best checkpoint is chosen by, at the last evaluation and the step it was made at.
    package private(set) var lastEvaluation: (step: Int, metric: Double)?
    /// The best checkpoint that was saved at an evaluation, and its metric.
    package private(set) var best: (path: String, step: Int, metric: Double)?
    package private(set) var lastCheckpoint: String?
    /// What the best checkpoint is chosen by, at its best so far, saved or not.
    private var bestMetric: Double?
    /// The same when a checkpoint last brought progress.
    private var bestSavedMetric: Double?
    /// Whether there was an evaluation, be its metric a number or not.
    private var hasEvaluated = false
    /// Checkpoints in a row that came without a better evaluation.
    package private(set) var checkpointsWithoutProgress = 0
    /// How often micro-batches were halved because memory ran out.
    package var halvings = 0
    /// How often they were halved from the start, to fit into `--max_memory`; nil in checkpoints that do not say it.
    package var plannedHalvings: Int?
    /// Whether the evaluation of the last step is still to be made, because it failed.
    package var owesEvaluation = false
    /// Which way the best checkpoint is sought; `greater_is_better`.
    package var greaterIsBetter = false

    package init() {}

    /// - Throws: `TrainingError` when the evaluation measured no such metric.
    mutating func noteEvaluation(_ metrics: [(String, Double)], best name: String) throws {
        guard let value = metrics.first(where: { $0.0 == name })?.1 else {
            throw TrainingError(
                .other,
                "--metric_for_best_model: the evaluation measures no \"\(name)\". Give one of "
                    + metrics.map(\.0).joined(separator: ", ") + ".")
        }
        lastEvaluation = (step, value)
        hasEvaluated = true
        if value.isFinite, bestMetric.map({ isBetter(value, than: $0) }) ?? true { bestMetric = value }
    }

    private func isBetter(_ metric: Double, than other: Double) -> Bool {
        greaterIsBetter ? metric > other : metric < other
    }

    /// Before a checkpoint is saved.
    mutating func noteSaving() {
        guard hasEvaluated else { return }
        // A metric that never was a number has brought nothing.
        if let bestMetric, bestSavedMetric.map({ isBetter(bestMetric, than: $0) }) ?? true {
            bestSavedMetric = bestMetric
            checkpointsWithoutProgress = 0
        } else {
            checkpointsWithoutProgress += 1
        }
    }

    mutating func noteSaved(_ path: String) {
        lastCheckpoint = path
        if let lastEvaluation, lastEvaluation.step == step, lastEvaluation.metric.isFinite,
            best.map({ isBetter(lastEvaluation.metric, than: $0.metric) }) ?? true
        {
            best = (path, step, lastEvaluation.metric)
        }
    }

    /// The run's checkpoints lie in another folder than when they were noted.
    mutating func noteMoved(to folder: String) {
        if let best {
            self.best = (FilePath.join(folder, FilePath.lastComponent(of: best.path)), best.step, best.metric)
        }
    }

    /// The run goes on from a checkpoint, which is the last until there is another.
    package mutating func noteResumed(_ path: String) { lastCheckpoint = path }

    /// The checkpoints so far stay in another folder than those that follow, among which the best is sought anew.
    package mutating func leaveBest() { best = nil }

    package static func == (lhs: Self, rhs: Self) -> Bool { lhs.json == rhs.json }
}

extension TrainingProgress {
    /// As it is stored in `apus_state.json`.
    package var json: JSONValue {
        var object: JSONObject = ["step": .int(step), "targets": .int(targets)]
        if let best {
            object["best"] = [
                "checkpoint": .string(best.path), "step": .int(best.step), "metric": .double(best.metric),
            ]
        }
        if halvings > 0 { object["halvings"] = .int(halvings) }
        if let plannedHalvings { object["planned_halvings"] = .int(plannedHalvings) }
        if owesEvaluation { object["owes_evaluation"] = true }
        if hasEvaluated {
            var progress: JSONObject = [
                "metric": bestMetric.map(JSONValue.double) ?? .null,
                "checkpoints_without": .int(checkpointsWithoutProgress),
            ]
            // Nil where only what a signal asked for was saved.
            progress["saved_metric"] = bestSavedMetric.map(JSONValue.double)
            object["progress"] = .object(progress)
        }
        return .object(object)
    }

    /// - Throws: `TrainingError` when a field is missing.
    package init(json: JSONValue, file: String) throws {
        guard let step = json["step"]?.intValue, let targets = json["targets"]?.intValue, step >= 0 else {
            throw TrainingError(.resume, "\(file): \"step\" and \"targets\" must be numbers")
        }
        self.step = step
        self.targets = targets
        if let path = json["best"]?["checkpoint"]?.stringValue, let step = json["best"]?["step"]?.intValue,
            let metric = json["best"]?["metric"]?.doubleValue
        {
            best = (path, step, metric)
        }
        halvings = min(max(0, json["halvings"]?.intValue ?? 0), 62)
        plannedHalvings = json["planned_halvings"]?.intValue
        owesEvaluation = json["owes_evaluation"]?.boolValue ?? false
        hasEvaluated = json["progress"] != nil
        bestMetric = json["progress"]?["metric"]?.doubleValue
        bestSavedMetric = json["progress"]?["saved_metric"]?.doubleValue
        checkpointsWithoutProgress = json["progress"]?["checkpoints_without"]?.intValue ?? 0
    }
}
