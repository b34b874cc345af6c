/// The layers that PEFT chooses for an architecture by itself (`--target_modules auto`), by `model_type`.
enum DefaultTargets {
    static let lora = [
        "llama": ["q_proj", "v_proj"], "mistral": ["q_proj", "v_proj"], "qwen2": ["q_proj", "v_proj"],
        "qwen3": ["q_proj", "v_proj"], "gpt2": ["c_attn"], "bert": ["query", "value"], "roberta": ["query", "value"],
        "gpt_neo": ["q_proj", "v_proj"], "gptj": ["q_proj", "v_proj"], "opt": ["q_proj", "v_proj"],
        "stablelm": ["q_proj", "v_proj"], "mpt": ["Wqkv"], "bloom": ["query_key_value"],
        "gpt_neox": ["query_key_value"], "falcon": ["query_key_value"], "RefinedWeb": ["query_key_value"],
        "RefinedWebModel": ["query_key_value"],
        "xlm-roberta": ["query", "value"], "electra": ["query", "value"], "deberta-v2": ["query_proj", "value_proj"],
        "t5": ["q", "v"], "mt5": ["q", "v"],
    ]
    static let adaLoRA = [
        "llama": ["q_proj", "v_proj"], "qwen2": ["q_proj", "v_proj"], "qwen3": ["q_proj", "v_proj"],
        "gpt2": ["c_attn"], "bert": ["query", "value"], "roberta": ["query", "key", "value", "dense"],
        "gpt_neo": ["q_proj", "v_proj"], "gptj": ["q_proj", "v_proj"], "bloom": ["query_key_value"],
        "gpt_neox": ["query_key_value"], "opt": allOfOPT,
        "deberta-v2": ["query_proj", "key_proj", "value_proj", "dense"],
        "t5": ["q", "k", "v", "o", "wi", "wo"], "mt5": ["q", "k", "v", "o", "wi_0", "wi_1", "wo"],
    ]
    private static let allOfOPT = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
    static let fourierFT = lora.merging(["gpt2": ["mlp.c_proj"]]) { $1 }
    static let c3a = fourierFT
    /// PEFT has no choice of this method for some families, and for others that of AdaLoRA.
    static let vbLoRA = lora.filter {
        ![
            "mistral", "mpt", "stablelm", "falcon", "RefinedWeb", "RefinedWebModel", "xlm-roberta", "electra",
        ].contains($0.key)
    }.merging(adaLoRA.filter { ["deberta-v2", "opt", "t5", "mt5"].contains($0.key) }) { $1 }
    static let ia3 = [
        "llama": ["k_proj", "v_proj", "down_proj"], "mistral": ["k_proj", "v_proj", "down_proj"],
        "qwen2": ["q_proj", "v_proj", "down_proj"], "qwen3": ["q_proj", "v_proj", "down_proj"],
        "gpt2": ["c_attn", "mlp.c_proj"], "bert": ["key", "value", "output.dense"],
        "roberta": ["key", "value", "output.dense"], "gpt_neo": ["q_proj", "v_proj", "c_proj"],
        "gptj": ["q_proj", "v_proj", "fc_out"], "opt": ["q_proj", "k_proj", "fc2"],
        "bloom": ["query_key_value", "mlp.dense_4h_to_h"], "gpt_neox": ["query_key_value", "dense_4h_to_h"],
        "falcon": ["query_key_value", "dense_4h_to_h"], "RefinedWeb": ["query_key_value", "dense_4h_to_h"],
        "RefinedWebModel": ["query_key_value", "dense_4h_to_h"],
        "deberta-v2": ["key_proj", "value_proj", "output.dense"],
        "t5": ["k", "v", "wo"], "mt5": ["k", "v", "wi_1"],
    ]
    static let norms = [
        "llama": ["input_layernorm", "post_attention_layernorm", "norm"],
        "mistral": ["input_layernorm", "post_attention_layernorm", "norm"],
        "qwen2": ["post_attention_layernorm"], "qwen3": ["post_attention_layernorm"],
        "gpt2": ["ln_1", "ln_2", "ln_f"], "gptj": ["ln_1", "ln_f"],
        "bloom": ["input_layernorm", "post_attention_layernorm", "ln_f"],
        "falcon": ["input_layernorm", "post_attention_layernorm", "ln_f"],
        "t5": ["layer_norm", "final_layer_norm"], "mt5": ["layer_norm", "final_layer_norm"],
    ]
    static let ia3FeedForward = [
        "llama": ["down_proj"], "mistral": ["down_proj"], "qwen2": ["down_proj"], "qwen3": ["down_proj"],
        "gpt2": ["mlp.c_proj"], "bert": ["output.dense"], "roberta": ["output.dense"], "gpt_neo": ["c_proj"],
        "gptj": ["fc_out"], "opt": ["fc2"], "bloom": ["mlp.dense_4h_to_h"], "gpt_neox": ["dense_4h_to_h"],
        "falcon": ["dense_4h_to_h"], "RefinedWeb": ["dense_4h_to_h"], "RefinedWebModel": ["dense_4h_to_h"],
        "deberta-v2": ["output.dense"], "t5": ["wo"], "mt5": [],
    ]
}

extension TargetModules {
    /// The layers themselves, where they were left to the architecture.
    func resolved(_ table: [String: [String]], _ modelType: String?) throws -> TargetModules {
        guard self == .automatic else { return self }
        guard let names = modelType.flatMap({ table[$0] }) else {
            throw AdapterError(
                "--target_modules auto: PEFT has no choice for models of the type \(modelType ?? "that this is"); name the "
                    + "layers, or give all-linear")
        }
        return .names(names)
    }
}
