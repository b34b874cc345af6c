import ApusRunLog
import Foundation
import Testing

@testable import ApusFiles
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusOptimizers
@testable import ApusTorch
@testable import ApusTraining

/// Runs in 16 bits beside the Trainer's (Scripts/fixtures/make_mixed_precision.py) and beside our own in float32.
///
/// The peers keep activations between layers in float32 where the weights are; here they have the type of the model. So
/// the curves are near, not equal; what training in 16 bits loses without float32 copies is twenty times as much.
struct MixedPrecisionTests {
    struct Run: Sendable, CustomTestStringConvertible {
        let name: String
        let dtype: DType
        /// The largest distance of a loss from the peer's.
        let bound: Double

        var isLoRA: Bool { name.hasSuffix("lora") }
        var testDescription: String { name }
    }

    static let runs = [
        Run(name: "bf16-full", dtype: .bfloat16, bound: 0.03), Run(name: "bf16-lora", dtype: .bfloat16, bound: 0.02),
        Run(name: "fp16-full", dtype: .float16, bound: 0.01), Run(name: "fp16-lora", dtype: .float16, bound: 0.01),
    ]

    @Test(arguments: runs) func lossesFollowTheTrainers(run: Run) throws {
        let json = try Fixture.json("mixed/\(run.name).json")
        let theirs = (json["steps"]?["loss"]?.arrayValue ?? []).compactMap(\.doubleValue)
        let training = try TinyRun(dtype: run.dtype, isLoRA: run.isLoRA, steps: theirs.count)
        #expect(try training() == .finished)
        let worst = zip(training.losses, theirs).map { abs($0 - $1) }.max() ?? .nan
        print("mixed precision \(run.name): largest difference of a loss \(worst)")
        #expect(training.losses.count == theirs.count)
        #expect(worst <= run.bound)
        if run.dtype == .float16 {
            let scales = (json["lossScale"]?.arrayValue ?? []).compactMap(\.doubleValue)
            #expect(training.log.history.compactMap { $0["loss_scale"]?.doubleValue } == scales)
        }
    }

    /// With moments and weights in bfloat16 alone, as ms-swift trains such a model, the last loss is half a nat higher.
    @Test func updatesTooSmallForBFloat16AreNotLost() throws {
        func losses(_ name: String) throws -> [Double] {
            (try Fixture.json("mixed/\(name).json")["steps"]?["loss"]?.arrayValue ?? []).compactMap(\.doubleValue)
        }
        let (mixed, pure) = (try losses("bf16-full"), try losses("bf16-full-pure"))
        #expect(try #require(pure.last) > #require(mixed.last) + 0.3)

        let weight = try Tensor.ones([4], dtype: .bfloat16)
        let reference = try Tensor.ones([4])
        let parameters = [weight, reference].map { TrainedParameter(name: "w", tensor: $0) }
        let optimizers = try parameters.map { try AdamW([ParameterGroup([$0], decay: 0.1)]) }
        for step in 1...200 {
            let gradient = try Tensor([1, -1, 0.5, 1e-3] as [Float]) * Double(1 + step % 3)
            try weight.setGradient(gradient.to(.bfloat16))
            try reference.setGradient(gradient.to(.bfloat16).to(.float32))
            for optimizer in optimizers { try optimizer.step(rate: 1e-4) }
        }
        #expect(try weight.equals(reference.to(.bfloat16)))
        #expect(try abs(reference - 1).max().item() > 0.01)
        let state = Dictionary(uniqueKeysWithValues: optimizers[0].state.map { ($0.name, $0.tensor) })
        #expect(try #require(state["master.w"]).equals(reference))
        #expect(state.values.allSatisfy { $0.dtype == .float32 })
        #expect(optimizers[1].state.map(\.name) == ["exp_avg.w", "exp_avg_sq.w", "step.w"])
    }

