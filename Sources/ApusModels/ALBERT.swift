// ALBERT. Lan et al. 2019, https://arxiv.org/abs/1909.11942.
// Unusual: one set of layers is passed through again and again; vectors of words are narrower than the layers.

package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, S sequences, D width, e width of the vectors of words, H heads, E head size.

/// Attention and a feed-forward part, each followed by a residual and a norm.
final class ALBERTLayer: TransformerLayer {
    @Child("attention.query") var query: Linear
    @Child("attention.key") var key: Linear
    @Child("attention.value") var value: Linear
    @Child("attention.dense") var output: Linear
    @Child("attention.LayerNorm") var attentionNorm: LayerNorm
    @Child("ffn") var up: Linear
    @Child("ffn_output") var down: Linear
    @Child("full_layer_layer_norm") var norm: LayerNorm

    private let shape: EncoderShape

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ shape: EncoderShape) {
        self.shape = shape
        super.init()
        let (width, hidden) = (shape.sizes.width, shape.sizes.hidden)
        query = Linear(width, width, initializer: shape.initializer)
        key = Linear(width, width, initializer: shape.initializer)
        value = Linear(width, width, initializer: shape.initializer)
        output = Linear(width, width, initializer: shape.initializer)
        attentionNorm = LayerNorm(width, epsilon: shape.normEpsilon)
        up = Linear(width, hidden, initializer: shape.initializer)
        down = Linear(hidden, width, initializer: shape.initializer)
        norm = LayerNorm(width, epsilon: shape.normEpsilon)
    }

    /// - Parameter pass: Counts the layers that are passed through; names the random stream.
    func callAsFunction(_ x: Tensor, pass: Int, _ context: ForwardContext) throws -> Tensor {
        let size = shape.sizes.headSize
        func heads(_ y: Tensor) throws -> Tensor { try y.reshaped([-1, shape.sizes.heads, size]) }

        let mixed = try context.attend(
            heads(query(x, context)), heads(key(x, context)), heads(value(x, context)), layer: pass,
            AttentionOptions(headSize: size, dropout: shape.attentionDropout))  // [T, H, E]
        let y = try output(mixed.reshaped([-1, shape.sizes.width]), context)  // [T, D]
        let h = try attentionNorm(x + context.dropped(y, shape.hiddenDropout, .attentionOutput, layer: pass), context)
        return try norm(down(shape.activation(up(h, context)), context) + h, context)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        try self(x, pass: 0, context)
    }
}

/// Layers that are passed through one after the other, as one.
final class ALBERTGroup: Module {
    @Child("albert_layers") var layers: [ALBERTLayer]

    init(_ shape: EncoderShape, count: Int) {
        super.init()
        layers = (0..<count).map { _ in ALBERTLayer(shape) }
    }
}

/// Narrow embeddings, a layer to the width, and groups of layers, each passed through several times.
final class ALBERTTrunk: Trunk {
    @Child("embeddings") var embeddings: EncoderEmbeddings
    @Child("encoder.embedding_hidden_mapping_in") var projection: Linear
    @Child("encoder.albert_layer_groups") var groups: [ALBERTGroup]
    @Child("pooler") var pooler: Linear?

    private let shape: EncoderShape

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ shape: EncoderShape, wordWidth: Int, groups count: Int, layersInGroup: Int, pools: Bool) {
        self.shape = shape
        super.init()
        let width = shape.sizes.width
        embeddings = EncoderEmbeddings(shape, width: wordWidth)
        projection = Linear(wordWidth, width, initializer: shape.initializer)
        groups = (0..<count).map { _ in ALBERTGroup(shape, count: layersInGroup) }
        pooler = pools ? Linear(width, width, initializer: shape.initializer) : nil
    }

    override var facts: TrunkFacts {
        TrunkFacts(name: "albert", sizes: shape.sizes, maximumLength: shape.positions)
    }
    override var embedding: Embedding { embeddings.words }
    override var outputWidth: Int { shape.sizes.width }
    override var isCausal: Bool { false }
    override var ignoredNames: [String] { ["embeddings.position_ids"] }

    override func callAsFunction(_ words: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        var x = try projection(embeddings(words, batch, within: maximumLength, context), context)  // [T, D]
        var pass = 0
        for index in 0..<shape.sizes.layers {
            for layer in groups[index * groups.count / shape.sizes.layers].layers {
                x = try context.layer(x) { [pass] in try layer($0, pass: pass, context) }
                pass += 1
            }
        }
        return x
    }
}

/// Dropout and a linear layer on `tanh(W h + b)` of the first token.
final class ALBERTScoreHead: ScoreHead {
    @Child("") var classifier: Linear

    /// The pooler belongs to the trunk.
    private struct Pooled {
        let pooler: Linear?
    }

    private let trunk: Pooled
    private let dropout: Double

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ trunk: ALBERTTrunk, labelCount: Int, dropout: Double, initializer: Initializer) {
        self.trunk = Pooled(pooler: trunk.pooler)
        self.dropout = dropout
        super.init()
        classifier = Linear(trunk.sizes.width, labelCount, initializer: initializer)
    }

    override var labelCount: Int { classifier.outputs }

    override func callAsFunction(_ hidden: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let first = try hidden.indexed(0, Tensor(batch.firstRows, device: hidden.device))  // [S, D]
        let pooled = try tanh(trunk.pooler?(first, context) ?? first)  // [S, D]
        return try classifier(context.dropped(pooled, dropout, .head).widened(), context)  // [S, L]
    }
}

package enum ALBERT {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try EncoderConfig(config, activation: "gelu_new", dropout: 0)
        let wordWidth = try config.optionalSize("embedding_size") ?? 128
        let (groups, inGroup) = (
            try config.optionalSize("num_hidden_groups") ?? 1, try config.optionalSize("inner_group_num") ?? 1
        )
        guard groups <= fields.shape.sizes.layers else {
            throw ModelError(
                "config.json: num_hidden_groups (\(groups)) is more than num_hidden_layers (\(fields.shape.sizes.layers))"
            )
        }
        let headDropout = try config.probability("classifier_dropout_prob") ?? 0.1
        // Unread by every program: what the first published models were made with.
        for key in ["down_scale_factor", "gap_size", "net_structure_type", "num_memory_blocks"] { _ = config[key] }
        func trunk(pools: Bool) -> ALBERTTrunk {
            ALBERTTrunk(fields.shape, wordWidth: wordWidth, groups: groups, layersInGroup: inGroup, pools: pools)
        }
        switch task {
        case .sequenceClassification(let labels):
            let trunk = trunk(pools: true)
            return SequenceClassifier(
                "AlbertForSequenceClassification", trunk,
                head: ALBERTScoreHead(
                    trunk, labelCount: labels, dropout: headDropout, initializer: fields.shape.initializer),
                headName: "classifier")
        case .maskedLanguageModel:
            let trunk = trunk(pools: false)
            return MaskedLanguageModel(
                "AlbertForMaskedLM", trunk,
                head: EncoderMaskedHead(
                    fields.shape, width: wordWidth, tiedTo: fields.tiesEmbeddings ? trunk.embedding : nil,
                    activation: fields.shape.activation, names: .init(dense: "dense", norm: "LayerNorm")),
                headName: "predictions")
        case .hiddenStates: return BareModel("AlbertModel", trunk(pools: true))
        case .causalLanguageModel, .sequenceToSequence: throw EncoderConfig.doesNotContinue("albert")
        }
    }
}
