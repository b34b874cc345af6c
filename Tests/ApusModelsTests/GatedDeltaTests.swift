import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Linear attention by the gated delta rule: in chunks against token by token, and models of several parts that have it.
struct GatedDeltaTests {
    /// Random inputs of T tokens, 2 heads, keys of 4 and values of 3, with gradients.
    private static func inputs(_ count: Int) throws -> [Tensor] {
        let generator = try Generator(seed: 5)
        return try [[count, 2, 4], [count, 2, 4], [count, 2, 3], [count, 2], [count, 2]].map { shape in
            let tensor = try Tensor.zeros(shape, dtype: .float64)
            try tensor.fillNormal(deviation: 0.5, generator: generator)
            try tensor.setRequiresGradient(true)
            return tensor
        }
    }

    private static func rule(_ x: [Tensor]) throws -> GatedDeltaRule {
        // Decays between hardly and strongly, rates between 0 and 1.
        GatedDeltaRule(
            queries: x[0], keys: x[1], values: x[2], decay: try -softplus(x[3] * 4), rate: try sigmoid(x[4]))
    }

    /// The rule as it is written, one token after the other.
    private static func stepwise(
        _ rule: GatedDeltaRule, bounds: [Int32], memory: Tensor?
    ) throws -> (outputs: Tensor, memory: Tensor) {
        var (outputs, memories): ([Tensor], [Tensor]) = ([], [])
        for sequence in 0..<(bounds.count - 1) {
            var state = try memory?.selected(0, sequence) ?? Tensor.zeros([2, 4, 3], dtype: .float64)
            for row in Int(bounds[sequence])..<Int(bounds[sequence + 1]) {
                func at(_ x: Tensor) throws -> Tensor { try x.selected(0, row) }
                let key = try at(rule.keys).unsqueezed(2)  // [H, E, 1]
                state = try state * exp(at(rule.decay)).reshaped([2, 1, 1])
                let known = try (state * key).sum(1)  // [H, F]
                let change = try (at(rule.values) - known) * at(rule.rate).unsqueezed(1)
                state = try state + key * change.unsqueezed(1)
                outputs.append(try (state * at(rule.queries).unsqueezed(2)).sum(1))
            }
            memories.append(state)
        }
        return (try stacked(outputs), try stacked(memories))
    }

