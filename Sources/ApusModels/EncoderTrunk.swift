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

    /// - Parameters:
    ///   - activation: What a missing `hidden_act` means.
    ///   - dropout: What missing probabilities of dropping mean.
    ///   - missingPadding: What a missing `pad_token_id` means.
    init(
        _ config: ModelConfig, activation: String = "gelu", dropout: Double = 0.1, missingPadding: Int32 = 0,
        firstPosition: (_ padding: Int?) -> Int = { _ in 0 }
    ) throws {
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
        shape.activation = try config.activation("hidden_act", default: activation)
        shape.hiddenDropout = try config.probability("hidden_dropout_prob") ?? dropout
        shape.attentionDropout = try config.probability("attention_probs_dropout_prob") ?? dropout
        shape.initializer = .normal(deviation: try config.number("initializer_range") ?? 0.02)
        shape.firstPosition = firstPosition(padding)
        shape.padding = try config.padding(orElse: missingPadding)
        guard shape.firstPosition >= 0, shape.firstPosition < shape.positions else {
            throw ModelError(
                "config.json: pad_token_id (\(padding ?? 1)) leaves none of the \(shape.positions) positions")
        }
        headDropout = try config.probability("classifier_dropout") ?? shape.hiddenDropout
        self.shape = shape
    }

    static func doesNotContinue(_ type: String) -> ModelError {
        ModelError(
            "models of type \"\(type)\" do not continue text; give --task_type seq_cls, embedding, reranker or mlm")
    }
}

extension EncoderEmbeddings {
    /// The embeddings of a batch, [T, D].
    ///
    /// - Parameters:
    ///   - limit: The most tokens of a sequence.
    ///   - first: The position of a sequence's first token; tokens whose id is the number before it are padding.
    func callAsFunction(
        _ words: Tensor, _ batch: TokenBatch, within limit: Int, first: Int = 0, _ context: ForwardContext
    ) throws -> Tensor {
        try batch.check(within: limit)
        let segments = batch.segments ?? Array(repeating: 0, count: batch.tokens.count)
        return try self(
            words, positions: Tensor(batch.positions(from: Int32(first)), device: words.device),
            segments: Tensor(segments, device: words.device), context)
    }
}

extension TokenBatch {
    /// Positions counted from a number on, where the id before that number is padding wherever it stands: it has its id for
    /// a position and is not counted, `Σ_{j≤i} [id_j ≠ p] · [id_i ≠ p] + p`, [T].
    ///
    /// So `create_position_ids_from_input_ids` of `transformers`, which sees no ids where prompts lie in front.
    fileprivate func positions(from first: Int32) -> [Int32] {
        guard first > 0, tokenRows == nil, tokens.contains(first - 1) else { return positions.map { $0 + first } }
        return zip(boundaries, boundaries.dropFirst()).flatMap { start, end -> [Int32] in
            guard start < end else { return [] }
            var next = positions[Int(start)] + first
            return tokens[Int(start)..<Int(end)].map { id in
                guard id != first - 1 else { return id }
                defer { next += 1 }
                return next
            }
        }
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
        try run(
            layers, embeddings(words, batch, within: maximumLength, first: shape.firstPosition, context), context)
    }
}

/// `W a(V h + c) + b` of each sequence's first token.
final class FirstTokenHead: ScoreHead {
    @Child("dense") var dense: Linear
    @Child("out_proj") var output: Linear

    private let activation: Activation
    private let dropout: Double

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ shape: EncoderShape, labelCount: Int, activation: Activation, dropout: Double) {
        self.activation = activation
        self.dropout = dropout
        super.init()
        dense = Linear(shape.sizes.width, shape.sizes.width, initializer: shape.initializer)
        output = Linear(shape.sizes.width, labelCount, initializer: shape.initializer)
    }

    override var labelCount: Int { output.outputs }

    override func callAsFunction(_ hidden: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let first = try hidden.indexed(0, Tensor(batch.firstRows, device: hidden.device))  // [S, D]
        let kept = try context.dropped(first, dropout, .head).widened()
        let inner = try activation(dense(kept, context))  // [S, D]
        return try output(context.dropped(inner, dropout, .head, layer: 1), context)  // [S, L]
    }
}

/// A linear layer, activation and norm, then the table of words as the head: which token a mask stands for.
final class EncoderMaskedHead: MaskedHead {
    /// Where its parts lie on disk below the head.
    struct Names {
        var dense: String
        var norm: String
        var decoder = "decoder"
        var bias = "bias"
    }

    @Child("dense") var dense: Linear
    @Child("norm") var norm: LayerNorm
    @Child("decoder") var decoder: Linear
    @Parameter("bias") private var bias: Tensor  // [V]

    private let activation: Activation

    /// - Parameter words: The table that is the head; nil where the head has a matrix of its own.
    init(
        dense: Linear, activation: Activation, norm: LayerNorm, vocabulary: Int, tiedTo words: Embedding?,
        initializer: Initializer, names: Names
    ) {
        self.activation = activation
        super.init()
        _dense = Child(wrappedValue: dense, names.dense)
        _norm = Child(wrappedValue: norm, names.norm)
        _decoder = Child(
            wrappedValue: Linear(
                dense.outputs, vocabulary, bias: false, initializer: initializer, storage: words.map(TiedWeight.init)),
            names.decoder)
        _bias = Parameter(names.bias)
        $bias.declare([vocabulary])
    }

    /// - Parameter width: Of the vectors of words, where the layers have another.
    convenience init(
        _ shape: EncoderShape, width: Int? = nil, tiedTo words: Embedding?, activation: Activation, names: Names
    ) {
        let width = width ?? shape.sizes.width
        self.init(
            dense: Linear(shape.sizes.width, width, initializer: shape.initializer), activation: activation,
            norm: LayerNorm(width, epsilon: shape.normEpsilon), vocabulary: shape.sizes.vocabulary, tiedTo: words,
            initializer: shape.initializer, names: names)
    }

    override var vocabularyLayer: Linear? { decoder }

    override func callAsFunction(_ hidden: Tensor, _ context: ForwardContext) throws -> Tensor {
        let x = try norm(activation(dense(hidden, context)), context)  // [N, D]
        return try decoder(x, context) + bias  // [N, V]
    }
}
