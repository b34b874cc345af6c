import ApusAdapters
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusText
import ApusTorch
import ApusTraining
import ApusWeights
import Foundation
import Testing

@testable import ApusRecipes

/// Models written as GGUF and in other types, with and without adapters.
@Suite(.serialized) struct ExportTests {
    private static let ids: [Int32] = [5, 9, 200, 3, 77]

    private static func logits(_ path: String, dtype: DType? = nil) throws -> Tensor {
        try LanguageModel(ModelSource(path, surroundings: Surroundings()), dtype: dtype, device: .cpu).logits(ids)
    }

    private static func export(
        _ run: TinyRun, to name: String, _ change: (inout ExportSettings) -> Void
    ) throws -> String {
        var settings = ExportSettings(adapters: [], mergeLoRA: false)
        settings.model.name = run.settings.model.name
        settings.hardware.device = .cpu
        settings.outputDirectory = "\(run.folder.path)/\(name)"
        change(&settings)
        return try ModelExport(settings)()
    }

    private static func gguf(_ folder: String) throws -> String {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        return "\(folder)/\(try #require(names.first { $0.hasSuffix(".gguf") }))"
    }

    @Test func aMergedAdapterIsTheSameInEveryForm() throws {
        let run = try TinyRun()
        try run()
        let checkpoint = "\(run.output)/checkpoint-6"
        let folder = try Self.export(run, to: "merged") {
            $0.model.adapters = [checkpoint]
            $0.mergeLoRA = true
        }
        let expected = try Self.logits(folder)
        let base = try Self.logits(run.settings.model.name ?? "")
        #expect(try abs(expected + base * -1).max().item() > 1e-3)
        for (type, bound) in [(GGUFFileType.f32, 0.0), (.f16, 0.005), (.bf16, 0.05), (.q8_0, 0.05)] {
            let output = try Self.export(run, to: "merged-\(type.rawValue)") {
                $0.model.adapters = [checkpoint]
                $0.mergeLoRA = true
                $0.toGGUF = true
                $0.ggufType = type
            }
            let path = try Self.gguf(output)
            #expect(path.hasSuffix("/checkpoint-6-\(type.rawValue).gguf"))
            let written = try Self.logits(path, dtype: .float32)
            let difference = try abs(written + expected * -1).max().item() / abs(expected).max().item()
            #expect(difference <= bound, "\(type.rawValue): \(difference)")
            let modelfile = try String(contentsOfFile: "\(output)/Modelfile", encoding: .utf8)
            #expect(modelfile.hasPrefix("FROM ./checkpoint-6-\(type.rawValue).gguf\nTEMPLATE"))
            #expect(modelfile.contains("PARAMETER stop \"<|im_end|>\""))
        }
    }

    @Test func tokenizerAndTemplateComeAlong() throws {
        let run = try TinyRun()
        let output = try Self.export(run, to: "g") { $0.toGGUF = true }
        let (ours, theirs) = (
            try LanguageModel(ModelSource(Self.gguf(output), surroundings: Surroundings()), dtype: nil, device: .cpu),
            try LanguageModel(
                ModelSource(run.settings.model.name ?? "", surroundings: Surroundings()), dtype: nil, device: .cpu)
        )
        for text in ["Hello, world! 12 ü雨", "<|im_start|>user\n x", ""] {
            #expect(ours.tokenizer.encode(text) == theirs.tokenizer.encode(text))
        }
        #expect(ours.template.source == theirs.template.source)
        #expect(try ours.generation().endTokens == theirs.generation().endTokens)
        #expect(ours.tokenizer.padToken == theirs.tokenizer.padToken)
        let metadata = try GGUFFile(path: Self.gguf(output)).metadata
        #expect(metadata["general.architecture"] == .string("qwen2"))
        #expect(metadata["general.name"] == .string("model"))
        #expect(metadata["general.size_label"]?.stringValue?.hasSuffix("K") == true)
        #expect(metadata["tokenizer.ggml.pre"] == .string("qwen2"))
        #expect(metadata["tokenizer.ggml.tokens"]?.stringValues?.count == theirs.model.vocabularySize)
        #expect(metadata["general.file_type"] == .integer(1))
    }

