import ApusDatasets
import ApusTorch
import Testing

@testable import ApusRecipes

/// The rules of `load_args`.
struct CheckpointArgumentsTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try folder.write(
            """
            {"model": "base", "model_type": "qwen2", "torch_dtype": "bfloat16", "tuner_type": "full",
             "task_type": "causal_lm", "system": "Be brief.", "template": "qwen2_5", "truncation_strategy": null,
             "use_chat_template": false, "seed": 7, "dataset": ["train.jsonl"], "split_dataset_ratio": 0.1,
             "data_seed": 3, "columns": {}, "lora_rank": 64, "quant_method": null, "num_labels": 2,
             "swift_version": "4.6.0"}
            """, to: "args.json")
    }

    private func infer(_ words: [String]) throws -> (InferSettings, [String]) {
        var notices: [String] = []
        let settings = try InferSettings(try ArgumentLine(words, for: .infer), notices: &notices)
        return (settings, notices)
    }

    @Test func fillsWhatIsOpen() throws {
        let (settings, notices) = try infer(["--adapters", folder.path])
        #expect(settings.model.name == "base")
        #expect(settings.model.modelType == "qwen2")
        #expect(settings.model.torchDType == .bfloat16)
        #expect(settings.model.tunerType == .full)
        #expect(settings.encoding.system == "Be brief.")
        #expect(!settings.encoding.useChatTemplate)
        #expect(settings.encoding.truncationStrategy == .delete)
        #expect(settings.model.seed == 42)
        #expect(settings.data.dataset.isEmpty)
        #expect(settings.model.numLabels == 2)
        #expect(notices.isEmpty)
    }

    @Test func theCommandLineWins() throws {
        let (settings, _) = try infer([
            "--adapters", folder.path, "--system", "Be long.", "--torch_dtype", "float32", "--tuner_type", "lora",
        ])
        #expect(settings.encoding.system == "Be long.")
        #expect(settings.model.torchDType == .float32)
        // ms-swift takes this one from the checkpoint whatever the command line says.
        #expect(settings.model.tunerType == .full)
    }

    @Test func dataOnlyWhereAsked() throws {
        let (settings, _) = try infer(["--adapters", folder.path, "--load_data_args", "true"])
        #expect(settings.data.dataset == ["train.jsonl"])
        #expect(settings.data.splitDatasetRatio == 0.1)
        #expect(settings.data.dataSeed == 3)
        #expect(settings.hasData)
    }

    @Test func notWhereRefused() throws {
        let (settings, _) = try infer(["--adapters", folder.path, "--load_args", "false"])
        #expect(settings.model.name == nil)
        #expect(settings.model.tunerType == .lora)
    }

    @Test func trainingLoadsOnlyWhereAsked() throws {
        var notices: [String] = []
        let words = ["--model", "m", "--dataset", "d", "--resume_from_checkpoint", folder.path]
        #expect(try SFTSettings(try ArgumentLine(words, for: .sft), notices: &notices).encoding.system == nil)
        let loading = try ArgumentLine(words + ["--load_args", "true"], for: .sft)
        #expect(try SFTSettings(loading, notices: &notices).encoding.system == "Be brief.")
        #expect(loading["lora_rank"] == nil)
    }

    @Test(arguments: ["3.12.6", "2.6", "", "x"])
    func olderVersionsMeantAnotherModelType(version: String) throws {
        try folder.write(#"{"model_type": "qwen2-7b-instruct", "swift_version": "\#(version)"}"#, to: "args.json")
        #expect(try infer(["--adapters", folder.path]).0.model.modelType == nil)
    }

    @Test func version3CalledKeysOtherwise() throws {
        try folder.write(
            #"{"train_type": "full", "tools_prompt": "react_en", "swift_version": "3.1.0"}"#, to: "args.json")
        let (settings, _) = try infer(["--adapters", folder.path])
        #expect(settings.model.tunerType == .full && settings.encoding.agentTemplate == "react_en")
        try folder.write(
            #"{"tuner_type": "lora", "train_type": "full", "swift_version": "4.0.0"}"#, to: "args.json")
        #expect(try infer(["--adapters", folder.path]).0.model.tunerType == .lora)
    }

    @Test(arguments: [
        "", "{", "[]", #"{"tuner_type": "lorra"}"#, #"{"torch_dtype": {"a": 1}}"#, #"{"system": [1, 2]}"#,
    ])
    func brokenFiles(text: String) throws {
        try folder.write(text, to: "args.json")
        #expect { try infer(["--adapters", folder.path]) } throws: { error in
            error is SettingsError && "\(error)".hasPrefix("\(folder.path)/args.json: ")
        }
    }
}
