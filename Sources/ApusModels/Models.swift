package import ApusLanguageModel

/// Every architecture there is, by the `model_type` of its `config.json`.
package enum Models {
    package static let registry = ModelRegistry([
        "llama": Llama.make,
        "qwen2": Qwen2.make,
    ])
}
