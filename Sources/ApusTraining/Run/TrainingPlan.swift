package import ApusDatasets
package import ApusOptimizers

/// What a run does at a loss or a gradient that is not finite (`--nan_policy`).
package enum NaNPolicy: String, Sendable, CaseIterable {
    case stop
    /// Leaves weights and optimizer as they are and goes on.
    case skip
}

/// What a run does at which step: everything that varies, as values.
package struct TrainingPlan: Sendable {
    /// When something recurring happens.
    package enum Recurrence: Sendable, Equatable {
        case never
        case every(Int)
        case everyEpochs(Int)
    }

    package var batches: BatchPlan
    /// The step that the run ends with, where that comes before those of the batches and the schedule.
    package var lastStep: Int
    /// The passes over a stream that the run ends with; nil goes on to the last step.
    package var streamedEpochs: Int?
    package var schedule: Schedule
    package var maximumGradientNorm: Double
    package var evaluation: Recurrence
    package var saving: Recurrence
    package var logging: Recurrence
    package var logsFirstStep: Bool
    package var evaluationBatchSize: Int
    package var checkpointsLayers: Bool
    /// How often micro-batches are halved, so that a pass fits into memory.
    package var halvings = 0
    package var nanPolicy: NaNPolicy
    package var seed: UInt64
    /// Before so many steps, or epochs where epochs decide, nothing is evaluated but the last step.
    package var evaluationDelay = 0.0
    /// Whether a new run is evaluated before its first step.
    package var evaluatesFirst = false
    /// After so many checkpoints in a row without a better evaluation the run ends; nil goes on.
    package var patience: Int?
    /// What the best checkpoint is chosen by, a metric of the evaluation without `eval_`.
    package var bestMetric = "loss"

    package init(
        batches: BatchPlan, schedule: Schedule, maximumGradientNorm: Double = 1, evaluation: Recurrence = .never,
        saving: Recurrence = .never, loggingSteps: Int = 5, logsFirstStep: Bool = true, evaluationBatchSize: Int = 1,
        checkpointsLayers: Bool = false, nanPolicy: NaNPolicy = .stop, seed: UInt64 = 42
    ) {
        self.batches = batches
        lastStep = batches.totalSteps
        self.schedule = schedule
        self.maximumGradientNorm = maximumGradientNorm
        self.evaluation = evaluation
        self.saving = saving
        logging = .every(loggingSteps)
        self.logsFirstStep = logsFirstStep
        self.evaluationBatchSize = evaluationBatchSize
        self.checkpointsLayers = checkpointsLayers
        self.nanPolicy = nanPolicy
        self.seed = seed
    }

    /// Whether it is time, `step` steps being done.
    ///
    /// The last step is always time for what recurs at all.
    func isTime(for recurrence: Recurrence, after step: Int) -> Bool {
        switch recurrence {
        case .never: false
        case .every(let steps): step % max(1, steps) == 0 || step == lastStep
        case .everyEpochs(let count):
            batches.endsEpoch(afterSteps: step)
                && Int(batches.epochsDone(afterSteps: step).rounded()) % max(1, count) == 0
                || step == lastStep
        }
    }

    /// Whether it is time for an evaluation, `step` steps being done.
    ///
    /// As in ms-swift the last step is, however long evaluations are delayed.
    func isTimeToEvaluate(after step: Int) -> Bool {
        let done = if case .everyEpochs = evaluation { batches.epochsDone(afterSteps: step) } else { Double(step) }
        return (done >= evaluationDelay || step == lastStep) && isTime(for: evaluation, after: step)
    }

    func isTimeToLog(after step: Int) -> Bool {
        isTime(for: logging, after: step) || (step == 1 && logsFirstStep)
    }
}
