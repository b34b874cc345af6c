import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Other files and configurations of the decoders that `ParityTests` compares with `transformers`, and what they refuse.
struct LayerNormDecoderTests {
    /// A configuration of the fixtures with other keys; a key without a value is taken out.
    private static func config(_ name: String, _ changes: [String: JSONValue?]) throws -> JSONValue {
        var config = try #require(Fixture.json("models/\(name)/config.json").objectValue)
        for (key, value) in changes { config[key] = value }
        return .object(config)
    }

    private static func logits(_ model: CausalLanguageModel, _ name: String) throws -> Tensor {
        try withoutGradients { try model.outputs(Fixture("models/\(name)").batch()).logits }
    }

    /// The model of a configuration with the fixture's weights under other names.
    private static func model(
        _ name: String, _ changes: [String: JSONValue?] = [:], adding extra: [String] = [],
        renaming: (String) -> String = { $0 }
    ) throws -> CausalLanguageModel {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let own = try ModelWeights(folder: Fixture.root.appendingPathComponent("models/\(name)").path)
        let sources = try own.tensorNames.map { stored in
            WeightSource(renaming(stored), try own.tensor(stored, dtype: .float32, device: .cpu).tensor)
        }
        let buffers = try extra.map { WeightSource($0, try Tensor.ones([1, 1, 4, 4])) }
        try SafetensorsWriter.write(sources + buffers, to: folder.appendingPathComponent("model.safetensors").path)
        let model = try Models.registry.model(config(name, changes))
        try model.loadWeights(ModelWeights(folder: folder.path), dtype: .float32, device: .cpu)
        return model
    }

    /// As files on the hub have them: without the name of the trunk, with the buffers of old versions, and with the head
    /// under its name in memory.
    @Test(arguments: [
        ("bloom", "transformer.", [String]()), ("gpt2", "transformer.", ["h.0.attn.bias"]),
        ("gpt-neo", "transformer.", ["h.1.attn.attention.bias", "h.1.attn.attention.masked_bias"]),
        ("opt", "model.", []), ("gpt2-scaled", "transformer.", []), ("falcon-40b-kind", "transformer.", []),
        ("mpt", "transformer.", []),
    ])
    func filesWithoutTheTrunksName(name: String, prefix: String, extra: [String]) throws {
        let model = try Self.model(name, adding: extra) {
            $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : $0
        }
        #expect(try Self.logits(model, name).equals(Self.logits(Fixture.model(name), name)))
    }

    @Test func theHeadOfGPTNeoXHasTwoNames() throws {
        let buffers = ["attention.bias", "attention.masked_bias", "attention.rotary_emb.inv_freq"]
        let model = try Self.model("gpt-neox", adding: buffers.map { "gpt_neox.layers.0.\($0)" }) {
            $0 == "embed_out.weight" ? "lm_head.weight" : $0
        }
        #expect(try Self.logits(model, "gpt-neox").equals(Self.logits(Fixture.model("gpt-neox"), "gpt-neox")))
        #expect(model.parameters().contains { $0.name == "embed_out.weight" })
    }

    /// PEFT calls it as transformers 5 does.
    @Test(arguments: ["embed_out", "lm_head"]) func adaptersThatHoldTheHeadOfGPTNeoX(head: String) throws {
        func attached() throws -> AttachedAdapter {
            var settings = AdapterSettings()
            settings.modelType = "gpt_neox"
            settings.targets = .automatic
            var method = try LoRAConfiguration(settings)
            method.base.modulesToSave = [head]
            let adapter = try method.attach(to: Fixture.model("gpt-neox"), heads: ["embed_out"], trunk: "gpt_neox")
            try adapter.materialize(dtype: .float32, device: .cpu, seed: 3)
            return adapter
        }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let first = try attached()
        try first.parameters.first { $0.name == "base_model.model.embed_out.weight" }?.slot.fill(Tensor.ones([96, 32]))
        let configuration = try first.configurationText()
        #expect(configuration.contains("\"lm_head\"") && !configuration.contains("embed_out"))
        let tensors = try first.weightSources()
        #expect(tensors.contains { $0.name == "base_model.model.lm_head.weight" })
        try SafetensorsWriter.write(tensors, to: folder.appendingPathComponent(AdapterFiles.weightsName).path)
        let second = try attached()
        try second.load(from: folder.path, device: .cpu)
        for (a, b) in zip(first.parameters, second.parameters) {
            #expect(try #require(a.slot.tensor).equals(#require(b.slot.tensor)), "\(a.name)")
        }
    }

