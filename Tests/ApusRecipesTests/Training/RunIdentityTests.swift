import ApusJSON
import ApusTorch
import Foundation
import Testing

@testable import ApusRecipes

struct RunIdentityTests {
    private let config: JSONValue = ["model_type": "qwen2"]

    private func identity(_ change: (inout SFTSettings) -> Void = { _ in }, steps: Int? = 100) -> RunIdentity {
        var settings = SFTSettings(model: "m", dataset: ["d.jsonl"])
        change(&settings)
        return RunIdentity(
            settings, config: config, dtype: .float32, weights: "aa", task: nil, totalSteps: steps)
    }

    private func saved(_ change: (inout JSONObject) -> Void = { _ in }) -> JSONValue {
        var object = identity().json.objectValue ?? JSONObject()
        change(&object)
        return .object(object)
    }

    @Test func theSameRun() {
        #expect(identity().differences(from: saved()) == [])
    }

    /// A setting that the checkpoint does not know of was what its default is now.
    @Test func settingsYoungerThanTheCheckpoint() {
        let old = saved { $0["max_grad_norm"] = nil }
        #expect(identity().differences(from: old) == [])
        #expect(
            identity { $0.optimization.maxGradNorm = 0.5 }.differences(from: old) == [
                "max_grad_norm: 1 there, 0.5 here"
            ])
    }

    /// Checkpoints used to hold settings that change no number; those are passed over, unknown ones are not.
    @Test func settingsThatNoLongerCount() {
        let old = saved {
            $0["pair_format"] = "x"
            $0["system"] = "You are new."
            $0["swift_version"] = "4.6.0"
        }
        #expect(identity().differences(from: old) == [])
        let newer = saved { $0["sharpness_rho"] = 0.05 }
        #expect(identity().differences(from: newer).first?.contains("sharpness_rho: 0.05 there") == true)
    }

    /// Models of one shape have the same config.json.
    @Test func weightsOfAnotherModel() {
        let lines = identity().differences(from: saved { $0["base_weights"] = "bb" })
        #expect(lines.count == 1 && lines.first?.contains("the weights in --model m are others") == true)
        #expect(identity().differences(from: saved { $0["base_weights"] = nil }) == [], "older checkpoints do not tell")
    }

    @Test func marksOfWeights() throws {
        func mark(_ file: String, _ bytes: [UInt8]) throws -> String {
            let folder = try TemporaryFolder()
            try Data(bytes).write(to: URL(fileURLWithPath: "\(folder.path)/\(file)"))
            try folder.write(#"{"model_type": "qwen2"}"#, to: "config.json")
            return try ModelSource(folder.path, surroundings: Surroundings()).weightsMark()
        }
        let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let first = try mark("model.safetensors", bytes)
        #expect(try mark("pytorch_model.bin", bytes) == first)
        #expect(try mark("model.safetensors", bytes.map { $0 ^ 1 }) != first)
        #expect(try mark("model.safetensors", bytes + [0]) != first)
        #expect(try mark("model.safetensors", [1, 2]) != mark("model.safetensors", [1, 3]))
    }

    @Test func everyFieldOfTheListCounts() {
        for field in SFTSettings.fields where field.affectsNumbers {
            let old = saved { $0[field.name] = "another" }
            let isBatch = ["per_device_train_batch_size", "gradient_accumulation_steps"].contains(field.name)
            #expect(identity().differences(from: old).count == (isBatch ? 0 : 1), "\(field.name)")
        }
    }

    @Test func batchesOfTheSameProduct() {
        let other = identity {
            $0.optimization.perDeviceTrainBatchSize = 8
            $0.optimization.gradientAccumulationSteps = 2
        }
        #expect(other.differences(from: saved()) == [])
        let changes = other.changes(from: saved(), step: 10) { _ in 1 }
        #expect(changes.count == 1 && changes[0].contains("8 × 2 samples, not 1 × 16"))
        let infoNCE: (inout SFTSettings) -> Void = {
            $0.model.taskType = .embedding
            $0.optimization.lossType = .infoNCE
        }
        let there = identity(infoNCE).json
        let here = identity {
            infoNCE(&$0)
            $0.optimization.perDeviceTrainBatchSize = 8
            $0.optimization.gradientAccumulationSteps = 2
        }
        #expect(here.differences(from: there).first?.contains("infonce learns from all samples") == true)
    }

    @Test func anotherEnd() {
        let longer = identity(steps: 200)
        #expect(longer.differences(from: saved()) == [])
        let changes = longer.changes(from: saved(), step: 50) { Double($0) / 1e6 }
        #expect(
            changes == [
                "the run now ends at step 200, not 100, and cosine spans all of it: at step 50 the learning rate "
                    + "goes on at 0.0002, where the saved run had 0.0001"
            ])
    }
}
