import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Adapters that PEFT has written, loaded, differentiated, merged and written again.
struct AdapterParityTests {
    static let adapters = [
        "qwen2-tied-gqa/lora", "qwen2-tied-gqa/lora-rslora", "qwen2-tied-gqa/lora-patterns",
        "qwen2-tied-gqa/lora-regex-layers", "qwen2-tied-gqa/lora-one-layer", "qwen2-tied-gqa/lora-excluded",
        "llama-untied-mha/lora", "llama-untied-mha/lora-rslora", "llama-untied-mha/lora-patterns",
    ]

    func adapted(_ name: String) throws -> (Fixture, CausalLanguageModel, AttachedLoRA) {
        let fixture = try Fixture("adapters/\(name)")
        let model = try Fixture.model(String(name.split(separator: "/")[0]))
        let attached = try LoRAFiles.configuration(in: fixture.folder.path).attach(to: model)
        try attached.load(from: fixture.folder.path, device: .cpu)
        return (fixture, model, attached)
    }

    func worst(_ logits: Tensor, _ batch: TokenBatch, _ fixture: Fixture, _ prefix: String) throws -> Double {
        try (0..<batch.sequenceCount).map { index in
            let (start, end) = (Int(batch.boundaries[index]), Int(batch.boundaries[index + 1]))
            return try difference(
                logits.narrowed(0, start: start, length: end - start), fixture.tensor("\(prefix).\(index)"))
        }.max() ?? .nan
    }

    @Test(arguments: adapters) func logitsGradientsAndMergeEqualPEFT(name: String) throws {
        let (fixture, model, attached) = try adapted(name)
        try attached.setTrainable(true)
        let batch = fixture.batch()
        let (logits, loss) = try model.outputs(batch)
        let distance = try worst(logits, batch, fixture, "logits")
        #expect(distance <= 1e-5)
        try loss.backward()
        for (parameter, slot) in attached.parameters {
            let gradient = try #require(slot.tensor?.gradient, "\(parameter) has no gradient")
            let expected = try fixture.tensor("grad.\(parameter)")
            #expect(try relativeDifference(gradient, expected) <= 1e-5, "\(parameter)")
        }
        // A frozen model has no gradients.
        #expect(model.parameters().allSatisfy { $0.slot.tensor?.gradient == nil })

        try attached.merge()
        let merged = try model.outputs(batch).logits
        #expect(try difference(merged, logits) <= 1e-5)
        #expect(try worst(merged, batch, fixture, "merged") <= 1e-5)
        print("parity \(name): logits \(distance), merged against unmerged \(try difference(merged, logits))")
    }

    @Test(arguments: ["qwen2-tied-gqa/lora", "qwen2-tied-gqa/lora-patterns"])
    func writtenFilesAreTheSameAdapter(name: String) throws {
        let (fixture, model, attached) = try adapted(name)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-adapter-\(UUID())").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try SafetensorsWriter.write(attached.weightSources(), to: "\(folder)/\(LoRAFiles.weightsName)")
        try attached.configurationText().write(
            toFile: "\(folder)/\(LoRAFiles.configurationName)", atomically: true, encoding: .utf8)
        // The tensors are PEFT's file byte for byte, the configuration has PEFT's keys.
        let ours = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(LoRAFiles.weightsName)"))
        #expect(try ours == Data(contentsOf: fixture.folder.appendingPathComponent(LoRAFiles.weightsName)))
        let written = try Fixture.parse("\(folder)/\(LoRAFiles.configurationName)")
        let original = try Fixture.parse(fixture.folder.appendingPathComponent(LoRAFiles.configurationName).path)
        #expect(written.objectValue?.keys == original.objectValue?.keys)
        let again = try Fixture.model(String(name.split(separator: "/")[0]))
        let reloaded = try LoRAFiles.configuration(in: folder).attach(to: again)
        try reloaded.load(from: folder, device: .cpu)
        let batch = try Fixture("models/\(name.split(separator: "/")[0])").batch()
        #expect(try again.outputs(batch).logits.equals(model.outputs(batch).logits))
    }

    @Test func withoutAdaptersTheModelIsTheBaseModel() throws {
        let (_, model, _) = try adapted("qwen2-tied-gqa/lora")
        let base = try Fixture("models/qwen2-tied-gqa")
        let batch = base.batch()
        let context = try model.context(for: batch, usesAdapters: false)
        let logits = try model.logits(model.hiddenStates(batch, context))
        #expect(try worst(logits, batch, base, "logits") <= 1e-5)
    }

    @Test func aFreshAdapterChangesNothing() throws {
        let model = try Fixture.model("llama-tied-gqa")
        let fixture = try Fixture("models/llama-tied-gqa")
        let attached = try LoRAConfiguration().attach(to: model)
        try attached.materialize(dtype: .float32, device: .cpu, seed: 1)
        let batch = fixture.batch()
        #expect(try worst(model.outputs(batch).logits, batch, fixture, "logits") <= 1e-5)
    }

    @Test func wrongTargetsAndForeignAdaptersAreNamed() throws {
        var configuration = LoRAConfiguration()
        configuration.targets = .names(["q_porj"])
        let error = #expect(throws: AdapterError.self) {
            try configuration.attach(to: try Fixture.model("llama-tied-gqa"))
        }
        #expect(error?.description.contains("did you mean \"q_proj\"") == true)
        let folder = Fixture.root.appendingPathComponent("adapters/qwen2-tied-gqa/lora").path
        let foreign = #expect(throws: AdapterError.self) {
            let attached = try LoRAFiles.configuration(in: folder).attach(to: try Fixture.model("llama-tied-gqa"))
            try attached.load(from: folder, device: .cpu)
        }
        #expect(foreign?.description.contains("does not fit the base model") == true)
    }
}
