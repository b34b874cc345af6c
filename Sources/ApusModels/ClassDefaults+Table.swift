import ApusJSON
import ApusLanguageModel

extension ClassDefaults {
    /// By `model_type`, the sizes that the configuration classes of `transformers` have by themselves.
    ///
    /// Null is not a missing key: it says that there are as many heads of keys as of queries, whatever the class has.
    static let all: [String: ClassDefaults] = [
        "albert": sizes(30_000, 4096, hidden: 16_384, layers: 12, heads: 64),
        "bert": sizes(30_522, 768, hidden: 3072, layers: 12, heads: 12),
        "bloom": ClassDefaults(
            ["vocab_size": 250_880, "hidden_size": 64, "n_layer": 2, "n_head": 8]),
        "camembert": sizes(30_522, 768, hidden: 3072, layers: 12, heads: 12),
        "deberta-v2": sizes(128_100, 1536, hidden: 6144, layers: 24, heads: 24),
        "deepseek_v2": sizes(102_400, 4096, hidden: 11_008, layers: 32, heads: 32, latent),
        "deepseek_v3": sizes(129_280, 7168, hidden: 18_432, layers: 61, heads: 128, latent),
        "distilbert": ClassDefaults(
            ["vocab_size": 30_522, "dim": 768, "hidden_dim": 3072, "n_layers": 6, "n_heads": 12],
            spellings: ["dim": "hidden_size", "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads"]),
        "electra": sizes(30_522, 256, hidden: 1024, layers: 12, heads: 4),
        "exaone4": sizes(102_400, 4096, hidden: 16_384, layers: 32, heads: 32, keyValueHeads: 32),
        "falcon": ClassDefaults(["vocab_size": 65_024, "hidden_size": 4544, "n_layer": 32, "n_head": 71]),
        "gemma": sizes(256_000, 3072, hidden: 24_576, layers: 28, heads: 16, keyValueHeads: 16),
        "gemma2": sizes(256_000, 2304, hidden: 9216, layers: 26, heads: 8, keyValueHeads: 4),
        "gemma3_text": sizes(262_208, 2304, hidden: 9216, layers: 26, heads: 8, keyValueHeads: 4),
        "glm": sizes(151_552, 4096, hidden: 13_696, layers: 40, heads: 32, keyValueHeads: 2),
        "glm4": sizes(151_552, 4096, hidden: 13_696, layers: 40, heads: 32, keyValueHeads: 2),
        "glm4_moe": sizes(151_552, 4096, hidden: 10_944, layers: 46, heads: 96, keyValueHeads: 8),
        "glm4_moe_lite": sizes(
            154_880, 2048, hidden: 10_240, layers: 47, heads: 20, keyValueHeads: 20,
            ["kv_lora_rank": 512, "qk_nope_head_dim": 192, "v_head_dim": 256]),
        "gpt2": ClassDefaults(["vocab_size": 50_257, "n_embd": 768, "n_layer": 12, "n_head": 12], spellings: gpt),
        "gpt_neo": ClassDefaults(
            ["vocab_size": 50_257, "hidden_size": 2048, "num_layers": 24, "num_heads": 16],
            spellings: ["num_layers": "num_hidden_layers", "num_heads": "num_attention_heads"]),
        "gpt_neox": sizes(50_432, 6144, hidden: 24_576, layers: 44, heads: 64),
        "gpt_oss": sizes(201_088, 2880, hidden: 2880, layers: 36, heads: 64, keyValueHeads: 8),
        "gptj": ClassDefaults(["vocab_size": 50_400, "n_embd": 4096, "n_layer": 28, "n_head": 16], spellings: gpt),
        "granite": sizes(32_000, 4096, hidden: 11_008, layers: 32, heads: 32),
        "hunyuan_v1_dense": sizes(290_943, 4096, hidden: 11_008, layers: 32, heads: 32),
        "llama": sizes(32_000, 4096, hidden: 11_008, layers: 32, heads: 32),
        "minicpm3": sizes(
            73_448, 2560, hidden: 6400, layers: 62, heads: 40,
            [
                "kv_lora_rank": 256, "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "initializer_range": 0.1,
            ]),
        "mistral": sizes(32_000, 4096, hidden: 14_336, layers: 32, heads: 32, keyValueHeads: 8),
        "mixtral": sizes(32_000, 4096, hidden: 14_336, layers: 32, heads: 32, keyValueHeads: 8),
        "modernbert": sizes(50_368, 768, hidden: 1152, layers: 22, heads: 12),
        "mpt": ClassDefaults(
            ["vocab_size": 50_368, "d_model": 2048, "n_layers": 24, "n_heads": 16],
            spellings: ["d_model": "hidden_size", "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads"]),
        "mt5": ClassDefaults(
            [
                "vocab_size": 250_112, "d_model": 512, "d_kv": 64, "d_ff": 1024, "num_layers": 8, "num_heads": 6,
                "feed_forward_proj": "gated-gelu",
            ], spellings: t5),
        "olmo2": sizes(50_304, 4096, hidden: 11_008, layers: 32, heads: 32),
        "olmoe": sizes(50_304, 2048, hidden: 2048, layers: 16, heads: 16, ["router_aux_loss_coef": 0.01]),
        "opt": ClassDefaults([
            "vocab_size": 50_272, "hidden_size": 768, "ffn_dim": 3072, "num_hidden_layers": 12,
            "num_attention_heads": 12,
        ]),
        "phi": sizes(51_200, 2048, hidden: 8192, layers: 24, heads: 32),
        // The length stands before that of the table of rotary positions, also where the class gives it.
        "phi3": sizes(
            32_064, 3072, hidden: 8192, layers: 32, heads: 32, ["original_max_position_embeddings": 4096]),
        "qwen2": sizes(151_936, 4096, hidden: 22_016, layers: 32, heads: 32, keyValueHeads: 32),
        "qwen2_moe": sizes(151_936, 2048, hidden: 5632, layers: 24, heads: 16, keyValueHeads: 16),
        "qwen3": sizes(151_936, 4096, hidden: 22_016, layers: 32, heads: 32, keyValueHeads: 32),
        "qwen3_5_moe_text": sizes(248_320, 2048, hidden: nil, layers: 40, heads: 16, keyValueHeads: 2),
        "qwen3_5_text": sizes(248_320, 4096, hidden: 12_288, layers: 32, heads: 16, keyValueHeads: 4),
        "qwen3_moe": sizes(151_936, 2048, hidden: 6144, layers: 24, heads: 32, keyValueHeads: 4),
        "qwen3_next": sizes(151_936, 2048, hidden: 5632, layers: 48, heads: 16, keyValueHeads: 2),
        "roberta": sizes(50_265, 768, hidden: 3072, layers: 12, heads: 12),
        "seed_oss": sizes(
            155_136, 4096, hidden: 27_648, layers: 64, heads: 80, keyValueHeads: 8, ["attention_dropout": 0.1]),
        "smollm3": sizes(128_256, 2048, hidden: 11_008, layers: 36, heads: 16, keyValueHeads: 4),
        "stablelm": sizes(50_304, 2560, hidden: 6912, layers: 32, heads: 32, keyValueHeads: 32),
        "starcoder2": sizes(49_152, 3072, hidden: 12_288, layers: 30, heads: 24, keyValueHeads: 2),
        "t5": ClassDefaults(
            ["vocab_size": 32_128, "d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8],
            spellings: t5),
        "xlm-roberta": sizes(30_522, 768, hidden: 3072, layers: 12, heads: 12),
    ]

    private static let latent: JSONObject = ["kv_lora_rank": 512, "qk_nope_head_dim": 128, "v_head_dim": 128]
    private static let gpt = [
        "n_embd": "hidden_size", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads",
        "n_positions": "max_position_embeddings",
    ]
    private static let t5 = [
        "d_model": "hidden_size", "num_layers": "num_hidden_layers", "num_heads": "num_attention_heads",
        "d_kv": "head_dim",
    ]

    private static func sizes(
        _ vocabulary: Int, _ width: Int, hidden: Int?, layers: Int, heads: Int, keyValueHeads: Int? = nil,
        _ more: JSONObject = [:]
    ) -> ClassDefaults {
        var values = more
        values["vocab_size"] = .int(vocabulary)
        values["hidden_size"] = .int(width)
        values["intermediate_size"] = hidden.map(JSONValue.int)
        values["num_hidden_layers"] = .int(layers)
        values["num_attention_heads"] = .int(heads)
        values["num_key_value_heads"] = keyValueHeads.map(JSONValue.int)
        return ClassDefaults(values)
    }
}
