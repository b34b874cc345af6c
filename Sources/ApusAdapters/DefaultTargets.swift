/// The layers that PEFT chooses for an architecture by itself (`--target_modules auto`), by `model_type`.
enum DefaultTargets {
    static let lora: [String: [String]] = [
        "bert": ["query", "value"], "bloom": ["query_key_value"], "chatglm": ["query_key_value"],
        "deberta-v2": ["query_proj", "value_proj"], "electra": ["query", "value"], "falcon": ["query_key_value"],
        "gemma": ["q_proj", "v_proj"], "gemma2": ["q_proj", "v_proj"], "gemma3_text": ["q_proj", "v_proj"],
        "gpt2": ["c_attn"], "gpt_neo": ["q_proj", "v_proj"], "gpt_neox": ["query_key_value"],
        "gptj": ["q_proj", "v_proj"], "llama": ["q_proj", "v_proj"], "mistral": ["q_proj", "v_proj"],
        "mixtral": ["q_proj", "v_proj"], "mpt": ["Wqkv"], "mt5": ["q", "v"], "opt": ["q_proj", "v_proj"],
        "phi": ["q_proj", "v_proj", "fc1", "fc2"], "qwen2": ["q_proj", "v_proj"], "qwen3": ["q_proj", "v_proj"],
        "RefinedWeb": ["query_key_value"],
        "RefinedWebModel": ["query_key_value"], "roberta": ["query", "value"], "stablelm": ["q_proj", "v_proj"],
        "t5": ["q", "v"], "xlm-roberta": ["query", "value"],
    ]
    static let adaLoRA: [String: [String]] = [
        "bert": ["query", "value"], "bloom": ["query_key_value"],
        "deberta-v2": ["query_proj", "key_proj", "value_proj", "dense"], "gemma": ["q_proj", "v_proj"],
        "gemma2": ["q_proj", "v_proj"], "gemma3_text": ["q_proj", "v_proj"], "gpt2": ["c_attn"],
        "gpt_neo": ["q_proj", "v_proj"], "gpt_neox": ["query_key_value"], "gptj": ["q_proj", "v_proj"],
        "llama": ["q_proj", "v_proj"], "mt5": ["q", "k", "v", "o", "wi_0", "wi_1", "wo"],
        "opt": ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"], "qwen2": ["q_proj", "v_proj"],
        "qwen3": ["q_proj", "v_proj"], "roberta": ["query", "key", "value", "dense"],
        "t5": ["q", "k", "v", "o", "wi", "wo"],
    ]
    static let fourierFT = lora.merging(["gpt2": ["mlp.c_proj"]]) { $1 }
    static let c3a = fourierFT
    static let vera = lora.merging(["phi": ["q_proj", "v_proj"]]) { $1 }
    static let shira = vera
    static let vbLoRA: [String: [String]] = [
        "bert": ["query", "value"], "bloom": ["query_key_value"],
        "deberta-v2": ["query_proj", "key_proj", "value_proj", "dense"], "gemma": ["q_proj", "v_proj"],
        "gemma2": ["q_proj", "v_proj"], "gemma3_text": ["q_proj", "v_proj"], "gpt2": ["c_attn"],
        "gpt_neo": ["q_proj", "v_proj"], "gpt_neox": ["query_key_value"], "gptj": ["q_proj", "v_proj"],
        "llama": ["q_proj", "v_proj"], "mt5": ["q", "k", "v", "o", "wi_0", "wi_1", "wo"],
        "opt": ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"], "qwen2": ["q_proj", "v_proj"],
        "qwen3": ["q_proj", "v_proj"], "roberta": ["query", "value"], "t5": ["q", "k", "v", "o", "wi", "wo"],
    ]
    static let ia3: [String: [String]] = [
        "bert": ["key", "value", "output.dense"], "bloom": ["query_key_value", "mlp.dense_4h_to_h"],
        "deberta-v2": ["key_proj", "value_proj", "output.dense"], "falcon": ["query_key_value", "dense_4h_to_h"],
        "gemma": ["q_proj", "v_proj", "down_proj"], "gemma2": ["q_proj", "v_proj", "down_proj"],
        "gemma3_text": ["q_proj", "v_proj", "down_proj"], "gpt2": ["c_attn", "mlp.c_proj"],
        "gpt_neo": ["q_proj", "v_proj", "c_proj"], "gpt_neox": ["query_key_value", "dense_4h_to_h"],
        "gptj": ["q_proj", "v_proj", "fc_out"], "llama": ["k_proj", "v_proj", "down_proj"],
        "mistral": ["k_proj", "v_proj", "down_proj"], "mixtral": ["k_proj", "v_proj", "w2"], "mt5": ["k", "v", "wi_1"],
        "opt": ["q_proj", "k_proj", "fc2"], "phi": ["q_proj", "v_proj", "fc2"],
        "qwen2": ["q_proj", "v_proj", "down_proj"],
        "qwen3": ["q_proj", "v_proj", "down_proj"], "RefinedWeb": ["query_key_value", "dense_4h_to_h"],
        "RefinedWebModel": ["query_key_value", "dense_4h_to_h"], "roberta": ["key", "value", "output.dense"],
        "t5": ["k", "v", "wo"],
    ]
    static let ia3FeedForward: [String: [String]] = [
        "bert": ["output.dense"], "bloom": ["mlp.dense_4h_to_h"], "deberta-v2": ["output.dense"],
        "falcon": ["dense_4h_to_h"], "gemma": ["down_proj"], "gemma2": ["down_proj"], "gemma3_text": ["down_proj"],
        "gpt2": ["mlp.c_proj"], "gpt_neo": ["c_proj"], "gpt_neox": ["dense_4h_to_h"], "gptj": ["fc_out"],
        "llama": ["down_proj"], "mistral": ["down_proj"], "mixtral": ["w2"], "mt5": [], "opt": ["fc2"],
        "phi": ["fc2"],
        "qwen2": ["down_proj"], "qwen3": ["down_proj"], "RefinedWeb": ["dense_4h_to_h"],
        "RefinedWebModel": ["dense_4h_to_h"], "roberta": ["output.dense"], "t5": ["wo"],
    ]
    static let norms: [String: [String]] = [
        "bloom": ["input_layernorm", "post_attention_layernorm", "ln_f"],
        "falcon": ["input_layernorm", "post_attention_layernorm", "ln_f"],
        "gemma": ["input_layernorm", "post_attention_layernorm", "norm"],
        "gemma2": normsOfGemma2, "gemma3_text": normsOfGemma2,
        "gpt2": ["ln_1", "ln_2", "ln_f"], "gptj": ["ln_1", "ln_f"],
        "llama": ["input_layernorm", "post_attention_layernorm", "norm"],
        "mistral": ["input_layernorm", "post_attention_layernorm", "norm"], "mt5": ["layer_norm", "final_layer_norm"],
        "phi": ["input_layernorm", "final_layernorm"],
        "qwen2": ["post_attention_layernorm"], "qwen3": ["post_attention_layernorm"],
        "t5": ["layer_norm", "final_layer_norm"],
    ]
    private static let normsOfGemma2 = [
        "input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm",
        "norm",
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
