// BLOOM and BLOOMZ. Le Scao et al. 2022, https://arxiv.org/abs/2211.05100.
// Unusual: no positions but a bias that falls with the distance; a norm behind the words; q, k and v are one product,
// by heads.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width.

/// The fields of a `config.json`, as BLOOM names them.
struct BLOOMConfig {
    let sizes: TransformerSizes
    let maximumLength: Int
    let normEpsilon: Double
    let initializer: Initializer
    let attentionDropout: Double
    let hiddenDropout: Double
    /// Whether what is added to is the norm's output, and not its input.
    let addsToNormed: Bool

    init(_ config: ModelConfig) throws {
        sizes = try config.sizes(
            width: config.key("n_embed", "hidden_size"), layers: config.key("num_hidden_layers", "n_layer"),
            heads: config.key("num_attention_heads", "n_head"), hidden: nil)
        maximumLength = try config.optionalSize("seq_length") ?? 2048
        normEpsilon = try config.number("layer_norm_epsilon") ?? 1e-5
        initializer = .normal(deviation: try config.number("initializer_range") ?? 0.02)
        attentionDropout = try config.probability("attention_dropout") ?? 0
        hiddenDropout = try config.probability("hidden_dropout") ?? 0
        addsToNormed = try config.flag("apply_residual_connection_post_layernorm") ?? false
        try config.require("slow_but_exact", false, otherwise: "which is not there yet")
        // How Megatron computed it.
        for key in [
            "attention_softmax_in_fp32", "bias_dropout_fusion", "hidden_size", "masked_softmax_fusion", "n_inner",
            "offset_alibi", "skip_bias_add", "skip_bias_add_qkv",
        ] { _ = config[key] }
    }
}

/// `h = x + attention(norm(x))`, `y = h + mlp(norm(h))`.
final class BLOOMLayer: TransformerLayer {
    @Child("input_layernorm") var attentionNorm: LayerNorm
    @Child("self_attention") var attention: FusedGroupedQueryAttention
    @Child("post_attention_layernorm") var feedForwardNorm: LayerNorm
    @Child("mlp.dense_h_to_4h") var up: Linear
    @Child("mlp.dense_4h_to_h") var down: Linear

    private let config: BLOOMConfig
    private let layer: Int

    init(_ config: BLOOMConfig, layer: Int) {
        self.config = config
        self.layer = layer
        super.init()
        let (width, hidden) = (config.sizes.width, config.sizes.hidden)
        var options = AttentionOptions(headSize: config.sizes.headSize, dropout: config.attentionDropout)
        options.slopes = ALiBi.slopes(heads: config.sizes.heads)
        attentionNorm = LayerNorm(width, epsilon: config.normEpsilon)
        attention = FusedGroupedQueryAttention(
            config.sizes, layer: layer, order: .groups, inputBias: true, outputBias: true,
            names: ("query_key_value", "dense"), options: options, initializer: config.initializer)
        feedForwardNorm = LayerNorm(width, epsilon: config.normEpsilon)
        up = Linear(width, hidden, initializer: config.initializer)
        down = Linear(hidden, width, initializer: config.initializer)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let n = try attentionNorm(x, context)  // [T, D]
        let mixed = try context.dropped(
            attention(n, context), config.hiddenDropout, .attentionOutput, layer: layer)
        let h = try (config.addsToNormed ? n : x) + mixed
        let m = try feedForwardNorm(h, context)
        let y = try down(Activation.geluTanh(up(m, context)), context)  // [T, D]
        return try (config.addsToNormed ? m : h)
            + context.dropped(y, config.hiddenDropout, .feedForwardOutput, layer: layer)
    }
}

final class BLOOMTrunk: Trunk {
    @Child("word_embeddings") var table: Embedding
    @Child("word_embeddings_layernorm") var wordNorm: LayerNorm
    @Child("h") var layers: [TransformerLayer]
    @Child("ln_f") var norm: LayerNorm

    private let config: BLOOMConfig

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ config: BLOOMConfig) {
        self.config = config
        super.init()
        table = Embedding(config.sizes.vocabulary, config.sizes.width, initializer: config.initializer)
        wordNorm = LayerNorm(config.sizes.width, epsilon: config.normEpsilon)
        layers = (0..<config.sizes.layers).map { BLOOMLayer(config, layer: $0) }
        norm = LayerNorm(config.sizes.width, epsilon: config.normEpsilon)
    }

    override var facts: TrunkFacts {
        TrunkFacts(name: "transformer", sizes: config.sizes, maximumLength: config.maximumLength)
    }
    override var embedding: Embedding { table }

    override func callAsFunction(_ words: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        try norm(run(layers, wordNorm(words, context), context), context)
    }
}

package enum BLOOM {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try BLOOMConfig(config)
        return try DecoderHeads(
            family: "Bloom", tiesEmbeddings: config.flag("tie_word_embeddings") ?? true, padding: config.padding,
            initializer: fields.initializer
        ).model(BLOOMTrunk(fields), task)
    }
}
