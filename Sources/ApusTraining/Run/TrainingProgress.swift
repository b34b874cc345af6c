package import ApusJSON

/// How far a run is: with the weights and the optimizer's state, all that resuming needs.
package struct TrainingProgress: Sendable, Equatable {
    /// Optimizer steps done.
    package var step = 0
    /// Target tokens seen.
    package var targets = 0
    /// The last evaluation's loss and the step it was made at.
    package private(set) var lastEvaluation: (step: Int, loss: Double)?
    /// The best checkpoint that was saved at an evaluation, and its loss.
    package private(set) var best: (path: String, step: Int, loss: Double)?
    package private(set) var lastCheckpoint: String?
    /// Which way the best checkpoint is sought; `greater_is_better`.
    package var greaterIsBetter = false

    package init() {}

    mutating func noteEvaluation(loss: Double) { lastEvaluation = (step, loss) }

    mutating func noteSaved(_ path: String) {
        lastCheckpoint = path
        if let lastEvaluation, lastEvaluation.step == step, lastEvaluation.loss.isFinite,
            best.map({ greaterIsBetter ? lastEvaluation.loss > $0.loss : lastEvaluation.loss < $0.loss }) ?? true
        {
            best = (path, step, lastEvaluation.loss)
        }
    }

    package static func == (lhs: Self, rhs: Self) -> Bool { lhs.json == rhs.json }
}

extension TrainingProgress {
    /// As it is stored in `apus_state.json`.
    package var json: JSONValue {
        var object: JSONObject = ["step": .int(step), "targets": .int(targets)]
        if let best {
            object["best"] = ["checkpoint": .string(best.path), "step": .int(best.step), "loss": .double(best.loss)]
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
            let loss = json["best"]?["loss"]?.doubleValue
        {
            best = (path, step, loss)
        }
    }
}
