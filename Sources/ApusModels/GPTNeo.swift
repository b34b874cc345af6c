// GPT-Neo. Black et al. 2021, https://doi.org/10.5281/zenodo.5297715.
// Unusual: scores are not scaled; every other layer sees the last 256 tokens only; q, k and v have no bias.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width, H heads, E head size.

/// The fields of a `config.json`, as GPT-Neo names them.
struct GPTNeoConfig {
    let sizes: TransformerSizes
    let positions: Int
    /// The most keys that a token sees, for each layer; nil sets no limit.
    let windows: [Int?]
    let activation: Activation
    let normEpsilon: Double
    let initializer: Initializer
    let embeddingDropout: Double
    let attentionDropout: Double
    let residualDropout: Double

    init(_ config: ModelConfig) throws {
        sizes = try config.sizes(
            layers: "num_layers", heads: "num_heads", hidden: config.optionalSize("intermediate_size"))
        positions = try config.optionalSize("max_position_embeddings") ?? 2048
        windows = try Self.windows(config, layers: sizes.layers)
        activation = try config.activation("activation_function", default: "gelu_new")
        normEpsilon = try config.number("layer_norm_epsilon") ?? 1e-5
        initializer = .normal(deviation: try config.number("initializer_range") ?? 0.02)
        embeddingDropout = try config.probability("embed_dropout") ?? 0
        attentionDropout = try config.probability("attention_dropout") ?? 0
        residualDropout = try config.probability("resid_dropout") ?? 0
        // Of heads that there are not.
        for key in [
            "classifier_dropout", "summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels",
            "summary_first_dropout",
        ] { _ = config[key] }
    }

    /// `attention_layers` names the kind of each layer; `attention_types` has lists of kinds with how often each is
    /// repeated.
    private static func windows(_ config: ModelConfig, layers: Int) throws -> [Int?] {
        let window = try config.optionalSize("window_size") ?? 256
        let groups = config["attention_types"]?.arrayValue
        let repeated = (groups ?? []).flatMap { group -> [String] in
            let kinds = group[0]?.arrayValue?.compactMap(\.stringValue) ?? []
            // More than there are layers is a fault below all the same.
            return (0..<min(max(group[1]?.intValue ?? 0, 0), layers + 1)).flatMap { _ in kinds }
        }
        let named = config["attention_layers"]?.arrayValue?.compactMap(\.stringValue)
        let alternating = (0..<layers).map { $0 % 2 == 0 ? "global" : "local" }
        let kinds = named ?? (groups == nil ? alternating : repeated)
        let key = named == nil ? "attention_types" : "attention_layers"
        guard kinds.count == layers else {
            throw ModelError("config.json: \(key) names \(kinds.count) layers, num_layers is \(layers)")
        }
        return try kinds.map { kind in
            switch kind {
            case "global": return nil
            case "local": return window
            default:
                throw ModelError("config.json: \(key) has \"\(kind)\", which is not there yet; there are global, local")
            }
        }
    }
}

/// `h = x + attention(norm(x))`, `y = h + mlp(norm(h))`.
final class GPTNeoLayer: TransformerLayer {
    @Child("ln_1") var attentionNorm: LayerNorm
    @Child("attn.attention.q_proj") var query: Linear
    @Child("attn.attention.k_proj") var key: Linear
    @Child("attn.attention.v_proj") var value: Linear
    @Child("attn.attention.out_proj") var output: Linear
    @Child("ln_2") var feedForwardNorm: LayerNorm
    @Child("mlp.c_fc") var up: Linear
    @Child("mlp.c_proj") var down: Linear

    private let config: GPTNeoConfig
    private let layer: Int

    init(_ config: GPTNeoConfig, layer: Int) {
        self.config = config
        self.layer = layer
        super.init()
        let (width, hidden) = (config.sizes.width, config.sizes.hidden)
        attentionNorm = LayerNorm(width, epsilon: config.normEpsilon)
        query = Linear(width, width, bias: false, initializer: config.initializer)
        key = Linear(width, width, bias: false, initializer: config.initializer)
        value = Linear(width, width, bias: false, initializer: config.initializer)
        output = Linear(width, width, initializer: config.initializer)
        feedForwardNorm = LayerNorm(width, epsilon: config.normEpsilon)
        up = Linear(width, hidden, initializer: config.initializer)
        down = Linear(hidden, width, initializer: config.initializer)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let mixed = try attention(attentionNorm(x, context), context)  // [T, D]
        let h = try x + context.dropped(mixed, config.residualDropout, .attentionOutput, layer: layer)
        let y = try down(config.activation(up(feedForwardNorm(h, context), context)), context)  // [T, D]
        return try h + context.dropped(y, config.residualDropout, .feedForwardOutput, layer: layer)
    }

    private func attention(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        func heads(_ y: Tensor) throws -> Tensor { try y.reshaped([-1, config.sizes.heads, config.sizes.headSize]) }

        let mixed = try context.attend(
            heads(query(x, context)), heads(key(x, context)), heads(value(x, context)), layer: layer,
            AttentionOptions(scale: 1, window: config.windows[layer], dropout: config.attentionDropout))  // [T, H, E]
        return try output(mixed.reshaped([-1, config.sizes.width]), context)  // [T, D]
    }
}

package enum GPTNeo {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try GPTNeoConfig(config)
        let trunk = GPT2Trunk(
            fields.sizes, positions: fields.positions, dropout: fields.embeddingDropout,
            normEpsilon: fields.normEpsilon, initializer: fields.initializer
        ) { GPTNeoLayer(fields, layer: $0) }
        return try DecoderHeads(
            family: "GPTNeo", tiesEmbeddings: config.flag("tie_word_embeddings") ?? true, padding: config.padding,
            initializer: fields.initializer
        ).model(trunk, task)
    }
}
