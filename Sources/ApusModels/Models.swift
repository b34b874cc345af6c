package import ApusLanguageModel

/// Every architecture there is, by the `model_type` of its `config.json`.
package enum Models {
    package static let registry = ModelRegistry([
        "baichuan": Baichuan.make,
        "bert": BERT.make,
        "chatglm": ChatGLM.make,
        "deepseek_v2": DeepSeek.makeV2,
        "deepseek_v3": DeepSeek.makeV3,
        "gemma": Gemma.make,
        "gemma2": Gemma2.make,
        "gemma3_text": Gemma3.make,
        "glm": GLM.make,
        "glm4": GLM4.make,
        "gpt2": GPT2.make,
        "granite": Granite.make,
        "internlm2": InternLM2.make,
        "llama": Llama.make,
        "minicpm": MiniCPM.make,
        "minicpm3": MiniCPM3.make,
        "mistral": Mistral.make,
        "mixtral": Mixtral.make,
        "olmo2": OLMo2.make,
        "phi3": Phi3.make,
        "qwen2": Qwen2.make,
        "qwen2_moe": Qwen2MoE.make,
        "qwen3": Qwen3.make,
        "qwen3_moe": Qwen3MoE.make,
        "roberta": RoBERTa.make,
        "smollm3": SmolLM3.make,
    ])
}
