// GPT-2, and what shares its shape (DistilGPT-2 …). Radford et al. 2019,
// https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf.
// Unusual: positions have vectors of their own; matrices lie as [in, out]; q, k and v are one product; norms have a bias.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width, H heads, E head size, F feed-forward width.

/// The fields of a `config.json`, as GPT-2 names them.
struct GPT2Config {
    let sizes: TransformerSizes
    let positions: Int
    let activation: Activation
    let normEpsilon: Double
    let initializer: Initializer
    let embeddingDropout: Double
    let attentionDropout: Double
    let residualDropout: Double
    let scalesAttention: Bool
    let scalesByLayer: Bool

    init(_ config: ModelConfig) throws {
        sizes = try config.sizes(
            width: "n_embd", layers: "n_layer", heads: "n_head", hidden: config.optionalSize("n_inner"))
        positions = try config.optionalSize("n_positions") ?? config.optionalSize("n_ctx") ?? 1024
        activation = try config.activation("activation_function", default: "gelu_new")
        normEpsilon = try config.number("layer_norm_epsilon") ?? 1e-5
        initializer = .normal(deviation: try config.number("initializer_range") ?? 0.02)
        embeddingDropout = try config.probability("embd_pdrop") ?? 0.1
        attentionDropout = try config.probability("attn_pdrop") ?? 0.1
        residualDropout = try config.probability("resid_pdrop") ?? 0.1
        scalesAttention = try config.flag("scale_attn_weights") ?? true
        scalesByLayer = try config.flag("scale_attn_by_inverse_layer_idx") ?? false
        try config.require("add_cross_attention", false, otherwise: "which is not there yet")
        // The order of scaling and product in half precision, and the head of double-headed models.
        for key in [
            "reorder_and_upcast_attn", "n_ctx", "summary_type", "summary_use_proj", "summary_activation",
            "summary_proj_to_labels", "summary_first_dropout",
        ] { _ = config[key] }
    }
}

/// `h = x + attention(norm(x))`, `y = h + mlp(norm(h))`.
final class GPT2Layer: TransformerLayer {
    @Child("ln_1") var attentionNorm: LayerNorm
    @Child("attn.c_attn") var queryKeyValue: Linear
    @Child("attn.c_proj") var output: Linear
    @Child("ln_2") var feedForwardNorm: LayerNorm
    @Child("mlp.c_fc") var up: Linear
    @Child("mlp.c_proj") var down: Linear

    private let config: GPT2Config
    private let layer: Int

    init(_ config: GPT2Config, layer: Int) {
        self.config = config
        self.layer = layer
        super.init()
        func linear(_ inputs: Int, _ outputs: Int) -> Linear {
            Linear(inputs, outputs, bias: true, initializer: config.initializer, layout: .inputsFirst)
        }
        let (width, hidden) = (config.sizes.width, config.sizes.hidden)
        attentionNorm = LayerNorm(width, epsilon: config.normEpsilon)
        queryKeyValue = linear(width, 3 * width)
        output = linear(width, width)
        feedForwardNorm = LayerNorm(width, epsilon: config.normEpsilon)
        up = linear(width, hidden)
        down = linear(hidden, width)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let h =
            try x
            + context.dropped(
                attention(attentionNorm(x, context), context), config.residualDropout, .attentionOutput, layer: layer)
        let y = try down(config.activation(up(feedForwardNorm(h, context), context)), context)  // [T, D]
        return try h + context.dropped(y, config.residualDropout, .feedForwardOutput, layer: layer)
    }

    private func attention(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let (heads, size) = (config.sizes.heads, config.sizes.headSize)
        let all = try queryKeyValue(x, context).reshaped([-1, 3, heads, size])  // [T, 3, H, E]
        var scale = config.scalesAttention ? 1 / Double(size).squareRoot() : 1
        if config.scalesByLayer { scale /= Double(layer + 1) }
        let mixed = try context.attend(
            all.selected(1, 0), all.selected(1, 1), all.selected(1, 2), layer: layer,
            AttentionOptions(headSize: size, scale: scale, dropout: config.attentionDropout))  // [T, H, E]
        return try output(mixed.reshaped([x.shape[0], -1]), context)  // [T, D]
    }
}

/// Words and places by vectors of their own, layers and a norm: the trunk of GPT-2 and GPT-Neo.
final class GPT2Trunk: Trunk {
    @Child("wte") var table: Embedding
    @Child("wpe") var positions: Embedding
    @Child("h") var layers: [TransformerLayer]
    @Child("ln_f") var norm: LayerNorm

    private let ownSizes: TransformerSizes
    private let dropout: Double

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(
        _ sizes: TransformerSizes, positions count: Int, dropout: Double, normEpsilon: Double, initializer: Initializer,
        layer: (Int) -> TransformerLayer
    ) {
        ownSizes = sizes
        self.dropout = dropout
        super.init()
        table = Embedding(sizes.vocabulary, sizes.width, initializer: initializer)
        positions = Embedding(count, sizes.width, initializer: initializer)
        layers = (0..<sizes.layers).map(layer)
        norm = LayerNorm(sizes.width, epsilon: normEpsilon)
    }

    override var facts: TrunkFacts {
        TrunkFacts(name: "transformer", sizes: ownSizes, maximumLength: positions.count)
    }
    override var embedding: Embedding { table }

    override func callAsFunction(_ words: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        try batch.check(within: maximumLength)
        let x = try words + positions(Tensor(batch.positions, device: words.device), context)  // [T, D]
        return try norm(run(layers, context.dropped(x, dropout, .embedding), context), context)
    }
}

package enum GPT2 {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try GPT2Config(config)
        let trunk = GPT2Trunk(
            fields.sizes, positions: fields.positions, dropout: fields.embeddingDropout,
            normEpsilon: fields.normEpsilon, initializer: fields.initializer
        ) { GPT2Layer(fields, layer: $0) }
        let heads = DecoderHeads(
            family: "GPT2", causalSuffix: "LMHeadModel", tiesEmbeddings: try config.flag("tie_word_embeddings") ?? true,
            padding: try config.padding, initializer: fields.initializer)
        return try heads.model(trunk, task)
    }
}