    /// Of the norms that PEFT names for Falcon each model has some.
    @Test(arguments: [
        ("falcon-7b-kind", ["transformer.h.0.input_layernorm", "transformer.h.1.input_layernorm", "transformer.ln_f"]),
        ("falcon-40b-kind", ["transformer.ln_f"]),
    ])
    func normsOfFalcon(name: String, wanted: [String]) throws {
        var settings = AdapterSettings()
        settings.modelType = "falcon"
        settings.targets = .automatic
        let adapter = try LNTuningConfiguration(settings).attach(to: Fixture.model(name), trunk: "transformer")
        #expect(adapter.parts.map(\.path) == wanted)
    }

    /// PEFT's prefixes have a key for each head, and its caches for these models do not.
    @Test(arguments: ["falcon-7b-kind", "falcon-40b-kind"]) func falconsThatShareKeysHaveNoPrefix(name: String) throws {
        var settings = AdapterSettings()
        settings.modelType = "falcon"
        let method = try PrefixTuningConfiguration(settings)
        let error = #expect(throws: AdapterError.self) {
            try method.attach(to: Fixture.model(name), trunk: "transformer")
        }
        #expect(error.map { "\($0)".contains("share a key") } == true)
        _ = try method.attach(to: Fixture.model("falcon-rw-kind"), trunk: "transformer")
    }

    /// What `config.json` said before transformers had the model.
    @Test func theFirstSpellingOfFalcon() throws {
        let keys: [String: JSONValue?] = [
            "num_hidden_layers": .some(nil), "num_attention_heads": .some(nil), "n_layer": 2, "n_head": 4,
        ]
        let small = keys.merging(["model_type": "RefinedWebModel"]) { $1 }
        let large = keys.merging([
            "model_type": "RefinedWeb", "n_head_kv": 2, "num_kv_heads": .some(nil),
            "new_decoder_architecture": .some(nil), "hidden_size": .some(nil), "n_embed": 32,
        ]) { $1 }
        for (name, changes) in [("falcon-7b-kind", small), ("falcon-40b-kind", large)] {
            #expect(try Self.logits(Self.model(name, changes), name).equals(Self.logits(Fixture.model(name), name)))
        }
    }

    @Test func theFirstSpellingOfBLOOM() throws {
        let changes: [String: JSONValue?] = [
            "hidden_size": .some(nil), "n_embed": 36, "n_head": .some(nil), "num_attention_heads": 6,
        ]
        #expect(
            try Self.logits(Self.model("bloom", changes), "bloom").equals(Self.logits(Fixture.model("bloom"), "bloom")))
    }

    /// Every key of a configuration that says something of numbers is understood.
    @Test func configurationsAreUnderstood() throws {
        let families = [
            "bloom", "falcon", "gpt_neo", "gpt_neox", "gptj", "mpt", "opt", "stablelm", "starcoder2", "yuan",
        ]
        let tiny = try ParityTests.models.map { ($0, try Fixture.json("models/\($0)/config.json")) }
        let published = CountTests.published.map { ($0.key, $0.value["config"] ?? .null) }
        let all = (tiny + published).filter { families.contains($0.1["model_type"]?.stringValue ?? "") }
        #expect(all.count >= 30)
        for (name, config) in all {
            #expect(try Models.registry.model(config).trunk.notices == [], "\(name)")
        }
    }

    @Test func slopesOfALiBi() {
        #expect(ALiBi.slopes(heads: 4) == [0.25, 0.0625, 0.015625, 0.00390625])
        #expect(ALiBi.slopes(heads: 6) == [0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125])
        let twelve = ALiBi.slopes(heads: 12)
        #expect(twelve.prefix(8) == [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625])
        for (slope, wanted) in zip(twelve.dropFirst(8), [0.707107, 0.353553, 0.176777, 0.088388] as [Float]) {
            #expect(Swift.abs(slope - wanted) < 1e-6)
        }
        let forty = ALiBi.slopes(heads: 40)
        #expect(forty.count == 40 && Swift.abs(forty[0] - 0.840896) < 1e-6)
        #expect(ALiBi.slopes(heads: 4, range: 16) == [0.0625, 0.00390625, 0.000244140625, 0.0000152587890625])
    }

    /// Falcon rounds slopes, places and their products to bfloat16 in every type, which 4 heads and few tokens do not show.
    ///
    /// The numbers are those of `build_alibi_tensor` of transformers 5.24: where keys are all alike, the mean place, as a
    /// share of 300, that the last of 300 and of 280 tokens sees by heads 0, 1, 2, 6, 16 and 31 of 32. Without
    /// rounding the first would be 0.9902888.
    @Test(arguments: [DType.float64, .float32]) func falconRoundsWhatALiBiAdds(dtype: DType) throws {
        let changes: [String: JSONValue?] = ["num_attention_heads": 32, "hidden_size": 128]
        let fields = try FalconConfig(ModelConfig(Self.config("falcon-rw-kind", changes)))
        let options = fields.attentionOptions
        #expect(options.scale == 0.5 && options.slopes == ALiBi.slopes(heads: 32))
        let bounds: [Int32] = [0, 300, 580]
        let nothing = try Tensor.zeros([580, 32, 4], dtype: dtype)
        let places = (Array(0..<300) + Array(0..<280)).map { Double($0) / 300 }
        let values = try Tensor(places, shape: [580, 1, 1]).to(dtype) + nothing
        let heads = try Tensor([0, 1, 2, 6, 16, 31] as [Int32])
        let wanted = [
            try Tensor([0.9908554, 0.9896804, 0.987518, 0.9761773, 0.8718811, 0.5468846] as [Double]),
            try Tensor([0.9241876, 0.9232629, 0.9201869, 0.909373, 0.8051813, 0.5073241] as [Double]),
        ]
        func expect(_ y: Tensor, _ row: Int, _ wanted: Tensor) throws {
            let made = try y.selected(0, row).indexed(0, heads).selected(1, 0).to(.float64)
            #expect(try abs(made - wanted).max().item() < (dtype == .float64 ? 1e-6 : 1e-5))
        }
        let whole = try attention(
            nothing, nothing, values, queries: SequenceSpans(bounds), keys: SequenceSpans(bounds), isCausal: true,
            options)
        try expect(whole, 299, wanted[0])
        try expect(whole, 579, wanted[1])
        let last = try attention(
            nothing.narrowed(0, start: 0, length: 2), nothing, values, queries: SequenceSpans([0, 1, 2]),
            keys: SequenceSpans(bounds), isCausal: true, options)
        try expect(last, 0, wanted[0])
        try expect(last, 1, wanted[1])
    }

    /// In pieces of several lengths, with a sequence that ends before the other, the rows are those of the whole texts.
    @Test(arguments: ["yuan", "yuan-odd-heads", "gpt-neo", "bloom", "falcon-rw-kind", "gptj", "opt-350m-kind"])
    func aCachedForwardEqualsTheWholeOne(name: String) throws {
        let fixture = try Fixture("models/\(name)")
        let model = try Fixture.model(name)
        try withoutGradients {
            let state = ModelState(sequences: 3)
            let texts = (0..<3).map { fixture.batch($0).tokens }
            var expected: [Tensor] = []
            for index in 0..<3 { expected.append(try fixture.tensor("logits.\(index)")) }
            // Which sequences go on, and to which length.
            let pieces: [[(text: Int, end: Int)]] = [
                [(0, 1), (1, 9), (2, 2)], [(0, 2), (1, 10), (2, 5)], [(0, 3), (1, 17)], [(0, 7), (1, 18)],
                [(1, 40)],
            ]
            var seen = [0, 0, 0]
            var active = [0, 1, 2]
            for piece in pieces {
                let going = piece.map(\.text)
                if going != active { try state.keep(going.compactMap(active.firstIndex)) }
                active = going
                let batch = TokenBatch(
                    continuing: piece.map { (Array(texts[$0.text][seen[$0.text]..<$0.end]), seen[$0.text]) })
                let context = try model.context(for: batch, state: state)
                let logits = try model.logits(model.hiddenStates(batch, context), context)
                for (index, (text, end)) in piece.enumerated() {
                    let (first, next) = (Int(batch.boundaries[index]), Int(batch.boundaries[index + 1]))
                    let ours = try logits.narrowed(0, start: first, length: next - first)
                    let theirs = try expected[text].narrowed(0, start: seen[text], length: next - first)
                    #expect(try difference(ours, theirs) <= 1e-5)
                    seen[text] = end
                }
            }
            #expect(seen == [7, 40, 5])
        }
    }

    @Test func textsOfYuanEndWithTheirDocument() throws {
        let model = try Self.model("yuan", ["reset_attention_mask": true])
        func pass(_ ids: [Int32], continued: Bool = false) throws {
            let batch = TokenBatch(continuing: [(ids, 0)])
            let state = continued ? ModelState(sequences: 1) : nil
            _ = try model.hiddenStates(batch, model.context(for: batch, state: state))
        }
        try withoutGradients {
            try pass([5, 6, 2])
            try pass([5, 6], continued: true)
            #expect(throws: ModelError.self) { try pass([5, 2, 6]) }
            #expect(throws: ModelError.self) { try pass([5, 6, 2], continued: true) }
        }
    }

    @Test(arguments: [
        ("gpt-neo", "attention_types", #"[[["global", "local"], 1]]"#), ("gpt-neo", "activation_function", #""mish""#),
        ("gpt-neo", "num_heads", "5"), ("gpt-neo", "attention_types", #"[[["global", "dilated", "local"], 1]]"#),
        ("opt", "layerdrop", "0.1"), ("opt", "layer_norm_elementwise_affine", "false"),
        ("yuan", "use_shareqk", "true"), ("yuan", "use_loss_mask", "true"), ("yuan", "causal_mask", "false"),
        ("bloom", "slow_but_exact", "true"), ("falcon-40b-kind", "parallel_attn", "false"),
        ("falcon-7b-kind", "num_ln_in_parallel_attn", "2"),
        ("falcon-7b-kind", "apply_residual_connection_post_layernorm", "true"), ("gptj", "rotary_dim", "10"),
        ("gptj", "rotary_dim", "3"), ("starcoder2", "mlp_type", #""swiglu""#), ("stablelm", "hidden_act", #""relu""#),
        ("mpt", "no_bias", "false"), ("mpt", "logit_scale", #""inv_sqrt_d_model""#),
        ("mpt", "norm_type", #""rmsnorm""#), ("mpt", "attn_config", #"{"alibi": false}"#),
        ("mpt", "attn_config", #"{"qk_ln": true}"#), ("mpt", "attn_config", #"{"prefix_lm": true}"#),
    ])
    func whatIsNotThereIsRefused(name: String, key: String, value: String) throws {
        let value = try JSONValue(parsing: Data(value.utf8))
        let error = #expect(throws: ModelError.self) {
            try Models.registry.model(Self.config(name, [key: value]))
        }
        let named = value.objectValue?.keys.first ?? (key == "num_ln_in_parallel_attn" ? "num_ln" : key)
        #expect(error?.description.contains(named) == true)
    }
}
