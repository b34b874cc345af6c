import ApusJSON

/// Families that are read and not written.
extension GGUFArchitecture {
    static let readAlone = [gemma, gemma2, gemma3, granite, olmo2, phi3, qwen2MoE, qwen3MoE, smolLM3]

    private static let headNorms = [Part("attn_q_norm", "self_attn.q_norm"), Part("attn_k_norm", "self_attn.k_norm")]
    private static let outputNorms = [
        Part("post_attention_norm", "post_attention_layernorm"), Part("post_ffw_norm", "post_feedforward_layernorm"),
    ]

    /// The parts with rows of queries and keys in the order of Llama's files.
    private static func permuted(_ parts: [Part]) -> [Part] {
        parts.map { part in
            switch part.file {
            case "attn_q": Part(part.file, part.model, .queries)
            case "attn_k": Part(part.file, part.model, .keys)
            default: part
            }
        }
    }

    private func without(_ files: String...) -> [Part] { parts.filter { !files.contains($0.file) } }

    // MARK: - Gemma

    private static func ofGemma(_ name: String, _ modelType: String, _ modelClass: String, _ more: [Part]) -> Self {
        var gemma = GGUFArchitecture(name: name, modelTypes: [modelType], modelClass: modelClass)
        func raised(_ parts: [Part]) -> [Part] {
            parts.map { $0.model.hasSuffix("norm") ? Part($0.file, $0.model, .raised) : $0 }
        }
        gemma.tops = raised(gemma.tops)
        let own = more.map(\.file)
        gemma.parts = raised(gemma.parts.filter { !own.contains($0.file) } + more)
        gemma.hyperparameters.activation = ("hidden_activation", "gelu_pytorch_tanh")
        return gemma
    }

    private static let gemma = ofGemma("gemma", "gemma", "GemmaForCausalLM", [])

    private static let sandwich = [Part("ffn_norm", "pre_feedforward_layernorm")] + outputNorms

    private static let gemma2: GGUFArchitecture = {
        var second = ofGemma("gemma2", "gemma2", "Gemma2ForCausalLM", sandwich)
        second.readsMore = { try $0.readGemma(headDim: $1, layersOfTheLargest: 46) }
        return second
    }()

    private static let gemma3: GGUFArchitecture = {
        var third = ofGemma("gemma3", "gemma3_text", "Gemma3ForCausalLM", sandwich + headNorms)
        third.readsMore = { config, headDim in
            try config.readGemma(headDim: headDim, layersOfTheLargest: 62)
            config.json["rope_local_base_freq"] = .double(
                try config.value("rope.freq_base_swa", \.doubleValue) ?? 10_000)
            config.json["sliding_window_pattern"] = .int(
                try config.value("attention.sliding_window_pattern", \.intValue) ?? 6)
        }
        return third
    }()

    // MARK: - Near Llama

    private static let granite: GGUFArchitecture = {
        var granite = GGUFArchitecture(name: "granite", modelTypes: ["granite"], modelClass: "GraniteForCausalLM")
        granite.parts = permuted(granite.parts)
        granite.biases = [("attention_bias", "blk.0.attn_q.bias"), ("mlp_bias", "blk.0.ffn_gate.bias")]
        granite.readsMore = { config, _ in
            for (key, name) in [
                ("embedding_multiplier", "embedding_scale"), ("residual_multiplier", "residual_scale"),
                ("attention_multiplier", "attention.scale"), ("logits_scaling", "logit_scale"),
            ] { config.json[key] = try config.value(name, \.doubleValue).map(JSONValue.double) }
        }
        return granite
    }()

    private static let olmo2: GGUFArchitecture = {
        var olmo = GGUFArchitecture(name: "olmo2", modelTypes: ["olmo2"], modelClass: "Olmo2ForCausalLM")
        olmo.parts = olmo.without("attn_norm", "ffn_norm") + headNorms + outputNorms
        return olmo
    }()

    private static let smolLM3: GGUFArchitecture = {
        var smol = GGUFArchitecture(name: "smollm3", modelTypes: ["smollm3"], modelClass: "SmolLM3ForCausalLM")
        smol.parts = permuted(smol.parts)
        smol.biases = [("attention_bias", "blk.0.attn_q.bias"), ("mlp_bias", "blk.0.ffn_gate.bias")]
        smol.readsMore = { config, _ in config.json["no_rope_layer_interval"] = 4 }
        return smol
    }()

    private static let phi3: GGUFArchitecture = {
        var phi = GGUFArchitecture(name: "phi3", modelTypes: ["phi3"], modelClass: "Phi3ForCausalLM")
        phi.parts =
            phi.without("attn_q", "attn_k", "attn_v", "ffn_gate", "ffn_up") + [
                Part("attn_qkv", "self_attn.qkv_proj"), Part("ffn_up", "mlp.gate_up_proj"),
            ]
        phi.rotation = .ofParts
        phi.readsMore = { config, _ in
            try config.readWindow()
            try config.readLongRoPE()
        }
        return phi
    }()

