/// Which samples each optimizer step trains on, and how many steps there are, by the arithmetic of the Hugging Face
/// Trainer (transformers 5.19).
///
/// An epoch of M micro-batches has S = ⌈M/A⌉ steps with accumulation A. Its last step accumulates what is left and never
/// reaches into the next epoch. In all there are ⌈epochs · S⌉ steps, or `maximumSteps` when that is given. Where batches
/// are cut by tokens, M and S depend on the order of the epoch, and the steps of the epochs are added up.
///
/// With packs, a pack is what is counted and ordered, and a batch has the samples of its packs.
package struct BatchPlan: Sendable {
    package let sampleCount: Int
    /// The samples of each pack; `nil` where each sample stands for itself.
    package let packs: [[Int32]]?
    package let accumulation: Int
    package let cut: BatchCut
    package let order: EpochOrder
    package let totalSteps: Int
    /// Of the first epoch.
    package var batchesPerEpoch: Int { batchCounts[0] }
    /// Of the first epoch.
    package var stepsPerEpoch: Int { stepEnds[0] }

    /// Whether the samples are those of a stream, in their order.
    package let isStreamed: Bool
    /// The batches of each epoch; of one where all have as many.
    private let batchCounts: [Int]
    /// The steps up to the end of each epoch.
    private let stepEnds: [Int]
    private var cached: (epoch: Int, samples: [Int32], bounds: [Int])?

    /// - Parameters:
    ///   - sampleCount: Of samples, or of packs where there are any.
    ///   - epochs: May be fractional; ignored when `maximumSteps` is given.
    ///   - maximumSteps: `max_steps`; `nil` or a number below 1 means that the epochs decide.
    /// - Throws: `DatasetError` when there is no batch or no step, naming the option to change.
    package init(
        sampleCount: Int, cut: BatchCut, accumulation: Int = 1, epochs: Double = 3, maximumSteps: Int? = nil,
        order: EpochOrder, packs: [[Int32]]? = nil
    ) throws {
        precondition(packs.map { $0.count == sampleCount } ?? true, "packs are counted, not their samples")
        self.packs = packs
        isStreamed = false
        guard accumulation > 0 else {
            throw DatasetError("--gradient_accumulation_steps must be at least 1, not \(accumulation)")
        }
        guard sampleCount > 0 else { throw DatasetError("there is no sample to train on") }
        guard sampleCount < torchPermutationLimit else {
            throw DatasetError("\(sampleCount) samples are more than the \(torchPermutationLimit) one run can order")
        }
        try cut.check(sampleCount: sampleCount)
        let wanted = maximumSteps.flatMap { $0 > 0 ? $0 : nil }
        func impossible() -> DatasetError {
            DatasetError("--num_train_epochs \(epochs) gives no number of steps; use a number above 0")
        }
        guard wanted != nil || epochs > 0 && epochs.isFinite else { throw impossible() }

        var (batches, ends): ([Int], [Int]) = ([], [])
        func counted(_ epoch: Int) {
            let samples =
                cut.isTheSameInEachEpoch
                ? Array(0..<Int32(sampleCount)) : order.permutation(epoch: epoch, count: sampleCount)
            batches.append(cut.bounds(of: samples).count - 1)
            ends.append((ends.last ?? 0) + (batches[epoch] + accumulation - 1) / accumulation)
        }
        counted(0)
        if let wanted {
            while !cut.isTheSameInEachEpoch, ends[ends.count - 1] < wanted { counted(batches.count) }
            totalSteps = wanted
        } else {
            let whole = epochs.rounded(.down)
            let steps: Double
            if cut.isTheSameInEachEpoch {
                steps = (epochs * Double(ends[0])).rounded(.up)
            } else {
                while Double(batches.count) < epochs { counted(batches.count) }
                let before = whole >= 1 ? ends[Int(whole) - 1] : 0
                steps = Double(before) + ((epochs - whole) * Double(ends[ends.count - 1] - before)).rounded(.up)
            }
            guard steps >= 1, let exact = Int(exactly: steps) else { throw impossible() }
            totalSteps = exact
        }
        (batchCounts, stepEnds) = (batches, ends)
        self.sampleCount = sampleCount
        self.cut = cut
        self.accumulation = accumulation
        self.order = order
    }

    /// A plan of so many steps over a stream, whose samples come in their order and have no end.
    ///
    /// As in the Trainer the steps of the run are one epoch.
    package init(streamedBatchSize size: Int, accumulation: Int, steps: Int) throws {
        guard accumulation > 0, size > 0, steps > 0 else {
            throw DatasetError("--streaming true: batches, accumulation and --max_steps must be at least 1")
        }
        let (samples, overflows) = (size * accumulation).multipliedReportingOverflow(by: steps)
        guard !overflows else { throw DatasetError("--max_steps \(steps): more samples than can be counted") }
        (sampleCount, packs, isStreamed) = (samples, nil, true)
        cut = .samples(size)
        (self.accumulation, totalSteps) = (accumulation, steps)
        order = EpochOrder(method: .sequential, seed: 0)
        (batchCounts, stepEnds) = ([steps * accumulation], [steps])
    }

    /// The same with so many samples a batch.
    package init(
        sampleCount: Int, batchSize: Int, accumulation: Int = 1, dropLast: Bool = false, epochs: Double = 3,
        maximumSteps: Int? = nil, order: EpochOrder, packs: [[Int32]]? = nil
    ) throws {
        try self.init(
            sampleCount: sampleCount, cut: .samples(batchSize, dropsRest: dropLast), accumulation: accumulation,
            epochs: epochs, maximumSteps: maximumSteps, order: order, packs: packs)
    }

    /// The epoch, counted from 0, that a step, counted from 0, belongs to.
    package func epoch(ofStep step: Int) -> Int { place(ofStep: step).epoch }

    /// Whether an epoch is over after a number of steps.
    package func endsEpoch(afterSteps steps: Int) -> Bool { steps > 0 && place(ofStep: steps).step == 0 }

    /// The step that a number of epochs ends with, or the last of all where that comes before.
    ///
    /// - Precondition: There is at least one, and the samples are not those of a stream.
    package func lastStep(ofEpochs count: Int) -> Int {
        precondition(count > 0 && !isStreamed, "a stream does not say where its epochs end")
        let known = stepEnds.count
        if count <= known { return min(stepEnds[count - 1], totalSteps) }
        let length = stepEnds[known - 1] - (known > 1 ? stepEnds[known - 2] : 0)
        let (more, overflows) = (count - known).multipliedReportingOverflow(by: length)
        return overflows || more > totalSteps ? totalSteps : min(stepEnds[known - 1] + more, totalSteps)
    }

    /// How many epochs are behind after a number of steps, as the logs show it (`epoch` 1.25).
    package func epochsDone(afterSteps steps: Int) -> Double {
        guard steps > 0 else { return 0 }
        let (epoch, step) = place(ofStep: steps - 1)
        let all = batchCounts[min(epoch, batchCounts.count - 1)]
        return Double(epoch) + Double(min((step + 1) * accumulation, all)) / Double(all)
    }

    /// The samples of each micro-batch of a step counted from 0.
    ///
    /// Any step can be asked for at any time, so resuming needs no replay. The order of the epoch asked for last is
    /// kept, which makes steps in sequence cheap.
    ///
    /// - Precondition: `step` is not negative.
    package mutating func batches(ofStep step: Int) -> [[Int]] {
        precondition(step >= 0, "steps are counted from 0")
        if isStreamed, case .samples(let size, _) = cut {
            return (0..<accumulation).map { batch in
                let first = (step * accumulation + batch) * size
                return Array(first..<first + size)
            }
        }
        let (epoch, stepOfEpoch) = place(ofStep: step)
        let (samples, bounds) = self.samples(ofEpoch: epoch)
        let first = stepOfEpoch * accumulation
        return (first..<min(first + accumulation, bounds.count - 1)).map { batch in
            let units = samples[bounds[batch]..<bounds[batch + 1]]
            return packs.map { packs in units.flatMap { packs[Int($0)].map { Int($0) } } } ?? units.map { Int($0) }
        }
    }

    /// The epoch of a step and its number there.
    ///
    /// Steps behind the last counted epoch are in epochs as long as that.
    private func place(ofStep step: Int) -> (epoch: Int, step: Int) {
        if let epoch = stepEnds.firstIndex(where: { step < $0 }) {
            return (epoch, step - (epoch > 0 ? stepEnds[epoch - 1] : 0))
        }
        let last = stepEnds.count - 1
        let length = stepEnds[last] - (last > 0 ? stepEnds[last - 1] : 0)
        let (more, rest) = (step - stepEnds[last]).quotientAndRemainder(dividingBy: length)
        return (stepEnds.count + more, rest)
    }

    private mutating func samples(ofEpoch epoch: Int) -> (samples: [Int32], bounds: [Int]) {
        if let cached, cached.epoch == epoch { return (cached.samples, cached.bounds) }
        let samples = order.permutation(epoch: epoch, count: sampleCount)
        let bounds = cut.bounds(of: samples)
        cached = (epoch, samples, bounds)
        return (samples, bounds)
    }
}
