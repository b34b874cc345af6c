import ApusDatasets
import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusRecipes

/// A second run over the same rows takes their tokens from the cache.
@Suite(.serialized) struct SampleCacheRunTests {
    private func run(_ run: TinyRun, to name: String, _ change: (inout SFTSettings) -> Void = { _ in }) throws {
        var settings = run.settings
        settings.output.outputDirectory = "\(run.folder.path)/\(name)"
        settings.optimization.maxSteps = 2
        settings.data.dataset = ["\(run.folder.path)/rows.jsonl"]
        settings.data.splitDatasetRatio = 0.01
        settings.encoding.useChatTemplate = false
        settings.encoding.maxLength = 8
        settings.data.maxDroppedRatio = 1
        change(&settings)
        let surroundings = Surroundings(environment: ["HF_DATASETS_CACHE": "\(run.folder.path)/cache"])
        _ = try FineTuning(settings, surroundings: surroundings)()
    }

    private func kept(_ run: TinyRun) -> [String] {
        let names = try? FileManager.default.contentsOfDirectory(atPath: "\(run.folder.path)/cache/apus")
        return (names ?? []).filter { !$0.hasPrefix(".") }
    }

    @Test func theSameRunComesOfIt() throws {
        let tiny = try TinyRun(rows: 5300)
        func file(_ name: String) throws -> Data {
            try Data(contentsOf: URL(filePath: "\(tiny.folder.path)/\(name)"))
        }
        try run(tiny, to: "off") { $0.data.loadFromCacheFile = false }
        #expect(kept(tiny).isEmpty)
        try run(tiny, to: "first")
        #expect(kept(tiny).count == 1)
        try run(tiny, to: "second")
        #expect(kept(tiny).count == 1)
        for name in ["dropped.jsonl", "val_dataset.jsonl", "checkpoint-2/adapter_model.safetensors"] {
            #expect(try file("off/\(name)") == file("first/\(name)"))
            #expect(try file("off/\(name)") == file("second/\(name)"))
        }
        #expect(try file("off/dropped.jsonl").count > 1000)
        // What decides about tokens makes another name; what does not keeps it.
        try run(tiny, to: "rate") { $0.optimization.learningRate = 1e-3 }
        #expect(kept(tiny).count == 1)
        try run(tiny, to: "scale") { $0.encoding.lossScale = .all }
        #expect(kept(tiny).count == 2)
        try tiny.folder.write(#"{"eos_token": "<|endoftext|>"}"#, to: "model/tokenizer_config.json")
        try run(tiny, to: "end") { $0.encoding.lossScale = .all }
        #expect(kept(tiny).count == 3)
    }

    /// Tokens of before must not be found by an encoder that makes others.
    @Test func whatAnEncoderMakesHasAVersion() throws {
        let tiny = try TinyRun(rows: 30)
        try run(tiny, to: "run") {
            $0.encoding.useChatTemplate = true
            $0.encoding.maxLength = nil
        }
        let manifest = try JSONValue(
            parsing: Data(contentsOf: URL(filePath: "\(tiny.folder.path)/run/checkpoint-2/MANIFEST.json")))
        let digest = manifest["identity"]?["run"]?["train_data"]?.stringValue
        #expect(
            digest == "0a2430c6716fef778e268bf18d17ae57",
            "the encoder makes other tokens: raise SampleCache.version, and write their digest here")
        #expect(SampleCache.version == 1)
    }
}
