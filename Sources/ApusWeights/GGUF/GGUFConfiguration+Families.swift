import ApusJSON

extension GGUFConfiguration {
    /// What only some families have.
    mutating func readFamily(_ architecture: GGUFArchitecture, headDim: Int) throws {
        switch architecture {
        case .llama, .qwen2, .qwen3, .olmo2: break
        case .smollm3: json["no_rope_layer_interval"] = 4
        case .phi3: try readWindow()
        case .granite:
            for (key, name) in [
                ("embedding_multiplier", "embedding_scale"), ("residual_multiplier", "residual_scale"),
                ("attention_multiplier", "attention.scale"), ("logits_scaling", "logit_scale"),
            ] { json[key] = try value(name, \.doubleValue).map(JSONValue.double) }
        case .gemma, .gemma2, .gemma3: try readGemma(architecture, headDim: headDim)
        case .qwen2moe, .qwen3moe: try readExperts(architecture)
        }
    }

    private mutating func readWindow() throws {
        json["sliding_window"] = try value("attention.sliding_window", \.intValue).map(JSONValue.int) ?? .null
    }

    private mutating func readGemma(_ architecture: GGUFArchitecture, headDim: Int) throws {
        json["hidden_act"] = "gelu_pytorch_tanh"
        guard architecture != .gemma else { return }
        json["hidden_activation"] = "gelu_pytorch_tanh"
        try readWindow()
        for key in ["attn_logit_softcapping", "final_logit_softcapping"] {
            json[key] = try value(key, \.doubleValue).map(JSONValue.double) ?? .null
        }
        // The file does not say by what scores are scaled: in the models of 27B by the width over the heads.
        let isLargest = try count("block_count") == (architecture == .gemma2 ? 46 : 62)
        json["query_pre_attn_scalar"] = .int(isLargest ? try count("embedding_length") / headCount : headDim)
        if architecture == .gemma3 {
            json["rope_local_base_freq"] = .double(try value("rope.freq_base_swa", \.doubleValue) ?? 10_000)
            json["sliding_window_pattern"] = .int(
                try value("attention.sliding_window_pattern", \.intValue) ?? 6)
        }
    }

    private mutating func readExperts(_ architecture: GGUFArchitecture) throws {
        json["num_experts"] = .int(try count("expert_count"))
        json["num_experts_per_tok"] = .int(try count("expert_used_count"))
        json["decoder_sparse_step"] = 1
        json["norm_topk_prob"] = .bool(architecture == .qwen3moe)
        // Older files do not say how wide an expert is; their matrices do.
        for key in ["expert_feed_forward_length", "expert_shared_feed_forward_length"] {
            _ = try value(key, \.intValue)
        }
        json["moe_intermediate_size"] = .int(try rows(of: "blk.0.ffn_gate_exps.weight", rank: 3))
        if architecture == .qwen2moe {
            json["shared_expert_intermediate_size"] = .int(try rows(of: "blk.0.ffn_gate_shexp.weight", rank: 2))
        }
    }

    /// The rows of a matrix, or of each of several in one tensor.
    private func rows(of name: String, rank: Int) throws -> Int {
        guard let tensor = file[name], tensor.shape.count == rank else {
            throw WeightsError(
                file.path, item: name, "the file has no such tensor of \(rank) dimensions",
                advice: WeightsError.downloadAgain)
        }
        return tensor.shape[rank - 2]
    }

    /// Phi-3's divisors of frequencies, which lie in tensors of their own.
    mutating func readLongRoPE(_ originalContext: Int?) throws {
        _ = try value("rope.scaling.attn_factor", \.doubleValue)
        json["original_max_position_embeddings"] = originalContext.map(JSONValue.int)
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
