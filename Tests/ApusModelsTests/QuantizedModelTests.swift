import ApusRunLog
import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusDatasets
@testable import ApusFiles
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusOptimizers
@testable import ApusQuantization
@testable import ApusTorch
@testable import ApusTraining
@testable import ApusWeights

/// Models whose matrices are kept in four or eight bits, against `transformers` with bitsandbytes and PEFT
/// (Scripts/fixtures/make_quantized.py).
struct QuantizedModelTests {
    private static let checkpoints: [(String, QuantizationSettings.Format)] = [
        ("nf4-double", .fourBits(.nf4, block: 64, isDouble: true)),
        ("fp4-single", .fourBits(.fp4, block: 64, isDouble: false)),
        ("nf4-storage", .fourBits(.nf4, block: 64, isDouble: false)),
        ("nf4-conv1d", .fourBits(.nf4, block: 64, isDouble: true)),
        ("int8", .eightBits), ("int8-conv1d", .eightBits),
    ]

    /// The checkpoint as it is read.
    private static func stored(_ name: String) throws -> CausalLanguageModel {
        let model = try Models.registry.model(Fixture.json("quantized/\(name)/config.json"))
        let folder = Fixture.root.appendingPathComponent("quantized/\(name)").path
        let store = try BitsAndBytesStore(ModelWeights(folder: folder), computeType: .float32, path: folder)
        try model.loadWeights(
            store, dtype: .float32, device: .cpu,
            matrices: MatrixReader(shape: store.quantizedShape) { stored, _, _ in
                try store.matrix(stored, dtype: .float32, device: .cpu)
            })
        return model
    }

    /// The model in full, brought into fewer bits while it is loaded.
    static func quantized(
        _ base: String, _ format: QuantizationSettings.Format, dtype: DType = .float32
    ) throws -> CausalLanguageModel {
        let model = try Models.registry.model(Fixture.json("models/\(base)/config.json"))
        let store = try ModelWeights(folder: Fixture.root.appendingPathComponent("models/\(base)").path)
        let settings = QuantizationSettings(format, computeType: format == .eightBits ? nil : dtype)
        try model.loadWeights(
            store, dtype: dtype, device: .cpu,
            matrices: MatrixReader { name, layer, isWhole in
                guard !isWhole else { return nil }
                let matrix = try store.tensor(name, dtype: dtype, device: .cpu).tensor
                store.forget(name)
                return try QuantizedWeight(
                    layer.layout == .outputsFirst ? matrix : matrix.transposed(0, 1).contiguous(), as: settings,
                    name: name)
            })
        return model
    }

    private func logits(_ model: CausalLanguageModel, _ ids: [Int32]) throws -> Tensor {
        let batch = TokenBatch(continuing: [(ids, 0)])
        let context = try model.context(for: batch)
        return try withoutGradients { try model.logits(model.hiddenStates(batch, context), context) }
    }

