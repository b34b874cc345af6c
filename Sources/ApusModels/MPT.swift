// MPT. MosaicML 2023, https://www.databricks.com/blog/mpt-7b.
// Unusual: no positions but a bias that falls with the distance; no biases, in norms neither; q, k and v are one product
// and may be cut off at ±c.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width, H heads, E head size.

/// The fields of a `config.json`, as MPT names them.
struct MPTConfig {
    let sizes: TransformerSizes
    let maximumLength: Int
    let normEpsilon: Double
    let initializer: Initializer
    /// Of attention's weights, and of what both parts of a layer give.
    let dropout: Double
    /// Queries, keys and values lie in [-c, c]; nil sets no limit.
    let limit: Double?
    let attentionOptions: AttentionOptions

    init(_ config: ModelConfig) throws {
        let attention = try config.part("attn_config") ?? ModelConfig(.object([:]))
        let width = try config.size("d_model")
        sizes = try config.sizes(
            width: "d_model", layers: "n_layers", heads: "n_heads",
            hidden: width * (config.optionalSize("expansion_ratio") ?? 4))
        maximumLength = try config.optionalSize("max_seq_len") ?? 2048
        normEpsilon = try config.number("layer_norm_epsilon") ?? 1e-5
        initializer = .normal(deviation: try config.number("initializer_range") ?? 0.02)
        dropout = try attention.probability("attn_pdrop") ?? 0
        let limit = try attention.number("clip_qkv") ?? 0
        self.limit = limit == 0 ? nil : limit
        var options = AttentionOptions(
            headSize: sizes.headSize, scale: try attention.number("softmax_scale"), dropout: dropout)
        options.slopes = ALiBi.slopes(heads: sizes.heads, range: try attention.number("alibi_bias_max") ?? 8)
        attentionOptions = options
        for (key, wanted) in [
            ("alibi", true), ("qk_ln", false), ("prefix_lm", false), ("attn_uses_sequence_id", false),
            ("attn_type", "multihead_attention"),
        ] as [(String, JSONValue)] {
            try attention.require(key, wanted, otherwise: "which is not there yet")
        }
        try config.require("no_bias", true, otherwise: "which is not there yet")
        if let share = try config.number("embedding_fraction"), share != 1 {
            throw ModelError("config.json: \"embedding_fraction\" is \(share), which is not there yet; there is 1")
        }
        guard config["logit_scale"] == nil else {
            throw ModelError("config.json: \"logit_scale\" is not there yet; there is null")
        }
        let norm = try config.text("norm_type") ?? "layernorm"
        guard ["layernorm", "low_precision_layernorm"].contains(norm) else {
            throw ModelError(
                "config.json: norm_type \"\(norm)\" is not there yet; there are layernorm, low_precision_layernorm")
        }
        // What transformers reads and does not use.
        for key in ["emb_pdrop", "resid_pdrop", "learned_pos_emb", "init_device", "init_config", "verbose"] {
            _ = config[key]
        }
        for key in ["attn_impl", "model_type"] { _ = attention[key] }
    }
}

/// `h = x + attention(norm(x))`, `y = h + mlp(norm(h))`.
final class MPTLayer: TransformerLayer {
    @Child("norm_1") var attentionNorm: LayerNorm
    @Child("attn.Wqkv") var queryKeyValue: Linear
    @Child("attn.out_proj") var output: Linear
    @Child("norm_2") var feedForwardNorm: LayerNorm
    @Child("ffn.up_proj") var up: Linear
    @Child("ffn.down_proj") var down: Linear

    private let config: MPTConfig
    private let layer: Int

    init(_ config: MPTConfig, layer: Int) {
        self.config = config
        self.layer = layer
        super.init()
        func linear(_ inputs: Int, _ outputs: Int) -> Linear {
            Linear(inputs, outputs, bias: false, initializer: config.initializer)
        }
        let (width, hidden) = (config.sizes.width, config.sizes.hidden)
        attentionNorm = LayerNorm(width, epsilon: config.normEpsilon, bias: false)
        queryKeyValue = linear(width, 3 * width)
        output = linear(width, width)
        feedForwardNorm = LayerNorm(width, epsilon: config.normEpsilon, bias: false)
        up = linear(width, hidden)
        down = linear(hidden, width)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let mixed = try attention(attentionNorm(x, context), context)  // [T, D]
        let h = try x + context.dropped(mixed, config.dropout, .attentionOutput, layer: layer)
        let y = try down(Activation.gelu(up(feedForwardNorm(h, context), context)), context)  // [T, D]
        return try h + context.dropped(y, config.dropout, .feedForwardOutput, layer: layer)
    }

    private func attention(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let all = try queryKeyValue(x, context).clipped(to: config.limit)
            .reshaped([-1, 3, config.sizes.heads, config.sizes.headSize])  // [T, 3, H, E]
        let mixed = try context.attend(
            all.selected(1, 0), all.selected(1, 1), all.selected(1, 2), layer: layer, config.attentionOptions)
        return try output(mixed.reshaped([-1, config.sizes.width]), context)  // [T, D]
    }
}

package enum MPT {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try MPTConfig(config)
        let sizes = fields.sizes
        let trunk = Decoder(
            TrunkFacts(name: "transformer", sizes: sizes, maximumLength: fields.maximumLength),
            names: .init(embedding: "wte", layers: "blocks", norm: "norm_f"),
            embedding: Embedding(sizes.vocabulary, sizes.width, initializer: fields.initializer),
            layers: (0..<sizes.layers).map { MPTLayer(fields, layer: $0) },
            norm: LayerNorm(sizes.width, epsilon: fields.normEpsilon, bias: false))
        return try DecoderHeads(
            family: "Mpt", tiesEmbeddings: config.flag("tie_word_embeddings") ?? true, padding: config.padding,
            initializer: fields.initializer
        ).model(trunk, task)
    }
}
