/// The model families whose GGUF files Apus translates to the layout of Hugging Face.
package enum GGUFArchitecture: String, Sendable, CaseIterable {
    case gemma, gemma2, gemma3
    case granite
    case llama
    case olmo2
    case phi3
    case qwen2, qwen2moe, qwen3, qwen3moe
    case smollm3

    /// `model_type` of `config.json`.
    var modelType: String {
        switch self {
        case .gemma3: "gemma3_text"
        case .qwen2moe: "qwen2_moe"
        case .qwen3moe: "qwen3_moe"
        case .gemma, .gemma2, .granite, .llama, .olmo2, .phi3, .qwen2, .qwen3, .smollm3: rawValue
        }
    }

    /// The class that `config.json` names.
    var modelClass: String {
        let name =
            switch self {
            case .gemma: "Gemma"
            case .gemma2: "Gemma2"
            case .gemma3: "Gemma3"
            case .granite: "Granite"
            case .llama: "Llama"
            case .olmo2: "Olmo2"
            case .phi3: "Phi3"
            case .qwen2: "Qwen2"
            case .qwen2moe: "Qwen2Moe"
            case .qwen3: "Qwen3"
            case .qwen3moe: "Qwen3Moe"
            case .smollm3: "SmolLM3"
            }
        return name + "ForCausalLM"
    }

    /// Whether the converter reordered the rows of Q and K so that RoPE turns neighbouring elements, where Hugging Face
    /// turns element i with element i + half.
    var permutesQueriesAndKeys: Bool { [.llama, .granite, .smollm3].contains(self) }

    var hasExperts: Bool { [.qwen2moe, .qwen3moe].contains(self) }

    /// What the converter added to the weights of norms.
    var normOffset: Float { [.gemma, .gemma2, .gemma3].contains(self) ? 1 : 0 }

    /// Where a tensor goes in the Hugging Face model.
    enum Place: Equatable {
        case tensor(String)
        /// Holds nothing that the model stores: frequencies that follow from the configuration.
        case derived
    }

    private static let tops = [
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
        "output.weight": "lm_head.weight",
    ]
    private static let derivedTops: Set<String> = [
        "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight",
    ]

    private static let layerParts = [
        "attn_norm": "input_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_qkv": "self_attn.qkv_proj",
        "attn_q_norm": "self_attn.q_norm",
        "attn_k_norm": "self_attn.k_norm",
        "attn_output": "self_attn.o_proj",
        "ffn_norm": "post_attention_layernorm",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
        "ffn_gate_inp": "mlp.gate",
        "ffn_gate_exps": "mlp.experts.gate_proj",
        "ffn_up_exps": "mlp.experts.up_proj",
        "ffn_down_exps": "mlp.experts.down_proj",
        "ffn_gate_shexp": "mlp.shared_expert.gate_proj",
        "ffn_up_shexp": "mlp.shared_expert.up_proj",
        "ffn_down_shexp": "mlp.shared_expert.down_proj",
        "ffn_gate_inp_shexp": "mlp.shared_expert_gate",
        "post_attention_norm": "post_attention_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    ]

    /// What lies elsewhere in this family.
    private var ownParts: [String: String] {
        switch self {
        case .gemma2, .gemma3: ["ffn_norm": "pre_feedforward_layernorm"]
        case .phi3: ["ffn_up": "mlp.gate_up_proj"]
        default: [:]
        }
    }

    /// The place of the tensor that a GGUF file calls `name`, or `nil` for a tensor these architectures do not have.
    func place(of name: String) -> Place? {
        if let top = Self.tops[name] { return .tensor(top) }
        if Self.derivedTops.contains(name) { return .derived }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "blk", let layer = Int(parts[1]), layer >= 0, String(layer) == parts[1],
            parts[3] == "weight" || parts[3] == "bias"
        else { return nil }
        let part = String(parts[2])
        if part == "attn_rot_embd" { return .derived }
        return (ownParts[part] ?? Self.layerParts[part]).map { .tensor("model.layers.\(layer).\($0).\(parts[3])") }
    }
}