    @Test func aModelGoesThereAndBack() throws {
        let run = try TinyRun()
        let model = run.settings.model.name ?? ""
        let file = try Self.gguf(
            Self.export(run, to: "g") {
                $0.toGGUF = true
                $0.ggufType = .f32
            })
        let back = try Self.export(run, to: "back") { $0.model.name = file }
        #expect(try Self.logits(back).equals(Self.logits(model, dtype: .float32)))
        let (ours, theirs) = (try ModelWeights(folder: back), try ModelWeights(folder: model))
        #expect(ours.names == theirs.names)
        for name in theirs.names {
            #expect(
                try ours.tensor(name, dtype: .float32, device: .cpu).tensor
                    .equals(theirs.tensor(name, dtype: .float32, device: .cpu).tensor), "\(name)")
        }
        let tokenizers = try [model, back].map {
            try TextParts(ModelSource($0, surroundings: Surroundings())).tokenizer.encode("Hello 12 <|im_end|> ü")
        }
        #expect(tokenizers[0] == tokenizers[1])
    }

    @Test func otherTypesAndShards() throws {
        let run = try TinyRun()
        let short = try Self.export(run, to: "short") { $0.model.torchDType = .bfloat16 }
        let weights = try ModelWeights(folder: short)
        #expect(try weights.names.allSatisfy { try weights.dtype(of: $0) == .bfloat16 })
        let config = try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: "\(short)/config.json")))
        #expect((config["dtype"] ?? config["torch_dtype"]) == "bfloat16")
        #expect(
            try Self.logits(short).to(.float32).equals(
                Self.logits(run.settings.model.name ?? "", dtype: .bfloat16).to(.float32)))
        let again = try Self.export(run, to: "again") { $0.model.name = short }
        #expect(try ModelWeights(folder: again).dtype(of: weights.names[0]) == .bfloat16)
    }

    @Test func whatIsNoAnsweringModelIsRefused() throws {
        let folder = try TinyModelFolder.bert("classifiers/bert-masked")
        var settings = ExportSettings(adapters: [], mergeLoRA: false)
        settings.model.name = folder.path
        settings.model.taskType = .maskedLanguageModel
        settings.hardware.device = .cpu
        settings.toGGUF = true
        settings.outputDirectory = "\(folder.path)/out"
        let error = #expect(throws: ModelError.self) { try ModelExport(settings)() }
        #expect("\(String(describing: error))".contains("leave out --to_gguf"))
        #expect(!FileManager.default.fileExists(atPath: settings.outputDirectory))
    }

    /// The vectors of a BERT, which has no head.
    @Test func anEncoderGoesThereWithItsPooling() throws {
        let folder = try TinyModelFolder.bert("sentences/bert-embedding")
        var settings = ExportSettings(adapters: [], mergeLoRA: false)
        settings.model.name = folder.path
        settings.model.taskType = .embedding
        settings.hardware.device = .cpu
        settings.toGGUF = true
        settings.ggufType = .f32
        settings.outputDirectory = "\(folder.path)/out"
        let file = try Self.gguf(ModelExport(settings)())
        func vectors(_ path: String) throws -> [[Double]] {
            let source = try ModelSource(path, surroundings: Surroundings())
            let model = try Models.registry.model(source.config(), for: .hiddenStates)
            try model.loadWeights(source.weights(), dtype: .float32, device: .cpu, newHeadSeed: 0)
            let tokenizer = try TextParts(source, of: model).tokenizer
            let embedder = try SentenceFiles(source, model: model).embedder(model)
            return try withoutGradients {
                let batch = TokenBatch(["abc de", "Xyz [MASK] 1", ""].map { tokenizer.encode($0) })
                return try embedder(batch, model.context(for: batch)).rows()
            }
        }
        let (ours, theirs) = (try vectors(file), try vectors(folder.path))
        #expect(ours.count == 3 && ours.map(\.count) == [16, 16, 16])
        #expect(zip(ours.joined(), theirs.joined()).allSatisfy { abs($0 - $1) <= 1e-6 })
        let metadata = try GGUFFile(path: file).metadata
        #expect(metadata["bert.pooling_type"] == .integer(1) && metadata["general.architecture"] == .string("bert"))
        #expect(metadata["tokenizer.ggml.model"] == .string("bert"))
    }

    @Test func mergingIsChecked() throws {
        let run = try TinyRun()
        try run()
        var model = run.settings.model
        model.adapters = ["\(run.output)/checkpoint-6"]
        let adapted = try AdaptedModel(model, device: .cpu, surroundings: Surroundings())
        let check = try MergeCheck(adapted.form.model)
        let before = try check.difference(of: adapted.form.model)
        #expect(before.relative == 0)
        for adapter in adapted.attached { try adapter.merge() }
        let merged = try check.difference(of: adapted.form.model)
        #expect(merged.relative > 0 && merged.relative < 1e-5, "\(merged.relative)")
        try merged.check("it")
        // The base model without its adapter is no merged model.
        model.adapters = []
        let base = try AdaptedModel(model, device: .cpu, surroundings: Surroundings())
        let wrong = try check.difference(of: base.form.model)
        let error = #expect(throws: ModelError.self) { try wrong.check("the merged model") }
        #expect("\(String(describing: error))".contains("Nothing was written"))
        #expect(throws: ModelError.self) { try MergeCheck.Difference(relative: .nan, bound: 1).check("it") }
    }

    /// Adapters that need the model's weights are named before anything looks for them.
    @Test(arguments: [
        "adapters/qwen2-tied-gqa/lora-pissa", "adapters/qwen2-tied-gqa/lora-olora",
        "methods/qwen2-tied-gqa/lora-loftq-4",
        "methods/qwen2-tied-gqa/delora", "methods/qwen2-tied-gqa/lora-b-bias",
    ])
    func whatIsMoreThanPlainLoRAIsNotCombined(name: String) throws {
        let run = try TinyRun()
        let fixtures = URL(fileURLWithPath: TinyRun.fixtures).deletingLastPathComponent().path
        let error = #expect(throws: AdapterError.self) {
            _ = try Self.export(run, to: "combined") {
                $0.model.adapters = ["\(fixtures)/adapters/qwen2-tied-gqa/lora", "\(fixtures)/\(name)"]
                $0.combination.kind = .svd
            }
        }
        #expect(error?.description.contains("and \(fixtures)/\(name) ") == true)
        #expect(!FileManager.default.fileExists(atPath: "\(run.folder.path)/combined"))
    }

    @Test func sizesHaveLabels() {
        let labels = [
            134_515_008: "135M", 494_032_768: "494M", 1_543_714_304: "1.5B", 7_241_732_096: "7.2B", 90_000: "90K",
        ]
        for (count, label) in labels { #expect(GGUFExport.sizeLabel(count) == label) }
    }
}
