import ApusAdapters
import ApusDatasets
import ApusFiles
import ApusHub
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusNN
import ApusOptimizers
import ApusRunLog
import ApusText
import ApusTorch
import ApusTraining
import Foundation

/// Fine-tuning, as `apus sft` and `apus rlhf` do it.
package struct FineTuning {
    /// What a run leaves behind.
    package struct Outcome: Sendable {
        /// The folder of the run.
        package let folder: String
        package let lastCheckpoint: String?
        package let bestCheckpoint: String?
        /// The last checkpoint, or with `loadBestModelAtEnd` the best.
        package let finalCheckpoint: String?
        /// The signal that ended the run early.
        package let signal: Int32?
    }

    private let settings: SFTSettings
    private let surroundings: Surroundings
    var console: Console
    /// Whether SIGINT, SIGTERM and SIGHUP save and end the run; in a program of somebody else's they are not ours to take.
    var takesSignals = true
    /// Sees each row of the log: the step, the steps in all, the metrics.
    var onRecord: ((Int, Int, [String: Double]) -> Void)?

    /// - Throws: An error naming the setting when settings are out of range or contradict each other.
    package init(_ settings: SFTSettings, surroundings: Surroundings = Surroundings()) throws {
        var settings = settings
        let surroundings = surroundings.reaching(
            settings.hub, showsProgress: settings.output.disableTQDM != true)
        // What cannot be fetched is said here, and not taken for a choice of tasks.
        if let name = settings.model.name, !FileManager.default.fileExists(atPath: name) {
            _ = try surroundings.modelFolder(name, need: .weights)
        }
        settings.chooseOnlyTask(surroundings)
        self.surroundings = surroundings
        var style = ConsoleStyle(environment: surroundings.environment)
        style.showsProgress = settings.output.disableTQDM != true
        console = Console(style: style)
        self.settings = try settings.enlarged(surroundings, console: console)
    }

    /// The same of a run that learns preferences.
    ///
    /// - Throws: As above.
    package init(_ settings: RLHFSettings, surroundings: Surroundings = Surroundings()) throws {
        var training = settings.training
        training.encoding.lossScale = settings.preferences.chosenLossScale
        try self.init(training, surroundings: surroundings)
    }

    /// Runs from the first or a saved step to the last.
    package func callAsFunction() throws -> Outcome {
        // Everything that can be wrong is looked at before anything is written, and what takes no time before the data.
        let preflight = try Preflight(settings, surroundings: surroundings, console: console)
        let settings = preflight.settings
        let publisher =
            try settings.hub.push
            ? HubPublisher(
                settings.hub, name: FilePath.lastComponent(of: settings.outputDirectory), surroundings: surroundings)
            : nil
        let (source, config, dtype, device) = (preflight.source, preflight.config, preflight.dtype, preflight.device)
        let resume = preflight.resume
        let clock = try RunClock.clock(of: settings.evaluation.resumeOnlyModel ? nil : resume.checkpoint)
        let text = preflight.text.with(clock)
        let task = try settings.task.training(
            TrainingInputs(
                settings: settings, source: source, config: config, text: text, console: console,
                promptPlaces: preflight.promptPlaces, surroundings: surroundings))
        let (model, data) = (task.model, task.samples)
        if model.isEncoder,
            let note = settings.withoutEffect(["system", "pair_format"], because: "an encoder sees texts as segments")
        {
            console.print("note: \(note)")
        }
        try model.resolveTie(preflight.weights.store)
        var tuner = try Tuner(
            settings, model: model, config: config, sourceName: source.recordedName, bits: preflight.bits)
        if let alpha = settings.objective.neftuneNoiseAlpha, alpha > 0 {
            guard !model.trunk.hasEncoder else {
                throw SettingsError(
                    "--neftune_noise_alpha \(readable(alpha)): noise on the words of a model that reads one text and writes "
                        + "another is not there yet. Leave it out.")
            }
            model.trunk.noiseStrength = alpha
        }
        if settings.model.printModel { console.print(ModelTree.text(model)) }
        console.print("model_parameter_info: \(tuner.parameterInfo(model))")
        console.print(tuner.parameterCount.text)
        let limit = model.limit(settings.encoding.maxLength, leaving: preflight.promptPlaces)
        let plan = try TrainingPlan(settings, data: data, limit: limit, console: console)
        let identity = RunIdentity(
            settings, config: config, dtype: dtype, weights: preflight.baseWeights, task: task,
            totalSteps: plan.batches.totalSteps)
        try checkResumed(resume, identity: identity, plan: plan)

        Torch.keepHeap()
        if takesSignals { StopSignal.install() }
        if tuner.isFull, let checkpoint = resume.checkpoint {
            // A checkpoint holds everything; what it lacks is damage, not a new head.
            try model.loadWeights(
                ModelSource(checkpoint, surroundings: surroundings).weights(), dtype: dtype, device: device)
        } else {
            let new = try model.loadWeights(
                preflight.weights.store, dtype: dtype, device: device,
                newHeadSeed: UInt64(bitPattern: Int64(settings.model.seed)), matrices: preflight.weights.matrices)
            let made = tuner.keepingFirstValues(new, checkpoint: resume.checkpoint)
            if !made.isEmpty { console.print("newly initialised: \(made.joined(separator: ", "))") }
            if settings.task.usesHeads { try tuner.checkStored(new: new, of: source.name) }
        }
        for notice in model.trunk.notices { console.print("note: \(notice)") }
        let second = try task.compares?(
            ReferenceLoading(
                model: model, adapter: tuner.attached, leavesBase: tuner.leavesBase, dtype: dtype, device: device,
                folder: resume.origin))
        try tuner.prepare(
            model, settings: settings, tokenizer: text.tokenizer, device: device, checkpoint: resume.checkpoint,
            restoresState: resume.saved != nil, passes: passes(over: data, of: task, plan: plan))
        let trained = tuner.trained(rate: settings.learningRate, of: model) + task.objective.trained
        let optimizer = try settings.optimization.optimizer(
            trained, galore: settings.galore, linear: tuner.linearMatrices(of: model), heads: model.headNames,
            warmup: plan.schedule.warmupSteps,
            pagesNear: settings.outputDirectory)
        let plateau =
            plan.schedule.kind == .reduceOnPlateau
            ? try Plateau(peak: plan.schedule.peak, options: plan.schedule.options.plateau) : nil
        let participants =
            try tuner.participants(totalSteps: plan.batches.totalSteps) + task.objective.participants
            + (plateau.map { [$0] } ?? [])
        let scaler = try dtype == .float16 ? LossScaler() : nil
        var progress = TrainingProgress()
        if let checkpoint = resume.checkpoint, resume.saved != nil {
            progress = try CheckpointStore.resume(
                checkpoint, states: UpdateStep.states(optimizer, scaler, participants))
            // What is trained further and not saved is in none.
            if plan.saving != .never || progress.step == plan.lastStep { progress.noteResumed(checkpoint) }
            if resume.folder == nil { progress.leaveBest() }
            // The checkpoint has the weights that were found.
            try (optimizer as? any AveragingOptimizer)?.useTraining()
        }

        progress.greaterIsBetter = settings.evaluation.greaterIsBetter
        let isResuming = resume.saved != nil
        let plannedWithMemory = try MemoryPlan(
            settings, model: model, beside: second, tuner: tuner, optimizer: optimizer, data: data, dtype: dtype,
            canBeHalved: task.objective.isAdditive
        ).fitted(plan, console: console)
        noteHalvings(&progress, plannedWithMemory.halvings)
        let folder = try preflight.enterFolder()
        let arguments = try writeArguments(
            settings, in: folder, config: config, source: source, dtype: dtype, labels: task.labels, date: clock.face)
        if let note = try surroundings.settingsFile?.write(to: folder) { console.print("note: \(note)") }
        try data.writeSplitOff(to: folder.path)
        try task.writes?(folder.path, isResuming ? progress.step : 0)
        if let path = try data.writeDropped(to: folder.path) { console.print("dropped rows: \(path)") }
        // Checkpoints in two folders are those of two runs.
        let runID = (resume.folder == nil ? nil : resume.saved?.runID) ?? UUID().uuidString
        let checkpoints =
            try plan.saving == .never
            ? nil
            : CheckpointStore(
                runFolder: folder.path,
                contents: tuner.contents(
                    model, source: source, config: config, arguments: arguments, settings: settings,
                    labels: task.labels, companions: task.companions),
                identity: identity.json, runID: runID,
                limit: settings.evaluation.saveTotalLimit, savesState: !settings.evaluation.saveOnlyModel,
                makesLinks: settings.output.createCheckpointSymlink, totalSteps: plan.batches.totalSteps,
                record: plan.record(settings))
        var options = RunLog.Options(maxSteps: plan.batches.totalSteps)
        options.resumingAfter = isResuming ? progress.step : nil
        options.tensorBoardFolder = settings.output.loggingDirectory
        options.writesTensorBoard = settings.output.reportTo.contains(.tensorBoard)
        options.track(
            settings.output, surroundings, runID: runID,
            arguments: try JSONValue(parsing: arguments).objectValue ?? JSONObject(), config: config,
            parameterCount: tuner.parameterCount.total)
        options.onRecord = onRecord
        console.print("The logging file will be saved in: \(folder.loggingPath)")
        let log = try RunLog(folder, options, console: console)
        let run = TrainingRun(
            model: model, trained: trained, optimizer: optimizer, scaler: scaler, participants: participants,
            objective: task.objective, data: data.train, validation: data.validation, plan: plannedWithMemory,
            progress: progress, plateau: plateau,
            checkpoints: checkpoints, log: log, placeOfSample: data.placeOfSample, onLog: task.tells)
        let ending: TrainingRun.Ending
        do {
            ending = try run()
        } catch {
            // The last line of the log is written whatever happens; the error that ended the run is what counts.
            log.finish(summary: summary(tuner, model, data, run.progress), .failed("\(error)"))
            throw error
        }
        log.finish(summary: summary(tuner, model, data, run.progress), RunEnding(ending))
        let outcome = report(ending, run, device: device, folder: folder)
        if let publisher, let checkpoint = outcome.finalCheckpoint, outcome.signal == nil {
            try publisher.publish(checkpoint, base: source.name, what: "End of training")
        }
        return outcome
    }

    // MARK: - Parts

    /// Says where parts of micro-batches are others than in the run that goes on.
    private func noteHalvings(_ progress: inout TrainingProgress, _ planned: Int) {
        if let before = progress.plannedHalvings, before != planned {
            console.print(
                "resuming: micro-batches are halved \(planned)× for --max_memory, not \(before)×: the same samples, summed in "
                    + "another order")
        }
        progress.plannedHalvings = planned
    }

    /// Compares the run with the checkpoint it goes on from, and says what goes on otherwise.
    private func checkResumed(_ resume: ResumePoint, identity: RunIdentity, plan: TrainingPlan) throws {
        guard let saved = resume.saved else { return }
        try resume.check(identity)
        let changes = try identity.changes(from: saved.identity, step: saved.step) {
            try Schedule(settings.optimization, peak: settings.learningRate, totalSteps: $0).rate(at: saved.step)
        }
        for line in changes { console.print("resuming: \(line)") }
        let total = plan.batches.totalSteps
        if let before = saved.identity["total_steps"]?.intValue, before != total,
            AdapterMethods.of(tunerType: settings.model.tunerType.rawValue)?.isScheduled == true
        {
            throw TrainingError(
                .resume,
                "--resume_from_checkpoint: what --tuner_type \(settings.model.tunerType.rawValue) trains follows a schedule "
                    + "over the whole run, which had \(before) steps and would have \(total) now. Give the same length, or "
                    + "start a new run.")
        }
        let end = plan.lastStep
        guard saved.step <= end else {
            throw TrainingError(
                .resume,
                "--resume_from_checkpoint: \(resume.checkpoint ?? "") is at step \(saved.step), and the run would end at "
                    + "step \(end). Give more \(Self.lengths(plan)), or an older checkpoint.")
        }
        if saved.step == end { console.print("the run had ended at step \(end); for more give \(Self.lengths(plan))") }
    }

    /// The options that make a run longer.
    private static func lengths(_ plan: TrainingPlan) -> String {
        plan.lastStep < plan.batches.totalSteps ? "--max_epochs" : "--max_steps or --num_train_epochs"
    }

    /// Passes of the model over the samples of the run, in the order in which it trains on them.
    private func passes(over data: TrainingSamples, of task: TrainingTask, plan: TrainingPlan) -> StartPasses {
        var batches = plan.batches
        var (order, step): ([Int], Int) = ([], 0)
        return StartPasses(
            sampleCount: data.train.count, batchSize: settings.optimization.perDeviceTrainBatchSize
        ) { places in
            while let last = places.max(), last >= order.count {
                order += batches.batches(ofStep: step).joined()
                step += 1
            }
            _ = try data.train.prepare(places.map { order[$0] }, step: 0)
            let batch = data.train.batch(places.map { order[$0] }, draw: plan.seed)
            try task.objective.begin([batch])
            let part = try task.objective.loss(batch, task.model.context(for: batch))
            let rows = batch.targets.rows
            // The rows of the tokens that are learned, which come one behind those that predict them.
            let learned = rows.isEmpty ? Array(0..<Int32(batch.tokens.count)) : rows.map { $0 + 1 }
            return (try part.sum / Double(max(1, part.targets)), learned)
        }
    }

    private func writeArguments(
        _ settings: SFTSettings, in folder: RunFolder, config: JSONValue, source: ModelSource, dtype: DType,
        labels: LabelScheme?, date: String
    ) throws -> Data {
        var arguments = settings.record
        arguments["torch_dtype"] = .string(dtype.rawValue)
        arguments["model_type"] = config["model_type"] ?? .null
        arguments["model_dir"] = .string(URL(fileURLWithPath: source.path).standardizedFileURL.path)
        arguments["output_dir"] = .string(folder.path)
        arguments[RunClock.argument] = .string(date)
        if let labels {
            arguments["num_labels"] = .int(labels.labelCount)
            arguments["problem_type"] = .string(labels.problemType.rawValue)
            arguments["multi_label_format"] = labels.format.map { .string($0.rawValue) } ?? .null
            arguments["id2label"] = labels.map.map { .object($0.id2label) } ?? .null
        }
        let data = Data(JSONValue.object(arguments).serialized(indent: 2).utf8)
        try LocalFileSystem().writeAtomically(data, to: "\(folder.path)/args.json")
        return data
    }

    private func summary(
        _ tuner: Tuner, _ model: any TextModel, _ data: TrainingSamples, _ progress: TrainingProgress
    ) -> JSONObject {
        [
            "model_parameter_info": .string(tuner.parameterInfo(model)),
            "train_dataset": .string(data.trainStatistics),
            "val_dataset": data.validationStatistics.map(JSONValue.string) ?? .null,
            "last_model_checkpoint": progress.lastCheckpoint.map(JSONValue.string) ?? .null,
            "best_model_checkpoint": progress.best.map { .string($0.path) } ?? .null,
            "best_metric": progress.best.map { .double($0.metric) } ?? .null,
        ]
    }

    private func report(
        _ ending: TrainingRun.Ending, _ run: TrainingRun, device: Device, folder: RunFolder
    ) -> Outcome {
        if let peak = device.memory.map({ Int64($0.peak) }) ?? ResidentMemory.peak {
            console.print("memory peak\(device == .cpu ? "" : " of \(device)"): \(ByteCount.format(peak))")
        }
        if let last = run.progress.lastCheckpoint { console.print("last_model_checkpoint: \(last)") }
        if let best = run.progress.best { console.print("best_model_checkpoint: \(best.path)") }
        console.print("images_dir: \(folder.imagesPath)")
        var signal: Int32?
        if case .stopped(let number) = ending {
            signal = number
            console.print(
                "stopped by \(StopSignal.name(of: number)) after step \(run.progress.step); "
                    + "go on with the same command and --resume_from_checkpoint last")
        } else if let checkpoint = run.progress.best?.path ?? run.progress.lastCheckpoint {
            console.print(
                NextCommand.afterTraining(
                    checkpoint, isAdapter: settings.model.tunerType.isAdapter, task: settings.taskType))
        } else {
            console.print("next: the same command without --save_strategy no, which keeps what is learned")
        }
        return Outcome(
            folder: folder.path, lastCheckpoint: run.progress.lastCheckpoint,
            bestCheckpoint: run.progress.best?.path,
            finalCheckpoint: (settings.evaluation.loadBestModelAtEnd ? run.progress.best?.path : nil)
                ?? run.progress.lastCheckpoint,
            signal: signal)
    }
}

extension SFTSettings {
    /// The settings of a run of the model with its new special tokens, which is written into the folder of runs.
    fileprivate func enlarged(_ surroundings: Surroundings, console: Console) throws -> SFTSettings {
        guard !model.newSpecialTokens.isEmpty else { return self }
        guard taskType.task.writesText else {
            throw SettingsError(
                "--new_special_tokens: a model that writes no text has no use for them. Leave it out with --task_type "
                    + "\(taskType.rawValue).")
        }
        var settings = self
        // Named after the model that was given.
        settings.output.outputDirectory = outputDirectory
        let source = try ModelSource(model.name ?? "", surroundings: surroundings)
        settings.model.name = try EnlargedModel(source, adding: model.newSpecialTokens).written(
            in: outputDirectory, task: taskType.task.head(labelCount: nil, config: source.config()),
            tell: console.print)
        // The model knows them now, and whoever reads `args.json` finds it there.
        settings.model.newSpecialTokens = []
        return settings
    }
}
