import ApusJSON
import ApusLanguageModel
import ApusNN

/// The fields of a `config.json`, as T5 names them.
struct T5Config {
    let sizes: TransformerSizes
    let encoderLayers: Int
    let decoderLayers: Int
    let bucketCount: Int
    let bucketReach: Int
    let activation: Activation
    let isGated: Bool
    let dropout: Double
    let headDropout: Double
    let normEpsilon: Double
    let start: Int32
    let end: Int32
    /// What the deviations of first values are multiplied with.
    let initializerFactor: Double

    init(_ config: ModelConfig) throws {
        let heads = try config.size("num_heads")
        encoderLayers = try config.size("num_layers")
        decoderLayers = try config.optionalSize("num_decoder_layers") ?? encoderLayers
        // A token passes one of the two stacks.
        sizes = TransformerSizes(
            vocabulary: try config.size("vocab_size"), width: try config.size("d_model"),
            hidden: try config.size("d_ff"), layers: max(encoderLayers, decoderLayers), heads: heads,
            keyValueHeads: heads, headSize: try config.size("d_kv"))
        bucketCount = try config.optionalSize("relative_attention_num_buckets") ?? 32
        bucketReach = try config.optionalSize("relative_attention_max_distance") ?? 128
        let form = (try config.text("feed_forward_proj") ?? "relu").split(separator: "-").map(String.init)
        isGated = try config.flag("is_gated_act") ?? (form.first == "gated")
        let named = form == ["gated", "gelu"] ? "gelu_new" : form.last ?? "relu"
        activation = try config.activation("dense_act_fn", default: named)
        dropout = try config.probability("dropout_rate") ?? 0.1
        headDropout = try config.probability("classifier_dropout") ?? 0
        normEpsilon = try config.number("layer_norm_epsilon") ?? 1e-6
        func token(_ key: String) throws -> Int32? { try config.integer(key).flatMap(Int32.init(exactly:)) }
        start = try token("decoder_start_token_id") ?? token("pad_token_id") ?? 0
        end = try token("eos_token_id") ?? 1
        initializerFactor = try config.number("initializer_factor") ?? 1
        try config.require("is_encoder_decoder", true, otherwise: "and a T5 of one half is not there yet")
        // The longest texts of the first training; distances have no end.
        for key in ["n_positions", "is_decoder"] { _ = config[key] }
    }

    func table() -> Embedding { Embedding(sizes.vocabulary, sizes.width, initializer: initializer(1)) }
    func initializer(_ deviation: Double) -> Initializer { .normal(deviation: initializerFactor * deviation) }
    func initializer(fanIn: Int) -> Initializer { initializer(1 / Double(fanIn).squareRoot()) }
}
