import ApusDatasets
import ApusJSON
import ApusOptimizers
import ApusRunLog
import ApusTraining
import Foundation

extension TrainingPlan {
    /// The plan that the settings and the data make.
    ///
    /// - Parameter limit: The most tokens of a sample.
    init(_ settings: SFTSettings, data: TrainingSamples, limit: Int, console: Console) throws {
        let batches = try BatchPlan(settings, data: data, limit: limit, console: console)
        let total = batches.totalSteps
        func recurrence(_ strategy: IntervalStrategy, _ every: Double?, epochs: Int = 1) -> Recurrence {
            switch strategy {
            case .no: .never
            case .epoch: .everyEpochs(epochs)
            case .steps: .every(max(1, Self.steps(every ?? 500, of: total)))
            }
        }
        try self.init(
            batches: batches, schedule: Schedule(settings.optimization, peak: settings.learningRate, totalSteps: total),
            maximumGradientNorm: settings.optimization.maxGradNorm,
            evaluation: recurrence(
                settings.evalStrategy, settings.evalSteps,
                epochs: settings.evaluation.evalEpochs ?? settings.evaluation.saveEpochs),
            saving: recurrence(
                settings.evaluation.saveStrategy, settings.evaluation.saveSteps,
                epochs: settings.evaluation.saveEpochs),
            logsFirstStep: settings.output.loggingFirstStep,
            evaluationBatchSize: settings.evaluation.perDeviceEvalBatchSize,
            nanPolicy: settings.optimization.nanPolicy, seed: UInt64(bitPattern: Int64(settings.model.seed)))
        logging = recurrence(settings.output.loggingStrategy, settings.output.loggingSteps)
        evaluationDelay = settings.evaluation.evalDelay
        evaluatesFirst = settings.evaluation.evalOnStart
        patience = settings.evaluation.earlyStopInterval
        bestMetric = BestMetric.name(settings.evaluation.metricForBestModel)
        let (size, accumulation) = (
            settings.optimization.perDeviceTrainBatchSize, settings.optimization.gradientAccumulationSteps
        )
        let units = settings.batches.packing ? "packs" : "samples"
        console.print(
            settings.batches.streaming
                ? "\(total) steps of \(size) × \(accumulation) \(units)"
                : "\(total) steps: \(batches.sampleCount) \(units), \(batches.stepsPerEpoch) steps an epoch, "
                    + "\(size) × \(accumulation) \(units) a step")
        guard let most = settings.optimization.maxEpochs else { return }
        if batches.isStreamed {
            streamedEpochs = most
        } else if batches.lastStep(ofEpochs: most) < total {
            // What follows the length of the run, such as the learning rate, is cut off and not shortened.
            lastStep = batches.lastStep(ofEpochs: most)
            console.print("--max_epochs \(most): the run ends after step \(lastStep) of \(total)")
        }
    }
    /// Below 1 a number of steps is a share of all.
    fileprivate static func steps(_ value: Double, of total: Int) -> Int {
        value < 1 ? Int((value * Double(total)).rounded(.up)) : Int(value)
    }

    /// What `trainer_state.json` says of the plan, as the Trainer does: steps counted, and of a stream no end of epochs.
    func record(_ settings: SFTSettings) -> JSONObject {
        let (total, optimization) = (batches.totalSteps, settings.optimization)
        func steps(_ value: Double) -> JSONValue { .int(Self.steps(value, of: total)) }
        let epochs =
            if batches.isStreamed {
                Int.max
            } else if optimization.maxSteps > 0 {
                (total + batches.stepsPerEpoch - 1) / batches.stepsPerEpoch
            } else {
                Int(optimization.numTrainEpochs.rounded(.up))
            }
        return [
            "eval_steps": steps(settings.evalSteps ?? 500), "logging_steps": steps(settings.output.loggingSteps),
            "num_train_epochs": .int(epochs), "save_steps": steps(settings.evaluation.saveSteps),
            "train_batch_size": .int(optimization.perDeviceTrainBatchSize),
        ]
    }
}

extension BatchPlan {
    /// The batches that the settings and the data make.
    fileprivate init(_ settings: SFTSettings, data: TrainingSamples, limit: Int, console: Console) throws {
        let (optimization, batches) = (settings.optimization, settings.batches)
        let size = optimization.perDeviceTrainBatchSize
        if batches.streaming {
            try self.init(
                streamedBatchSize: size, accumulation: optimization.gradientAccumulationSteps,
                steps: optimization.maxSteps)
            return
        }
        var lengths: [Int32] = []
        if batches.packing || batches.groupByLength {
            lengths = (0..<data.train.count).map { Int32(data.train.length(of: $0)) }
        }
        var packs: [[Int32]]?
        if batches.packing {
            let capacity = batches.packingLength ?? limit
            let made = SamplePacking.packs(lengths: lengths, capacity: capacity, strategy: batches.packingStrategy)
            packs = made
            console.print(SamplePacking.report(of: made, lengths: lengths, capacity: capacity))
            lengths = made.map { pack in pack.reduce(0) { $0 + lengths[Int($1)] } }
        }
        try self.init(
            sampleCount: packs?.count ?? data.train.count, batchSize: size,
            accumulation: optimization.gradientAccumulationSteps, dropLast: settings.data.dataloaderDropLast,
            epochs: optimization.numTrainEpochs, maximumSteps: optimization.maxSteps > 0 ? optimization.maxSteps : nil,
            // Answers to questions come in the order in which those are asked.
            order: EpochOrder(
                method: settings.data.trainDataloaderShuffle && settings.preferences?.samplesAnswers != true
                    ? .torch : .sequential,
                seed: UInt64(bitPattern: Int64(settings.data.dataSeed)),
                grouping: batches.groupByLength ? LengthGrouping(lengths: lengths, batchSize: size) : nil),
            packs: packs)
    }
}

extension Schedule {
    /// The course of the learning rate over a run of so many steps.
    ///
    /// - Throws: `SettingsError` for what `--lr_scheduler_kwargs` says wrong.
    init(_ settings: OptimizationSettings, peak: Double, totalSteps total: Int) throws {
        let share = settings.warmupRatio > 0 ? settings.warmupRatio : settings.warmupSteps
        let warmup = share < 1 ? Int((share * Double(total)).rounded(.up)) : Int(share)
        self.init(
            settings.lrSchedulerType, peak: peak, warmupSteps: warmup, totalSteps: total,
            options: try settings.scheduleOptions(peak: peak))
    }
}
