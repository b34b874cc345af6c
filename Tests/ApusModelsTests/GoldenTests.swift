import Foundation
import Testing

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusTorch
@testable import ApusTraining
@testable import ApusWeights

/// What a whole run ends in, and what a model says in bfloat16, beside the Python programs.
struct GoldenTests {
    @Test func theWeightsAfterARunEqualTheTrainers() throws {
        let run = try TinyRun(steps: 50)
        #expect(try run() == .finished)
        let path = Fixture.root.appendingPathComponent("training/final-full-cosine.safetensors").path
        let theirs = try SafetensorsFile(path: path)
        #expect(Set(run.trained.map(\.name)) == Set(theirs.tensorNames))
        var worst = 0.0
        for parameter in run.trained {
            let expected = try theirs.tensor(parameter.name, dtype: .float32, device: .cpu).tensor
            worst = max(worst, try relativeDifference(parameter.tensor.detached(), expected))
        }
        print("weights after 50 steps: largest relative difference \(worst)")
        #expect(worst <= 1e-3)
    }

    @Test func theAdapterAfterARunEqualsPEFTs() throws {
        let run = try TinyRun(isLoRA: true, steps: 50)
        #expect(try run() == .finished)
        let path = Fixture.root.appendingPathComponent("training/final-lora-cosine/adapter_model.safetensors").path
        let theirs = try SafetensorsFile(path: path)
        #expect(run.trained.count == theirs.tensorNames.count)
        var worst = 0.0
        for name in theirs.tensorNames {
            let ours = try #require(
                run.trained.first { name.hasSuffix($0.name) || name == "base_model.model." + $0.name }, "\(name)")
            let expected = try theirs.tensor(name, dtype: .float32, device: .cpu).tensor
            worst = max(worst, try relativeDifference(ours.tensor.detached(), expected))
        }
        print("adapter after 50 steps: largest relative difference \(worst)")
        #expect(worst <= 1e-3)
    }

    @Test func logitsInBFloat16AreNearThoseOfTransformers() throws {
        let root = Fixture.root.appendingPathComponent("models")
        let folders = try FileManager.default.contentsOfDirectory(atPath: root.path).filter {
            FileManager.default.fileExists(atPath: root.appendingPathComponent("\($0)/expected_bf16.safetensors").path)
        }
        #expect(!folders.isEmpty)
        for name in folders {
            let fixture = try Fixture("models/\(name)")
            let half = try SafetensorsFile(path: fixture.folder.appendingPathComponent("expected_bf16.safetensors").path)
            let model = try Fixture.model(name, dtype: .bfloat16)
            for index in 0..<(fixture.expected["sequences"]?.arrayValue?.count ?? 0) {
                let batch = fixture.batch(index)
                let logits = try model.outputs(batch).logits.to(.float32)
                let theirs = try half.tensor("logits.\(index)", dtype: .float32, device: .cpu).tensor
                let exact = try fixture.tensor("logits.\(index)")
                let (ours, rounding) = (try difference(logits, exact), try difference(theirs, exact))
                print("bfloat16 \(name) \(index): \(ours) from float32, transformers \(rounding)")
                // Rounding moves both from float32; ours moves no further than half again theirs, and not apart from it.
                #expect(ours <= 1.5 * rounding)
                #expect(try difference(logits, theirs) <= 2 * rounding)
            }
        }
    }
}
