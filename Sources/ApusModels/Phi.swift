// Phi 1, 1.5 and 2. Gunasekar et al. 2023, https://arxiv.org/abs/2306.11644; Li et al. 2023, https://arxiv.org/abs/2309.05463.
// Unusual: attention and feed-forward part side by side, behind the same norm; half of each head turns; all layers and the
// head have biases.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width, H query heads, K key/value heads, E head size.

/// The fields of a `config.json`, as Phi names them.
struct PhiConfig {
    let sizes: TransformerSizes
    let activation: Activation
    let normsHeads: Bool
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
        activation = try config.activation("hidden_act", default: "gelu_new")
        normsHeads = try config.flag("qk_layernorm") ?? false
        normEpsilon = try config.number("layer_norm_eps") ?? 1e-5
        initializer = .normal(deviation: try config.number("initializer_range") ?? 0.02)
        embeddingDropout = try config.probability("embd_pdrop") ?? 0
        attentionDropout = try config.probability("attention_dropout") ?? 0
        residualDropout = try config.probability("resid_pdrop") ?? 0
        (rotary, maximumLength) = try RotaryConfiguration.embedding(
            config: config, headSize: sizes.headSize,
            maximumLength: config.optionalSize("max_position_embeddings") ?? 2048, defaultShare: 0.5)
    }
}

final class PhiAttention: Module {
    @Child("q_proj") var query: Linear
    @Child("k_proj") var key: Linear
    @Child("v_proj") var value: Linear
    @Child("dense") var output: Linear
    @Child("q_layernorm") var queryNorm: LayerNorm?
    @Child("k_layernorm") var keyNorm: LayerNorm?

    private let config: PhiConfig
    private let layer: Int

    init(_ config: PhiConfig, layer: Int) {
        self.config = config
        self.layer = layer
        super.init()
        let (width, shared) = (config.sizes.width, config.sizes.keyValueHeads * config.sizes.headSize)
        query = Linear(width, width, initializer: config.initializer)
        key = Linear(width, shared, initializer: config.initializer)
        value = Linear(width, shared, initializer: config.initializer)
        output = Linear(width, width, initializer: config.initializer)
        func norm() -> LayerNorm? {
            config.normsHeads ? LayerNorm(config.sizes.headSize, epsilon: config.normEpsilon) : nil
        }
        queryNorm = norm()
        keyNorm = norm()
    }

    func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let size = config.sizes.headSize
        func heads(_ y: Tensor, _ norm: LayerNorm? = nil) throws -> Tensor {
            let split = try y.reshaped([x.shape[0], -1, size])
            return try norm.map { try $0(split, context) } ?? split
        }

        let q = try context.rotary(heads(query(x, context), queryNorm))  // [T, H, E]
        let k = try context.rotary(heads(key(x, context), keyNorm))  // [T, K, E]
        let mixed = try context.attend(
            q, k, heads(value(x, context)), layer: layer,
            AttentionOptions(headSize: size, dropout: config.attentionDropout))  // [T, H, E]
        return try output(mixed.reshaped([x.shape[0], -1]), context)  // [T, D]
    }
}

/// `y = x + attention(n) + mlp(n)`, n = norm(x).
final class PhiLayer: TransformerLayer {
    @Child("self_attn") var attention: PhiAttention
    @Child("mlp.fc1") var up: Linear
    @Child("mlp.fc2") var down: Linear
    @Child("input_layernorm") var norm: LayerNorm

    private let config: PhiConfig
    private let layer: Int

    init(_ config: PhiConfig, layer: Int) {
        self.config = config
        self.layer = layer
        super.init()
        let sizes = config.sizes
        attention = PhiAttention(config, layer: layer)
        up = Linear(sizes.width, sizes.hidden, initializer: config.initializer)
        down = Linear(sizes.hidden, sizes.width, initializer: config.initializer)
        norm = LayerNorm(sizes.width, epsilon: config.normEpsilon)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let n = try norm(x, context)
        let mixed = try context.dropped(
            attention(n, context), config.residualDropout, .attentionOutput, layer: layer)  // [T, D]
        let y = try context.dropped(
            down(config.activation(up(n, context)), context), config.residualDropout, .feedForwardOutput, layer: layer)
        return try mixed + y + x
    }
}

package enum Phi {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try PhiConfig(config)
        let sizes = fields.sizes
        let trunk = Decoder(
            TrunkFacts(name: "model", sizes: sizes, maximumLength: fields.maximumLength),
            names: .init(embedding: "embed_tokens", layers: "layers", norm: "final_layernorm"), rotary: [fields.rotary],
            embedding: Embedding(
                sizes.vocabulary, sizes.width, initializer: fields.initializer, padding: try config.padding),
            dropout: fields.embeddingDropout, layers: (0..<sizes.layers).map { PhiLayer(fields, layer: $0) },
            norm: LayerNorm(sizes.width, epsilon: fields.normEpsilon))
        return try DecoderHeads(
            family: "Phi", tiesEmbeddings: config.flag("tie_word_embeddings") ?? false, padding: config.padding,
            initializer: fields.initializer, bias: true
        ).model(trunk, task)
    }
}
