import ApusDatasets
import ApusOptimizers
import ApusRunLog
import ApusTraining

extension TrainingPlan {
    /// The plan that the settings and the data make.
    init(_ settings: SFTSettings, data: TrainingSamples, console: Console) throws {
        let batches = try BatchPlan(
            sampleCount: data.train.count, batchSize: settings.optimization.perDeviceTrainBatchSize,
            accumulation: settings.optimization.gradientAccumulationSteps, dropLast: settings.data.dataloaderDropLast,
            epochs: settings.optimization.epochs,
            maximumSteps: settings.optimization.maxSteps > 0 ? settings.optimization.maxSteps : nil,
            order: EpochOrder(
                method: settings.data.trainDataloaderShuffle ? .torch : .sequential,
                seed: UInt64(bitPattern: Int64(settings.data.dataSeed))))
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
            batches: batches, schedule: Schedule(settings.optimization, peak: settings.learningRate, totalSteps: total),
            maximumGradientNorm: settings.optimization.maxGradNorm,
            evaluation: recurrence(settings.evalStrategy, settings.evalSteps),
            saving: recurrence(settings.evaluation.saveStrategy, settings.evaluation.saveSteps),
            loggingSteps: settings.output.loggingSteps,
            logsFirstStep: settings.output.loggingFirstStep,
            evaluationBatchSize: settings.evaluation.perDeviceEvalBatchSize,
            nanPolicy: settings.optimization.nanPolicy, seed: UInt64(bitPattern: Int64(settings.model.seed)))
        bestMetric = BestMetric.name(settings.evaluation.metricForBestModel)
        console.print(
            "\(total) steps: \(data.train.count) samples, \(batches.stepsPerEpoch) steps an epoch, "
                + "\(settings.optimization.perDeviceTrainBatchSize) × \(settings.optimization.gradientAccumulationSteps) samples a step"
        )
    }
}

extension Schedule {
    /// The course of the learning rate over a run of so many steps.
    init(_ settings: OptimizationSettings, peak: Double, totalSteps total: Int) {
        let share = settings.warmupRatio > 0 ? settings.warmupRatio : settings.warmupSteps
        let warmup = share < 1 ? Int((share * Double(total)).rounded(.up)) : Int(share)
        self.init(settings.lrSchedulerType, peak: peak, warmupSteps: warmup, totalSteps: total)
    }
}