    @Test func gradientDescentMovesBFloat16Too() throws {
        let weight = try Tensor.ones([2], dtype: .bfloat16)
        let optimizer = try SGD([ParameterGroup([TrainedParameter(name: "w", tensor: weight)], decay: 0)])
        for _ in 0..<100 {
            try weight.setGradient(Tensor.ones([2], dtype: .bfloat16))
            try optimizer.step(rate: 1e-4)
        }
        #expect(try weight.values(as: Float.self) == Tensor([0.99, 0.99] as [Float]).to(.bfloat16).values())
        #expect(optimizer.state.map(\.name) == ["master.w"])
    }

    @Test func gradientsOfMicroBatchesAreSummedInFloat32() throws {
        let weight = try Tensor.zeros([1], dtype: .bfloat16)
        try weight.setRequiresGradient(true)
        let parameter = TrainedParameter(name: "w", tensor: weight)
        for _ in 0..<1000 {
            try weight.to(.float32).sum().backward()
            try parameter.collectGradient()
        }
        #expect(try parameter.gradient?.values(as: Float.self) == [1000])
        #expect(weight.gradient == nil)
        parameter.clearGradient()
        #expect(parameter.gradient == nil)
    }

    /// The factor at each step for a series of good and overflowing steps, as `torch.amp.GradScaler` has them.
    @Test func theLossScaleGrowsAndFalls() throws {
        let scaler = try LossScaler()
        try scaler.noteOverflow()
        try scaler.noteOverflow()
        #expect(try scaler.scale() == 16384)
        for _ in 0..<1999 { try scaler.noteStep() }
        #expect(try scaler.scale() == 16384)
        try scaler.noteStep()
        #expect(try scaler.scale() == 32768)
        for _ in 0..<1000 { try scaler.noteStep() }
        try scaler.noteOverflow()
        for _ in 0..<1999 { try scaler.noteStep() }
        #expect(try scaler.scale() == 16384)
        #expect(try scaler.skippedSteps() == 3)

        let resumed = try LossScaler()
        for (saved, loaded) in zip(scaler.state, resumed.state) { try loaded.tensor.copy(from: saved.tensor) }
        try resumed.noteStep()
        #expect(try resumed.scale() == 32768)
        #expect(try resumed.skippedSteps() == 3)
    }

    @Test func aStepThatOverflowsMovesNothingAndIsCounted() throws {
        let weight = try Tensor([1, 2] as [Float]).to(.float16)
        try weight.setRequiresGradient(true)
        let trained = [TrainedParameter(name: "w", tensor: weight)]
        let scaler = try LossScaler()
        let update = try UpdateStep(
            trained, optimizer: AdamW([ParameterGroup(trained, decay: 0)]), scaler: scaler, maximumNorm: 1)
        func step(_ factor: Double) throws -> UpdateStep.Outcome {
            try update.accumulate((weight * factor).to(.float32).sum(), targets: 1)
            return try update(rate: 0.5, step: 1)
        }
        #expect(try step(3).verdict == .overflowed)
        #expect(try weight.values(as: Float.self) == [1, 2])
        #expect(try update.lossScale() == 32768)
        #expect(try update.skippedSteps() == 1)
        #expect(trained[0].gradient == nil)
        let good = try step(1)
        #expect(good.verdict == .done)
        #expect(abs(good.norm - 2.0.squareRoot()) < 1e-6)
        #expect(abs(good.loss - 3) < 1e-6)
        #expect(try weight.values(as: Float.self) == [0.5, 1.5])

        // At a scale of 1 or less it is not the scale that is too large.
        let small = try UpdateStep(
            trained, optimizer: SGD([ParameterGroup(trained, decay: 0)]), scaler: LossScaler(scale: 1), maximumNorm: 1)
        try small.accumulate((weight * 60_000).to(.float32).sum() * 2, targets: 1)
        #expect(try small(rate: 1, step: 1).verdict == .notFinite)
    }
}
