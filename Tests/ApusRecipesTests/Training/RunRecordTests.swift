import ApusJSON
import ApusTorch
import Foundation
import Testing

@testable import ApusRecipes

/// What a run says of itself: where its base lies, its version, and how to use what it left.
@Suite(.serialized) struct RunRecordTests {
    private static func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    /// An adapter finds its base from wherever it lies, and says whose word it took when the base is gone.
    @Test func adaptersRememberTheirBase() throws {
        let run = try TinyRun().with { $0.optimization.maxSteps = 2 }
        try run()
        let model = try #require(run.settings.model.name)
        let whole = URL(fileURLWithPath: model).standardizedFileURL.path
        let config = try JSONValue(parsing: Self.text("\(run.output)/checkpoint-2/adapter_config.json"))
        #expect(config["base_model_name_or_path"]?.stringValue == whole)
        let arguments = try JSONValue(parsing: Self.text("\(run.output)/args.json"))
        #expect(arguments["apus_version"]?.stringValue == ApusVersion.current)
        #expect(arguments["model_dir"]?.stringValue == whole)

        let elsewhere = try TemporaryFolder()
        let moved = "\(elsewhere.path)/adapter"
        try FileManager.default.copyItem(atPath: "\(run.output)/checkpoint-2", toPath: moved)
        var settings = ModelSettings()
        settings.adapters = [moved]
        #expect(try AdaptedModel(settings, device: .cpu, surroundings: Surroundings()).source.path == whole)
        try FileManager.default.moveItem(atPath: model, toPath: model + "-moved")
        #expect {
            try AdaptedModel(settings, device: .cpu, surroundings: Surroundings())
        } throws: { error in
            "\(error)".hasPrefix("\(moved)/adapter_config.json names the base model as \"\(whole)\"")
                && "\(error)".contains("base_model_name_or_path") && "\(error)".contains("--model")
        }
        // A relative path of the record that does not hold from here leaves the word to the adapter.
        try Data(#"{"model": "model", "swift_version": "4.6.0"}"#.utf8).write(
            to: URL(fileURLWithPath: "\(moved)/args.json"))
        var notices: [String] = []
        let words = try ArgumentLine(["--adapters", moved], for: .infer)
        #expect(try InferSettings(words, notices: &notices).model.name == nil)
    }

    @Test func cardsOfAdaptersAndModels() throws {
        let run = try TinyRun().with { $0.optimization.maxSteps = 2 }
        try run()
        let card = try Self.text("\(run.output)/checkpoint-2/README.md")
        #expect(card.contains("library_name: peft") && card.contains("AutoPeftModelForCausalLM.from_pretrained"))
        for line in [
            "On `rows.jsonl` with `apus sft`:", "| `lora_rank` | 8 |", "| `learning_rate` | 0.01 |",
            "| `max_steps` | 2 |",
            "| `step` | 2 |", "| `loss` | ",
        ] { #expect(card.contains(line), "\(line)") }
        #expect(!card.contains("elapsed") && !card.contains("num_train_epochs") && !card.contains("- null"))
        let full = run.with {
            $0.model.tunerType = .full
            $0.output.outputDirectory = "\(run.folder.path)/full"
        }
        try full()
        let whole = try Self.text("\(full.output)/checkpoint-2/README.md")
        #expect(whole.contains("library_name: transformers") && whole.contains("apus infer --model ."))

        var export = ExportSettings(adapters: ["\(run.output)/checkpoint-2"], mergeLoRA: true)
        export.hardware.device = .cpu
        export.outputDirectory = "\(run.folder.path)/merged"
        let merged = try ModelExport(export)()
        #expect(try Self.text("\(merged)/README.md").contains("with an adapter merged in"))

        // A base that is a file is read by its own class.
        export.outputDirectory = "\(run.folder.path)/gguf"
        export.toGGUF = true
        let folder = try ModelExport(export)()
        let file = try #require(FileManager.default.contentsOfDirectory(atPath: folder).first { $0.hasSuffix(".gguf") })
        let over = run.with {
            $0.model.name = "\(folder)/\(file)"
            $0.output.outputDirectory = "\(run.folder.path)/over"
        }
        try over()
        let lines = try Self.text("\(over.output)/checkpoint-2/README.md")
        #expect(lines.contains("gguf_file=\"\(file)\"") && lines.contains("PeftModel.from_pretrained(base"))
    }
}
