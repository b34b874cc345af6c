import ApusJSON
import ApusLanguageModel
import ApusWeights
import Foundation
import Testing

@testable import ApusRecipes

/// What is said of folders and files that are not the model they are given as.
struct ModelSourceTests {
    private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .appendingPathComponent("Fixtures")
    private static let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1234\n"

    /// Opens a folder with these files; `wanted` is read of it.
    private func message(
        _ files: [String: String], file: String? = nil, _ wanted: (ModelSource) throws -> Void = { _ = try $0.config() }
    ) throws -> String {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-source-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for (name, text) in files { try Data(text.utf8).write(to: folder.appendingPathComponent(name)) }
        do {
            let path = file.map { folder.appendingPathComponent($0).path } ?? folder.path
            try wanted(ModelSource(path, surroundings: Surroundings()))
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test(arguments: [
        "config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "merges.txt", "chat_template.jinja",
        "generation_config.json", "modules.json",
    ])
    func pointersInThePlaceOfTextsAreNamed(name: String) throws {
        let text = try message(["config.json": "{}"].merging([name: Self.pointer]) { $1 })
        #expect(text.contains(name) && text.contains("git-lfs pointer") && text.contains("git lfs pull"), "\(text)")
        #expect(text.contains("1234 bytes"))
    }

    @Test func otherTextsAreNamed() throws {
        #expect(try message(["config.json": "<!DOCTYPE html><html>"]).contains("web page"))
        #expect(try message(["config.json": ""]).contains("empty"))
        #expect(try message(["config.json": "{"]).contains("config.json: not valid JSON"))
        // A template may begin with a tag, a list of words with a bracket.
        let fine = ["config.json": "{}", "chat_template.jinja": "<s>{{ x }}", "vocab.txt": "[PAD]\n[UNK]\n"]
        #expect(try message(fine) == "")
    }

    @Test(arguments: [
        (#"{"quantization_config": {"quant_method": "gptq", "bits": 4}}"#, "GPTQ, 4 bits"),
        (#"{"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}"#, "AWQ, 4 bits"),
        (#"{"quantization_config": {"quant_method": "fbgemm_fp8"}}"#, "FP8 (FBGEMM)"),
        (#"{"quantization_config": {"quant_method": "compressed-tensors"}}"#, "compressed-tensors"),
        (#"{"quantization_config": {"config_groups": {}}}"#, "compressed-tensors"),
        (#"{"compression_config": {"format": "pack-quantized"}}"#, "compressed-tensors"),
        (#"{"quantization": {"group_size": 64, "bits": 4}}"#, "MLX, 4 bits"),
        (#"{"quantization_config": {"group_size": 64, "bits": 8, "mode": "affine"}}"#, "MLX, 8 bits"),
        (#"{"quantization_config": {"quant_method": "mxfp4"}}"#, "MXFP4"),
        (#"{"quantization_config": {"quant_method": "next-year"}}"#, "\"next-year\""),
    ])
    func quantisedWeightsAreNamed(config: String, method: String) throws {
        let text = try message(["config.json": config])
        #expect(text.contains("quantised (\(method)"), "\(text)")
        #expect(text.contains("original precision"))
    }

    @Test func whatIsNotQuantised() throws {
        for config in [
            "{}", #"{"quantization_config": null}"#,
            #"{"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": false, "load_in_8bit": false}}"#,
            #"{"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true}}"#,
            #"{"quantization_config": {"load_in_8bit": true}}"#,
            #"{"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}"#,
            #"{"model_type": "gpt_oss", "quantization_config": {"quant_method": "mxfp4"}}"#,
        ] {
            #expect(try message(["config.json": config]) == "")
        }
        #expect(try message(["config.json": "{}", "quantize_config.json": "{}"]).contains("GPTQ"))
    }

    @Test(arguments: [
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4", "Qwen/Qwen2.5-7B-Instruct"), ("Qwen/Qwen3-8B-FP8", "Qwen/Qwen3-8B"),
        ("unsloth/Llama-3.2-1B-bnb-4bit", "unsloth/Llama-3.2-1B"), ("Qwen/Qwen2.5-7B-AWQ", "Qwen/Qwen2.5-7B"),
        ("mlx-community/Qwen3-0.6B-4bit", "mlx-community/Qwen3-0.6B"),
    ])
    func theModelBeforeItIsSuggested(name: String, plain: String) {
        #expect(WeightQuantization.unquantised(name) == plain)
        #expect(WeightQuantization.unquantised("/models/\(name)") == nil)
        #expect(WeightQuantization.unquantised(plain) == nil)
    }

    @Test func foldersOfSomethingElse() throws {
        let adapter = try message(["adapter_config.json": #"{"base_model_name_or_path": "Qwen/Qwen3-0.6B"}"#])
        #expect(
            adapter.contains("is an adapter") && adapter.contains("--adapters")
                && adapter.contains("--model Qwen/Qwen3-0.6B"))
        #expect(try message(["model_index.json": "{}"]).contains("diffusers"))
        #expect(try message(["config.json": #"{"_class_name": "UNet2DConditionModel"}"#]).contains("diffusion"))
        #expect(try message(["params.json": "{}"]).contains("Mistral"))
        #expect(try message([:]).contains("no config.json"))
    }

    @Test func aPartOfAModelGivenAsTheModel() throws {
        let text = try message(["model.safetensors": "x"], file: "model.safetensors")
        #expect(text.contains("one part of a model") && text.contains("Give the folder"))
        #expect(try message(["notes": "x"], file: "notes").contains("GGUF"))
    }

    @Test func severalGGUFFiles() throws {
        let text = try message(["a-Q4.gguf": "x", "b-Q8.gguf": "x", "config.json": "{}"])
        #expect(text.contains("a-Q4.gguf, b-Q8.gguf") && text.contains("Give the path of one"))
        // One alone is the model, parts of one are one.
        #expect(try message(["a.gguf": Self.pointer]).contains("git-lfs pointer"))
        let parts = try message(["a-00001-of-00002.gguf": "x", "a-00002-of-00002.gguf": "x"])
        #expect(parts.contains("a-00001-of-00002.gguf") && !parts.contains("several"))
        // Where safetensors are, they are the model.
        #expect(try message(["a.gguf": "x", "b.gguf": "x", "model.safetensors": "x", "config.json": "{}"]) == "")
    }

    @Test func theFolderOfAHubCacheLeadsToItsSnapshot() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("models--a--b-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let snapshot = folder.appendingPathComponent("snapshots/abc")
        try FileManager.default.createDirectory(at: snapshot, withIntermediateDirectories: true)
        try Data("{}".utf8).write(to: snapshot.appendingPathComponent("config.json"))
        #expect(try ModelSource(folder.path, surroundings: Surroundings()).path == snapshot.path)
    }
}
