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
        func mark(_ files: [String: [UInt8]]) throws -> String {
            let folder = try TemporaryFolder()
            for (name, bytes) in files { try Data(bytes).write(to: URL(fileURLWithPath: "\(folder.path)/\(name)")) }
            try folder.write(#"{"model_type": "qwen2"}"#, to: "config.json")
            return try ModelSource(folder.path, surroundings: Surroundings()).weightsMark()
        }
        let own = "model.safetensors"
        for count in [2, 500_000, 3_000_000] {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 / 7) }
            let first = try mark([own: bytes])
            #expect(try mark(["pytorch_model.bin": bytes]) == first, "another name")
            #expect(
                try mark([own: bytes, "optimizer.pt": [1], "pytorch_model.bin": [2], "adapter_model.safetensors": [3]])
                    == first, "files that are not read")
            #expect(try mark([own: bytes.dropLast() + [99]]) != first, "the last byte")
            #expect(try mark([own: bytes + [0]]) != first, "a byte more")
            #expect(try mark([own: bytes.map { $0 ^ 1 }]) != first, "all values")
        }
        let parts: [String: [UInt8]] = [
            "model-00001-of-00002.safetensors": [1], "model-00002-of-00002.safetensors": [2],
        ]
        let whole = try mark(
            parts.merging(["model.safetensors.index.json": [0], "consolidated.safetensors": [3]]) { $1 })
        #expect(whole == (try mark(parts)))
        #expect(try mark(["model-00001-of-00002.safetensors": [1], "model-00002-of-00002.safetensors": [4]]) != whole)
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
