import ApusDatasets
package import ApusLanguageModel
package import ApusOptimizers
import ApusTorch
import Foundation

/// One run, from its first or a saved step to its last.
package final class TrainingRun {
    /// How a run ended.
    package enum Ending: Sendable, Equatable {
        case finished
        /// A signal asked for a stop; the state is saved.
        case stopped(signal: Int32)
    }

    private let model: any TextModel
    private let trained: [TrainedParameter]
    private let optimizer: any Optimizer
    private let objective: any Objective
    private let data: any TrainingSource
    private let validation: any TrainingSource
    private let checkpoints: CheckpointStore?
    private let log: RunLog
    private var plan: TrainingPlan
    /// Names the sample of a data set as `file:line`, for messages.
    private let placeOfSample: (Int) -> String
    package private(set) var progress: TrainingProgress

    package init(
        model: any TextModel, trained: [TrainedParameter], optimizer: any Optimizer, objective: any Objective,
        data: any TrainingSource, validation: any TrainingSource,
        plan: TrainingPlan, progress: TrainingProgress = TrainingProgress(), checkpoints: CheckpointStore?, log: RunLog,
        placeOfSample: @escaping (Int) -> String = { "sample \($0)" }
    ) {
        self.model = model
        self.trained = trained
        self.optimizer = optimizer
        self.objective = objective
        self.data = data
        self.validation = validation
        self.plan = plan
        self.progress = progress
        self.checkpoints = checkpoints
        self.log = log
        self.placeOfSample = placeOfSample
    }

    /// Trains, top to bottom.
    ///
    /// There are no callbacks: what happens is what you read.
    package func callAsFunction() throws -> Ending {
        var window = Window()
        while progress.step < plan.batches.totalSteps {
            let step = progress.step
            let started = ProcessInfo.processInfo.systemUptime
            let batches = plan.batches.batches(ofStep: step)
            let targets = batches.reduce(0) { $0 + data.targetCount($1) }

            // Losses are sums over target tokens, so dividing by the whole step's count makes accumulation exact,
            // whatever the micro-batches.
            var loss = 0.0
            var correct = 0.0
            for (index, samples) in batches.enumerated() {
                let draw = streamKey(plan.seed, UInt64(step), UInt64(index))
                let batch = data.batch(samples, draw: draw)
                let context = try model.context(
                    for: batch, isTraining: true, checkpointsLayers: plan.checkpointsLayers, randomKey: draw)
                let part = try objective.loss(batch, context)
                try (part.sum / Double(max(targets, 1))).backward()
                loss += try part.sum.item() / Double(max(targets, 1))
                correct += try part.correct?.item() ?? 0
            }

            let rate = plan.schedule.rate(at: step)
            let norm = try clipGradients(of: trained, to: plan.maximumGradientNorm).item()
            if loss.isFinite && norm.isFinite {
                try optimizer.step(rate: rate)
            } else {
                try handleNonFinite(loss: loss, norm: norm, samples: batches.flatMap { $0 })
            }
            for parameter in trained { parameter.tensor.clearGradient() }

            progress.step += 1
            progress.targets += targets
            window.add(
                loss: loss, correct: correct, targets: targets,
                tokens: batches.joined().reduce(0) { $0 + data.length(of: $1) },
                seconds: ProcessInfo.processInfo.systemUptime - started)
            log.advance(to: progress.step, loss: loss, tokensPerSecond: window.tokensPerSecond)

            if plan.isTimeToLog(after: progress.step) {
                try log.record(
                    step: progress.step, epoch: plan.batches.epochsDone(afterSteps: progress.step),
                    metrics: [("loss", window.loss), ("grad_norm", norm), ("learning_rate", rate)]
                        + (objective.accuracyName.map { [($0, window.accuracy)] } ?? []))
                window = Window(speedOf: window)
            }
            if plan.isTime(for: plan.evaluation, after: progress.step) { try evaluate() }
            let signal = StopSignal.pending
            if plan.isTime(for: plan.saving, after: progress.step) || (signal != nil && checkpoints != nil) {
                try save()
            }
            if let signal, progress.step < plan.batches.totalSteps { return .stopped(signal: signal) }
        }
        return .finished
    }

    /// The mean loss over the validation data, and what the objective measures beside it.
    private func evaluate() throws {
        guard !validation.isEmpty else { return }
        let started = ProcessInfo.processInfo.systemUptime
        var (sum, correct, targets) = (0.0, 0.0, 0)
        var evaluation = objective.evaluation()
        let bar = log.console.startProgress("Val", total: validation.count)
        try withoutGradients {
            for start in stride(from: 0, to: validation.count, by: plan.evaluationBatchSize) {
                let samples = Array(start..<min(start + plan.evaluationBatchSize, validation.count))
                let batch = validation.batch(samples, draw: nil)
                let part = try objective.loss(batch, model.context(for: batch))
                sum += try part.sum.item()
                correct += try part.correct?.item() ?? 0
                targets += part.targets
                try evaluation.add(part, batch)
                bar.update(to: samples.count + start)
            }
        }
        bar.finish()
        let seconds = ProcessInfo.processInfo.systemUptime - started
        let loss = sum / Double(max(targets, 1))
        var metrics = [("loss", loss)]
        if let name = objective.accuracyName { metrics.append((name, correct / Double(max(targets, 1)))) }
        metrics += try evaluation.metrics()
        try progress.noteEvaluation(metrics, best: plan.bestMetric)
        let passes = (validation.count + plan.evaluationBatchSize - 1) / plan.evaluationBatchSize
        try log.record(
            step: progress.step, epoch: plan.batches.epochsDone(afterSteps: progress.step),
            metrics: metrics.map { ("eval_" + $0.0, $0.1) } + [
                ("eval_runtime", seconds), ("eval_samples_per_second", Double(validation.count) / seconds),
                ("eval_steps_per_second", Double(passes) / seconds),
            ])
        if let table = try evaluation.table() { log.console.print(table) }
        try evaluation.draw(to: log.imagesPath)
    }

    private func save() throws {
        guard let checkpoints else { return }
        let path = try checkpoints.save(
            progress: progress, optimizer: optimizer, epoch: plan.batches.epochsDone(afterSteps: progress.step),
            history: log.history)
        progress.noteSaved(path)
        log.console.print("Saving model checkpoint to \(path)")
    }

    private func handleNonFinite(loss: Double, norm: Double, samples: [Int]) throws {
        let step = progress.step + 1
        let places = samples.prefix(8).map(placeOfSample).joined(separator: ", ")
        let what =
            "step \(step): the loss is \(loss) and the gradient norm \(norm); samples: \(places)\(samples.count > 8 ? " …" : "")"
        guard plan.nanPolicy == .skip else {
            throw TrainingError(
                .notFinite,
                "\(what). The weights were not changed by this step. Try a lower --learning_rate, --torch_dtype float32, a look at these samples, or --nan_policy skip."
            )
        }
        log.console.print("\(what); the step is skipped, the weights are unchanged")
    }
}

/// What has happened since the last line of the log.
private struct Window {
    private var losses = 0.0
    private var steps = 0
    private var correct = 0.0
    private var targets = 0
    private var tokens = 0
    private var seconds = 0.0

    init() {}

    /// An empty window that still knows how fast the last one was, for the progress bar.
    init(speedOf last: Window) {
        tokens = last.tokens
        seconds = last.seconds
    }

    mutating func add(loss: Double, correct: Double, targets: Int, tokens: Int, seconds: Double) {
        losses += loss
        steps += 1
        self.correct += correct
        self.targets += targets
        self.tokens += tokens
        self.seconds += seconds
    }

    var loss: Double { losses / Double(max(steps, 1)) }
    var accuracy: Double { correct / Double(max(targets, 1)) }
    var tokensPerSecond: Double { Double(tokens) / max(seconds, 1e-9) }
}
