import ApusJSON

extension GGUFArchitecture {
    /// The architectures that are read, most of them also written.
    package static let all = decoders + encoders + t5

    private static let decoders = [
        mixtral, llama, qwen2, qwen3, gpt2, gemma, gemma2, gemma3, granite, olmo2, phi3, qwen2MoE, qwen3MoE, smolLM3,
        miniCPM, glm4, gptNeoX, falconOfTwoNorms, falcon, deepSeek3, deepSeek2,
    ]

    /// The description of a file, of which there may be several of one name.
    static func of(_ file: GGUFFile, named name: String) -> GGUFArchitecture? {
        all.first { architecture in
            architecture.name == name
                && (architecture.sign.map { sign in file.tensors.contains { $0.name.hasSuffix(sign) } } ?? true)
        }
    }

    /// The description that a `config.json` is written by.
    static func of(_ config: JSONValue) -> GGUFArchitecture? {
        let type = config["model_type"]?.stringValue ?? ""
        return all.first { $0.isWritten && $0.modelTypes.contains(type) && ($0.isMeant?(config) ?? true) }
    }

    /// Llama, and what has its shape: Mistral, SmolLM2, TinyLlama.
    static let llama: GGUFArchitecture = {
        var llama = GGUFArchitecture(
            name: "llama", modelTypes: ["llama", "mistral"], modelClass: "LlamaForCausalLM")
        llama.parts = llama.parts.map { part in
            switch part.file {
            case "attn_q": Part(part.file, part.model, .queries)
            case "attn_k": Part(part.file, part.model, .keys)
            default: part
            }
        }
        llama.hyperparameters.saysAllSizes = true
        llama.biases = [("attention_bias", "blk.0.attn_q.bias"), ("mlp_bias", "blk.0.ffn_gate.bias")]
        return llama
    }()

    static let qwen2: GGUFArchitecture = {
        var qwen2 = GGUFArchitecture(name: "qwen2", modelTypes: ["qwen2"], modelClass: "Qwen2ForCausalLM")
        qwen2.fixed = [("use_sliding_window", [false])]
        return qwen2
    }()

    /// Qwen2 with norms over the heads of queries and keys, and without biases.
    static let qwen3: GGUFArchitecture = {
        var qwen3 = GGUFArchitecture(name: "qwen3", modelTypes: ["qwen3"], modelClass: "Qwen3ForCausalLM")
        qwen3.parts += [Part("attn_q_norm", "self_attn.q_norm"), Part("attn_k_norm", "self_attn.k_norm")]
        qwen3.biases = [("attention_bias", "blk.0.attn_q.bias")]
        qwen3.fixed = qwen2.fixed + [("attention_bias", [false])]
        return qwen3
    }()

    private static let gpt2: GGUFArchitecture = {
        var gpt2 = GGUFArchitecture(name: "gpt2", modelTypes: ["gpt2"], modelClass: "GPT2LMHeadModel")
        gpt2.tops = [
            Part("token_embd", "transformer.wte"), Part("position_embd", "transformer.wpe"),
            Part("output_norm", "transformer.ln_f"), Part("output", "lm_head"),
        ]
        gpt2.layers = "transformer.h"
        gpt2.parts = [
            Part("attn_norm", "ln_1"), Part("attn_qkv", "attn.c_attn", .transposed),
            Part("attn_output", "attn.c_proj", .transposed), Part("ffn_norm", "ln_2"),
            Part("ffn_up", "mlp.c_fc", .transposed), Part("ffn_down", "mlp.c_proj", .transposed),
        ]
        gpt2.hyperparameters = Hyperparameters(
            width: "n_embd", feedForward: "n_inner", layers: "n_layer", heads: "n_head", context: "n_positions",
            normEpsilon: ("attention.layer_norm_epsilon", "layer_norm_epsilon", 1e-5),
            activation: ("activation_function", "gelu_new"), isRotary: false)
        gpt2.fixed = [
            ("activation_function", ["gelu_new", "gelu_pytorch_tanh"]), ("scale_attn_weights", [true]),
            ("scale_attn_by_inverse_layer_idx", [false]),
        ]
        return gpt2
    }()
}
