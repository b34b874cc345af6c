// DistilBERT. Sanh et al. 2019, https://arxiv.org/abs/1910.01108.
// Unusual: no segments and no pooler; scores come from a ReLU layer on the first token; other names than BERT's.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, S sequences, D width, H heads, E head size, L labels.

/// Attention and a feed-forward part, each followed by a residual and a norm; attention's output is not dropped.
final class DistilBERTLayer: TransformerLayer {
    @Child("attention.q_lin") var query: Linear
    @Child("attention.k_lin") var key: Linear
    @Child("attention.v_lin") var value: Linear
    @Child("attention.out_lin") var output: Linear
    @Child("sa_layer_norm") var attentionNorm: LayerNorm
    @Child("ffn.lin1") var up: Linear
    @Child("ffn.lin2") var down: Linear
    @Child("output_layer_norm") var norm: LayerNorm

    private let shape: EncoderShape
    private let layer: Int

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ shape: EncoderShape, layer: Int) {
        self.shape = shape
        self.layer = layer
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

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let size = shape.sizes.headSize
        func heads(_ y: Tensor) throws -> Tensor { try y.reshaped([-1, shape.sizes.heads, size]) }

        let mixed = try context.attend(
            heads(query(x, context)), heads(key(x, context)), heads(value(x, context)), layer: layer,
            AttentionOptions(headSize: size, dropout: shape.attentionDropout))  // [T, H, E]
        let h = try attentionNorm(output(mixed.reshaped([-1, shape.sizes.width]), context) + x, context)  // [T, D]
        let y = try down(shape.activation(up(h, context)), context)  // [T, D]
        return try norm(context.dropped(y, shape.hiddenDropout, .feedForwardOutput, layer: layer) + h, context)
    }
}

/// Words and positions, and the layers.
final class DistilBERTTrunk: Trunk {
    @Child("embeddings.word_embeddings") var table: Embedding
    @Child("embeddings.position_embeddings") var positions: Embedding
    @Child("embeddings.LayerNorm") var norm: LayerNorm
    @Child("transformer.layer") var layers: [TransformerLayer]

    private let shape: EncoderShape

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ shape: EncoderShape) {
        self.shape = shape
        super.init()
        table = Embedding(
            shape.sizes.vocabulary, shape.sizes.width, initializer: shape.initializer, padding: shape.padding)
        positions = Embedding(shape.positions, shape.sizes.width, initializer: shape.initializer)
        norm = LayerNorm(shape.sizes.width, epsilon: shape.normEpsilon)
        layers = (0..<shape.sizes.layers).map { DistilBERTLayer(shape, layer: $0) }
    }

    override var facts: TrunkFacts {
        TrunkFacts(name: "distilbert", sizes: shape.sizes, maximumLength: shape.positions)
    }
    override var embedding: Embedding { table }
    override var isCausal: Bool { false }
    override var ignoredNames: [String] { ["embeddings.position_ids"] }

    override func callAsFunction(_ words: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        try batch.check(within: maximumLength)
        let x = try words + positions(Tensor(batch.positions, device: words.device), context)  // [T, D]
        return try run(layers, context.dropped(norm(x, context), shape.hiddenDropout, .embedding), context)
    }
}

/// `W max(0, V h + c) + b` of each sequence's first token.
final class DistilBERTScoreHead: ScoreHead {
    @Child("pre_classifier") var dense: Linear
    @Child("classifier") var output: Linear

    private let dropout: Double

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ shape: EncoderShape, labelCount: Int, dropout: Double) {
        self.dropout = dropout
        super.init()
        dense = Linear(shape.sizes.width, shape.sizes.width, initializer: shape.initializer)
        output = Linear(shape.sizes.width, labelCount, initializer: shape.initializer)
    }

    override var labelCount: Int { output.outputs }

    override func callAsFunction(_ hidden: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let first = try hidden.indexed(0, Tensor(batch.firstRows, device: hidden.device))  // [S, D]
        let inner = try relu(dense(first.widened(), context))  // [S, D]
        return try output(context.dropped(inner, dropout, .head), context)  // [S, L]
    }
}

package enum DistilBERT {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let (width, heads) = (try config.size("dim"), try config.size("n_heads"))
        guard width % heads == 0 else {
            throw ModelError("config.json: dim (\(width)) is not a multiple of n_heads (\(heads))")
        }
        let sizes = TransformerSizes(
            vocabulary: try config.size("vocab_size"), width: width, hidden: try config.size("hidden_dim"),
            layers: try config.size("n_layers"), heads: heads, keyValueHeads: heads, headSize: width / heads)
        var shape = EncoderShape(
            sizes: sizes, positions: try config.optionalSize("max_position_embeddings") ?? 512, segments: 1,
            normEpsilon: 1e-12)
        shape.activation = try config.activation("activation", default: "gelu")
        shape.hiddenDropout = try config.probability("dropout") ?? 0.1
        shape.attentionDropout = try config.probability("attention_dropout") ?? 0.1
        shape.initializer = .normal(deviation: try config.number("initializer_range") ?? 0.02)
        shape.padding = try config.padding(orElse: 0)
        let headDropout = try config.probability("seq_classif_dropout") ?? 0.2
        let isTied = try config.flag("tie_word_embeddings") ?? true
        try config.require("pruned_heads", [:], otherwise: "and models without some heads are not there yet")
        // The table of positions is in every file, sinusoidal or not; the others are of other heads and old versions.
        for key in ["sinusoidal_pos_embds", "qa_dropout", "tie_weights_"] { _ = config[key] }
        let trunk = DistilBERTTrunk(shape)
        switch task {
        case .sequenceClassification(let labels):
            return SequenceClassifier(
                "DistilBertForSequenceClassification", trunk,
                head: DistilBERTScoreHead(shape, labelCount: labels, dropout: headDropout),
                headNames: ["pre_classifier", "classifier"])
        case .maskedLanguageModel:
            return MaskedLanguageModel(
                "DistilBertForMaskedLM", trunk,
                head: EncoderMaskedHead(
                    shape, tiedTo: isTied ? trunk.embedding : nil, activation: shape.activation,
                    names: .init(
                        dense: "vocab_transform", norm: "vocab_layer_norm", decoder: "vocab_projector",
                        bias: "vocab_projector.bias")),
                headNames: ["vocab_transform", "vocab_layer_norm", "vocab_projector"])
        case .hiddenStates: return BareModel("DistilBertModel", trunk)
        case .causalLanguageModel, .sequenceToSequence: throw EncoderConfig.doesNotContinue("distilbert")
        }
    }
}
