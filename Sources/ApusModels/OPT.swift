// OPT, and what shares its shape (Galactica …). Zhang et al. 2022, https://arxiv.org/abs/2205.01068.
// Unusual: positions count from 2. OPT-350m norms after each residual, and its word vectors are narrower than the model.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width, P width of word vectors, H heads, E head size.

/// The fields of a `config.json`, as OPT names them.
struct OPTConfig {
    let sizes: TransformerSizes
    let wordWidth: Int
    let positions: Int
    /// Whether a norm stands before each sublayer, and not behind each residual.
    let normsFirst: Bool
    let normsLast: Bool
    let bias: Bool
    let activation: Activation
    let initializer: Initializer
    let attentionDropout: Double
    let dropout: Double
    let padding: Int32?

    /// `torch.nn.LayerNorm`'s, which no key changes.
    static let normEpsilon = 1e-5
    /// The first position's row in the table.
    static let firstPosition: Int32 = 2

    init(_ config: ModelConfig) throws {
        sizes = try config.sizes(hidden: config.size("ffn_dim"))
        wordWidth = try config.optionalSize("word_embed_proj_dim") ?? sizes.width
        positions = try config.optionalSize("max_position_embeddings") ?? 2048
        normsFirst = try config.flag("do_layer_norm_before") ?? true
        let removesLast = try config.flag("_remove_final_layer_norm") ?? false
        normsLast = normsFirst && !removesLast
        bias = try config.flag("enable_bias") ?? true
        activation = try config.activation("activation_function", default: "relu")
        initializer = .normal(deviation: try config.number("init_std") ?? 0.02)
        attentionDropout = try config.probability("attention_dropout") ?? 0
        dropout = try config.probability("dropout") ?? 0.1
        padding = try config.padding(orElse: 1)
        try config.require(
            "layer_norm_elementwise_affine", true, otherwise: "and norms without weights are not there yet")
        try config.require("scale_embeddings", false, otherwise: "which is not there yet")
        try config.require("learned_embeddings", true, otherwise: "which is not there yet")
        if let share = try config.number("layerdrop"), share != 0 {
            throw ModelError(
                "config.json: \"layerdrop\" is \(share); training that skips layers is not there yet, set 0")
        }
    }
}

/// `h = x + attention(norm(x))`, `y = h + mlp(norm(h))`, or in OPT-350m `h = norm(x + attention(x))`,
/// `y = norm(h + mlp(h))`.
final class OPTLayer: TransformerLayer {
    @Child("self_attn.k_proj") var key: Linear
    @Child("self_attn.v_proj") var value: Linear
    @Child("self_attn.q_proj") var query: Linear
    @Child("self_attn.out_proj") var output: Linear
    @Child("self_attn_layer_norm") var attentionNorm: LayerNorm
    @Child("fc1") var up: Linear
    @Child("fc2") var down: Linear
    @Child("final_layer_norm") var feedForwardNorm: LayerNorm

    private let config: OPTConfig
    private let layer: Int

    init(_ config: OPTConfig, layer: Int) {
        self.config = config
        self.layer = layer
        super.init()
        func linear(_ inputs: Int, _ outputs: Int) -> Linear {
            Linear(inputs, outputs, bias: config.bias, initializer: config.initializer)
        }
        let (width, hidden) = (config.sizes.width, config.sizes.hidden)
        key = linear(width, width)
        value = linear(width, width)
        query = linear(width, width)
        output = linear(width, width)
        attentionNorm = LayerNorm(width, epsilon: OPTConfig.normEpsilon)
        up = linear(width, hidden)
        down = linear(hidden, width)
        feedForwardNorm = LayerNorm(width, epsilon: OPTConfig.normEpsilon)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        guard config.normsFirst else {
            let h = try attentionNorm(x + attention(x, context), context)  // [T, D]
            return try feedForwardNorm(h + feedForward(h, context), context)
        }
        let h = try x + attention(attentionNorm(x, context), context)  // [T, D]
        return try h + feedForward(feedForwardNorm(h, context), context)
    }

    private func attention(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let size = config.sizes.headSize
        func heads(_ y: Tensor) throws -> Tensor { try y.reshaped([-1, config.sizes.heads, size]) }

        let mixed = try context.attend(
            heads(query(x, context)), heads(key(x, context)), heads(value(x, context)), layer: layer,
            AttentionOptions(headSize: size, dropout: config.attentionDropout))  // [T, H, E]
        let y = try output(mixed.reshaped([-1, config.sizes.width]), context)  // [T, D]
        return try context.dropped(y, config.dropout, .attentionOutput, layer: layer)
    }

    private func feedForward(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let y = try down(config.activation(up(x, context)), context)  // [T, D]
        return try context.dropped(y, config.dropout, .feedForwardOutput, layer: layer)
    }
}

final class OPTTrunk: Trunk {
    @Child("decoder.embed_tokens") var table: Embedding  // [V, P]
    @Child("decoder.embed_positions") var positions: Embedding
    @Child("decoder.project_out") var narrowing: Linear?
    @Child("decoder.project_in") var widening: Linear?
    @Child("decoder.layers") var layers: [TransformerLayer]
    @Child("decoder.final_layer_norm") var norm: LayerNorm?

    private let config: OPTConfig

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ config: OPTConfig) {
        self.config = config
        super.init()
        let (width, wordWidth) = (config.sizes.width, config.wordWidth)
        func projection(_ inputs: Int, _ outputs: Int) -> Linear? {
            inputs == outputs ? nil : Linear(inputs, outputs, bias: false, initializer: config.initializer)
        }
        table = Embedding(
            config.sizes.vocabulary, wordWidth, initializer: config.initializer, padding: config.padding)
        positions = Embedding(
            config.positions + Int(OPTConfig.firstPosition), width, initializer: config.initializer)
        narrowing = projection(width, wordWidth)
        widening = projection(wordWidth, width)
        layers = (0..<config.sizes.layers).map { OPTLayer(config, layer: $0) }
        norm = config.normsLast ? LayerNorm(width, epsilon: OPTConfig.normEpsilon) : nil
    }

    override var facts: TrunkFacts {
        TrunkFacts(name: "model", sizes: config.sizes, maximumLength: config.positions)
    }
    override var embedding: Embedding { table }
    override var ignoredNames: [String] { ["decoder.version"] }

    override func callAsFunction(_ words: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        try batch.check(within: maximumLength)
        let places = try Tensor(batch.positions.map { $0 + OPTConfig.firstPosition }, device: words.device)
        let wide = try widening.map { try $0(words, context) } ?? words
        let x = try run(layers, wide + positions(places, context), context)  // [T, D]
        let y = try norm.map { try $0(x, context) } ?? x
        return try narrowing.map { try $0(y, context) } ?? y  // [T, P]
    }
}

package enum OPT {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try OPTConfig(config)
        return try DecoderHeads(
            family: "OPT", tiesEmbeddings: config.flag("tie_word_embeddings") ?? true,
            padding: fields.padding, initializer: fields.initializer
        ).model(OPTTrunk(fields), task)
    }
}
