import ApusDatasets
package import ApusLanguageModel
package import ApusNN
package import ApusOptimizers
package import ApusRunLog
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
    private let update: UpdateStep
    private let objective: any Objective
    private let data: any TrainingSource
    private let validation: any TrainingSource
    private let checkpoints: CheckpointStore?
    private let log: RunLog
    private var plan: TrainingPlan
    /// Has the learning rate where that follows the evaluations.
    private let plateau: Plateau?
    /// Names the sample of a data set as `file:line`, for messages.
    private let placeOfSample: (Int) -> String
    package private(set) var progress: TrainingProgress
    /// Sees every step that is logged.
    private let onLog: ((Int) -> Void)?
    /// Whether the last checkpoint that was due is missing.
    private var hasFailedToSave = false
    /// Whether it was said that what the best checkpoint is chosen by is no number.
    private var hasToldOfMetric = false
    /// The steps that are saved.
    private var savedSteps = 0

    package init(
        model: any TextModel, trained: [TrainedParameter], optimizer: any Optimizer, scaler: LossScaler? = nil,
        participants: [any StepParticipant] = [],
        objective: any Objective, data: any TrainingSource, validation: any TrainingSource,
        plan: TrainingPlan, progress: TrainingProgress = TrainingProgress(), plateau: Plateau? = nil,
        checkpoints: CheckpointStore?, log: RunLog,
        placeOfSample: @escaping (Int) -> String = { "sample \($0)" }, onLog: ((Int) -> Void)? = nil
    ) {
        self.model = model
        update = UpdateStep(
            trained, optimizer: optimizer, scaler: scaler, participants: participants,
            maximumNorm: plan.maximumGradientNorm)
        self.objective = objective
        self.data = data
        self.validation = validation
        self.plan = plan
        self.progress = progress
        self.plateau = plateau
        self.checkpoints = checkpoints
        self.log = log
        self.placeOfSample = placeOfSample
        self.onLog = onLog
        if update.followsInPass { model.trunk.onLayer = { [update] in try update.flush() } }
    }

    deinit { model.trunk.onLayer = nil }

    /// Trains, top to bottom.
    ///
    /// There are no callbacks: what happens is what you read.
    package func callAsFunction() throws -> Ending {
        var window = LogWindow()
        try update.start(at: progress.step)
        savedSteps = progress.step
        try noteStreamEnd()
        if progress.owesEvaluation { try makeUpEvaluation() }
        if plan.evaluatesFirst, progress.step == 0 { try update.withFoundWeights { try evaluate(isNoted: false) } }
        while progress.step < plan.lastStep {
            if let patience = plan.patience, progress.checkpointsWithoutProgress >= patience {
                log.console.print(
                    "the run ends early after step \(progress.step): \(plan.bestMetric) did not get better in the last "
                        + "\(progress.checkpointsWithoutProgress) checkpoints")
                if hasFailedToSave { try update.withFoundWeights { try save(isDue: false, isLast: true) } }
                break
            }
            let step = progress.step
            let started = ProcessInfo.processInfo.systemUptime
            let batches = plan.batches.batches(ofStep: step)
            window.add(try keepingSteps { try data.prepare(batches.flatMap { $0 }, step: step) })
            let targets = batches.reduce(0) { $0 + data.targetCount($1) }

            // As in the Trainer, a step that float16 could not take does not move the schedule.
            let rate = try plateau?.rate() ?? plan.schedule.rate(at: step - update.skippedSteps())
            var parts = batches.enumerated().map { index, samples in
                MicroBatch(samples, draw: streamKey(plan.seed, UInt64(step), UInt64(index)))
            }
            for _ in 0..<plan.halvings + progress.halvings { parts = parts.flatMap(\.halves) }
            var tallies: [Tally]?
            while tallies == nil {
                do {
                    tallies = try pass(over: parts, targets: targets, rate: rate)
                } catch let error as TorchError where error.kind == .outOfMemory {
                    parts = try halved(parts, after: error)
                }
            }
            window.add(tallies ?? [])
            let scale = try update.lossScale()
            let outcome = try update(rate: rate, step: step + 1)
            switch outcome.verdict {
            case .done: break
            case .overflowed:
                log.console.print(
                    "step \(step + 1): the gradients overflowed float16 at a loss scale of \(scale ?? 1); the step is "
                        + "skipped, the next scale is \(try update.lossScale() ?? 1)")
            case .notFinite: try handleNonFinite(outcome, samples: batches.flatMap { $0 })
            }

            progress.step += 1
            progress.targets += targets
            try keepingSteps { try noteStreamEnd() }
            window.add(
                outcome, tokens: batches.joined().reduce(0) { $0 + data.length(of: $1) },
                seconds: ProcessInfo.processInfo.systemUptime - started)
            log.advance(to: progress.step, loss: outcome.loss, tokensPerSecond: window.tokensPerSecond) {
                model.device.memory.map { Int64($0.used) }
            }

            if plan.isTimeToLog(after: progress.step) {
                log.record(
                    step: progress.step, epoch: plan.batches.epochsDone(afterSteps: progress.step),
                    metrics: try metrics(of: window, rate: rate),
                    memory: model.device.memory.map { Double($0.peak) / 1_073_741_824 })
                onLog?(progress.step)
                window = LogWindow(speedOf: window)
            }
            if plan.isTimeToEvaluate(after: progress.step) {
                try keepingSteps(owesEvaluation: true) { try update.withFoundWeights { try evaluate() } }
            }
            // Of a task that was cancelled the wish is that of Ctrl-C.
            let signal = StopSignal.pending ?? (Task.isCancelled ? SIGINT : nil)
            let isAsked = StopSignal.takeSaveRequest()
            if isAsked, checkpoints == nil { log.console.print("SIGUSR1: --save_strategy is no, and nothing is saved") }
            let isDue = plan.isTime(for: plan.saving, after: progress.step)
            if isDue || signal != nil || isAsked {
                let isLast = signal != nil || progress.step == plan.lastStep
                try update.withFoundWeights { try save(isDue: isDue, isLast: isLast) }
            }
            if let signal, progress.step < plan.lastStep { return .stopped(signal: signal) }
        }
        return .finished
    }

    /// Ends the run with the step that ends the last pass over a stream.
    private func noteStreamEnd() throws {
        guard let epochs = plan.streamedEpochs, progress.step > 0, progress.step < plan.lastStep else { return }
        let perStep = plan.batches.sampleCount / plan.batches.totalSteps
        guard try data.hasEnded(epochs: epochs, within: progress.step * perStep) else { return }
        plan.lastStep = progress.step
        log.console.print(
            "the run ends after step \(progress.step): all rows were read \(epochs == 1 ? "once" : "\(epochs) times") "
                + "(--max_epochs)")
    }

    /// Adds up the gradients of a step's micro-batches.
    private func pass(over parts: [MicroBatch], targets: Int, rate: Double) throws -> [Tally] {
        var tallies: [Tally] = []
        let batches = parts.map { data.batch($0.samples, draw: $0.draw) }
        try objective.begin(batches)
        for (batch, key) in zip(batches, parts.map(\.key)) {
            let context = try model.context(
                for: batch, isTraining: true, checkpointsLayers: plan.checkpointsLayers, randomKey: key)
            let part = try objective.loss(batch, context)
            if update.followsInPass {
                var first: Tensor? = part.sum
                try update.follow(rate: rate, targets: targets) {
                    defer { first = nil }
                    return try first ?? objective.loss(batch, context).sum
                }
            } else {
                try update.accumulate(part.sum, targets: targets)
            }
            tallies += part.tallies
        }
        return tallies
    }

    /// Half as large micro-batches for a step that there was no memory for, and for the steps behind it.
    ///
    /// What they add up to is the same.
    ///
    /// - Throws: The error where they cannot be smaller, or would be another step.
    private func halved(_ parts: [MicroBatch], after error: TorchError) throws -> [MicroBatch] {
        guard objective.isAdditive, !update.followsInPass, parts.contains(where: { $0.samples.count > 1 }) else {
            throw error
        }
        update.forget()
        progress.halvings += 1
        let smaller = parts.flatMap(\.halves)
        let most = smaller.map(\.samples.count).max() ?? 1
        log.console.print(
            "step \(progress.step + 1): out of memory (\(error.message)); it is made again, and what follows, with at most "
                + "\(most) sample\(most == 1 ? "" : "s") at once. Its result is the same but for the order of sums, and for what "
                + "dropout and noise draw, as with a larger --gradient_accumulation_steps.")
        return smaller
    }

    /// The mean loss over the validation data, and what the objective measures beside it.
    ///
    /// - Parameter isNoted: Whether it counts for the best checkpoint and for what follows evaluations.
    private func evaluate(isNoted: Bool = true) throws {
        guard !validation.isEmpty else { return }
        let started = ProcessInfo.processInfo.systemUptime
        var (sum, targets) = (0.0, 0)
        var tallies = Tallies()
        var evaluation = objective.evaluation()
        let bar = log.console.startProgress("Val", total: validation.count)
        let (validation, size) = (validation, plan.evaluationBatchSize)
        let starts = stride(from: 0, to: validation.count, by: size)
        func samples(from start: Int) -> [Int] { Array(start..<min(start + size, validation.count)) }
        try withoutGradients {
            try objective.begin(evaluation: starts.lazy.map { validation.batch(samples(from: $0), draw: nil) })
            for start in starts {
                let samples = samples(from: start)
                tallies.add(try validation.prepare(samples, step: nil))
                let batch = validation.batch(samples, draw: nil)
                let part = try objective.loss(batch, model.context(for: batch))
                sum += try part.sum.item()
                tallies.add(part.tallies)
                targets += part.targets
                try evaluation.add(part, batch)
                bar.update(to: samples.count + start)
            }
        }
        bar.finish()
        let seconds = ProcessInfo.processInfo.systemUptime - started
        let loss = sum / Double(max(targets, 1)) + (try update.penalty())
        var metrics = [("loss", loss)]
        let means = try tallies.means()
        metrics += means + objective.derived(means)
        metrics += try evaluation.metrics()
        if isNoted {
            try progress.noteEvaluation(metrics, best: plan.bestMetric)
            if let metric = progress.lastEvaluation?.metric {
                try plateau?.note(metric)
                if !metric.isFinite { tell(of: metric) }
            }
        }
        let passes = (validation.count + plan.evaluationBatchSize - 1) / plan.evaluationBatchSize
        log.record(
            step: progress.step, epoch: plan.batches.epochsDone(afterSteps: progress.step),
            metrics: metrics.map { ("eval_" + $0.0, $0.1) } + [
                ("eval_runtime", seconds), ("eval_samples_per_second", Double(validation.count) / seconds),
                ("eval_steps_per_second", Double(passes) / seconds),
            ])
        if let table = try evaluation.table() { log.console.print(table) }
        try evaluation.draw(to: log.imagesPath)
    }

    /// Says once that a metric is no number.
    private func tell(of metric: Double) {
        guard !hasToldOfMetric else { return }
        hasToldOfMetric = true
        log.console.print(
            "step \(progress.step): eval_\(plan.bestMetric) is \(metric), by which no checkpoint is the best; evaluations like "
                + "this count as none that got better")
    }

    /// Saves; where that fails, as on a full disk, the checkpoints before stay as they were, and the run goes on to the next.
    ///
    /// - Parameters:
    ///   - isDue: Whether it is time for one, and nobody asked.
    ///   - isLast: Whether there is no next.
    /// - Throws: What stands in the way twice in a row, or at the end of the run.
    private func save(isDue: Bool, isLast: Bool) throws {
        guard let checkpoints else { return }
        // What a signal asks for is no checkpoint of the run's own rhythm.
        if isDue { progress.noteSaving() }
        do {
            let path = try checkpoints.save(
                progress: progress, states: update.states, epoch: plan.batches.epochsDone(afterSteps: progress.step),
                history: log.history)
            progress.noteSaved(path)
            savedSteps = progress.step
            hasFailedToSave = false
            log.console.print("Saving model checkpoint to \(path)")
        } catch  where !isLast && !hasFailedToSave {
            hasFailedToSave = true
            log.console.print(
                "step \(progress.step) was not saved: \(error). Earlier checkpoints are whole, and the run goes on; it ends "
                    + "if the next checkpoint cannot be saved either.")
        }
    }

    /// Makes samples ready or measures; where that fails, as where a program that rewards answers dies, the steps since the
    /// last checkpoint are saved before the error ends the run.
    ///
    /// - Parameter owesEvaluation: Whether the evaluation of the last step is what failed.
    private func keepingSteps<Made>(owesEvaluation: Bool = false, _ body: () throws -> Made) throws -> Made {
        do {
            return try body()
        } catch {
            keepSteps(owesEvaluation: owesEvaluation)
            throw error
        }
    }

    private func keepSteps(owesEvaluation: Bool) {
        guard let checkpoints, progress.step > 0 else { return }
        if progress.step > savedSteps {
            progress.owesEvaluation = owesEvaluation
            do {
                try update.withFoundWeights { try save(isDue: false, isLast: true) }
            } catch {
                // What ended the run is what counts.
                log.console.print("step \(progress.step) was not saved: \(error). Earlier checkpoints are whole.")
                return
            }
        }
        let (steps, isWhole) = (savedSteps, checkpoints.isResumable)
        log.console.print(
            "the run cannot go on; its \(steps == 1 ? "step is" : "\(steps) steps are") saved, "
                + (isWhole
                    ? "and the same command with --resume_from_checkpoint last goes on from there"
                    : "their weights alone (--save_only_model true)"))
    }

    /// The evaluation that a run ended in, and the checkpoint that was due behind it.
    private func makeUpEvaluation() throws {
        try keepingSteps(owesEvaluation: true) { try update.withFoundWeights { try evaluate() } }
        progress.owesEvaluation = false
        let isDue = plan.isTime(for: plan.saving, after: progress.step)
        try update.withFoundWeights { try save(isDue: isDue, isLast: progress.step == plan.lastStep) }
    }

    /// What is logged of the steps since the last line.
    private func metrics(of window: LogWindow, rate: Double) throws -> [(name: String, value: Double)] {
        var metrics: [(name: String, value: Double)] = [("loss", window.loss)]
        if let norm = window.norm { metrics.append(("grad_norm", norm)) }
        metrics.append(("learning_rate", rate))
        let means = try window.tallies.means()
        metrics += means + objective.derived(means) + objective.logged()
        if let scale = try update.lossScale() {
            metrics.append(("loss_scale", scale))
            metrics.append(("skipped_steps", Double(try update.skippedSteps())))
        }
        return metrics
    }

    private func handleNonFinite(_ outcome: UpdateStep.Outcome, samples: [Int]) throws {
        let step = progress.step + 1
        let places = samples.prefix(8).map(placeOfSample).joined(separator: ", ")
        let what =
            "step \(step): the loss is \(outcome.loss) and the gradient norm \(outcome.norm); samples: \(places)\(samples.count > 8 ? " …" : "")"
        guard plan.nanPolicy == .skip else {
            throw TrainingError(
                .notFinite,
                "\(what). \(update.followsInPass ? "Weights whose gradients came before were moved" : "The weights were not changed by this step"). Try a lower --learning_rate, --torch_dtype float32, a look at these samples, or --nan_policy skip."
            )
        }
        let kept = update.followsInPass ? "weights whose gradients came before were moved" : "the weights are unchanged"
        log.console.print("\(what); the step is skipped, \(kept)")
    }
}

/// Samples that go through the model together.
private struct MicroBatch {
    let samples: [Int]
    /// Names the random numbers that the samples are made with.
    let draw: UInt64
    /// Names those of the pass.
    let key: UInt64

    init(_ samples: [Int], draw: UInt64, key: UInt64? = nil) {
        (self.samples, self.draw, self.key) = (samples, draw, key ?? draw)
    }

    var halves: [MicroBatch] {
        guard samples.count > 1 else { return [self] }
        let middle = (samples.count + 1) / 2
        return [
            MicroBatch(Array(samples[..<middle]), draw: draw, key: key),
            MicroBatch(Array(samples[middle...]), draw: draw, key: streamKey(key, 1)),
        ]
    }
}
