import ApusJSON
import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, S sequences, D width, V vocabulary.

/// What the configurations of the BERT family have in common, by the names of `config.json`.
struct EncoderConfig {
    let shape: EncoderShape
    /// The probability with which what a classifier sees is dropped.
    let headDropout: Double
    let padding: Int?
    let tiesEmbeddings: Bool

    init(_ config: ModelConfig, firstPosition: (_ padding: Int?) -> Int = { _ in 0 }) throws {
        let (width, heads) = (try config.size("hidden_size"), try config.size("num_attention_heads"))
        guard width % heads == 0 else {
            throw ModelError(
                "config.json: hidden_size (\(width)) is not a multiple of num_attention_heads (\(heads))")
        }
        try config.require(
            "position_embedding_type", "absolute", otherwise: "which is not there yet; there is absolute")
        try config.require("is_decoder", false, otherwise: "and a BERT that continues text is not there yet")
        try config.require("add_cross_attention", false, otherwise: "which is not there yet for encoders")
        try config.require("pruned_heads", [:], otherwise: "and models without some heads are not there yet")
        padding = try config.integer("pad_token_id")
        tiesEmbeddings = try config.flag("tie_word_embeddings") ?? true
        let sizes = TransformerSizes(
            vocabulary: try config.size("vocab_size"), width: width, hidden: try config.size("intermediate_size"),
            layers: try config.size("num_hidden_layers"), heads: heads, keyValueHeads: heads, headSize: width / heads)
        var shape = EncoderShape(
            sizes: sizes, positions: try config.optionalSize("max_position_embeddings") ?? 512,
            segments: try config.optionalSize("type_vocab_size") ?? 2,
            normEpsilon: try config.number("layer_norm_eps") ?? 1e-12)
        shape.activation = try config.activation("hidden_act", default: "gelu")
        shape.hiddenDropout = try config.probability("hidden_dropout_prob") ?? 0.1
        shape.attentionDropout = try config.probability("attention_probs_dropout_prob") ?? 0.1
        shape.initializer = .normal(deviation: try config.number("initializer_range") ?? 0.02)
        shape.firstPosition = firstPosition(padding)
        guard shape.firstPosition >= 0, shape.firstPosition < shape.positions else {
            throw ModelError(
                "config.json: pad_token_id (\(padding ?? 1)) leaves none of the \(shape.positions) positions")
        }
        headDropout = try config.probability("classifier_dropout") ?? shape.hiddenDropout
        self.shape = shape
    }
}

/// Words, positions and segments, and the layers of the BERT family.
///
/// Devlin et al. 2018, <https://arxiv.org/abs/1810.04805>.
final class EncoderTrunk: Trunk {
    @Child("embeddings") var embeddings: EncoderEmbeddings
    @Child("encoder.layer") var layers: [TransformerLayer]
    @Child("pooler") var pooler: EncoderPooler?

    let shape: EncoderShape
    private let title: String

    /// - Parameter pools: Whether the trunk has a pooler.
    init(name: String, _ shape: EncoderShape, pools: Bool) {
        self.shape = shape
        title = name
        super.init()
        embeddings = EncoderEmbeddings(shape)
        layers = (0..<shape.sizes.layers).map { EncoderLayer(shape, layer: $0) }
        pooler = pools ? EncoderPooler(shape) : nil
    }

    override var facts: TrunkFacts {
        TrunkFacts(name: title, sizes: shape.sizes, maximumLength: shape.positions - shape.firstPosition)
    }
    override var embedding: Embedding { embeddings.words }
    override var isCausal: Bool { false }
    override var ignoredNames: [String] { ["embeddings.position_ids"] }

    override func callAsFunction(
        _ words: Tensor, _ batch: TokenBatch, _ context: ForwardContext
    ) throws -> Tensor {
        let first = Int32(shape.firstPosition)
        try batch.check(within: maximumLength)
        let segments = batch.segments ?? Array(repeating: 0, count: batch.tokens.count)
        let x = try embeddings(
            words, positions: Tensor(batch.positions.map { $0 + first }, device: words.device),
            segments: Tensor(segments, device: words.device), context)  // [T, D]
        return try run(layers, x, context)
    }
}

/// A linear layer, activation and norm, then the table of words as the head: which token a mask stands for.
final class EncoderMaskedHead: MaskedHead {
    @Child("dense") var dense: Linear
    @Child("norm") var norm: LayerNorm
    @Child("decoder") var decoder: Linear
    @Parameter("bias") private var bias: Tensor  // [V]

    private let activation: Activation

    /// - Parameters:
    ///   - words: The table that is the head; nil where the head has a matrix of its own.
    ///   - transform: Where the layer and the norm lie on disk below the head.
    ///   - norm: What the norm is called there.
    init(_ shape: EncoderShape, tiedTo words: Embedding?, activation: Activation, transform: String, norm name: String)
    {
        self.activation = activation
        super.init()
        let width = shape.sizes.width
        _dense = Child(
            wrappedValue: Linear(width, width, initializer: shape.initializer), Module.joined(transform, "dense"))
        _norm = Child(
            wrappedValue: LayerNorm(width, epsilon: shape.normEpsilon), Module.joined(transform, name))
        decoder = Linear(
            width, shape.sizes.vocabulary, bias: false, initializer: shape.initializer,
            storage: words.map(TiedWeight.init))
        $bias.declare([shape.sizes.vocabulary])
    }

    override func callAsFunction(_ hidden: Tensor, _ context: ForwardContext) throws -> Tensor {
        let x = try norm(activation(dense(hidden, context)), context)  // [N, D]
        return try decoder(x, context) + bias  // [N, V]
    }
}