    @Test(arguments: [1, 7, 64])
    func chunksEqualTokensOneByOne(chunk: Int) throws {
        let bounds: [Int32] = [0, 5, 5, 155, 156, 220]
        let weights = try Tensor.arange(0..<(220 * 6), dtype: .float64).reshaped([220, 2, 3])
        func run(_ body: (GatedDeltaRule) throws -> (Tensor, Tensor)) throws -> [Tensor] {
            let x = try Self.inputs(220)
            let (outputs, memory) = try body(Self.rule(x))
            try ((outputs * sin(weights)).sum() + (memory * memory).sum()).backward()
            return try [outputs, memory] + x.map { try #require($0.gradient) }
        }
        let chunked = try run { rule in
            let result = try rule(bounds: bounds, memory: nil, keepsMemory: true, chunk: chunk)
            return (result.outputs, try #require(result.memory))
        }
        let stepwise = try run { rule in
            let result = try Self.stepwise(rule, bounds: bounds, memory: nil)
            return (result.outputs, result.memory)
        }
        for (a, b) in zip(chunked, stepwise) { #expect(try relativeDifference(a, b) <= 1e-10) }
        let alone = try Self.rule(Self.inputs(220))(bounds: bounds, memory: nil, keepsMemory: false, chunk: chunk)
        #expect(try alone.memory == nil && difference(alone.outputs, stepwise[0]) <= 1e-12)
    }

    @Test func aTextInPiecesIsTheWholeText() throws {
        let rule = try Self.rule(Self.inputs(100))
        let whole = try Self.stepwise(rule, bounds: [0, 40, 100], memory: nil)
        func piece(_ rows: [Int]) throws -> GatedDeltaRule {
            let index = try Tensor(rows)
            return GatedDeltaRule(
                queries: try rule.queries.indexed(0, index), keys: try rule.keys.indexed(0, index),
                values: try rule.values.indexed(0, index), decay: try rule.decay.indexed(0, index),
                rate: try rule.rate.indexed(0, index))
        }
        // 30 tokens of the first and 10 of the second, then one of the first alone, then all others.
        var memory: Tensor?
        var found: [Int: Tensor] = [:]
        for parts in [[0..<30, 40..<50], [30..<31, 50..<50], [31..<40, 50..<100]] {
            let rows = parts.flatMap(Array.init)
            let bounds = [0, Int32(parts[0].count), Int32(rows.count)]
            let result = try piece(rows)(bounds: bounds, memory: memory, keepsMemory: true, chunk: 16)
            memory = result.memory
            for (place, row) in rows.enumerated() { found[row] = try result.outputs.selected(0, place) }
        }
        for row in 0..<100 { #expect(try difference(#require(found[row]), whole.outputs.selected(0, row)) <= 1e-12) }
        #expect(try difference(#require(memory), whole.memory) <= 1e-12)
    }

    /// A published Qwen3.5: the text model below a name of its own, a part for pictures, layers for further tokens.
    @Test func theTextPartOfAModelOfSeveralPartsIsRead() throws {
        let fixture = try Fixture("models/qwen3.5")
        let store = try ModelWeights(folder: fixture.folder.path)
        var sources: [WeightSource] = []
        for name in store.tensorNames {
            let full = "model.language_model." + name.dropFirst("model.".count)
            sources.append(WeightSource(full, try store.tensor(name, dtype: .float32, device: .cpu).tensor))
        }
        for name in ["model.visual.blocks.0.norm1.weight", "model.visual.patch_embed.proj.bias", "mtp.norm.weight"] {
            sources.append(WeightSource(name, try Tensor.zeros([3])))
        }
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try SafetensorsWriter.write(sources, to: path)
        var text = try #require(Fixture.json("models/qwen3.5/config.json").objectValue)
        for key in ["architectures", "torch_dtype", "tie_word_embeddings"] { text[key] = nil }
        let config: JSONValue = [
            "architectures": ["Qwen3_5ForConditionalGeneration"], "model_type": "qwen3_5", "text_config": .object(text),
            "vision_config": ["depth": 1], "image_token_id": 5, "tie_word_embeddings": true, "dtype": "float32",
        ]
        let model = try Models.registry.model(config)
        #expect(model.trunk.notices == [] && model.architecture == "Qwen3_5ForCausalLM")
        try model.loadWeights(SafetensorsFile(path: path), dtype: .float32, device: .cpu)
        let notices = model.trunk.notices.joined(separator: "\n")
        #expect(notices.contains("2 tensors under model.visual.*") && notices.contains("1 tensors under mtp.*"))
        let logits = try withoutGradients { try model.outputs(fixture.batch()).logits }
        let expected = try concatenated((0..<3).map { try fixture.tensor("logits.\($0)") })
        #expect(try difference(logits, expected) <= 1e-5)
        // What is saved is a text model, under its own names.
        let saved = Models.registry.textConfiguration(config)
        #expect(saved["model_type"] == "qwen3_5_text" && saved["architectures"] == ["Qwen3_5ForCausalLM"])
        #expect(saved["vision_config"] == nil && saved["tie_word_embeddings"] == true)
        #expect(Set(model.parameters().map(\.name)) == Set(store.tensorNames))
    }

    @Test func keysAndValuesInFrontAreRefused() throws {
        let model = try Fixture.model("qwen3.5")
        var settings = AdapterSettings()
        settings.modelType = "qwen3_5_text"
        let attached = try PrefixTuningConfiguration(settings).attach(
            to: model, heads: model.headNames, trunk: model.trunk.name)
        try attached.materialize(dtype: .float32, device: .cpu, seed: 1)
        let error = #expect(throws: TorchError.self) { try model.outputs(Fixture("models/qwen3.5").batch()) }
        #expect(error?.message.contains("in front of which no keys and values can lie") == true)
    }
}
