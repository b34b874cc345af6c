import ApusJSON
import Testing

@testable import ApusDatasets

@Suite("Orders and plans against NumPy, PyTorch, datasets and transformers")
struct OrderTests {
    private let expected: JSONValue

    init() throws {
        expected = try expectedOrders()
    }

    private func cases(_ name: String) throws -> [JSONValue] {
        try #require(expected[name]?.arrayValue)
    }

    private func check(_ values: [Int], _ entry: JSONValue) throws {
        #expect(values.prefix(12).map { JSONValue.int($0) } == entry["head"]?.arrayValue)
        #expect(digest(values) == entry["digest"]?.intValue)
    }

    @Test func legacyPermutationsAreThoseOfNumPy() throws {
        for entry in try cases("legacyPermutations") {
            let (seed, count) = (try #require(entry["seed"]?.intValue), try #require(entry["count"]?.intValue))
            var state = NumPyRandomState(seed: UInt32(seed))
            try check(state.permutation(count), entry)
        }
    }

    @Test func derivedSeedsAreThoseOfNumPy() throws {
        for entry in try cases("derivedSeeds") {
            var state = NumPyRandomState(seed: UInt32(try #require(entry["seed"]?.intValue)))
            #expect(state.permutation(7).map { JSONValue.int($0) } == entry["first"]?.arrayValue)
            #expect((0..<3).map { _ in JSONValue.int(Int(state.derivedSeed())) } == entry["derived"]?.arrayValue)
        }
    }

    @Test func generatorPermutationsAreThoseOfNumPy() throws {
        for entry in try cases("generatorPermutations") {
            let (seed, count) = (try #require(entry["seed"]?.intValue), try #require(entry["count"]?.intValue))
            var generator = PCG64(seed: UInt32(seed))
            try check(generator.permutation(count), entry)
        }
    }

    @Test func torchPermutationsAreThoseOfPyTorch() throws {
        for entry in try cases("torchPermutations") {
            let (seed, count) = (try #require(entry["seed"]?.intValue), try #require(entry["count"]?.intValue))
            let order = EpochOrder(method: .torch, seed: UInt64(seed))
            try check(order.permutation(epoch: 0, count: count).map { Int($0) }, entry)
        }
        let next = EpochOrder(method: .torch, seed: 42).permutation(epoch: 1, count: 10)
        #expect(next == EpochOrder(method: .torch, seed: 43).permutation(epoch: 0, count: 10))
    }

    /// These numbers are the definition of the order; they must never change.
    @Test func splitMixOrderIsFixedForEver() {
        let order = EpochOrder(method: .splitMix, seed: 42)
        #expect(order.permutation(epoch: 0, count: 10) == [5, 1, 9, 6, 7, 2, 4, 0, 8, 3])
        #expect(order.permutation(epoch: 1, count: 10) == [8, 9, 1, 7, 6, 4, 3, 2, 0, 5])
        #expect(digest(order.permutation(epoch: 7, count: 100_000).map { Int($0) }) == 868_584_351_436_900_652)
        #expect(EpochOrder(method: .splitMix, seed: 0).permutation(epoch: 0, count: 1) == [0])
        #expect(order.permutation(epoch: 3, count: 1000).sorted() == Array(0..<1000))
    }

    @Test func splitMixOrderIsUniform() {
        var counts = [[Int]](repeating: [0, 0, 0, 0], count: 4)
        for epoch in 0..<4000 {
            let order = EpochOrder(method: .splitMix, seed: 1).permutation(epoch: epoch, count: 4)
            for (place, sample) in order.enumerated() { counts[place][Int(sample)] += 1 }
        }
        // 1000 expected, standard deviation 27.
        #expect(counts.joined().allSatisfy { abs($0 - 1000) < 140 })
    }

    @Test func planCountsAsTheTrainerDoes() throws {
        for entry in try cases("plans") {
            let plan = try BatchPlan(
                sampleCount: try #require(entry["samples"]?.intValue),
                batchSize: try #require(entry["batch"]?.intValue),
                accumulation: try #require(entry["accumulation"]?.intValue),
                dropLast: entry["dropLast"] == true,
                epochs: try #require(entry["epochs"]?.doubleValue),
                maximumSteps: entry["maxSteps"]?.intValue, order: EpochOrder(method: .sequential, seed: 0))
            #expect(plan.batchesPerEpoch == entry["batchesPerEpoch"]?.intValue)
            #expect(plan.stepsPerEpoch == entry["stepsPerEpoch"]?.intValue)
            #expect(plan.totalSteps == entry["totalSteps"]?.intValue)
        }
    }

    @Test func batchesFillAnEpochAndLeaveAShorterLastStep() throws {
        var plan = try BatchPlan(
            sampleCount: 10, batchSize: 3, accumulation: 3, epochs: 2, order: EpochOrder(method: .sequential, seed: 0))
        #expect(plan.batches(ofStep: 0) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]])
        #expect(plan.batches(ofStep: 1) == [[9]])
        #expect(plan.batches(ofStep: 2) == plan.batches(ofStep: 0))
        #expect((0...4).map(plan.epochsDone) == [0, 0.75, 1, 1.75, 2])
        #expect((0..<4).map(plan.epoch) == [0, 0, 1, 1])
    }

    @Test func everyStepCanBeAskedForDirectly() throws {
        let order = EpochOrder(method: .torch, seed: 42)
        var plan = try BatchPlan(sampleCount: 37, batchSize: 4, accumulation: 2, epochs: 5, order: order)
        let inSequence = (0..<plan.totalSteps).map { plan.batches(ofStep: $0) }
        for step in (0..<plan.totalSteps).reversed() {
            var fresh = try BatchPlan(sampleCount: 37, batchSize: 4, accumulation: 2, epochs: 5, order: order)
            #expect(fresh.batches(ofStep: step) == inSequence[step])
        }
        for epoch in 0..<5 {
            let steps = inSequence[epoch * plan.stepsPerEpoch..<(epoch + 1) * plan.stepsPerEpoch]
            #expect(steps.joined().joined().sorted() == Array(0..<37))
        }
    }

    @Test func aBudgetOfTokensFillsBatchesInOrder() throws {
        let lengths: [Int32] = [3, 4, 2, 9, 1, 1, 8, 5]
        var plan = try BatchPlan(
            sampleCount: 8, cut: .tokens(budget: 8, lengths: lengths), accumulation: 2, epochs: 2,
            order: EpochOrder(method: .sequential, seed: 0))
        // 9 is more than the budget, and alone.
        #expect(plan.batches(ofStep: 0) == [[0, 1], [2]])
        #expect(plan.batches(ofStep: 1) == [[3], [4, 5]])
        #expect(plan.batches(ofStep: 2) == [[6], [7]])
        #expect(plan.batches(ofStep: 3) == plan.batches(ofStep: 0))
        #expect((plan.batchesPerEpoch, plan.stepsPerEpoch, plan.totalSteps) == (6, 3, 6))
        #expect((0...3).map(plan.endsEpoch) == [false, false, false, true])
        #expect(plan.epochsDone(afterSteps: 4) == 1 + 2.0 / 6)
    }

    /// Epochs differ in their numbers of batches, and each step is a function of its number alone.
    @Test func stepsOfABudgetCanBeAskedForDirectly() throws {
        var stream = SplitMix64(7, 0)
        let lengths = (0..<101).map { _ in Int32(1 + stream.next(below: 60)) }
        func make(epochs: Double = 4, maximumSteps: Int? = nil) throws -> BatchPlan {
            try BatchPlan(
                sampleCount: 101, cut: .tokens(budget: 100, lengths: lengths), accumulation: 3, epochs: epochs,
                maximumSteps: maximumSteps, order: EpochOrder(method: .torch, seed: 42))
        }
        var plan = try make()
        let inSequence = (0..<plan.totalSteps).map { plan.batches(ofStep: $0) }
        for step in (0..<plan.totalSteps).reversed() {
            var fresh = try make()
            #expect(fresh.batches(ofStep: step) == inSequence[step])
        }
        var counts: Set<Int> = []
        for epoch in 0..<4 {
            let steps = (0..<plan.totalSteps).filter { plan.epoch(ofStep: $0) == epoch }
            let batches = steps.flatMap { inSequence[$0] }
            counts.insert(batches.count)
            #expect(batches.joined().sorted() == Array(0..<101))
            #expect(batches.allSatisfy { $0.reduce(0) { $0 + lengths[$1] } <= 100 })
            for (batch, next) in zip(batches, batches.dropFirst()) {
                #expect(batch.reduce(0) { $0 + lengths[$1] } + lengths[next[0]] > 100)
            }
            let last = try #require(steps.last)
            #expect(plan.endsEpoch(afterSteps: last + 1) && !plan.endsEpoch(afterSteps: last))
            #expect(plan.epochsDone(afterSteps: last + 1) == Double(epoch + 1))
        }
        #expect(counts.count > 1)
        let half = try make(epochs: 1.5)
        let second = (0..<plan.totalSteps).filter { plan.epoch(ofStep: $0) == 1 }.count
        #expect(half.totalSteps == plan.stepsPerEpoch + (second + 1) / 2)
        var longer = try make(maximumSteps: plan.totalSteps + 5)
        #expect((0..<plan.totalSteps).map { longer.batches(ofStep: $0) } == inSequence)
        #expect(longer.epoch(ofStep: plan.totalSteps + 4) == 4)
    }

    @Test func impossiblePlansNameTheOption() {
        let order = EpochOrder(method: .sequential, seed: 0)
        func message(_ make: () throws -> BatchPlan) -> String {
            do {
                _ = try make()
                return ""
            } catch { return "\(error)" }
        }
        #expect(
            message { try BatchPlan(sampleCount: 3, batchSize: 8, dropLast: true, order: order) }
                .contains("--dataloader_drop_last"))
        #expect(
            message { try BatchPlan(sampleCount: 3, batchSize: 0, order: order) }
                .contains("--per_device_train_batch_size"))
        #expect(
            message { try BatchPlan(sampleCount: 3, batchSize: 1, accumulation: 0, order: order) }
                .contains("--gradient_accumulation_steps"))
        #expect(
            message { try BatchPlan(sampleCount: 3, batchSize: 1, epochs: -1, order: order) }
                .contains("--num_train_epochs"))
        #expect(
            message { try BatchPlan(sampleCount: 3, batchSize: 1, epochs: .nan, order: order) }
                .contains("--num_train_epochs"))
        #expect(message { try BatchPlan(sampleCount: 0, batchSize: 1, order: order) }.contains("no sample"))
        #expect(
            message { try BatchPlan(sampleCount: 1, cut: .tokens(budget: 0, lengths: [1]), order: order) }
                .contains("no token"))
        #expect(
            message { try BatchPlan(sampleCount: 2, cut: .tokens(budget: 9, lengths: [1]), order: order) }
                .contains("1 lengths"))
    }

    @Test func lengthsAreReportedAsMsSwiftReportsThem() throws {
        let statistics = try #require(expected["statistics"])
        let lengths = try #require(statistics["lengths"]?.arrayValue).compactMap(\.intValue)
        #expect(LengthStatistics(lengths)?.description == statistics["text"]?.stringValue)
        #expect(LengthStatistics([]) == nil)
    }
}
