// GPT-J. Wang and Komatsuzaki 2021, https://github.com/kingoflolz/mesh-transformer-jax.
// Unusual: attention and feed-forward part side by side, behind the same norm; the first 64 elements of a head turn, in
// neighbouring pairs; the head has a bias.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width, H heads, E head size.

/// The fields of a `config.json`, as GPT-J names them.
struct GPTJConfig {
    let sizes: TransformerSizes
    let maximumLength: Int
    let activation: Activation
    let normEpsilon: Double
    let initializer: Initializer
    let embeddingDropout: Double
    let attentionDropout: Double
    let residualDropout: Double
    let rotary: RotaryEmbedding

    init(_ config: ModelConfig) throws {
        sizes = try config.sizes(
            width: "n_embd", layers: "n_layer", heads: "n_head", hidden: config.optionalSize("n_inner"))
        maximumLength = try config.optionalSize("n_positions") ?? 2048
        activation = try config.activation("activation_function", default: "gelu_new")
        normEpsilon = try config.number("layer_norm_epsilon") ?? 1e-5
        initializer = .normal(deviation: try config.number("initializer_range") ?? 0.02)
        embeddingDropout = try config.probability("embd_pdrop") ?? 0
        attentionDropout = try config.probability("attn_pdrop") ?? 0
        residualDropout = try config.probability("resid_pdrop") ?? 0
        let turned = config.has("rotary_dim") ? try config.size("rotary_dim") : 64
        guard turned <= sizes.headSize, turned % 2 == 0 else {
            throw ModelError(
                "config.json: rotary_dim is \(turned); it must be even and at most the head size, \(sizes.headSize)")
        }
        rotary = RotaryEmbedding(size: turned, base: 10_000, pairing: .interleaved)
        try config.require("scale_attn_weights", true, otherwise: "which is not there yet")
        // Without effect, and of heads that there are not.
        for key in [
            "n_ctx", "rotary", "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type",
            "summary_use_proj",
        ] { _ = config[key] }
    }
}

/// `y = x + attention(n) + mlp(n)`, n = norm(x).
final class GPTJLayer: TransformerLayer {
    @Child("ln_1") var norm: LayerNorm
    @Child("attn.k_proj") var key: Linear
    @Child("attn.v_proj") var value: Linear
    @Child("attn.q_proj") var query: Linear
    @Child("attn.out_proj") var output: Linear
    @Child("mlp.fc_in") var up: Linear
    @Child("mlp.fc_out") var down: Linear

    private let config: GPTJConfig
    private let layer: Int

    init(_ config: GPTJConfig, layer: Int) {
        self.config = config
        self.layer = layer
        super.init()
        let (width, hidden) = (config.sizes.width, config.sizes.hidden)
        func square() -> Linear { Linear(width, width, bias: false, initializer: config.initializer) }
        norm = LayerNorm(width, epsilon: config.normEpsilon)
        key = square()
        value = square()
        query = square()
        output = square()
        up = Linear(width, hidden, initializer: config.initializer)
        down = Linear(hidden, width, initializer: config.initializer)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let n = try norm(x, context)
        let mixed = try context.dropped(
            attention(n, context), config.residualDropout, .attentionOutput, layer: layer)  // [T, D]
        let y = try context.dropped(
            down(config.activation(up(n, context)), context), config.residualDropout, .feedForwardOutput, layer: layer)
        return try mixed + y + x
    }

    private func attention(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let size = config.sizes.headSize
        func heads(_ y: Tensor) throws -> Tensor { try y.reshaped([-1, config.sizes.heads, size]) }

        let mixed = try context.attend(
            context.rotary(heads(query(x, context))), context.rotary(heads(key(x, context))), heads(value(x, context)),
            layer: layer, AttentionOptions(headSize: size, dropout: config.attentionDropout))  // [T, H, E]
        return try output(mixed.reshaped([-1, config.sizes.width]), context)  // [T, D]
    }
}

package enum GPTJ {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try GPTJConfig(config)
        let sizes = fields.sizes
        let trunk = Decoder(
            TrunkFacts(name: "transformer", sizes: sizes, maximumLength: fields.maximumLength),
            names: .init(embedding: "wte", layers: "h", norm: "ln_f"), rotary: [fields.rotary],
            embedding: Embedding(sizes.vocabulary, sizes.width, initializer: fields.initializer),
            dropout: fields.embeddingDropout, layers: (0..<sizes.layers).map { GPTJLayer(fields, layer: $0) },
            norm: LayerNorm(sizes.width, epsilon: fields.normEpsilon))
        return try DecoderHeads(
            family: "GPTJ", tiesEmbeddings: config.flag("tie_word_embeddings") ?? false, padding: config.padding,
            initializer: fields.initializer, bias: true
        ).model(trunk, task)
    }
}
