import Foundation
import Testing

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Families read from files of other kinds, and configurations that must not be passed over.
struct FamilyFileTests {
    static let files: [String] = {
        let path = Fixture.root.appendingPathComponent("gguf/families").path
        return ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }()

    @Test func thereAreFiles() { #expect(Self.files.count >= 11) }

    /// The scores of a fixture's texts from weights in another file are those of `transformers` from its own.
    private static func distance(_ model: CausalLanguageModel, _ fixture: Fixture) throws -> Double {
        try withoutGradients {
            let batch = fixture.batch()
            let context = try model.context(for: batch)
            let logits = try model.logits(model.hiddenStates(batch, context), context)
            var worst = 0.0
            for index in 0..<batch.sequenceCount {
                let (start, end) = (Int(batch.boundaries[index]), Int(batch.boundaries[index + 1]))
                let part = try logits.narrowed(0, start: start, length: end - start)
                worst = try max(worst, difference(part, fixture.tensor("logits.\(index)")))
            }
            return worst
        }
    }

    @Test(arguments: files) func ggufFilesAnswerAsTheirModels(file: String) throws {
        let name = String(file.dropLast(".gguf".count))
        let path = Fixture.root.appendingPathComponent("gguf/families/\(file)").path
        let source = try GGUFModel(GGUFFile(path: path))
        let model = try Models.registry.model(source.config)
        try model.loadWeights(SplitExperts(source) ?? source, dtype: .float32, device: .cpu)
        #expect(source.unusedKeys == [])
        let distance = try Self.distance(model, Fixture("models/\(name)"))
        print("gguf \(name): logits \(distance)")
        #expect(distance <= 1e-5)
    }

    /// `transformers` 5 keeps the experts of a layer in one tensor, gate above up.
    @Test func expertsInOneTensorAnswerAsExpertsOfTheirOwn() throws {
        let fixture = try Fixture("models/qwen3-moe")
        let store = try ModelWeights(folder: fixture.folder.path)
        func weight(_ name: String) throws -> Tensor {
            try store.tensor(name, dtype: .float32, device: .cpu).tensor
        }
        var sources: [WeightSource] = []
        for name in store.tensorNames where !name.contains(".experts.") {
            sources.append(WeightSource(name, try weight(name)))
        }
        for layer in 0..<2 {
            let prefix = "model.layers.\(layer).mlp.experts"
            let both = try (0..<4).map { expert in
                try concatenated(["gate_proj", "up_proj"].map { try weight("\(prefix).\(expert).\($0).weight") })
            }
            sources.append(WeightSource("\(prefix).gate_up_proj", try stacked(both)))
            let down = try (0..<4).map { try weight("\(prefix).\($0).down_proj.weight") }
            sources.append(WeightSource("\(prefix).down_proj", try stacked(down)))
        }
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try SafetensorsWriter.write(sources, to: path)
        let fused = try SafetensorsFile(path: path)
        let model = try Models.registry.model(Fixture.json("models/qwen3-moe/config.json"))
        let split = try #require(try SplitExperts(fused))
        try model.loadWeights(split, dtype: .float32, device: .cpu)
        #expect(try Self.distance(model, fixture) <= 1e-5)
        #expect(try SplitExperts(store) == nil)
    }

    /// No key of a configuration, in either spelling, is left out of what is computed.
    @Test(arguments: ParityTests.models) func configurationsAreUnderstood(name: String) throws {
        for file in ["config.json", "config.transformers5.json"] {
            let model = try Models.registry.model(Fixture.json("models/\(name)/\(file)"))
            #expect(model.trunk.notices == [], "\(file)")
        }
    }

    private static let refusals: [(name: String, key: String, value: JSONValue)] = [
        ("qwen3-moe", "output_router_logits", true),
        ("mixtral", "router_jitter_noise", 0.1),
        ("qwen2-moe", "num_experts_per_tok", 5),
        ("phi3", "resid_pdrop", 0.1),
        ("phi3-longrope", "rope_scaling", ["type": "longrope", "short_factor": [1, 2], "long_factor": [1, 2]]),
        ("phi3-longrope", "partial_rotary_factor", 1.5),
        ("smollm3", "partial_rotary_factor", 0.5),
        ("olmo2", "rope_parameters", ["full_attention": ["rope_type": "default"]]),
        ("gemma", "use_bidirectional_attention", true),
        ("gemma2", "attn_logit_softcapping", 0),
        ("gemma2", "hidden_activation", "mish"),
        ("gemma3", "use_bidirectional_attention", true),
        ("gemma3", "layer_types", ["full_attention"]),
        ("deepseek-v2", "norm_topk_prob", true),
        ("deepseek-v2", "topk_method", "noaux_tc"),
        ("deepseek-v3", "scoring_func", "softmax"),
        ("deepseek-v3", "n_group", 3),
        ("deepseek-v3", "moe_layer_freq", 2),
        ("minicpm", "num_experts", 8),
        ("baichuan2-7b-kind", "z_loss_weight", 0.01),
        ("chatglm", "rmsnorm", false),
        ("chatglm", "pre_seq_len", 16),
    ]

    @Test func whatIsNotThereIsRefusedByName() throws {
        for (name, key, value) in Self.refusals {
            var config = try #require(Fixture.json("models/\(name)/config.json").objectValue)
            config[key] = value
            let json = JSONValue.object(config)
            let error = #expect(throws: ModelError.self, "\(name), \(key)") { try Models.registry.model(json) }
            let named = key == "rope_parameters" ? "full_attention" : key == "rope_scaling" ? "short_factor" : key
            #expect(error?.description.contains(named) == true, "\(error?.description ?? key)")
        }
    }

    /// EmbeddingGemma: each token sees both sides, in layers with a window half of it to either side.
    @Test func aGemmaThatSeesBothSidesGivesTheHiddenStatesOfTransformers() throws {
        let folder = Fixture.root.appendingPathComponent("both-sides")
        let expected = try SafetensorsFile(path: folder.appendingPathComponent("hidden.safetensors").path)
        let model = try Models.registry.model(Fixture.json("both-sides/config.json"), for: .hiddenStates)
        #expect(!model.trunk.isCausal && model.architecture == "Gemma3TextModel" && model.trunk.notices == [])
        try model.loadWeights(ModelWeights(folder: folder.path), dtype: .float32, device: .cpu)
        let rows = try Fixture.json("both-sides/sequences.json").arrayValue ?? []
        let batch = TokenBatch(rows.map { ($0.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) } })
        try withoutGradients {
            let hidden = try model.hiddenStates(batch, model.context(for: batch))
            for index in 0..<batch.sequenceCount {
                let (start, end) = (Int(batch.boundaries[index]), Int(batch.boundaries[index + 1]))
                let theirs = try expected.tensor("hidden.\(index)", dtype: .float32, device: .cpu).tensor
                #expect(try difference(hidden.narrowed(0, start: start, length: end - start), theirs) <= 1e-5)
            }
        }
    }

    /// A text that outgrows the short frequencies is read anew, so that a cached answer is that of whole passes.
    @Test func longTextsTurnAnew() throws {
        let model = try Fixture.model("phi3-longrope")
        #expect(!model.mustReadAnew(at: 16) && model.mustReadAnew(at: 17) && !model.mustReadAnew(at: 18))
    }

    /// Experts that got no tokens have a gradient of zeros, as in one tensor of all experts.
    @Test func expertsWithoutTokensHaveGradients() throws {
        let model = try Fixture.model("qwen3-moe")
        try model.setTrainable(true)
        let batch = TokenBatch([[5, 6]], targets: TokenTargets(rows: [0], labels: [6]))
        let context = try model.context(for: batch)
        let rows = try model.hiddenStates(batch, context).indexed(0, Tensor(batch.targets.rows))
        try model.head.crossEntropy(rows, labels: Tensor(batch.targets.labels), context).loss.backward()
        var idle = 0
        for (name, slot) in model.parameters() where name.contains(".experts.") {
            let gradient = try #require(slot.tensor?.gradient, "\(name)")
            if try abs(gradient).max().item() == 0 { idle += 1 }
        }
        #expect(idle > 0)
    }
}
