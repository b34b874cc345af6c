import ApusJSON

extension GGUFArchitecture {
    private static let raisedNorms: @Sendable (Part) -> Part = {
        $0.file.hasSuffix("norm") ? Part($0.file, $0.model, .raised) : $0
    }

    /// Norms that multiply with 1 + w, and a head that is always the table of words.
    static let gemma: GGUFArchitecture = {
        var gemma = GGUFArchitecture(name: "gemma", modelTypes: ["gemma"], modelClass: "GemmaForCausalLM")
        gemma.tops = gemma.tops.filter { $0.file != "output" }.map(raisedNorms)
        gemma.parts = gemma.parts.map(raisedNorms)
        gemma.hyperparameters.activation = ("hidden_act", "gelu_pytorch_tanh")
        gemma.biases = [("attention_bias", "blk.0.attn_q.bias")]
        // The first configurations say `gelu` and mean the form with tanh.
        gemma.fixed = [
            ("hidden_act", ["gelu_pytorch_tanh", "gelu"]), ("hidden_activation", ["gelu_pytorch_tanh"]),
            ("attention_bias", [false]), ("use_bidirectional_attention", [false]),
        ]
        return gemma
    }()

    /// Gemma with both parts of a layer between two norms, windows in every other layer and caps on scores.
    static let gemma2: GGUFArchitecture = {
        var gemma2 = gemma.named("gemma2", "gemma2", "Gemma2ForCausalLM")
        gemma2.parts = gemma.parts.filter { $0.file != "ffn_norm" }
        gemma2.parts += [
            Part("post_attention_norm", "post_attention_layernorm", .raised),
            Part("ffn_norm", "pre_feedforward_layernorm", .raised),
            Part("post_ffw_norm", "post_feedforward_layernorm", .raised),
        ]
        gemma2.hyperparameters.activation = ("hidden_activation", "gelu_pytorch_tanh")
        gemma2.hyperparameters.scoreDivisor = ("query_pre_attn_scalar", layersOfLargest: 46)
        gemma2.values = [
            Value(config: "attn_logit_softcapping", file: "attn_logit_softcapping", missing: (50.0, 50.0)),
            Value(config: "final_logit_softcapping", file: "final_logit_softcapping", missing: (30.0, 30.0)),
            Value(config: "sliding_window", file: "attention.sliding_window", kind: .count, missing: (4096, 4096)),
        ]
        gemma2.pattern = Pattern(list: "layer_types", last: "full_attention", others: "sliding_attention", usual: 2)
        return gemma2
    }()

    /// Gemma 2 with norms over the heads of queries and keys, no cap of attention, and two tables of RoPE.
    static let gemma3: GGUFArchitecture = {
        var gemma3 = gemma2.named("gemma3", "gemma3_text", "Gemma3ForCausalLM")
        gemma3.tops.append(Part("output", "lm_head"))
        gemma3.parts += [
            Part("attn_q_norm", "self_attn.q_norm", .raised), Part("attn_k_norm", "self_attn.k_norm", .raised),
        ]
        gemma3.hyperparameters.scoreDivisor?.layersOfLargest = 62
        gemma3.hyperparameters.rotaryBase = 1_000_000
        gemma3.hyperparameters.windowBase = ("rope_local_base_freq", 10_000)
        gemma3.values = [
            Value(config: "final_logit_softcapping", file: "final_logit_softcapping", missing: (.null, .null)),
            Value(config: "sliding_window", file: "attention.sliding_window", kind: .count, missing: (4096, nil)),
        ]
        gemma3.pattern = Pattern(
            list: "layer_types", last: "full_attention", others: "sliding_attention", period: "sliding_window_pattern",
            file: "attention.sliding_window_pattern", usual: 6)
        gemma3.fixed.append(("attn_logit_softcapping", []))
        return gemma3
    }()

    /// Llama with four numbers by which values are multiplied.
    static let granite: GGUFArchitecture = {
        var granite = llama.named("granite", "granite", "GraniteForCausalLM")
        granite.values = [
            Value(config: "attention_multiplier", file: "attention.scale", missing: (1.0, nil)),
            Value(config: "embedding_multiplier", file: "embedding_scale", missing: (1.0, 1.0)),
            Value(config: "residual_multiplier", file: "residual_scale", missing: (1.0, 1.0)),
            Value(config: "logits_scaling", file: "logit_scale", missing: (1.0, nil)),
        ]
        // How files of Granite 4 say that nothing turns.
        granite.foreign = [("rope.scaling.finetuned", .bool(true))]
        return granite
    }()

