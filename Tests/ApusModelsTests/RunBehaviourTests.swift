import Foundation
import Testing

@testable import ApusDatasets
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusOptimizers
@testable import ApusTorch
@testable import ApusTraining

/// What a run does beside following the gradient: losses that are no number, weights of targets, its forecast of memory.
struct RunBehaviourTests {
    /// The next token, whose loss is no number at some calls.
    final class Failing: Objective {
        let inner: NextToken
        let failing: Set<Int>
        /// What the loss is multiplied by there.
        let factor: Double
        var calls = 0

        init(_ model: CausalLanguageModel, failing: Set<Int>, factor: Double = .nan) {
            inner = NextToken(model)
            self.failing = failing
            self.factor = factor
        }

        func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
            let part = try inner.loss(batch, context)
            defer { calls += 1 }
            guard failing.contains(calls) else { return part }
            return MicroLoss(sum: try part.sum * factor, targets: part.targets, tallies: part.tallies)
        }
    }

    @Test(arguments: [Double.nan, .infinity]) func aLossThatIsNoNumberStopsTheRun(factor: Double) throws {
        // Two micro-batches a step: the fourth belongs to step 2, whose rows are 9 to 16.
        let run = try TinyRun(steps: 4, objective: { Failing($0, failing: [3], factor: factor) })
        let one = try TinyRun(steps: 4, objective: { Failing($0, failing: [2, 3], factor: factor) })
        let error = try #require(throws: TrainingError.self) { try run() }
        #expect(error.description.contains("step 2"))
        #expect(error.description.contains("rows.jsonl:9") && error.description.contains("rows.jsonl:16"))
        #expect(error.description.contains("--nan_policy skip"))
        #expect(throws: TrainingError.self) { try one() }
        // Both have made step 1 and nothing else.
        for (a, b) in zip(run.trained, one.trained) { #expect(try a.tensor.equals(b.tensor)) }
    }

    @Test func aLossThatIsNoNumberCanBeSkipped() throws {
        let run = try TinyRun(steps: 3, nanPolicy: .skip, objective: { Failing($0, failing: [4, 5]) })
        let shorter = try TinyRun(steps: 3, objective: { Failing($0, failing: [4]) })
        #expect(try run() == .finished)
        #expect(throws: TrainingError.self) { try shorter() }
        for (a, b) in zip(run.trained, shorter.trained) { #expect(try a.tensor.equals(b.tensor)) }
        #expect(run.trained.allSatisfy { $0.gradient == nil })
    }

    /// The next token, for which there is no memory where more than so many sequences come at once.
    final class Hungry: Objective {
        let inner: NextToken
        let most: Int
        let isAdditive: Bool
        /// Fails behind the backward pass of a micro-batch, whose gradients are there then.
        var largest = 0

        init(_ model: CausalLanguageModel, most: Int, isAdditive: Bool = true) {
            (inner, self.most, self.isAdditive) = (NextToken(model), most, isAdditive)
        }

        func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
            guard batch.sequenceCount <= most else { throw TorchError(kind: .outOfMemory, message: "wanted 9 GiB") }
            largest = max(largest, batch.sequenceCount)
            return try inner.loss(batch, context)
        }
    }

    /// Memory that runs out costs no sample: smaller micro-batches add up to the same step.
    @Test(arguments: [3, 2, 1]) func outOfMemoryHalvesTheMicroBatch(most: Int) throws {
        let whole = try TinyRun(steps: 4)
        #expect(try whole() == .finished)
        var objective: Hungry?
        let halved = try TinyRun(
            steps: 4,
            objective: { model in
                let made = Hungry(model, most: most)
                objective = made
                return made
            })
        #expect(try halved() == .finished)
        #expect(objective?.largest == (most == 1 ? 1 : 2))
        #expect(whole.losses.count == 4)
        for (a, b) in zip(whole.losses, halved.losses) { #expect((a - b).magnitude <= 2e-6, "\(a) \(b)") }
        for (a, b) in zip(whole.trained, halved.trained) {
            let difference = try a.tensor + b.tensor * -1
            #expect(try (difference * difference).max().item() <= 1e-10)
        }
    }

    /// A checkpoint knows that memory ran out, so that a resumed run does not try again what failed.
    @Test func halvingsAreRemembered() throws {
        var progress = TrainingProgress()
        progress.halvings = 2
        #expect(try TrainingProgress(json: progress.json, file: "f").halvings == 2)
        #expect(try TrainingProgress(json: TrainingProgress().json, file: "f").halvings == 0)
    }

    @Test func outOfMemoryEndsWhatCannotBeHalved() throws {
        for (most, isAdditive) in [(0, true), (2, false)] {
            let run = try TinyRun(steps: 2, objective: { Hungry($0, most: most, isAdditive: isAdditive) })
            let error = try #require(throws: TorchError.self) { try run() }
            #expect(error.description.contains("Try a smaller batch"))
            #expect(run.trained.allSatisfy { $0.gradient == nil })
        }
    }

    /// Rows whose targets have weights.
    struct Weighted: TrainingSource {
        let data: TokenizedDataset
        let weight: @Sendable (Int) -> Float

        var count: Int { data.count }
        func length(of index: Int) -> Int { data.length(of: index) }
        func targetCount(_ samples: [Int]) -> Int { data.targetCount(samples) }
        func batch(_ samples: [Int], draw: UInt64?) -> TokenBatch {
            TokenBatch(
                weighted: samples.map { index in
                    let sample = data.sample(index)
                    return (sample.ids, sample.isTrained, sample.ids.indices.map(weight))
                })
        }
    }

    @Test func targetsCountByTheirWeights() throws {
        let plain = try TinyRun(steps: 3)
        let ones = try TinyRun(steps: 3, weights: { Weighted(data: $0) { _ in 1 } })
        let halves = try TinyRun(steps: 1, weights: { Weighted(data: $0) { _ in 0.5 } })
        let mixed = try TinyRun(steps: 1, weights: { Weighted(data: $0) { $0 % 2 == 0 ? 2 : 0.25 } })
        for run in [plain, ones, halves, mixed] { #expect(try run() == .finished) }
        #expect(plain.losses == ones.losses)
        #expect(abs(halves.losses[0] - plain.losses[0] / 2) < 1e-6)

        // Σ w CE / count, from the logits of each row.
        let model = try Fixture.model("qwen2-tied-gqa")
        let data = try TrainingParityTests().data(8)
        let batch = Weighted(data: data) { $0 % 2 == 0 ? 2 : 0.25 }.batch(Array(0..<8), draw: nil)
        let hidden = try model.hiddenStates(batch, model.context(for: batch))
        let rows = try hidden.indexed(0, Tensor(batch.targets.rows))
        let weights = try Tensor(#require(batch.targets.weights))
        var sum = 0.0
        for index in 0..<batch.targets.count {
            let row = try rows.narrowed(0, start: index, length: 1)
            let logits = try linear(row, model.embedding.weight)
            let loss = try crossEntropySum(logits, Tensor([batch.targets.labels[index]])).item()
            sum += try loss * weights.narrowed(0, start: index, length: 1).item()
        }
        #expect(abs(mixed.losses[0] - sum / Double(batch.targets.count)) < 1e-5)
    }

    @Test func attentionDropoutActsInDecodersWhileTraining() throws {
        let (q, k) = (try Tensor.ones([6, 4, 8]), try Tensor.ones([6, 2, 8]))
        let v = try Tensor.arange(0..<96, dtype: .float32).reshaped([6, 2, 8])
        func attended(_ dropout: Double, key: UInt64) throws -> Tensor {
            try attention(
                q, k, v, queryBounds: [0, 6], keyBounds: [0, 6], isCausal: true, scale: 1, dropout: dropout, key: key)
        }
        let plain = try attended(0, key: 1)
        let dropped = try attended(0.5, key: 1)
        #expect(try !dropped.equals(plain))
        #expect(try dropped.equals(attended(0.5, key: 1)))
        #expect(try !dropped.equals(attended(0.5, key: 2)))
        // The first token sees itself alone, with all weight or none, doubled where it is kept.
        let first: [Float] = try dropped.narrowed(0, start: 0, length: 1).values()
        let own: [Float] = try v.narrowed(0, start: 0, length: 1).values()
        for (head, group) in [(0, 0), (1, 0), (2, 1), (3, 1)] {
            let (got, value) = (first[head * 8..<head * 8 + 8], own[group * 8..<group * 8 + 8])
            #expect(Array(got) == value.map { $0 * 2 } || got.allSatisfy { $0 == 0 })
        }
        // On average nothing is lost.
        let means = try (0..<400).map { try attended(0.5, key: streamKey(UInt64($0))).mean().item() }
        let mean = try plain.mean().item()
        #expect(abs(means.reduce(0, +) / 400 / mean - 1) < 0.05)
    }

    @Test func theForecastCountsWhatThereIs() throws {
        let sizes = try Fixture.model("qwen2-tied-gqa").sizes
        func forecast(
            _ dtype: DType, trained: DType, tokens: Int = 1000, checkpoints: Bool = false, moments: Bool = true
        ) -> MemoryForecast {
            MemoryForecast(
                shape: sizes, weightBytes: 1_000_000 * dtype.size, dtype: dtype, trainedCount: 1_000_000,
                trainedDType: trained, tokens: tokens, targets: 100, adaptedRank: 0, checkpointsLayers: checkpoints,
                stateBytes: moments ? 8_000_000 : 0)
        }
        let plain = forecast(.float32, trained: .float32)
        #expect(plain.weights == 4_000_000)
        #expect(plain.trained == 16_000_000)
        #expect(forecast(.float32, trained: .float32, moments: false).trained == 8_000_000)
        // The tensor and its gradient in 16 bits, the values that are moved and their gradient in 32, two moments.
        #expect(forecast(.bfloat16, trained: .bfloat16).weights == 2_000_000)
        #expect(forecast(.bfloat16, trained: .bfloat16).trained == 20_000_000)
        #expect(forecast(.float16, trained: .float16, moments: false).trained == 12_000_000)
        #expect(forecast(.float32, trained: .float32, tokens: 2000).activations == 2 * plain.activations)
        #expect(forecast(.float32, trained: .float32, checkpoints: true).activations < plain.activations)
        #expect(plain.matrix == 0)
        // Of gradients that are followed in the pass a part is there, and of 16 bits no values beside the tensor.
        let followed = MemoryForecast(
            shape: sizes, weightBytes: 2_000_000, dtype: .bfloat16, trainedCount: 1_000_000, trainedDType: .bfloat16,
            tokens: 10, targets: 10, adaptedRank: 0, checkpointsLayers: true, stateBytes: 0, heldGradients: 100_000,
            keepsMasters: false)
        #expect(followed.trained == 2_000_000 + 600_000)
        let packed = MemoryForecast(
            shape: sizes, weightBytes: 600_000, largestMatrix: 50_000, dtype: .bfloat16, trainedCount: 10,
            trainedDType: .float32, tokens: 10, targets: 10, adaptedRank: 8, checkpointsLayers: false,
            stateBytes: 80)
        #expect(packed.weights == 600_000 && packed.matrix == 200_000)
        // What adapters keep in float32 whatever the tokens.
        let dense = MemoryForecast(
            shape: sizes, weightBytes: 600_000, largestMatrix: 50_000, dtype: .bfloat16, trainedCount: 10,
            trainedDType: .float32, tokens: 10, targets: 10, adaptedRank: 8, keptCount: 5000, checkpointsLayers: false,
            stateBytes: 80)
        #expect(dense.activations == packed.activations + 20_000)
        #expect(
            plain.total == MemoryForecast.process + plain.weights + plain.trained + plain.activations + plain.logits)
    }
}
