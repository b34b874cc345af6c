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
    static let files = names(in: "gguf/families")
    /// Of families that are read and not written.
    static let latentFiles = names(in: "gguf/latent")

    private static func names(in folder: String) -> [String] {
        let path = Fixture.root.appendingPathComponent(folder).path
        return ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    @Test func thereAreFiles() { #expect(Self.files.count >= 11 && Self.latentFiles.count == 3) }

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

    private static func gguf(_ file: String) throws -> GGUFModel {
        try GGUFModel(GGUFFile(path: Fixture.root.appendingPathComponent("gguf/families/\(file)").path))
    }

    /// The difference of what a model of `source` answers from what `transformers` does.
    private static func distance(_ source: GGUFModel, _ fixture: Fixture) throws -> Double {
        let model = try Models.registry.model(source.config)
        try model.loadWeights(SplitExperts(source) ?? source, dtype: .float32, device: .cpu)
        #expect(model.trunk.notices == [] && source.unusedKeys == [])
        return try distance(model, fixture)
    }

    @Test(arguments: files) func ggufFilesAnswerAsTheirModels(file: String) throws {
        let name = String(file.dropLast(".gguf".count))
        let distance = try Self.distance(Self.gguf(file), Fixture("models/\(name)"))
        print("gguf \(name): logits \(distance)")
        #expect(distance <= 1e-5)
    }

    /// Keys and values of a latent come from one matrix or from two; the model has one.
    @Test(arguments: latentFiles) func latentAttentionIsRead(file: String) throws {
        let path = Fixture.root.appendingPathComponent("gguf/latent/\(file)").path
        let (source, name) = (try GGUFModel(GGUFFile(path: path)), String(file.dropLast(".gguf".count)))
        let distance = try Self.distance(source, Fixture("models/\(name)"))
        print("gguf \(name): logits \(distance)")
        #expect(distance <= 1e-5)
        let expected = try Fixture.json("models/\(name)/config.json")
        for key in [
            "q_lora_rank", "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "n_routed_experts",
            "n_shared_experts", "num_experts_per_tok", "moe_intermediate_size", "first_k_dense_replace",
            "num_key_value_heads", "routed_scaling_factor",
        ] {
            let value: JSONValue? = expected[key]
            #expect(value != nil && source.config[key] == value, "\(key)")
        }
        let stored = try SafetensorsFile(
            path: Fixture.root.appendingPathComponent("models/\(name)/model.safetensors").path)
        let matrix = "model.layers.0.self_attn.kv_b_proj.weight"
        let values = try stored.tensor(matrix, dtype: .float32, device: .cpu).tensor.values(as: Float.self)
        #expect(try source.dequantized(matrix) == values)
    }

    /// A copy of a file with some bytes replaced by as many others.
    private static func changed(_ file: String, _ changes: [(from: String, to: String)]) throws -> GGUFModel {
        let path = Fixture.root.appendingPathComponent("gguf/latent/\(file)")
        var data = try Data(contentsOf: path)
        for (from, to) in changes {
            data.replaceSubrange(try #require(data.range(of: Data(from.utf8))), with: Data(to.utf8))
        }
        let copy = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).gguf")
        defer { try? FileManager.default.removeItem(at: copy) }
        try data.write(to: copy)
        return try GGUFModel(GGUFFile(path: copy.path))
    }

    @Test(arguments: ["deepseek-v2.gguf", "deepseek-v3.gguf"]) func aHalfOfTheMatrixIsNone(file: String) {
        #expect {
            // A tensor that is passed over.
            try Self.changed(file, [("blk.1.attn_v_b.weight", "blk.1.attn_rot_embd.w")])
        } throws: {
            "\($0)".contains("does not go with blk.1.attn_v_b.weight")
        }
    }

    /// Where a file of DeepSeek-V3 says nothing of groups, all experts are one group, as for llama.cpp: the defaults of
    /// `config.json`, eight groups, are not meant.
    @Test func expertsWithoutGroupsAreOne() throws {
        let file = "deepseek-v3.gguf"
        let source = try Self.changed(
            file,
            [
                ("deepseek2.expert_group_count", "deepseek2.unread_number_nr_1"),
                ("deepseek2.expert_group_used_count", "deepseek2.a_second_unread_number0"),
            ])
        #expect(source.config["n_group"] == 1 && source.config["topk_group"] == 1)
        func scores(_ config: JSONValue) throws -> [Float] {
            let model = try Models.registry.model(config)
            try model.loadWeights(SplitExperts(source) ?? source, dtype: .float32, device: .cpu)
            return try withoutGradients {
                let batch = try Fixture("models/deepseek-v3").batch()
                let context = try model.context(for: batch)
                return try model.logits(model.hiddenStates(batch, context), context).values(as: Float.self)
            }
        }
        var fields = try #require(try Fixture.json("models/deepseek-v3/config.json").objectValue)
        let grouped = try scores(.object(fields))
        (fields["n_group"], fields["topk_group"]) = (1, 1)
        let ungrouped = try scores(.object(fields))
        #expect(ungrouped != grouped)
        #expect(try scores(source.config) == ungrouped)
    }

    @Test func latentAttentionIsNotWritten() throws {
        let model = try Fixture.model("deepseek-v2")
        #expect {
            try Self.description(model, Fixture.json("models/deepseek-v2/config.json"))
        } throws: {
            "\($0)".contains("models of type \"deepseek_v2\" are not written as GGUF")
        }
    }

    private static func description(
        _ model: CausalLanguageModel, _ config: JSONValue, type: GGUFFileType = .f32
    ) throws -> GGUFDescription {
        let sizes = model.sizes
        return try GGUFDescription(
            config,
            sizes: GGUFDescription.Sizes(
                vocabulary: sizes.vocabulary, width: sizes.width, feedForward: sizes.hidden, layers: sizes.layers,
                heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headSize: sizes.headSize,
                context: model.trunk.maximumLength), type: type, path: "model.gguf")
    }

    private static func written(
        _ model: CausalLanguageModel, _ config: JSONValue, type: GGUFFileType = .f32
    ) throws -> GGUFModel {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).gguf").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let tensors = model.parameters().compactMap { name, slot in slot.tensor.map { (name, $0) } }
        try GGUFConversion(tensors, description(model, config, type: type), type: type, to: path)
            .write(general: [("general.name", .string("\(config["model_type"]?.stringValue ?? "")"))], tokenizer: [])
        return try GGUFModel(GGUFFile(path: path))
    }

    /// Names, shapes, elements and metadata of a written file are those of the converter's, whatever the spelling of
    /// `config.json`.
    @Test(arguments: files, ["config.json", "config.transformers5.json"])
    func whatIsWrittenIsWhatAConverterWrites(file: String, config: String) throws {
        let name = String(file.dropLast(".gguf".count))
        let model = try Fixture.model(name, config: config)
        let (ours, theirs) = (try Self.written(model, Fixture.json("models/\(name)/\(config)")), try Self.gguf(file))
        #expect(Set(ours.file.tensors.map(\.name)) == Set(theirs.file.tensors.map(\.name)))
        for tensor in theirs.file.tensors {
            #expect(ours.file[tensor.name]?.shape == tensor.shape, "\(tensor.name)")
            #expect(try ours.file.dequantized(tensor.name) == theirs.file.dequantized(tensor.name), "\(tensor.name)")
        }
        for (key, value) in theirs.file.metadata { #expect(ours.file.metadata[key] == value, "\(key)") }
        // Beside the type of the file we say defaults: the base of RoPE, and the width of heads.
        let added = ours.file.metadata.keys.filter { theirs.file.metadata[$0] == nil && !$0.hasPrefix("general.") }
        #expect(added.allSatisfy { $0.hasSuffix("rope.freq_base") || $0.hasSuffix("_length") }, "\(added)")
        #expect(try Self.distance(ours, Fixture("models/\(name)")) <= 1e-5)
        let (expected, read) = (try #require(theirs.config.objectValue), ours.config)
        for (key, value) in expected { #expect(read[key] == value, "\(key)") }
    }

    /// A file that is read and written again is the same.
    @Test(arguments: files) func filesComeBackBitByBit(file: String) throws {
        let original = try Self.gguf(file)
        let model = try Models.registry.model(original.config)
        try model.loadWeights(SplitExperts(original) ?? original, dtype: .float32, device: .cpu)
        let copy = try Self.written(model, original.config)
        #expect(copy.config == original.config)
        for entry in original.entries {
            #expect(copy[entry.name]?.shape == entry.shape)
            #expect(try copy.dequantized(entry.name) == original.dequantized(entry.name), "\(entry.name)")
        }
    }

    @Test func whatChoosesExpertsKeepsAllItsBits() throws {
        let model = try Fixture.model("qwen2-moe")
        let copy = try Self.written(model, Fixture.json("models/qwen2-moe/config.json"), type: .q8_0)
        for name in ["ffn_gate_inp", "ffn_gate_inp_shexp", "attn_norm"] {
            #expect(copy.file["blk.1.\(name).weight"]?.type == .f32)
        }
        #expect(copy.file["blk.1.ffn_gate_exps.weight"]?.type == .q8_0)
        // Rows of 16 fit into no block.
        #expect(copy.file["blk.1.ffn_down_exps.weight"]?.type == .f16)
        let split = try #require(try SplitExperts(copy))
        for expert in 0..<4 {
            let name = "model.layers.1.mlp.experts.\(expert).up_proj.weight"
            let slot = try #require(model.parameters().first { $0.name == name }?.slot.tensor)
            let read = try split.tensor(name, dtype: .float32, device: .cpu).tensor
            let largest = try abs(slot).max().item()
            #expect(try difference(read, slot) <= 0.01 * largest)
        }
    }

    private static let unsayable: [(name: String, key: String, value: JSONValue?)] = [
        ("gemma", "attention_bias", true),
        ("gemma2", "query_pre_attn_scalar", 12),
        ("gemma2", "attn_logit_softcapping", .null),
        ("gemma2", "layer_types", ["full_attention", "sliding_attention", "full_attention"]),
        ("gemma3", "sliding_window", .null),
        ("gemma3", "attn_logit_softcapping", 30.0),
        ("gemma3", "rope_parameters", ["sliding_attention": ["rope_type": "linear", "factor": 2.0]]),
        ("granite", "partial_rotary_factor", 0.5),
        ("olmo2", "attention_bias", true),
        ("phi3", "rope_scaling", ["rope_type": "yarn", "factor": 2.0]),
        ("phi3-longrope", "rope_scaling", ["rope_type": "longrope", "short_factor": [1], "long_factor": [1]]),
        ("qwen2-moe", "decoder_sparse_step", 2),
        ("qwen2-moe", "mlp_only_layers", [0]),
        ("qwen2-moe", "qkv_bias", false),
        ("qwen3-moe", "norm_topk_prob", nil),
        ("qwen3-moe", "num_experts", nil),
        ("falcon-7b-kind", "alibi", true),
        ("falcon-40b-kind", "bias", true),
        ("glm4", "rope_scaling", ["rope_type": "llama3", "factor": 2.0]),
        ("gpt-neox", "hidden_act", "relu"),
        ("gpt-neox", "attention_bias", false),
        ("minicpm", "attention_bias", true),
        ("smollm3", "no_rope_layers", [1, 1, 0, 1]),
        ("smollm3", "no_rope_layer_interval", 2),
    ]

    @Test func whatAFileCannotSayIsRefusedByName() throws {
        for (name, key, value) in Self.unsayable {
            let model = try Fixture.model(name)
            var config = try #require(Fixture.json("models/\(name)/config.json").objectValue)
            config[key] = value
            let error = #expect(throws: WeightsError.self, "\(name), \(key)") {
                try Self.description(model, .object(config))
            }
            let named = key == "no_rope_layer_interval" ? "no_rope_layers" : key
            let short = key == "rope_scaling" && name == "phi3-longrope" ? "long_factor" : named
            #expect(error?.description.contains(short) == true, "\(error?.description ?? key)")
        }
    }

    /// Lists of kinds of layers that say the usual.
    @Test func listsOfLayersAreUnderstood() throws {
        func periods(_ name: String, _ key: String, _ list: JSONValue) throws -> [GGUFTypedValue] {
            let model = try Fixture.model(name)
            var config = try #require(Fixture.json("models/\(name)/config.json").objectValue)
            config[key] = list
            return try Self.description(model, .object(config)).metadata
                .filter { $0.key.hasSuffix("sliding_window_pattern") }.map(\.value)
        }
        let (slides, full) = (JSONValue.string("sliding_attention"), JSONValue.string("full_attention"))
        #expect(try periods("gemma2", "layer_types", [slides, full, slides]) == [])
        #expect(try periods("gemma3", "layer_types", [slides, full, slides, full, slides, full]) == [.uint32(2)])
        #expect(try periods("gemma3", "layer_types", [slides, slides, slides, slides, slides, full]) == [])
        #expect(try periods("smollm3", "no_rope_layers", [1, 1, 1, 0]) == [])
    }

    /// No key of a configuration, in either spelling, is left out of what is computed.
    @Test(arguments: ParityTests.models) func configurationsAreUnderstood(name: String) throws {
        for file in ["config.json", "config.transformers5.json"] {
            let model = try Models.registry.model(Fixture.json("models/\(name)/\(file)"))
            #expect(model.trunk.notices == [], "\(file)")
        }
    }

    private static let refusals: [(name: String, key: String, value: JSONValue)] = [
        ("qwen3-next", "layer_types", ["full_attention", "sliding_attention"]),
        ("qwen3-next", "linear_num_value_heads", 3),
        ("qwen3-next", "use_sliding_window", true),
        ("qwen3.5", "attn_output_gate", false),
        ("qwen3.5", "mamba_ssm_dtype", "bfloat16"),
        ("qwen3.5", "linear_key_head_dim", .int(1 << 30)),
        ("mixtral", "router_jitter_noise", 0.1),
        ("qwen2-moe", "num_experts_per_tok", 5),
        ("phi3", "resid_pdrop", 0.1),
        ("phi3-longrope", "rope_scaling", ["type": "longrope", "short_factor": [1, 2], "long_factor": [1, 2]]),
        ("phi3-longrope", "partial_rotary_factor", 1.5),
        ("smollm3", "partial_rotary_factor", 0.5),
        ("olmo2", "rope_parameters", ["full_attention": ["rope_type": "default"]]),
        ("hunyuan", "use_cla", true),
        ("exaone4", "sliding_window", .null),
        ("exaone4-period", "sliding_window_pattern", "LG"),
        ("glm4-moe", "n_group", 3),
        ("glm4-moe-lite", "mlp_layer_types", ["dense", "sparse"]),
        ("glm4-moe-lite", "mlp_layer_types", ["dense", "sparse", "linear"]),
        ("glm4-moe", "partial_rotary_factor", 1.5),
        ("gpt-oss", "sliding_window", .null),
        ("gpt-oss", "swiglu_limit", 0),
        ("gpt-oss", "num_experts_per_tok", 5),
        ("hunyuan", "use_qk_norm", false),
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
        ("deepseek-v3", "n_shared_experts", .int(1 << 62)),
        ("deepseek-v3", "n_routed_experts", .int(1 << 30)),
        ("phi3", "num_attention_heads", .int(1 << 30)),
        ("phi3-longrope", "original_max_position_embeddings", 1),
        ("phi3-longrope", "original_max_position_embeddings", .int(Int.max)),
        ("minicpm", "num_experts", 8),
        ("baichuan2-7b-kind", "z_loss_weight", 0.01),
        ("chatglm", "rmsnorm", false),
        ("chatglm", "pre_seq_len", 16),
    ]

    @Test func positionsAreStretchedByAnAlphaAboveZero() throws {
        var config = try #require(Fixture.json("models/hunyuan/config.json").objectValue)
        config["rope_scaling"] = ["type": "dynamic", "alpha": -1, "factor": 1]
        let error = #expect(throws: ModelError.self) { try Models.registry.model(.object(config)) }
        #expect(error?.description.contains("alpha of the rotary embeddings is -1") == true)
    }

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
        try model.head.crossEntropy(rows, labels: Tensor(batch.targets.labels), context).sum.backward()
        var idle = 0
        for (name, slot) in model.parameters() where name.contains(".experts.") {
            let gradient = try #require(slot.tensor?.gradient, "\(name)")
            if try abs(gradient).max().item() == 0 { idle += 1 }
        }
        #expect(idle > 0)
    }
}