    // MARK: - Experts

    private static let expertParts = [
        Part("ffn_gate_inp", "mlp.gate"), Part("ffn_gate_exps", "mlp.experts.gate_proj"),
        Part("ffn_up_exps", "mlp.experts.up_proj"), Part("ffn_down_exps", "mlp.experts.down_proj"),
    ]

    private static let qwen2MoE: GGUFArchitecture = {
        var qwen = GGUFArchitecture(name: "qwen2moe", modelTypes: ["qwen2_moe"], modelClass: "Qwen2MoeForCausalLM")
        qwen.parts =
            qwen.without("ffn_gate", "ffn_up", "ffn_down") + expertParts + [
                Part("ffn_gate_shexp", "mlp.shared_expert.gate_proj"),
                Part("ffn_up_shexp", "mlp.shared_expert.up_proj"),
                Part("ffn_down_shexp", "mlp.shared_expert.down_proj"),
                Part("ffn_gate_inp_shexp", "mlp.shared_expert_gate"),
            ]
        qwen.feedForward = .experts
        qwen.readsMore = { config, _ in
            try config.readExperts(dividesBySum: false)
            config.json["shared_expert_intermediate_size"] = .int(
                try config.rows(of: "blk.0.ffn_gate_shexp.weight", rank: 2))
        }
        return qwen
    }()

    private static let qwen3MoE: GGUFArchitecture = {
        var qwen = GGUFArchitecture(name: "qwen3moe", modelTypes: ["qwen3_moe"], modelClass: "Qwen3MoeForCausalLM")
        qwen.parts = qwen.without("ffn_gate", "ffn_up", "ffn_down") + expertParts + headNorms
        qwen.feedForward = .experts
        qwen.readsMore = { config, _ in try config.readExperts(dividesBySum: true) }
        return qwen
    }()
}

extension GGUFConfiguration {
    fileprivate mutating func readWindow() throws {
        json["sliding_window"] = try value("attention.sliding_window", \.intValue).map(JSONValue.int) ?? .null
    }

    /// - Parameter layersOfTheLargest: Tells the model of 27B.
    fileprivate mutating func readGemma(headDim: Int, layersOfTheLargest: Int) throws {
        try readWindow()
        for key in ["attn_logit_softcapping", "final_logit_softcapping"] {
            json[key] = try value(key, \.doubleValue).map(JSONValue.double) ?? .null
        }
        // The file does not say by what scores are scaled: in the models of 27B by the width over the heads.
        let isLargest = try count("block_count") == layersOfTheLargest
        json["query_pre_attn_scalar"] = .int(isLargest ? try count("embedding_length") / headCount : headDim)
    }

    fileprivate mutating func readExperts(dividesBySum: Bool) throws {
        json["num_experts"] = .int(try count("expert_count"))
        json["num_experts_per_tok"] = .int(try count("expert_used_count"))
        json["decoder_sparse_step"] = 1
        json["norm_topk_prob"] = .bool(dividesBySum)
        // Older files do not say how wide an expert is; their matrices do.
        for key in ["expert_feed_forward_length", "expert_shared_feed_forward_length"] {
            _ = try value(key, \.intValue)
        }
        json["moe_intermediate_size"] = .int(try rows(of: "blk.0.ffn_gate_exps.weight", rank: 3))
    }

    /// The rows of a matrix, or of each of several in one tensor.
    fileprivate func rows(of name: String, rank: Int) throws -> Int {
        guard let tensor = file[name], tensor.shape.count == rank else {
            throw WeightsError(
                file.path, item: name, "the file has no such tensor of \(rank) dimensions",
                advice: WeightsError.downloadAgain)
        }
        return tensor.shape[rank - 2]
    }

    /// Phi-3's divisors of frequencies, which lie in tensors of their own.
    fileprivate mutating func readLongRoPE() throws {
        _ = try value("rope.scaling.attn_factor", \.doubleValue)
        json["original_max_position_embeddings"] =
            try value("rope.scaling.original_context_length", \.intValue).map(JSONValue.int)
        let names = ["rope_factors_long.weight", "rope_factors_short.weight"]
        guard names.allSatisfy({ file[$0] != nil }) else { return }
        func factors(_ name: String) throws -> JSONValue {
            .array(try file.dequantized(name).map { .double(Double($0)) })
        }
        json["rope_scaling"] = [
            "rope_type": "longrope", "long_factor": try factors(names[0]), "short_factor": try factors(names[1]),
        ]
    }
}
