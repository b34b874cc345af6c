/// The model families whose GGUF files Apus translates to the layout of Hugging Face.
package enum GGUFArchitecture: String, Sendable, CaseIterable {
    case llama
    case qwen2

    /// The class that `config.json` names.
    var modelClass: String {
        switch self {
        case .llama: "LlamaForCausalLM"
        case .qwen2: "Qwen2ForCausalLM"
        }
    }

    /// Whether the converter reordered the rows of Q and K so that RoPE turns neighbouring elements, where Hugging Face
    /// turns element i with element i + half.
    var permutesQueriesAndKeys: Bool { self == .llama }

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

    private static let layerParts = [
        "attn_norm": "input_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_norm": "post_attention_layernorm",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    ]

    /// The place of the tensor that a GGUF file calls `name`, or `nil` for a tensor these architectures do not have.
    static func place(of name: String) -> Place? {
        if let top = tops[name] { return .tensor(top) }
        if name == "rope_freqs.weight" { return .derived }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "blk", let layer = Int(parts[1]), layer >= 0, String(layer) == parts[1],
            parts[3] == "weight" || parts[3] == "bias"
        else { return nil }
        if parts[2] == "attn_rot_embd" { return .derived }
        return layerParts[String(parts[2])].map { .tensor("model.layers.\(layer).\($0).\(parts[3])") }
    }
}
