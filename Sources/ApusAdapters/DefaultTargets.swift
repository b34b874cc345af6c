/// The layers that PEFT chooses for an architecture by itself (`--target_modules auto`), by `model_type`.
enum DefaultTargets {
    static let lora = [
        "llama": ["q_proj", "v_proj"], "mistral": ["q_proj", "v_proj"], "qwen2": ["q_proj", "v_proj"],
        "qwen3": ["q_proj", "v_proj"], "gpt2": ["c_attn"], "bert": ["query", "value"], "roberta": ["query", "value"],
        "gemma": ["q_proj", "v_proj"], "gemma2": ["q_proj", "v_proj"], "gemma3_text": ["q_proj", "v_proj"],
        "mixtral": ["q_proj", "v_proj"], "chatglm": ["query_key_value"],
    ]
    static let adaLoRA = [
        "llama": ["q_proj", "v_proj"], "qwen2": ["q_proj", "v_proj"], "qwen3": ["q_proj", "v_proj"],
        "gpt2": ["c_attn"], "bert": ["query", "value"], "roberta": ["query", "key", "value", "dense"],
        "gemma": ["q_proj", "v_proj"], "gemma2": ["q_proj", "v_proj"], "gemma3_text": ["q_proj", "v_proj"],
    ]
    static let fourierFT = lora.merging(["gpt2": ["mlp.c_proj"]]) { $1 }
    static let c3a = fourierFT
    static let vbLoRA = lora.filter { !["mistral", "mixtral", "chatglm"].contains($0.key) }
    static let ia3 = [
        "llama": ["k_proj", "v_proj", "down_proj"], "mistral": ["k_proj", "v_proj", "down_proj"],
        "qwen2": ["q_proj", "v_proj", "down_proj"], "qwen3": ["q_proj", "v_proj", "down_proj"],
        "gpt2": ["c_attn", "mlp.c_proj"], "bert": ["key", "value", "output.dense"],
        "roberta": ["key", "value", "output.dense"],
        "gemma": ["q_proj", "v_proj", "down_proj"], "gemma2": ["q_proj", "v_proj", "down_proj"],
        "gemma3_text": ["q_proj", "v_proj", "down_proj"], "mixtral": ["k_proj", "v_proj", "w2"],
    ]
    static let norms = [
        "llama": ["input_layernorm", "post_attention_layernorm", "norm"],
        "mistral": ["input_layernorm", "post_attention_layernorm", "norm"],
        "qwen2": ["post_attention_layernorm"], "qwen3": ["post_attention_layernorm"],
        "gpt2": ["ln_1", "ln_2", "ln_f"],
        "gemma": ["input_layernorm", "post_attention_layernorm", "norm"],
        "gemma2": sandwichNorms, "gemma3_text": sandwichNorms,
    ]
    private static let sandwichNorms = [
        "input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm",
        "norm",
    ]
    static let ia3FeedForward = [
        "llama": ["down_proj"], "mistral": ["down_proj"], "qwen2": ["down_proj"], "qwen3": ["down_proj"],
        "gpt2": ["mlp.c_proj"], "bert": ["output.dense"], "roberta": ["output.dense"],
        "gemma": ["down_proj"], "gemma2": ["down_proj"], "gemma3_text": ["down_proj"], "mixtral": ["w2"],
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
