// StableLM 2 (1.6B, 12B) and StableLM-3B-4E1T. Bellagente et al. 2024, https://arxiv.org/abs/2402.17834.
// Unusual: norms have a bias, a quarter of each head turns. In 12B attention and feed-forward part stand side by side
// behind one norm, and each head of q and k has a norm of its own.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width, H query heads, K key/value heads, E head size.

/// The fields of a `config.json`, as StableLM names them.
struct StableLMConfig {
    let sizes: TransformerSizes
    let isParallel: Bool
    let normsHeads: Bool
    let inputBias: Bool
    let normEpsilon: Double
    let initializer: Initializer
    let attentionDropout: Double
    let hiddenDropout: Double
    let rotary: RotaryEmbedding
    let maximumLength: Int

    init(_ config: ModelConfig) throws {
        sizes = try config.sizes(
            hidden: config.size("intermediate_size"), keyValueHeads: config.optionalSize("num_key_value_heads"))
        isParallel = try config.flag("use_parallel_residual") ?? false
        normsHeads = try config.flag("qk_layernorm") ?? false
        inputBias = try config.flag("use_qkv_bias") ?? false
        normEpsilon = try config.number("layer_norm_eps") ?? 1e-5
        initializer = .normal(deviation: try config.number("initializer_range") ?? 0.02)
        attentionDropout = try config.probability("attention_dropout") ?? 0
        hiddenDropout = try config.probability("hidden_dropout") ?? 0
        try config.require("hidden_act", "silu", otherwise: "which is not there yet; there is silu")
        (rotary, maximumLength) = try RotaryConfiguration.embedding(
            config: config, headSize: sizes.headSize,
            maximumLength: config.optionalSize("max_position_embeddings") ?? 4096, defaultShare: 0.25)
    }
}

/// A norm for each head, [T, H, E] → [T, H, E].
final class HeadNorms: Module {
    @Child("norms") var norms: [LayerNorm]

    init(_ heads: Int, size: Int, epsilon: Double) {
        super.init()
        norms = (0..<heads).map { _ in LayerNorm(size, epsilon: epsilon, bias: false) }
    }

    func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        try stacked(norms.enumerated().map { try $1(x.selected(1, $0), context) }, axis: 1)
    }
}

/// Attention in which each head of q and k may have a norm of its own.
final class StableLMAttention: Module {
    @Child("q_proj") var query: Linear
    @Child("k_proj") var key: Linear
    @Child("v_proj") var value: Linear
    @Child("o_proj") var output: Linear
    @Child("q_layernorm") var queryNorms: HeadNorms?
    @Child("k_layernorm") var keyNorms: HeadNorms?

    private let sizes: TransformerSizes
    private let layer: Int
    private let options: AttentionOptions

    init(_ config: StableLMConfig, layer: Int) {
        sizes = config.sizes
        self.layer = layer
        options = AttentionOptions(headSize: config.sizes.headSize, dropout: config.attentionDropout)
        super.init()
        let (width, shared) = (sizes.width, sizes.keyValueHeads * sizes.headSize)
        query = Linear(width, width, bias: config.inputBias, initializer: config.initializer)
        key = Linear(width, shared, bias: config.inputBias, initializer: config.initializer)
        value = Linear(width, shared, bias: config.inputBias, initializer: config.initializer)
        output = Linear(width, width, bias: false, initializer: config.initializer)
        guard config.normsHeads else {
            (queryNorms, keyNorms) = (nil, nil)
            return
        }
        queryNorms = HeadNorms(sizes.heads, size: sizes.headSize, epsilon: config.normEpsilon)
        keyNorms = HeadNorms(sizes.keyValueHeads, size: sizes.headSize, epsilon: config.normEpsilon)
    }

    func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        func heads(_ y: Tensor, _ count: Int, _ norms: HeadNorms? = nil) throws -> Tensor {
            let split = try y.reshaped([-1, count, sizes.headSize])
            return try norms.map { try $0(split, context) } ?? split
        }

        let q = try context.rotary(heads(query(x, context), sizes.heads, queryNorms))  // [T, H, E]
        let k = try context.rotary(heads(key(x, context), sizes.keyValueHeads, keyNorms))  // [T, K, E]
        let v = try heads(value(x, context), sizes.keyValueHeads)  // [T, K, E]
        let mixed = try context.attend(q, k, v, layer: layer, options)  // [T, H, E]
        return try output(mixed.reshaped([-1, sizes.width]), context)  // [T, D]
    }
}

/// `h = x + attention(norm(x))`, `y = h + mlp(norm(h))`, or in 12B `y = x + attention(n) + mlp(n)`, n = norm(x).
final class StableLMLayer: TransformerLayer {
    @Child("self_attn") var attention: StableLMAttention
    @Child("mlp") var feedForward: SwiGLU
    @Child("input_layernorm") var attentionNorm: LayerNorm
    @Child("post_attention_layernorm") var feedForwardNorm: LayerNorm?

    private let config: StableLMConfig
    private let layer: Int

    init(_ config: StableLMConfig, layer: Int) {
        self.config = config
        self.layer = layer
        super.init()
        let sizes = config.sizes
        attention = StableLMAttention(config, layer: layer)
        feedForward = SwiGLU(width: sizes.width, hidden: sizes.hidden, initializer: config.initializer)
        attentionNorm = LayerNorm(sizes.width, epsilon: config.normEpsilon)
        feedForwardNorm = config.isParallel ? nil : LayerNorm(sizes.width, epsilon: config.normEpsilon)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let n = try attentionNorm(x, context)
        let h = try x + attention(n, context)  // [T, D]
        let m = try feedForwardNorm.map { try $0(h, context) } ?? n
        return try h
            + context.dropped(feedForward(m, context), config.hiddenDropout, .feedForwardOutput, layer: layer)
    }
}

package enum StableLM {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try StableLMConfig(config)
        let sizes = fields.sizes
        let trunk = Decoder(
            TrunkFacts(name: "model", sizes: sizes, maximumLength: fields.maximumLength), rotary: [fields.rotary],
            embedding: Embedding(
                sizes.vocabulary, sizes.width, initializer: fields.initializer, padding: try config.padding),
            layers: (0..<sizes.layers).map { StableLMLayer(fields, layer: $0) },
            norm: LayerNorm(sizes.width, epsilon: fields.normEpsilon))
        return try DecoderHeads(
            family: "StableLm", tiesEmbeddings: config.flag("tie_word_embeddings") ?? false, padding: config.padding,
            initializer: fields.initializer
        ).model(trunk, task)
    }
}
