/// Which samples each optimizer step trains on, and how many steps there are, by the arithmetic of the Hugging Face
/// Trainer (transformers 5.19).
///
/// With D samples, batch size B and accumulation A, an epoch has M = ⌈D/B⌉ micro-batches (⌊D/B⌋ when the last
/// incomplete one is dropped) and S = ⌈M/A⌉ steps. The last step of an epoch accumulates what is left and never
/// reaches into the next epoch. In all there are ⌈epochs · S⌉ steps, or `maximumSteps` when that is given.
package struct BatchPlan: Sendable {
    package let sampleCount: Int
    package let batchSize: Int
    package let accumulation: Int
    package let order: EpochOrder
    package let batchesPerEpoch: Int
    package let stepsPerEpoch: Int
    package let totalSteps: Int

    private var cached: (epoch: Int, samples: [Int32])?

    /// - Parameters:
    ///   - epochs: May be fractional; ignored when `maximumSteps` is given.
    ///   - maximumSteps: `max_steps`; `nil` or a number below 1 means that the epochs decide.
    /// - Throws: `DatasetError` when there is no batch or no step, naming the option to change.
    package init(
        sampleCount: Int, batchSize: Int, accumulation: Int = 1, dropLast: Bool = false, epochs: Double = 3,
        maximumSteps: Int? = nil, order: EpochOrder
    ) throws {
        guard batchSize > 0 else {
            throw DatasetError("--per_device_train_batch_size must be at least 1, not \(batchSize)")
        }
        guard accumulation > 0 else {
            throw DatasetError("--gradient_accumulation_steps must be at least 1, not \(accumulation)")
        }
        guard sampleCount > 0 else { throw DatasetError("there is no sample to train on") }
        guard sampleCount < torchPermutationLimit else {
            throw DatasetError("\(sampleCount) samples are more than the \(torchPermutationLimit) one run can order")
        }
        self.sampleCount = sampleCount
        self.batchSize = batchSize
        self.accumulation = accumulation
        self.order = order
        let (fullBatches, rest) = sampleCount.quotientAndRemainder(dividingBy: batchSize)
        batchesPerEpoch = fullBatches + (rest > 0 && !dropLast ? 1 : 0)
        guard batchesPerEpoch > 0 else {
            throw DatasetError(
                "\(sampleCount) samples do not fill one batch of \(batchSize), and --dataloader_drop_last drops "
                    + "incomplete ones; lower --per_device_train_batch_size or switch it off")
        }
        let (fullSteps, remainder) = batchesPerEpoch.quotientAndRemainder(dividingBy: accumulation)
        stepsPerEpoch = fullSteps + (remainder > 0 ? 1 : 0)
        if let maximumSteps, maximumSteps > 0 {
            totalSteps = maximumSteps
        } else {
            let steps = (epochs * Double(stepsPerEpoch)).rounded(.up)
            guard steps >= 1, let exact = Int(exactly: steps) else {
                throw DatasetError("--num_train_epochs \(epochs) gives no number of steps; use a number above 0")
            }
            totalSteps = exact
        }
    }

    /// The epoch, counted from 0, that a step, counted from 0, belongs to.
    package func epoch(ofStep step: Int) -> Int { step / stepsPerEpoch }

    /// How many epochs are behind after a number of steps, as the logs show it (`epoch` 1.25).
    package func epochsDone(afterSteps steps: Int) -> Double {
        guard steps > 0 else { return 0 }
        let (epoch, step) = (steps - 1).quotientAndRemainder(dividingBy: stepsPerEpoch)
        let batches = min((step + 1) * accumulation, batchesPerEpoch)
        return Double(epoch) + Double(batches) / Double(batchesPerEpoch)
    }

    /// The samples of each micro-batch of a step counted from 0.
    ///
    /// Any step can be asked for at any time, so resuming needs no replay. The order of the epoch asked for last is
    /// kept, which makes steps in sequence cheap.
    ///
    /// - Precondition: `step` is not negative.
    package mutating func batches(ofStep step: Int) -> [[Int]] {
        precondition(step >= 0, "steps are counted from 0")
        let (epoch, stepOfEpoch) = step.quotientAndRemainder(dividingBy: stepsPerEpoch)
        let samples = samples(ofEpoch: epoch)
        let first = stepOfEpoch * accumulation
        return (first..<min(first + accumulation, batchesPerEpoch)).map { batch in
            samples[batch * batchSize..<min((batch + 1) * batchSize, sampleCount)].map { Int($0) }
        }
    }

    private mutating func samples(ofEpoch epoch: Int) -> [Int32] {
        if let cached, cached.epoch == epoch { return cached.samples }
        let samples = order.permutation(epoch: epoch, count: sampleCount)
        cached = (epoch, samples)
        return samples
    }
}
