import ApusJSON
import ApusLanguageModel
import ApusNN
import ApusQuantization
import ApusTorch
import ApusWeights
import Foundation
import Testing

@testable import ApusRecipes

/// Runs over quantised weights, and what is written and read of them.
@Suite(.serialized) struct QuantizedRunTests {
    private static func quantized(_ bits: Int = 4) throws -> TinyRun {
        try TinyRun().with {
            $0.model.quantization.method = .bitsAndBytes
            $0.model.quantization.bits = bits
        }
    }

    @Test(arguments: [4, 8]) func interruptedIsUninterrupted(bits: Int) throws {
        let run = try Self.quantized(bits)
        try run()
        let (whole, log) = (try run.numbers(6), try run.losses())
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        let resumed = run.with { $0.evaluation.resumeFromCheckpoint = "last" }
        let refusal = resumed.with { $0.model.quantization.kind = .fp4 }.refusal()
        #expect(refusal.contains("bnb_4bit_quant_type: \"nf4\" there, \"fp4\" here"), "\(refusal)")
        try resumed()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == log)
    }

    @Test func checkpointsAreAnsweredQuantisedAndMergedInFull() throws {
        let run = try Self.quantized()
        try run()
        let checkpoint = "\(run.output)/checkpoint-6"
        let arguments = try JSONValue(
            parsing: Data(contentsOf: URL(fileURLWithPath: "\(checkpoint)/args.json")))
        #expect(arguments["quant_method"]?.stringValue == "bnb" && arguments["quant_bits"]?.intValue == 4)

        var notices: [String] = []
        let infer = try InferSettings(
            ArgumentLine(["--adapters", checkpoint, "--device", "cpu"], for: .infer), notices: &notices)
        #expect(infer.model.quantization.method == .bitsAndBytes && infer.model.quantization.bits == 4)
        let adapted = try AdaptedModel(infer.model, device: .cpu, surroundings: Surroundings())
        #expect(QuantizedLayers.all(of: adapted.form.model).count == 21)

        let merge = try ExportSettings(
            ArgumentLine(["--adapters", checkpoint, "--device", "cpu"], for: .mergeLoRA), notices: &notices,
            mergeLoRA: true)
        #expect(merge.model.quantization.method == nil)
        let merged = try ModelExport(merge)()
        #expect(merged == "\(checkpoint)-merged")
        let names = try ModelWeights(folder: merged).names
        #expect(names.contains("model.layers.0.mlp.up_proj.weight") && !names.contains { $0.contains("absmax") })
    }

    @Test(arguments: [(4, "uint8"), (4, "bfloat16"), (8, "uint8")]) func exportsAreReadAgain(
        bits: Int, storage: String
    ) throws {
        let run = try Self.quantized(bits)
        var settings = ExportSettings(adapters: [], mergeLoRA: false)
        settings.model = run.settings.model
        settings.model.quantization.storageType = DType(rawValue: storage)
        #expect(settings.outputDirectory == "model-bnb-int\(bits)")
        settings.outputDirectory = "\(run.folder.path)/written"
        let output = try ModelExport(settings)()

        let written = try LanguageModel(ModelSource(output, surroundings: Surroundings()), dtype: nil, device: .cpu)
        let loaded = try LanguageModel(
            ModelSource(run.settings.model.name ?? "", surroundings: Surroundings()), dtype: .float32, device: .cpu,
            quantization: run.settings.model.quantization)
        #expect(QuantizedLayers.all(of: written.model).count == 21)
        let ids: [Int32] = [5, 9, 200, 3]
        #expect(try written.logits(ids).equals(loaded.logits(ids)))
        #expect(throws: ModelError.self) { try written.trainableParameters() }

        // The files are what transformers and bitsandbytes write of the same model.
        if bits == 4, storage == "uint8" {
            let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("../../Fixtures/quantized/nf4-double").standardizedFileURL.path
            let (ours, theirs) = (try ModelWeights(folder: output), try ModelWeights(folder: fixture))
            #expect(ours.names == theirs.names)
            for name in theirs.names {
                let type = try theirs.dtype(of: name)
                #expect(
                    try ours.tensor(name, dtype: type, device: .cpu).tensor
                        .equals(theirs.tensor(name, dtype: type, device: .cpu).tensor), "\(name)")
            }
        }

        let config = try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: "\(output)/config.json")))
        let described = try #require(config["quantization_config"])
        #expect(described["load_in_4bit"]?.boolValue == (bits == 4))
        #expect(described["bnb_4bit_quant_storage"]?.stringValue == storage)
        #expect(described["llm_int8_skip_modules"] == ["lm_head"])

        var again = settings
        again.model.name = output
        again.outputDirectory = "\(run.folder.path)/again"
        #expect(throws: ModelError.self) { try ModelExport(again)() }
        let training = run.with {
            $0.model.name = output
            $0.model.quantization = QuantizationOptions()
        }
        let refusal = training.with { $0.model.tunerType = .full }.refusal()
        #expect(refusal.contains("are quantised (\(bits) bits)"), "\(refusal)")
        try training()
        #expect(try training.losses().count == 6)
    }

    @Test func parametersAreCountedAsPEFTCountsThem() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Fixtures").standardizedFileURL
        let expected = try JSONValue(
            parsing: Data(contentsOf: root.appendingPathComponent("quantized/lora-nf4.json")))
        var settings = ParamsSettings(model: root.appendingPathComponent("models/qwen2-tied-gqa").path)
        settings.model.quantization.method = .bitsAndBytes
        settings.model.quantization.bits = 4
        settings.tuner.loraRank = 4
        let count = try ParameterCount(settings)
        #expect(count.total == expected["parameters"]?.intValue)
        #expect(count.trainable == expected["trainable"]?.intValue)
    }

    @Test(
        arguments: [
            Case("give --quant_bits 4 or --quant_bits 8") { $0.model.quantization.method = .bitsAndBytes },
            Case("--quant_method bnb --quant_bits 4") { $0.model.quantization.bits = 4 },
            Case("bnb has 4 and 8") {
                $0.model.quantization.method = .bitsAndBytes
                $0.model.quantization.bits = 3
            },
            Case("does not go with --tuner_type full") {
                $0.model.quantization.method = .bitsAndBytes
                $0.model.quantization.bits = 4
                $0.model.tunerType = .full
            },
        ] as [Case])
    func halfChoicesAreRefused(_ it: Case) throws {
        var settings = try TinyRun().settings
        it.change(&settings)
        let error = #expect(throws: SettingsError.self) { try settings.validated() }
        #expect("\(try #require(error))".contains(it.reason), "\(String(describing: error))")
    }

    /// Commands of ms-swift 2 and 3.
    @Test(arguments: [
        "--quantization_bit 4 --quant_method bnb --bnb_4bit_comp_dtype bfloat16", "--quant_method bnb --quant_bits 4",
    ])
    func olderNamesAreRead(words: String) throws {
        var notices: [String] = []
        let line = try ArgumentLine(
            ["--model", "m", "--dataset", "d"] + words.split(separator: " ").map(String.init), for: .sft)
        let options = try SFTSettings(line, notices: &notices).model.quantization
        #expect(options.method == .bitsAndBytes && options.bits == 4)
        #expect(options.computeType == (words.contains("comp_dtype") ? .bfloat16 : nil))
        #expect(options.settings(for: .float16)?.bits == 4)
    }

    @Test func fewerBitsNeedLessMemory() throws {
        let run = try Self.quantized()
        let language = try LanguageModel(
            ModelSource(run.settings.model.name ?? "", surroundings: Surroundings()), dtype: .float32, device: .cpu,
            quantization: run.settings.model.quantization)
        let model = language.model
        #expect(model.layersToQuantize.isEmpty, "quantised layers are no candidates any more")
        let whole = model.parameters().reduce(0) { $0 + $1.slot.count }
        let bytes = QuantizedLayers.byteCount(of: model, dtype: .float32)
        #expect(bytes < whole * 4 * 6 / 10)
        #expect(QuantizedLayers.largestCount(of: model) == 48 * 88)
    }
}