    /// Llama whose every fourth layer has no positions.
    static let smolLM3: GGUFArchitecture = {
        var smolLM3 = llama.named("smollm3", "smollm3", "SmolLM3ForCausalLM")
        smolLM3.hyperparameters.rotaryBase = 2_000_000
        smolLM3.pattern = Pattern(
            list: "no_rope_layers", last: 0, others: 1, period: "no_rope_layer_interval", usual: 4)
        smolLM3.fixed = [("use_sliding_window", [false]), ("attention_bias", [false]), ("mlp_bias", [false])]
        return smolLM3
    }()

    /// Norms behind the parts of a layer, and over all queries and all keys.
    ///
    /// Files of OLMo 3 have the same name.
    static let olmo2: GGUFArchitecture = {
        var olmo2 = GGUFArchitecture(name: "olmo2", modelTypes: ["olmo2"], modelClass: "Olmo2ForCausalLM")
        olmo2.parts = olmo2.parts.filter { !$0.file.hasSuffix("norm") }
        olmo2.parts += [
            Part("attn_q_norm", "self_attn.q_norm"), Part("attn_k_norm", "self_attn.k_norm"),
            Part("post_attention_norm", "post_attention_layernorm"),
            Part("post_ffw_norm", "post_feedforward_layernorm"),
        ]
        olmo2.biases = [("attention_bias", "blk.0.attn_q.bias")]
        olmo2.fixed = [("attention_bias", [false])]
        olmo2.foreign = [("attention.sliding_window", nil)]
        return olmo2
    }()

    /// One matrix for queries, keys and values, and one for gate and up.
    static let phi3: GGUFArchitecture = {
        var phi3 = GGUFArchitecture(name: "phi3", modelTypes: ["phi3"], modelClass: "Phi3ForCausalLM")
        phi3.parts = [
            Part("attn_norm", "input_layernorm"), Part("attn_qkv", "self_attn.qkv_proj"),
            Part("attn_output", "self_attn.o_proj"), Part("ffn_norm", "post_attention_layernorm"),
            Part("ffn_up", "mlp.gate_up_proj"), Part("ffn_down", "mlp.down_proj"),
        ]
        phi3.hyperparameters.normEpsilon.standard = 1e-5
        phi3.hyperparameters.firstLength = 4096
        phi3.values = [
            Value(
                config: "sliding_window", file: "attention.sliding_window", kind: .count, missing: (.null, .null),
                isZeroForNull: true)
        ]
        return phi3
    }()

    private static let routed = [
        Part("ffn_gate_inp", "mlp.gate"), Part("ffn_gate_exps", "mlp.experts.gate_proj", .stacked),
        Part("ffn_up_exps", "mlp.experts.up_proj", .stacked), Part("ffn_down_exps", "mlp.experts.down_proj", .stacked),
    ]

    private static let counts = [
        Value(config: "num_experts", file: "expert_count", kind: .count),
        Value(config: "num_experts_per_tok", file: "expert_used_count", kind: .count),
        Value(
            config: "moe_intermediate_size", file: "expert_feed_forward_length",
            kind: .rows(of: "blk.0.ffn_gate_exps.weight")),
    ]

    /// Qwen2 with experts in every layer, one of them for all tokens.
    static let qwen2MoE: GGUFArchitecture = {
        var moe = qwen2.named("qwen2moe", "qwen2_moe", "Qwen2MoeForCausalLM")
        moe.parts = moe.parts.filter { !$0.model.hasPrefix("mlp") } + routed
        moe.parts += [
            Part("ffn_gate_inp_shexp", "mlp.shared_expert_gate", .row),
            Part("ffn_gate_shexp", "mlp.shared_expert.gate_proj"), Part("ffn_up_shexp", "mlp.shared_expert.up_proj"),
            Part("ffn_down_shexp", "mlp.shared_expert.down_proj"),
        ]
        moe.values =
            counts + [
                Value(
                    config: "shared_expert_intermediate_size", file: "expert_shared_feed_forward_length",
                    kind: .rows(of: "blk.0.ffn_gate_shexp.weight"))
            ]
        moe.implied = [("decoder_sparse_step", 1, 1), ("norm_topk_prob", false, false)]
        moe.biases = [("qkv_bias", "blk.0.attn_q.bias")]
        moe.fixed += [("mlp_only_layers", [[]]), ("qkv_bias", [true])]
        return moe
    }()

    /// Qwen3 with experts in every layer, whose shares add up to one.
    static let qwen3MoE: GGUFArchitecture = {
        var moe = qwen3.named("qwen3moe", "qwen3_moe", "Qwen3MoeForCausalLM")
        moe.parts = moe.parts.filter { !$0.model.hasPrefix("mlp") } + routed
        moe.values = counts
        moe.implied = [("decoder_sparse_step", 1, 1), ("norm_topk_prob", true, false)]
        moe.fixed.append(("mlp_only_layers", [[]]))
        return moe
    }()
}
