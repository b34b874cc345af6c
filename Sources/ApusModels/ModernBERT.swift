// ModernBERT. Warner et al. 2024, https://arxiv.org/abs/2412.13663.
// Unusual for an encoder: rotary positions, norms before the parts, gated feed-forward; two layers of three see a window
// only and turn by another table; norms and most layers have no bias; the first layer has no norm before attention.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, S sequences, D width, H heads, E head size, F feed-forward width, L labels.

/// The fields of a `config.json`, as ModernBERT names them.
struct ModernBERTConfig {
    let sizes: TransformerSizes
    let normEpsilon: Double
    let normBias: Bool
    let attentionBias: Bool
    let feedForwardBias: Bool
    let activation: Activation
    /// For each layer whether it sees a window only.
    let isLocal: [Bool]
    /// The tokens that such a layer sees on each side.
    let reach: Int
    /// Of layers that see all, and of those that see a window.
    let rotary: [RotaryEmbedding]
    let maximumLength: Int
    let embeddingDropout: Double
    let attentionDropout: Double
    let feedForwardDropout: Double
    let initializerRange: Double
    let padding: Int32?

    init(_ config: ModelConfig) throws {
        let (width, heads) = (try config.size("hidden_size"), try config.size("num_attention_heads"))
        guard width % heads == 0 else {
            throw ModelError("config.json: hidden_size (\(width)) is not a multiple of num_attention_heads (\(heads))")
        }
        sizes = TransformerSizes(
            vocabulary: try config.size("vocab_size"), width: width, hidden: try config.size("intermediate_size"),
            layers: try config.size("num_hidden_layers"), heads: heads, keyValueHeads: heads, headSize: width / heads)
        normEpsilon = try config.number("norm_eps") ?? 1e-5
        normBias = try config.flag("norm_bias") ?? false
        attentionBias = try config.flag("attention_bias") ?? false
        feedForwardBias = try config.flag("mlp_bias") ?? false
        activation = try config.activation("hidden_activation", default: "gelu")
        reach = (try config.optionalSize("local_attention") ?? 128) / 2
        isLocal = try Self.kinds(config, layers: sizes.layers)
        let length = try config.optionalSize("max_position_embeddings") ?? 8192
        func table(_ kind: String, _ key: String, _ base: Double) throws -> RotaryEmbedding {
            try RotaryConfiguration.embedding(
                config: config, headSize: width / heads, maximumLength: length,
                defaultBase: config.number(key) ?? base, layerKind: kind
            ).rotary
        }
        rotary = [
            try table("full_attention", "global_rope_theta", 160_000),
            try table("sliding_attention", "local_rope_theta", 10_000),
        ]
        maximumLength = length
        embeddingDropout = try config.probability("embedding_dropout") ?? 0
        attentionDropout = try config.probability("attention_dropout") ?? 0
        feedForwardDropout = try config.probability("mlp_dropout") ?? 0
        initializerRange = try config.number("initializer_range") ?? 0.02
        padding = try config.padding(orElse: 50_283)
        // How its first program laid out batches and compiled, and how first values are cut off.
        for key in [
            "deterministic_flash_attn", "initializer_cutoff_factor", "layer_norm_eps", "position_embedding_type",
            "reference_compile",
            "repad_logits_with_grad", "sparse_pred_ignore_index", "sparse_prediction",
        ] { _ = config[key] }
    }

    private static func kinds(_ config: ModelConfig, layers: Int) throws -> [Bool] {
        let every = try config.optionalSize("global_attn_every_n_layers") ?? 3
        return try LayerKind.all(config, layers: layers) { $0 % every == 0 ? .full : .sliding }.map { $0 == .sliding }
    }

    var initializer: Initializer { .normal(deviation: initializerRange) }
    /// Of layers that add to the residual stream, and of heads.
    var outputInitializer: Initializer {
        .normal(deviation: initializerRange / (2 * Double(sizes.layers)).squareRoot())
    }

    func norm() -> LayerNorm { LayerNorm(sizes.width, epsilon: normEpsilon, bias: normBias) }
}

/// `h = x + attention(norm(x))`, `y = h + mlp(norm(h))`; the first layer has no first norm.
final class ModernBERTLayer: TransformerLayer {
    @Child("attn_norm") var attentionNorm: LayerNorm?
    @Child("attn.Wqkv") var queryKeyValue: Linear
    @Child("attn.Wo") var output: Linear
    @Child("mlp_norm") var feedForwardNorm: LayerNorm
    @Child("mlp.Wi") var gateAndUp: Linear  // [2F, D]: what is activated, then what it is multiplied with
    @Child("mlp.Wo") var down: Linear

