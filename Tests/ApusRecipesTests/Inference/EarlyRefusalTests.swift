import ApusTorch
import Foundation
import Testing

@testable import ApusJSON
@testable import ApusRecipes

/// What `infer` can know before the weights are read, it says before.
@Suite(.serialized) struct EarlyRefusalTests {
    /// A run with an adapter, and settings to answer with it.
    private static func adapted() throws -> (run: TinyRun, settings: InferSettings) {
        let run = try TinyRun().with {
            $0.optimization.maxSteps = 1
            $0.evaluation.saveSteps = 1
        }
        try run()
        var settings = InferSettings(model: run.settings.model.name ?? "")
        settings.model.adapters = ["\(run.output)/checkpoint-1"]
        settings.data.valDataset = ["\(run.folder.path)/rows.jsonl#2"]
        settings.generation.maxNewTokens = 2
        settings.hardware.device = .cpu
        return (run, settings)
    }

    /// What is said where the base's weights are damaged too; whoever reads them first says that.
    private static func refusal(
        _ change: (TinyRun, inout InferSettings) throws -> Void = { _, _ in }
    ) throws -> String {
        let (run, given) = try adapted()
        var settings = given
        let weights = "\(run.settings.model.name ?? "")/model.safetensors"
        let data = FileManager.default.contents(atPath: weights) ?? Data()
        try data.dropLast(1000).write(to: URL(fileURLWithPath: weights))
        try change(run, &settings)
        do {
            _ = try Inference(settings)
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func theWeightsAreReadLast() throws {
        #expect(try Self.refusal().contains("model.safetensors"))
        let (run, settings) = try Self.adapted()
        try Inference(settings)()
        let results = try FileManager.default.contentsOfDirectory(atPath: "\(run.output)/checkpoint-1/infer_result")
        #expect(results.count == 1)
    }

    /// Without `--result_path` answers go into a folder beside the adapter; a file has its name.
    @Test func aPlaceThatTakesNoResults() throws {
        let refusal = try Self.refusal { _, settings in
            try "x".write(
                toFile: "\(settings.model.adapters[0])/infer_result", atomically: true, encoding: .utf8)
        }
        #expect(refusal.contains("infer_result is a file, not a folder"), "\(refusal)")
        #expect(refusal.contains("Without --result_path"))
    }

    @Test(arguments: ["rows.jsnol.jsonl", "/nowhere/rows.jsonl", "./rows", "*.jsonl.gz"])
    func rowsThatAreNotThere(name: String) throws {
        let refusal = try Self.refusal { _, settings in settings.data.valDataset = [name] }
        #expect(refusal.contains(name) && refusal.contains("no "), "\(refusal)")
        #expect(!refusal.contains("model.safetensors"))
    }

    /// As for a run, with the code of settings that cannot be followed.
    @Test func aDeviceThatIsNotThere() throws {
        let (run, given) = try Self.adapted()
        var settings = given
        settings.hardware.device = .mps
        let error = #expect(throws: SettingsError.self) { try Inference(settings) }
        #expect(error?.description == "--device mps: this machine has none; leave --device out or give cpu")
        withExtendedLifetime(run) {}
    }

    @Test func anAdapterThatIsCutOff() throws {
        let refusal = try Self.refusal { _, settings in
            let path = "\(settings.model.adapters[0])/adapter_model.safetensors"
            let data = FileManager.default.contents(atPath: path) ?? Data()
            try data.dropLast(100).write(to: URL(fileURLWithPath: path))
        }
        #expect(refusal.contains("adapter_model.safetensors"), "\(refusal)")
    }

    @Test func aFileOfAnswersThatMakesNoSense() throws {
        let refusal = try Self.refusal { run, _ in
            try run.folder.write(#"{"temperature": "hot"}"#, to: "model/generation_config.json")
        }
        #expect(refusal.contains("generation_config.json: \"temperature\" is \"hot\""), "\(refusal)")
    }

    @Test func aFormThatIsNone() throws {
        let refusal = try Self.refusal { _, settings in settings.generation.structuredOutputsRegex = "[a-" }
        #expect(refusal.contains("--structured_outputs_regex"), "\(refusal)")
    }

    /// A model without a chat template is asked in ChatML, and the user told so.
    @Test func chatMLIsSaid() throws {
        func answering(_ template: String?) throws -> Answering {
            let model = try TinyModelFolder.chat(template: template)
            return try Answering(
                InferSettings(model: model.path), language: LanguageModel(model.path, dtype: .float32))
        }
        #expect(try answering(nil).notices.contains { $0.contains("conversations are written as ChatML") })
        #expect(try !answering(TinyModelFolder.chatML).notices.contains { $0.contains("ChatML") })
    }
}
