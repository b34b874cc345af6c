// Falcon 1B to 180B. Almazrouei et al. 2023, https://arxiv.org/abs/2311.16867.
// Unusual: attention and feed-forward part side by side, behind one norm or a norm each; q, k and v are one product, by
// groups of heads that share a key and a value. Falcon-RW has the two one after the other, and ALiBi.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width.

/// The fields of a `config.json`, as Falcon names them, and as its first files did.
struct FalconConfig {
    /// Which norms a layer has, and what they stand before.
    enum Order: Equatable {
        /// Side by side, behind the same norm: Falcon-7B.
        case parallel
        /// Side by side, behind a norm each: Falcon-40B.
        case parallelWithTwoNorms
        /// One after the other: Falcon-RW.
        case sequential
    }

    let sizes: TransformerSizes
    let order: Order
    let hasALiBi: Bool
    let bias: Bool
    let activation: Activation
    let normEpsilon: Double
    let initializer: Initializer
    let attentionDropout: Double
    let hiddenDropout: Double
    /// Empty with ALiBi.
    let rotary: [RotaryEmbedding]
    let maximumLength: Int

    init(_ config: ModelConfig) throws {
        let type = config["model_type"]?.stringValue
        // The first files of Falcon-40B say it by their type.
        let isNew = try config.flag("new_decoder_architecture") ?? (type == "RefinedWeb")
        let sharesOne = try config.flag("multi_query") ?? true
        let headsKey = config.key("num_attention_heads", "n_head")
        let keyValueHeads =
            try isNew
            ? config.optionalSize(config.key("num_kv_heads", "n_head_kv")) : sharesOne ? 1 : config.size(headsKey)
        sizes = try config.sizes(
            width: config.key("n_embed", "hidden_size"), layers: config.key("num_hidden_layers", "n_layer"),
            heads: headsKey, hidden: config.optionalSize("ffn_hidden_size"), keyValueHeads: keyValueHeads)
        let isParallel = try config.flag("parallel_attn") ?? true
        let norms = try config.integer("num_ln_in_parallel_attn") ?? (isNew ? 2 : 1)
        switch (isNew, isParallel, norms) {
        case (true, true, 2): order = .parallelWithTwoNorms
        case (_, true, 1): order = .parallel
        case (false, false, _): order = .sequential
        default:
            throw ModelError(
                "config.json: new_decoder_architecture \(isNew), parallel_attn \(isParallel) and num_ln_in_parallel_attn "
                    + "\(norms) do not go together in transformers")
        }
        hasALiBi = try config.flag("alibi") ?? false
        bias = try config.flag("bias") ?? false
        activation = try config.activation("activation", default: "gelu")
        normEpsilon = try config.number("layer_norm_epsilon") ?? 1e-5
        initializer = .normal(deviation: try config.number("initializer_range") ?? 0.02)
        attentionDropout = try config.probability("attention_dropout") ?? 0
        hiddenDropout = try config.probability("hidden_dropout") ?? 0
        try config.require("apply_residual_connection_post_layernorm", false, otherwise: "which is not there yet")
        let length = try config.optionalSize("max_position_embeddings") ?? 2048
        let positions = try RotaryConfiguration.embedding(
            config: config, headSize: sizes.headSize, maximumLength: length)
        rotary = hasALiBi ? [] : [positions.rotary]
        maximumLength = hasALiBi ? length : positions.maximumLength
        // Without effect: the number of heads of keys and values where there is one or as many as of queries.
        for key in ["hidden_size", "num_kv_heads", "n_head_kv"] { _ = config[key] }
    }

    /// ALiBi's bias is rounded to bfloat16 and added before scores are scaled, and rotary models drop no weights.
    var attentionOptions: AttentionOptions {
        var options = AttentionOptions(headSize: sizes.headSize, dropout: hasALiBi ? attentionDropout : 0)
        if hasALiBi { (options.slopes, options.roundsSlopes) = (ALiBi.slopes(heads: sizes.heads), true) }
        return options
    }
}

