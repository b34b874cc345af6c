import ApusJSON

extension GGUFArchitecture {
    /// Mistral with eight experts in every layer, in files of the kind `llama`.
    static let mixtral: GGUFArchitecture = {
        var mixtral = llama
        (mixtral.modelTypes, mixtral.modelClass) = (["mixtral"], "MixtralForCausalLM")
        mixtral.sign = "blk.0.ffn_gate_inp.weight"
        mixtral.parts = llama.parts.filter { !$0.model.hasPrefix("mlp") }
        mixtral.parts += [
            Part("ffn_gate_inp", "block_sparse_moe.gate"),
            Part("ffn_gate_exps", "block_sparse_moe.experts.w1", .stacked),
            Part("ffn_up_exps", "block_sparse_moe.experts.w3", .stacked),
            Part("ffn_down_exps", "block_sparse_moe.experts.w2", .stacked),
        ]
        mixtral.hyperparameters.normEpsilon.standard = 1e-5
        mixtral.hyperparameters.rotaryBase = 1_000_000
        mixtral.values = [
            Value(config: "num_local_experts", file: "expert_count", kind: .count, missing: (8, nil)),
            Value(config: "num_experts_per_tok", file: "expert_used_count", kind: .count, missing: (2, nil)),
        ]
        mixtral.biases = []
        return mixtral
    }()

    /// Llama with three numbers by which values are multiplied; the first files do not say them.
    static let miniCPM: GGUFArchitecture = {
        var miniCPM = llama.named("minicpm", "minicpm", "MiniCPMForCausalLM")
        miniCPM.hyperparameters.saysAllSizes = false
        miniCPM.values = [
            Value(config: "scale_emb", file: "embedding_scale", missing: (1.0, 12.0)),
            Value(config: "scale_depth", file: "residual_scale", kind: .overRootOfLayers, missing: (1.0, 1.4)),
            Value(config: "dim_model_base", file: "logit_scale", kind: .widthOver, missing: (1.0, 256.0)),
        ]
        miniCPM.biases = [("attention_bias", "blk.0.attn_q.bias")]
        miniCPM.fixed = [("attention_bias", [false])]
        return miniCPM
    }()

    /// Norms before and behind both parts of a layer, half of each head turned, one matrix for gate and up.
    static let glm4: GGUFArchitecture = {
        var glm4 = GGUFArchitecture(name: "glm4", modelTypes: ["glm4"], modelClass: "Glm4ForCausalLM")
        glm4.parts = glm4.parts.filter { !$0.model.hasPrefix("mlp") }
        glm4.parts += [
            Part("post_attention_norm", "post_self_attn_layernorm"), Part("post_ffw_norm", "post_mlp_layernorm"),
            Part("ffn_up", "mlp.gate_up_proj"), Part("ffn_down", "mlp.down_proj"),
        ]
        glm4.hyperparameters.normEpsilon.standard = 1.5625e-7
        glm4.hyperparameters.rotatedShare = ("partial_rotary_factor", 0.5)
        glm4.biases = [("attention_bias", "blk.0.attn_q.bias")]
        return glm4
    }()

    /// Both parts of a layer side by side, a part of each head turned, one matrix for queries, keys and values.
    static let gptNeoX: GGUFArchitecture = {
        var neoX = GGUFArchitecture(name: "gptneox", modelTypes: ["gpt_neox"], modelClass: "GPTNeoXForCausalLM")
        neoX.tops = [
            Part("token_embd", "gpt_neox.embed_in"), Part("output_norm", "gpt_neox.final_layer_norm"),
            Part("output", "embed_out"),
        ]
        neoX.layers = "gpt_neox.layers"
        neoX.parts = [
            Part("attn_norm", "input_layernorm"), Part("attn_qkv", "attention.query_key_value", .groups),
            Part("attn_output", "attention.dense"), Part("ffn_norm", "post_attention_layernorm"),
            Part("ffn_up", "mlp.dense_h_to_4h"), Part("ffn_down", "mlp.dense_4h_to_h"),
        ]
        neoX.hyperparameters.normEpsilon = ("attention.layer_norm_epsilon", "layer_norm_eps", 1e-5)
        neoX.hyperparameters.activation = ("hidden_act", "gelu")
        neoX.hyperparameters.saysHeadSize = false
        neoX.hyperparameters.keyValueHeads = nil
        neoX.hyperparameters.olderBase = "rotary_emb_base"
        neoX.hyperparameters.rotatedShare = ("rotary_pct", 0.25)
        neoX.values = [
            Value(
                config: "use_parallel_residual", file: "use_parallel_residual", kind: .flag, missing: (true, true))
        ]
        neoX.biases = [("attention_bias", "blk.0.attn_qkv.bias")]
        neoX.fixed = [("hidden_act", ["gelu"]), ("attention_bias", [true])]
        return neoX
    }()

    /// Both parts of a layer side by side behind one norm, one matrix for queries, keys and values: Falcon-7B and 11B.
    static let falcon: GGUFArchitecture = {
        var falcon = GGUFArchitecture(
            name: "falcon", modelTypes: ["falcon", "RefinedWebModel", "RefinedWeb"], modelClass: "FalconForCausalLM")
        falcon.tops = [
            Part("token_embd", "transformer.word_embeddings"), Part("output_norm", "transformer.ln_f"),
            Part("output", "lm_head"),
        ]
        falcon.layers = "transformer.h"
        falcon.parts = [
            Part("attn_norm", "input_layernorm"), Part("attn_qkv", "self_attention.query_key_value", .groups),
            Part("attn_output", "self_attention.dense"), Part("ffn_up", "mlp.dense_h_to_4h"),
            Part("ffn_down", "mlp.dense_4h_to_h"),
        ]
        falcon.hyperparameters.feedForward = "ffn_hidden_size"
        falcon.hyperparameters.keyValueHeads = "num_kv_heads"
        falcon.hyperparameters.saysHeadSize = false
        falcon.hyperparameters.normEpsilon = ("attention.layer_norm_epsilon", "layer_norm_epsilon", 1e-5)
        falcon.hyperparameters.activation = ("activation", "gelu")
        falcon.words = [("tensor_data_layout", .string("jploski"))]
        // With one group of heads, old and new layers are the same.
        falcon.stated = [("new_decoder_architecture", true), ("num_ln_in_parallel_attn", 1)]
        falcon.fixed = [
            ("alibi", [false]), ("bias", [false]), ("parallel_attn", [true]), ("activation", ["gelu"]),
        ]
        return falcon
    }()

    /// Falcon with a norm before each part of a layer: Falcon-40B and 180B.
    static let falconOfTwoNorms: GGUFArchitecture = {
        var other = falcon
        other.sign = "blk.0.attn_norm_2.weight"
        other.isMeant = { config in
            let isNew =
                config["new_decoder_architecture"]?.boolValue ?? (config["model_type"]?.stringValue == "RefinedWeb")
            return isNew && config["num_ln_in_parallel_attn"]?.intValue ?? 2 == 2
        }
        other.parts = falcon.parts.filter { $0.file != "attn_norm" }
        other.parts += [Part("attn_norm", "ln_mlp"), Part("attn_norm_2", "ln_attn")]
        other.stated = [("new_decoder_architecture", true), ("num_ln_in_parallel_attn", 2)]
        return other
    }()
}