    @Test(arguments: checkpoints.indices) func logitsAreThoseOfTransformers(index: Int) throws {
        let (name, format) = Self.checkpoints[index]
        let expected = try Fixture("quantized/\(name)")
        let base = try #require(expected.expected["base"]?.stringValue)
        let models = try [Self.stored(name), Self.quantized(base, format)]
        for model in models {
            let kept = model.modules().compactMap { ($0.module as? Linear)?.isQuantized }
            #expect(kept.filter { $0 }.count == kept.count - 1, "all but the head")
        }
        var worst = 0.0
        for (number, row) in (expected.expected["sequences"]?.arrayValue ?? []).enumerated() {
            let ids = (row.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
            let wanted = try expected.tensor("logits.\(number)")
            for model in models { worst = max(worst, try difference(logits(model, ids), wanted)) }
        }
        print("quantised \(name): largest difference of a logit \(worst)")
        #expect(worst <= 1e-5)
    }

    /// Each method over quantised layers does what it does over layers with the same matrices in full.
    @Test(arguments: ["lora", "dora", "ia3", "adalora", "adapter", "prompt_tuning"])
    func adaptersComputeAsOverMatricesInFull(name: String) throws {
        let format = QuantizationSettings.Format.fourBits(.nf4, block: 64, isDouble: true)
        let quantized = try Self.quantized("qwen2-tied-gqa", format)
        let full = try Fixture.model("qwen2-tied-gqa")
        let layers = Dictionary(
            uniqueKeysWithValues: full.modules().compactMap { part in
                (part.module as? Linear).map { (part.path, $0) }
            })
        for (path, module) in quantized.modules() {
            guard let layer = module as? Linear, layer.isQuantized else { continue }
            try layers[path]?.setMatrix(layer.matrix)
        }
        let results = try [full, quantized].map { model in
            let attached = try attach(name, to: model)
            let batch = try Fixture("models/qwen2-tied-gqa").batch()
            let (logits, loss) = try model.outputs(batch, checkpoints: name == "lora")
            try loss.backward()
            return (logits, try attached.parameters.map { try #require($0.slot.tensor?.gradient) })
        }
        #expect(try difference(results[0].0, results[1].0) <= 1e-5)
        #expect(!results[0].1.isEmpty)
        for (ours, theirs) in zip(results[1].1, results[0].1) { #expect(try relativeDifference(ours, theirs) <= 1e-5) }
    }

    /// Heads of classifiers stay whole, and so do the tables of words that heads are tied to.
    @Test(
        arguments: [
            ("classifiers/bert-single", ModelTask.sequenceClassification(labels: 3), ["classifier"]),
            ("classifiers/qwen3-multi", .sequenceClassification(labels: 4), ["score"]),
            ("models/gpt2-scaled", .causalLanguageModel, ["lm_head"]),
            ("models/gpt2", .causalLanguageModel, ["lm_head"]),
            ("classifiers/bert-single", .maskedLanguageModel, ["cls.predictions.decoder"]),
        ] as [(String, ModelTask, [String])])
    func headsStayWhole(path: String, task: ModelTask, whole: [String]) throws {
        let model = try Models.registry.model(Fixture.json("\(path)/config.json"), for: task)
        let layers = model.modules().compactMap { ($0.module as? Linear) == nil ? nil : $0.path }
        let quantized = Set(model.layersToQuantize.map(\.path))
        #expect(layers.filter { !quantized.contains($0) } == whole)
        #expect(quantized.count > 7)
    }

    private func attach(_ name: String, to model: CausalLanguageModel) throws -> AttachedAdapter {
        let type = try #require(AdapterMethods.of(tunerType: name == "dora" ? "lora" : name))
        var settings = AdapterSettings()
        settings.modelType = "qwen2"
        settings.targets = .allLinear
        for option in type.options {
            if option.name == "lora_dropout" { settings[option] = 0.0 }
            if option.name == "use_dora" { settings[option] = .bool(name == "dora") }
        }
        let attached = try type.init(settings).attach(to: model, heads: model.headNames, trunk: model.trunk.name)
        try attached.materialize(dtype: .float32, device: .cpu, seed: 3) { Array($0.utf8.prefix(4).map { Int32($0) }) }
        for (index, (_, slot)) in attached.parameters.enumerated() {
            // Where a factor begins at zero the other has no gradient.
            guard let tensor = slot.tensor else { continue }
            let noise = try Tensor.empty(tensor.shape, dtype: .float32)
            try noise.fillNormal(deviation: 0.1, generator: Generator(seed: UInt64(index)))
            try slot.fill(tensor + noise)
        }
        try attached.setTrainable(true)
        return attached
    }

    @Test func mergingIntoQuantisedLayersIsRefused() throws {
        let model = try Self.quantized("qwen2-tied-gqa", .eightBits)
        let attached = try attach("lora", to: model)
        let error = #expect(throws: AdapterError.self) { try attached.merge() }
        #expect("\(try #require(error))".contains("are quantised"))
    }

    /// Fifty steps of LoRA over nf4, from the same adapter and in the same order as the Trainer with PEFT.
    @Test func trainingFollowsTheTrainer() throws {
        let json = try Fixture.json("quantized/lora-nf4.json")
        let theirs = (json["steps"]?["loss"]?.arrayValue ?? []).compactMap(\.doubleValue)
        let run = try TinyRun(
            isLoRA: true, steps: theirs.count,
            model: Self.quantized("qwen2-tied-gqa", .fourBits(.nf4, block: 64, isDouble: true)))
        #expect(try run() == .finished)
        let worst = zip(run.losses, theirs).map { abs($0 - $1) }.max() ?? .nan
        print("quantised lora-nf4: \(theirs.count) steps, largest difference of a loss \(worst)")
        #expect(run.losses.count == theirs.count && theirs.count == 50)
        #expect(worst <= 1e-5)
    }

    /// As near as without quantisation, and for the same reason (`MixedPrecisionTests`).
    @Test func trainingInBFloat16StaysNear() throws {
        let json = try Fixture.json("quantized/lora-nf4-bf16.json")
        let theirs = (json["steps"]?["loss"]?.arrayValue ?? []).compactMap(\.doubleValue)
        let run = try TinyRun(
            dtype: .bfloat16, isLoRA: true, steps: theirs.count,
            model: Self.quantized("qwen2-tied-gqa", .fourBits(.nf4, block: 64, isDouble: true), dtype: .bfloat16))
        #expect(try run() == .finished)
        let worst = zip(run.losses, theirs).map { abs($0 - $1) }.max() ?? .nan
        print("quantised lora-nf4 in bfloat16: largest difference of a loss \(worst)")
        #expect(worst <= 0.02)
    }
}