/// `y = x + (attention(n) + mlp(m))` with n and m one norm of x or two, or `h = x + attention(norm(x))`,
/// `y = h + mlp(norm(h))`.
final class FalconLayer: TransformerLayer {
    override var registersNormsLast: Bool { true }

    @Child("input_layernorm") var norm: LayerNorm?
    @Child("ln_attn") var attentionNorm: LayerNorm?
    @Child("ln_mlp") var feedForwardNorm: LayerNorm?
    @Child("self_attention") var attention: FusedGroupedQueryAttention
    @Child("post_attention_layernorm") var laterNorm: LayerNorm?
    @Child("mlp.dense_h_to_4h") var up: Linear
    @Child("mlp.dense_4h_to_h") var down: Linear

    private let config: FalconConfig
    private let layer: Int

    init(_ config: FalconConfig, layer: Int) {
        self.config = config
        self.layer = layer
        super.init()
        let sizes = config.sizes
        func linear(_ inputs: Int, _ outputs: Int) -> Linear {
            Linear(inputs, outputs, bias: config.bias, initializer: config.initializer)
        }
        func norm(in orders: FalconConfig.Order...) -> LayerNorm? {
            orders.contains(config.order) ? LayerNorm(sizes.width, epsilon: config.normEpsilon) : nil
        }
        self.norm = norm(in: .parallel, .sequential)
        attentionNorm = norm(in: .parallelWithTwoNorms)
        feedForwardNorm = norm(in: .parallelWithTwoNorms)
        attention = FusedGroupedQueryAttention(
            sizes, layer: layer, order: .groups, inputBias: config.bias, outputBias: config.bias,
            names: ("query_key_value", "dense"), options: config.attentionOptions, initializer: config.initializer)
        laterNorm = norm(in: .sequential)
        up = linear(sizes.width, sizes.hidden)
        down = linear(sizes.hidden, sizes.width)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        func normed(_ norm: LayerNorm?, _ x: Tensor) throws -> Tensor { try norm.map { try $0(x, context) } ?? x }
        func dropped(_ y: Tensor) throws -> Tensor {
            try context.dropped(y, config.hiddenDropout, .feedForwardOutput, layer: layer)
        }

        switch config.order {
        case .parallel:
            let n = try normed(norm, x)
            return try x + dropped(feedForward(n, context) + attention(n, context))  // [T, D]
        case .parallelWithTwoNorms:
            let (n, m) = (try normed(attentionNorm, x), try normed(feedForwardNorm, x))
            return try x + dropped(feedForward(m, context) + attention(n, context))  // [T, D]
        case .sequential:
            let mixed = try attention(normed(norm, x), context)  // [T, D]
            let h = try x + context.dropped(mixed, config.attentionDropout, .attentionOutput, layer: layer)
            return try h + dropped(feedForward(normed(laterNorm, h), context))
        }
    }

    private func feedForward(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        try down(config.activation(up(x, context)), context)  // [T, D]
    }
}

package enum Falcon {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try FalconConfig(config)
        let sizes = fields.sizes
        let trunk = Decoder(
            TrunkFacts(name: "transformer", sizes: sizes, maximumLength: fields.maximumLength),
            names: .init(embedding: "word_embeddings", layers: "h", norm: "ln_f"), rotary: fields.rotary,
            embedding: Embedding(sizes.vocabulary, sizes.width, initializer: fields.initializer),
            layers: (0..<sizes.layers).map { FalconLayer(fields, layer: $0) },
            norm: LayerNorm(sizes.width, epsilon: fields.normEpsilon))
        return try DecoderHeads(
            family: "Falcon", tiesEmbeddings: config.flag("tie_word_embeddings") ?? true, padding: config.padding,
            initializer: fields.initializer
        ).model(trunk, task)
    }
}