    private let config: ModernBERTConfig
    private let layer: Int

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ config: ModernBERTConfig, layer: Int) {
        self.config = config
        self.layer = layer
        super.init()
        let (width, hidden) = (config.sizes.width, config.sizes.hidden)
        attentionNorm = layer == 0 ? nil : config.norm()
        queryKeyValue = Linear(width, 3 * width, bias: config.attentionBias, initializer: config.initializer)
        output = Linear(width, width, bias: config.attentionBias, initializer: config.outputInitializer)
        feedForwardNorm = config.norm()
        gateAndUp = Linear(width, 2 * hidden, bias: config.feedForwardBias, initializer: config.initializer)
        down = Linear(hidden, width, bias: config.feedForwardBias, initializer: config.outputInitializer)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let h = try x + attention(attentionNorm?(x, context) ?? x, context)  // [T, D]
        let both = try gateAndUp(feedForwardNorm(h, context), context)  // [T, 2F]
        let (gate, up) = (
            try both.narrowed(1, start: 0, length: config.sizes.hidden),
            try both.narrowed(1, start: config.sizes.hidden, length: config.sizes.hidden)
        )
        let inner = try context.dropped(
            config.activation(gate) * up, config.feedForwardDropout, .feedForward, layer: layer)  // [T, F]
        return try h + down(inner, context)
    }

    private func attention(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let (heads, size) = (config.sizes.heads, config.sizes.headSize)
        let all = try queryKeyValue(x, context).reshaped([-1, 3, heads, size])  // [T, 3, H, E]
        let isLocal = config.isLocal[layer]
        // In float32, as its own program turns them.
        func turned(_ part: Int) throws -> Tensor {
            let part = try all.selected(1, part)  // [T, H, E]
            return try context.rotary(part.to(part.dtype.isShortFloat ? .float32 : part.dtype), table: isLocal ? 1 : 0)
                .to(part.dtype)
        }
        let mixed = try context.attend(
            turned(0), turned(1), all.selected(1, 2), layer: layer,
            AttentionOptions(
                headSize: size, window: isLocal ? config.reach + 1 : nil, dropout: config.attentionDropout))
        let y = try output(mixed.reshaped([x.shape[0], -1]), context)  // [T, D]
        return try context.dropped(y, config.attentionDropout, .attentionOutput, layer: layer)
    }
}

final class ModernBERTTrunk: Trunk {
    @Child("embeddings.tok_embeddings") var table: Embedding
    @Child("embeddings.norm") var wordNorm: LayerNorm
    @Child("layers") var layers: [TransformerLayer]
    @Child("final_norm") var norm: LayerNorm

    private let config: ModernBERTConfig

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ config: ModernBERTConfig) {
        self.config = config
        super.init()
        rotary = config.rotary
        table = Embedding(
            config.sizes.vocabulary, config.sizes.width, initializer: config.initializer, padding: config.padding)
        wordNorm = config.norm()
        layers = (0..<config.sizes.layers).map { ModernBERTLayer(config, layer: $0) }
        norm = config.norm()
    }

    override var facts: TrunkFacts {
        TrunkFacts(name: "model", sizes: config.sizes, maximumLength: config.maximumLength)
    }
    override var embedding: Embedding { table }
    override var isCausal: Bool { false }

    override func callAsFunction(_ words: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let x = try context.dropped(wordNorm(words, context), config.embeddingDropout, .embedding)  // [T, D]
        return try norm(run(layers, x, context), context)
    }
}

/// `W norm(a(V h)) + b` of each sequence's first token, or of the mean of its tokens.
final class ModernBERTScoreHead: ScoreHead {
    @Child("head.dense") var dense: Linear
    @Child("head.norm") var norm: LayerNorm
    @Child("classifier") var classifier: Linear

    private let activation: Activation
    private let dropout: Double
    private let pooling: SentencePooling

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(
        _ config: ModernBERTConfig, labelCount: Int, pooling: SentencePooling.Mode, activation: Activation, bias: Bool,
        dropout: Double
    ) {
        self.activation = activation
        self.dropout = dropout
        self.pooling = SentencePooling([pooling], normalizes: false)
        super.init()
        let width = config.sizes.width
        dense = Linear(width, width, bias: bias, initializer: config.outputInitializer)
        norm = config.norm()
        classifier = Linear(
            width, labelCount, initializer: .normal(deviation: 1 / Double(width).squareRoot()))
    }

    override var labelCount: Int { classifier.outputs }

    override func callAsFunction(_ hidden: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let pooled = try pooling(hidden, batch)  // [S, D]
        let inner = try norm(activation(dense(pooled, context)), context)
        return try classifier(context.dropped(inner, dropout, .head), context)  // [S, L]
    }
}

package enum ModernBERT {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try ModernBERTConfig(config)
        let headBias = try config.flag("classifier_bias") ?? false
        let headActivation = try config.activation("classifier_activation", default: "gelu")
        let headDropout = try config.probability("classifier_dropout") ?? 0
        let isTied = try config.flag("tie_word_embeddings") ?? true
        let decoderBias = try config.flag("decoder_bias") ?? true
        let pooling = try config.text("classifier_pooling") ?? "cls"
        let trunk = ModernBERTTrunk(fields)
        switch task {
        case .sequenceClassification(let labels):
            guard ["cls", "mean"].contains(pooling) else {
                throw ModelError("config.json: classifier_pooling \"\(pooling)\" is not there; there are cls, mean")
            }
            return SequenceClassifier(
                "ModernBertForSequenceClassification", trunk,
                head: ModernBERTScoreHead(
                    fields, labelCount: labels, pooling: pooling == "cls" ? .firstToken : .mean,
                    activation: headActivation, bias: headBias, dropout: headDropout),
                headNames: ["head", "classifier"])
        case .maskedLanguageModel:
            guard decoderBias else {
                throw ModelError("config.json: decoder_bias false is not there yet; there is true")
            }
            return MaskedLanguageModel(
                "ModernBertForMaskedLM", trunk,
                head: EncoderMaskedHead(
                    dense: Linear(
                        fields.sizes.width, fields.sizes.width, bias: headBias, initializer: fields.outputInitializer),
                    activation: headActivation, norm: fields.norm(), vocabulary: fields.sizes.vocabulary,
                    tiedTo: isTied ? trunk.embedding : nil, initializer: fields.outputInitializer,
                    names: .init(
                        dense: "head.dense", norm: "head.norm", decoder: "decoder", bias: "decoder.bias")),
                headNames: ["head", "decoder"])
        case .hiddenStates: return BareModel("ModernBertModel", trunk)
        case .causalLanguageModel, .sequenceToSequence: throw EncoderConfig.doesNotContinue("modernbert")
        }
    }
}
