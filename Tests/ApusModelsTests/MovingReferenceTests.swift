import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusOptimizers
@testable import ApusTorch
@testable import ApusTraining

/// What a reference becomes that follows a model (TR-DPO); that steps with it are TRL's say the parity tests.
struct MovingReferenceTests {
    private static let name = "model.layers.0.self_attn.q_proj"
    private static let adapter = "base_model.model.\(name)"

    private func numbers(_ model: Module, _ name: String = "\(name).weight") throws -> [Double] {
        try #require(model.parameters().first { $0.name == name }?.slot.tensor).detached().to(.float64).values()
    }

    private func moved(_ reference: [Double], _ model: [Double], _ share: Double) -> [Double] {
        zip(reference, model).map { share * $1 + (1 - share) * $0 }
    }

    private func worst(_ a: [Double], _ b: [Double]) -> Double {
        a.count == b.count ? zip(a, b).reduce(0) { max($0, Swift.abs($1.0 - $1.1)) } : .infinity
    }

    private func scale(_ model: Module, by factor: Double) throws {
        // Values of a file must not be written to; those that train are copies.
        try model.setTrainable(true)
        try withoutGradients {
            for (_, slot) in model.parameters() {
                if let tensor = slot.tensor { try tensor.copy(from: tensor * factor) }
            }
        }
    }

    /// α π + (1 − α) π_ref after every N steps, and after no other.
    @Test(arguments: [0.3, 0.6]) func weightByWeight(share: Double) throws {
        let (model, reference) = (
            try Fixture.model("qwen2-tied-gqa", dtype: .float64), try Fixture.model("qwen2-tied-gqa", dtype: .float64)
        )
        try scale(model, by: 1.5)
        let moving = try MovingReference(reference, follows: model, every: 2, share: share)
        try moving.starting(at: 0)
        let (first, other) = (try numbers(reference), try numbers(model))
        try moving.passed(1)
        #expect(try numbers(reference) == first)
        try moving.passed(2)
        let once = moved(first, other, share)
        #expect(try worst(numbers(reference), once) <= 1e-15)
        try moving.passed(3)
        try moving.passed(4)
        #expect(try worst(numbers(reference), moved(once, other, share)) <= 1e-15)
        #expect(moving.state.count == reference.parameters().count)
        // What the state says is what the reference computes with.
        let state = try #require(moving.state.first { $0.name == "reference.\(Self.name).weight" }?.tensor)
        #expect(try numbers(reference) == state.values(as: Double.self))
    }

