import ApusDatasets
import ApusOptimizers
import ApusRunLog
import ApusTraining

extension TrainingPlan {
    /// The plan that the settings and the data make.
    init(_ settings: SFTSettings, data: TrainingSamples, console: Console) throws {
        let batches = try BatchPlan(
            sampleCount: data.train.count, batchSize: settings.perDeviceTrainBatchSize,
            accumulation: settings.gradientAccumulationSteps, dropLast: settings.dataloaderDropLast,
            epochs: settings.epochs, maximumSteps: settings.maxSteps > 0 ? settings.maxSteps : nil,
            order: EpochOrder(
                method: settings.trainDataloaderShuffle ? .torch : .sequential,
                seed: UInt64(bitPattern: Int64(settings.dataSeed))))
        let total = batches.totalSteps
        /// Below 1 a number of steps is a share of all.
        func steps(_ value: Double) -> Int { value < 1 ? Int((value * Double(total)).rounded(.up)) : Int(value) }
        func recurrence(_ strategy: IntervalStrategy, _ every: Double?) -> Recurrence {
            switch strategy {
            case .no: .never
            case .epoch: .everyEpoch
            case .steps: .every(max(1, steps(every ?? 500)))
            }
        }
        self.init(
            batches: batches, schedule: Schedule(settings, totalSteps: total),
            maximumGradientNorm: settings.maxGradNorm,
            evaluation: recurrence(settings.evalStrategy, settings.evalSteps),
            saving: recurrence(settings.saveStrategy, settings.saveSteps), loggingSteps: settings.loggingSteps,
            logsFirstStep: settings.loggingFirstStep, evaluationBatchSize: settings.perDeviceEvalBatchSize,
            nanPolicy: settings.nanPolicy, seed: UInt64(bitPattern: Int64(settings.seed)))
        bestMetric = BestMetric.name(settings.metricForBestModel)
        console.print(
            "\(total) steps: \(data.train.count) samples, \(batches.stepsPerEpoch) steps an epoch, "
                + "\(settings.perDeviceTrainBatchSize) × \(settings.gradientAccumulationSteps) samples a step")
    }
}

extension Schedule {
    /// The course of the learning rate over a run of so many steps.
    init(_ settings: SFTSettings, totalSteps total: Int) {
        let share = settings.warmupRatio > 0 ? settings.warmupRatio : settings.warmupSteps
        let warmup = share < 1 ? Int((share * Double(total)).rounded(.up)) : Int(share)
        self.init(settings.lrSchedulerType, peak: settings.learningRate, warmupSteps: warmup, totalSteps: total)
    }
}
