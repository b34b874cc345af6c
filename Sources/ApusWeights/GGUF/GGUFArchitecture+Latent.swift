import ApusJSON

extension GGUFArchitecture {
    /// DeepSeek-V2: latent attention, experts of which few are asked and some by all.
    ///
    /// Older files have one matrix for keys and values of the latent, newer ones two.
    static let deepSeek2: GGUFArchitecture = {
        var two = GGUFArchitecture(
            name: "deepseek2", modelTypes: ["deepseek_v2"], modelClass: "DeepseekV2ForCausalLM")
        two.isWritten = false
        two.parts = two.parts.filter { !["attn_k", "attn_v"].contains($0.file) }
        two.parts += [
            Part("attn_q_a", "self_attn.q_a_proj"), Part("attn_q_a_norm", "self_attn.q_a_layernorm"),
            Part("attn_q_b", "self_attn.q_b_proj"), Part("attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"),
            Part("attn_kv_a_norm", "self_attn.kv_a_layernorm"), Part("attn_kv_b", "self_attn.kv_b_proj"),
            Part("attn_k_b", "self_attn.kv_b_proj", .latentKeys),
            Part("attn_v_b", "self_attn.kv_b_proj", .latentValues),
            Part("ffn_gate_inp", "mlp.gate"), Part("exp_probs_b", "mlp.gate.e_score_correction", .buffer),
            Part("ffn_gate_exps", "mlp.experts.gate_proj", .stacked),
            Part("ffn_up_exps", "mlp.experts.up_proj", .stacked),
            Part("ffn_down_exps", "mlp.experts.down_proj", .stacked),
            Part("ffn_gate_shexp", "mlp.shared_experts.gate_proj"),
            Part("ffn_up_shexp", "mlp.shared_experts.up_proj"),
            Part("ffn_down_shexp", "mlp.shared_experts.down_proj"),
        ]
        two.hyperparameters.keyValueHeads = nil
        two.hyperparameters.saysHeadSize = false
        two.hyperparameters.isLatent = true
        two.values = [
            Value(config: "n_routed_experts", file: "expert_count", kind: .count),
            Value(config: "num_experts_per_tok", file: "expert_used_count", kind: .count),
            Value(config: "n_shared_experts", file: "expert_shared_count", kind: .count, missing: (nil, 0)),
            Value(config: "moe_intermediate_size", file: "expert_feed_forward_length", kind: .count),
            Value(config: "first_k_dense_replace", file: "leading_dense_block_count", kind: .count, missing: (nil, 0)),
            Value(config: "routed_scaling_factor", file: "expert_weights_scale", missing: (nil, 1)),
            Value(config: "norm_topk_prob", file: "expert_weights_norm", kind: .flag, missing: (nil, false)),
            Value(config: "n_group", file: "expert_group_count", kind: .count, missing: (nil, 1)),
            Value(config: "topk_group", file: "expert_group_used_count", kind: .count, missing: (nil, 1)),
        ]
        two.biases = [("attention_bias", "blk.0.attn_kv_a_mqa.bias")]
        two.choice = ("topk_method", "n_group", "group_limited_greedy", "greedy")
        // A softmax.
        two.foreign = [("expert_gating_func", .integer(1))]
        return two
    }()

    /// DeepSeek-V3 and R1: experts are chosen by sigmoids with a correction.
    static let deepSeek3: GGUFArchitecture = {
        var three = deepSeek2.named("deepseek2", "deepseek_v3", "DeepseekV3ForCausalLM")
        three.sign = ".exp_probs_b.bias"
        three.choice = nil
        three.foreign = [("expert_gating_func", .integer(2))]
        return three
    }()
}