    /// A share of 1 copies every bit, in every type.
    @Test(arguments: [DType.float32, .bfloat16]) func wholeShareCopies(dtype: DType) throws {
        let (model, reference) = (
            try Fixture.model("qwen2-tied-gqa", dtype: dtype), try Fixture.model("qwen2-tied-gqa", dtype: dtype)
        )
        try scale(model, by: 1.37)
        let moving = try MovingReference(reference, follows: model, every: 1, share: 1)
        try moving.starting(at: 0)
        try moving.passed(1)
        for (a, b) in zip(reference.parameters(), model.parameters()) {
            let (a, b) = (try #require(a.slot.tensor), try #require(b.slot.tensor))
            #expect(try a.to(.float64).values(as: Double.self) == b.to(.float64).values(as: Double.self))
        }
    }

    /// Beside an adapter a model follows the weights with the adapter in them: `W + s B A`.
    @Test func adaptersAreFolded() throws {
        let (model, reference) = (
            try Fixture.model("qwen2-tied-gqa", dtype: .float64), try Fixture.model("qwen2-tied-gqa", dtype: .float64)
        )
        let folder = Fixture.root.appendingPathComponent("preferences/initial").path
        let attached = try AdapterFiles.method(in: folder).attach(to: model)
        let moving = try MovingReference(reference, follows: model, every: 1, share: 0.25)
        // The adapter has its values only now, as in a run.
        try attached.load(from: folder, dtype: .float64, device: .cpu)
        try attached.setTrainable(true)
        try moving.starting(at: 0)
        try moving.passed(1)
        // Rank 4 and α 8.
        func factor(_ name: String) throws -> Tensor {
            try #require(attached.parameters.first { $0.name == "\(Self.adapter).\(name).weight" }?.slot.tensor)
                .detached()
        }
        let change = try (matmul(factor("lora_B"), factor("lora_A")) * 2).values(as: Double.self)
        let before = try numbers(model)
        #expect(change.contains { Swift.abs($0) > 1e-4 })
        #expect(try worst(numbers(reference), zip(before, change).map { $0 + 0.25 * $1 }) <= 1e-15)
    }

    /// An adapter follows another factor by factor.
    @Test func adaptersFollow() throws {
        let model = try Fixture.model("qwen2-tied-gqa", dtype: .float64)
        let folder = Fixture.root.appendingPathComponent("preferences/initial").path
        let trained = try AdapterFiles.method(in: folder).attach(to: model)
        let before = try AdapterFiles.method(in: folder).attach(to: model, named: "ref_adapter")
        try before.load(from: folder, dtype: .float64, device: .cpu)
        let moving = try MovingReference(
            adapter: before.parameters, follows: trained.parameters, every: 3, share: 0.6)
        try trained.load(from: folder, dtype: .float64, device: .cpu)
        func value(_ adapter: AttachedAdapter) throws -> [Double] {
            try #require(adapter.parameters.first { $0.name == "\(Self.adapter).lora_A.weight" }?.slot.tensor).values()
        }
        let first = try value(before)
        try withoutGradients {
            for (_, slot) in trained.parameters { if let tensor = slot.tensor { try tensor.copy(from: tensor * 2) } }
        }
        try moving.starting(at: 0)
        try moving.passed(3)
        #expect(try worst(value(before), first.map { 1.6 * $0 }) <= 1e-15)
        #expect(try value(trained) == first.map { 2 * $0 })
    }

    /// A step that moved nothing, as one that float16 could not take, counts as TRL's does.
    @Test func everyStepCounts() throws {
        final class Counter: StepParticipant {
            var state: [(name: String, tensor: Tensor)] { [] }
            var (done, all) = ([Int](), [Int]())
            func stepped(to step: Int) { done.append(step) }
            func passed(_ step: Int) { all.append(step) }
        }
        let weight = try Tensor([1.0, 2.0])
        try weight.setRequiresGradient(true)
        let trained = [TrainedParameter(name: "w", tensor: weight)]
        let counter = Counter()
        let update = UpdateStep(
            trained, optimizer: try AdamW(ParameterGroup.decaying(trained, 0)), participants: [counter], maximumNorm: 0)
        for (step, factor) in [(1, 1.0), (2, .infinity), (3, 1.0)] {
            try update.accumulate((weight * factor).sum(), targets: 1)
            _ = try update(rate: 0.1, step: step)
        }
        #expect(counter.done == [1, 3] && counter.all == [1, 2, 3])
    }

    @Test func othersAreRefused() throws {
        func refusal(_ body: () throws -> Void) -> String {
            do {
                try body()
                return ""
            } catch {
                return "\(error)"
            }
        }
        let (model, other) = (try Fixture.model("qwen2-tied-gqa"), try Fixture.model("qwen2-moe"))
        let unlike = refusal { _ = try MovingReference(other, follows: model, every: 1, share: 0.6) }
        #expect(unlike.contains("--sync_ref_model true: the reference follows weight by weight"), "\(unlike)")
        #expect(MovingReference.fault(of: model, following: model) == nil)
        // Vectors in front of a text are no weights of a model.
        let reference = try Fixture.model("qwen2-tied-gqa")
        let attached = try PromptTuningConfiguration(AdapterSettings()).attach(to: model)
        try attached.materialize(dtype: .float32, device: .cpu, seed: 0)
        let moving = try MovingReference(reference, follows: model, every: 1, share: 0.6)
        let prompts = refusal { try moving.starting(at: 0) }
        #expect(prompts.contains("model.prompts.0 is no change of a linear layer"), "\(prompts)")
    }
}
