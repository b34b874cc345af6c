// StarCoder 2. Lozhkov et al. 2024, https://arxiv.org/abs/2402.19173.
// Unusual: norms and all layers have biases; the feed-forward part has no gate; a token sees the last 4096 only.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width, F feed-forward width.

/// The fields of a `config.json`, as StarCoder 2 names them.
struct StarCoder2Config {
    let sizes: TransformerSizes
    let window: Int?
    let bias: Bool
    let activation: Activation
    let normEpsilon: Double
    let initializer: Initializer
    let embeddingDropout: Double
    let attentionDropout: Double
    let residualDropout: Double
    let rotary: RotaryEmbedding
    let maximumLength: Int

    init(_ config: ModelConfig) throws {
        sizes = try config.sizes(
            hidden: config.size("intermediate_size"), keyValueHeads: config.optionalSize("num_key_value_heads"))
        window = try config.optionalSize("sliding_window")
        bias = try config.flag("use_bias") ?? true
        activation = try config.activation("hidden_act", default: "gelu_pytorch_tanh")
        normEpsilon = try config.number("norm_epsilon") ?? 1e-5
        initializer = .normal(deviation: try config.number("initializer_range") ?? 0.018042)
        embeddingDropout = try config.probability("embedding_dropout") ?? 0
        attentionDropout = try config.probability("attention_dropout") ?? 0
        residualDropout = try config.probability("residual_dropout") ?? 0
        try config.require("mlp_type", "default", otherwise: "which is not there yet")
        try config.require("norm_type", "layer_norm", otherwise: "which is not there yet")
        (rotary, maximumLength) = try RotaryConfiguration.embedding(
            config: config, headSize: sizes.headSize,
            maximumLength: config.optionalSize("max_position_embeddings") ?? 4096)
    }
}

/// `h = x + attention(norm(x))`, `y = h + mlp(norm(h))`.
final class StarCoder2Layer: TransformerLayer {
    override var registersNormsLast: Bool { true }

    @Child("input_layernorm") var attentionNorm: LayerNorm
    @Child("self_attn") var attention: GroupedQueryAttention
    @Child("post_attention_layernorm") var feedForwardNorm: LayerNorm
    @Child("mlp.c_fc") var up: Linear
    @Child("mlp.c_proj") var down: Linear

    private let config: StarCoder2Config
    private let layer: Int

    init(_ config: StarCoder2Config, layer: Int) {
        self.config = config
        self.layer = layer
        super.init()
        let sizes = config.sizes
        attentionNorm = LayerNorm(sizes.width, epsilon: config.normEpsilon)
        attention = GroupedQueryAttention(
            sizes, layer: layer, inputBias: config.bias, outputBias: config.bias,
            options: AttentionOptions(
                headSize: sizes.headSize, window: config.window, dropout: config.attentionDropout),
            initializer: config.initializer)
        feedForwardNorm = LayerNorm(sizes.width, epsilon: config.normEpsilon)
        up = Linear(sizes.width, sizes.hidden, bias: config.bias, initializer: config.initializer)
        down = Linear(sizes.hidden, sizes.width, bias: config.bias, initializer: config.initializer)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let mixed = try attention(attentionNorm(x, context), context)  // [T, D]
        let h = try x + context.dropped(mixed, config.residualDropout, .attentionOutput, layer: layer)
        let y = try down(config.activation(up(feedForwardNorm(h, context), context)), context)  // [T, D]
        return try h + context.dropped(y, config.residualDropout, .feedForwardOutput, layer: layer)
    }
}

package enum StarCoder2 {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try StarCoder2Config(config)
        let sizes = fields.sizes
        let trunk = Decoder(
            TrunkFacts(name: "model", sizes: sizes, maximumLength: fields.maximumLength), rotary: [fields.rotary],
            embedding: Embedding(
                sizes.vocabulary, sizes.width, initializer: fields.initializer, padding: try config.padding),
            dropout: fields.embeddingDropout,
            layers: (0..<sizes.layers).map { StarCoder2Layer(fields, layer: $0) },
            norm: LayerNorm(sizes.width, epsilon: fields.normEpsilon))
        return try DecoderHeads(
            family: "Starcoder2", tiesEmbeddings: config.flag("tie_word_embeddings") ?? true, padding: config.padding,
            initializer: fields.initializer
        ).model(trunk, task)
    }
}
