// GPT-NeoX-20B and Pythia. Black et al. 2022, https://arxiv.org/abs/2204.06745; Biderman et al. 2023,
// https://arxiv.org/abs/2304.01373.
// Unusual: attention and feed-forward part side by side, each behind a norm of its own; a part of each head turns; q, k
// and v are one product, by heads; the head is called embed_out.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width.

/// The fields of a `config.json`, as GPT-NeoX names them.
struct GPTNeoXConfig {
    let sizes: TransformerSizes
    let isParallel: Bool
    let attentionBias: Bool
    let activation: Activation
    let normEpsilon: Double
    let initializer: Initializer
    let attentionDropout: Double
    let hiddenDropout: Double
    let rotary: RotaryEmbedding
    let maximumLength: Int

    init(_ config: ModelConfig) throws {
        sizes = try config.sizes(hidden: config.size("intermediate_size"))
        isParallel = try config.flag("use_parallel_residual") ?? true
        attentionBias = try config.flag("attention_bias") ?? true
        activation = try config.activation("hidden_act", default: "gelu")
        normEpsilon = try config.number("layer_norm_eps") ?? 1e-5
        initializer = .normal(deviation: try config.number("initializer_range") ?? 0.02)
        attentionDropout = try config.probability("attention_dropout") ?? 0
        hiddenDropout = try config.probability("hidden_dropout") ?? 0
        (rotary, maximumLength) = try RotaryConfiguration.embedding(
            config: config, headSize: sizes.headSize,
            maximumLength: config.optionalSize("max_position_embeddings") ?? 2048,
            defaultBase: config.number("rotary_emb_base") ?? 10_000, defaultShare: config.number("rotary_pct") ?? 0.25)
        // Of a head that there is not, and of how it is trained from scratch.
        for key in ["classifier_dropout", "is_decoder", "use_fused_cross_entropy"] { _ = config[key] }
    }
}

/// `y = x + attention(norm(x)) + mlp(norm(x))`, or `h = x + attention(norm(x))`, `y = h + mlp(norm(h))`.
final class GPTNeoXLayer: TransformerLayer {
    @Child("input_layernorm") var attentionNorm: LayerNorm
    @Child("post_attention_layernorm") var feedForwardNorm: LayerNorm
    @Child("attention") var attention: FusedGroupedQueryAttention
    @Child("mlp.dense_h_to_4h") var up: Linear
    @Child("mlp.dense_4h_to_h") var down: Linear

    private let config: GPTNeoXConfig
    private let layer: Int

    init(_ config: GPTNeoXConfig, layer: Int) {
        self.config = config
        self.layer = layer
        super.init()
        let sizes = config.sizes
        attentionNorm = LayerNorm(sizes.width, epsilon: config.normEpsilon)
        feedForwardNorm = LayerNorm(sizes.width, epsilon: config.normEpsilon)
        attention = FusedGroupedQueryAttention(
            sizes, layer: layer, order: .groups, inputBias: config.attentionBias, outputBias: config.attentionBias,
            names: ("query_key_value", "dense"),
            options: AttentionOptions(headSize: sizes.headSize, dropout: config.attentionDropout),
            initializer: config.initializer)
        up = Linear(sizes.width, sizes.hidden, initializer: config.initializer)
        down = Linear(sizes.hidden, sizes.width, initializer: config.initializer)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let mixed = try context.dropped(
            attention(attentionNorm(x, context), context), config.hiddenDropout, .attentionOutput, layer: layer)
        if config.isParallel { return try feedForward(x, context) + mixed + x }  // [T, D]
        let h = try mixed + x
        return try feedForward(h, context) + h
    }

    private func feedForward(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let y = try down(config.activation(up(feedForwardNorm(x, context), context)), context)  // [T, D]
        return try context.dropped(y, config.hiddenDropout, .feedForwardOutput, layer: layer)
    }
}

package enum GPTNeoX {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try GPTNeoXConfig(config)
        let sizes = fields.sizes
        let trunk = Decoder(
            TrunkFacts(name: "gpt_neox", sizes: sizes, maximumLength: fields.maximumLength),
            names: .init(embedding: "embed_in", layers: "layers", norm: "final_layer_norm"), rotary: [fields.rotary],
            embedding: Embedding(sizes.vocabulary, sizes.width, initializer: fields.initializer),
            dropout: fields.hiddenDropout, layers: (0..<sizes.layers).map { GPTNeoXLayer(fields, layer: $0) },
            norm: LayerNorm(sizes.width, epsilon: fields.normEpsilon))
        return try DecoderHeads(
            family: "GPTNeoX", tiesEmbeddings: config.flag("tie_word_embeddings") ?? false, padding: config.padding,
            initializer: fields.initializer, name: "embed_out"
        ).model(trunk, task)
    }
}
