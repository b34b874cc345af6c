package import ApusLanguageModel

/// Every architecture there is, by the `model_type` of its `config.json`.
package enum Models {
    package static let registry = ModelRegistry([
        "bert": BERT.make,
        "gpt2": GPT2.make,
        "llama": Llama.make,
        "mistral": Mistral.make,
        "mt5": T5.makeMultilingual,
        "qwen2": Qwen2.make,
        "qwen3": Qwen3.make,
        "roberta": RoBERTa.make,
        "t5": T5.make,
    ])
}
