import ApusAdapters
import ApusJSON
import ApusTorch
import ApusWeights
import Testing

@testable import ApusRecipes

/// Names, sizes and choices of what is exported.
struct ExportSettingsTests {
    @Test func modelNames() {
        #expect(ModelName.short("Qwen/Qwen2.5-0.5B") == "Qwen2.5-0.5B")
        #expect(ModelName.short("/models/Qwen2.5-0.5B/") == "Qwen2.5-0.5B")
        #expect(ModelName.short("/c/models--Qwen--Qwen2.5-0.5B/snapshots/abc") == "Qwen2.5-0.5B")
        #expect(ModelName.short("/c/models/Qwen--Qwen2.5-0.5B/snapshots/abc") == "Qwen2.5-0.5B")
        #expect(ModelName.short("/c/Qwen2___5-0___5B") == "Qwen2.5-0.5B")
        #expect(ModelName.short("") == "model")
    }

    @Test(arguments: [
        ("5GB", 5_000_000_000), ("500MB", 500_000_000), ("2GiB", 2_147_483_648), ("1.5gb", 1_500_000_000),
    ])
    func shardSizes(text: String, bytes: Int) {
        var settings = ExportSettings(adapters: ["a"])
        settings.maxShardSize = text
        #expect(settings.maxShardBytes == bytes)
    }

    @Test(arguments: ["", "5", "GB", "0GB", "-1GB", "1e999GB", "99999999999999999TB", "5 GB", "nanGB"])
    func wrongShardSizes(text: String) {
        var settings = ExportSettings(adapters: ["a"])
        settings.maxShardSize = text
        #expect(settings.maxShardBytes == nil)
    }

    @Test func exportFolders() throws {
        var notices: [String] = []
        let line = try ArgumentLine(["--adapters", "run/checkpoint-100/"], for: .mergeLoRA)
        let settings = try ExportSettings(line, notices: &notices, mergeLoRA: true)
        #expect(settings.outputDirectory == "run/checkpoint-100-merged")
        #expect(settings.mergeLoRA)
        func folder(_ words: String) throws -> String {
            try ExportSettings(
                ArgumentLine(words.split(separator: " ").map(String.init), for: .export), notices: &notices
            ).outputDirectory
        }
        #expect(try folder("--adapters run/a/ --merge_lora true --to_gguf true") == "run/a-gguf")
        #expect(try folder("--model Qwen/Qwen3-0.6B --to_gguf true --gguf_type Q4_K_M") == "Qwen3-0.6B-gguf")
        #expect(try folder("--model models/tiny.GGUF --torch_dtype bfloat16") == "tiny-bfloat16")
        #expect(try folder("--model m --max_shard_size 1GB") == "m-converted")
        #expect(try folder("--model m --output_dir o") == "o")
        #expect(notices == [])
    }

    @Test func namesOfGGUFFiles() {
        var settings = ExportSettings(adapters: ["run/checkpoint-100/"])
        #expect(settings.ggufName == "checkpoint-100-F16.gguf")
        settings = ExportSettings(adapters: [], mergeLoRA: false)
        settings.model.name = "/a/b.gguf"
        settings.ggufType = .q5_K_M
        #expect(settings.ggufName == "b-Q5_K_M.gguf")
    }

    @Test(
        arguments: [
            ("--model m", "--merge_lora: not given"), ("--adapters a --to_gguf true", "Add --merge_lora true"),
            ("--adapters a --torch_dtype bfloat16", "Add --merge_lora true"),
            ("--adapters a b --combination_type svd --to_gguf true", "leave out --merge_lora, --to_gguf"),
            ("--model m --to_gguf true --quant_method bnb --quant_bits 4", "--gguf_type"),
            ("--to_gguf true", "--merge_lora: not given"),
        ] as [(String, String)])
    func exportsThatContradictThemselves(words: String, reason: String) throws {
        var notices: [String] = []
        let error = #expect(throws: UsageError.self) {
            try ExportSettings(
                ArgumentLine(words.split(separator: " ").map(String.init), for: .export), notices: &notices)
        }
        #expect("\(String(describing: error))".contains(reason))
    }

    @Test func optionsOfOtherFilesAreSaid() throws {
        for (words, option) in [
            ("--to_gguf true --max_shard_size 1GB", "--max_shard_size"),
            ("--torch_dtype bfloat16 --gguf_type Q8_0", "--gguf_type"),
        ] {
            var notices: [String] = []
            _ = try ExportSettings(
                ArgumentLine(("--model m " + words).split(separator: " ").map(String.init), for: .export),
                notices: &notices)
            #expect(notices.count == 1 && notices[0].hasPrefix("\(option): without effect"), "\(notices)")
        }
    }
}

extension ExportSettings {
    func argumentsChecked() throws {
        var (settings, notices) = (self, [String]())
        try settings.settle(notices: &notices)
    }
}
