// DeBERTa-v2 and DeBERTa-v3. He et al. 2020, https://arxiv.org/abs/2006.03654; 2021, https://arxiv.org/abs/2111.09543.
// Unusual: scores of attention have terms for content by distance and distance by content, with vectors of distances
// that all layers share; the largest have a convolution beside the first layer.

package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, S sequences, D width, H heads, E head size, A distances on each side, L labels.

/// What the layers of a pass see of distances: vectors, and which of them belongs to each pair of tokens of a sequence.
struct DeBERTaDistances {
    let vectors: Tensor  // [2A, D]
    let sequences: [(rows: Range<Int>, forward: Tensor, backward: Tensor)]  // [T, T] each

    func with(_ vectors: Tensor) -> DeBERTaDistances { DeBERTaDistances(vectors: vectors, sequences: sequences) }
}

/// Attention in which content and distance are weighed apart:
/// `softmax((q kᵀ + q Kᵣᵀ[i − j] + k Qᵣᵀ[i − j]) / √(E n))`, n the number of terms.
final class DeBERTaAttention: Module {
    @Child("self.query_proj") var query: Linear
    @Child("self.key_proj") var key: Linear
    @Child("self.value_proj") var value: Linear
    @Child("self.pos_key_proj") var distanceKey: Linear?
    @Child("self.pos_query_proj") var distanceQuery: Linear?
    @Child("output.dense") var output: Linear
    @Child("output.LayerNorm") var norm: LayerNorm

    private let config: DeBERTaConfig
    private let layer: Int

    init(_ config: DeBERTaConfig, layer: Int) {
        self.config = config
        self.layer = layer
        super.init()
        let width = config.shape.sizes.width
        let inner = config.shape.sizes.heads * config.shape.sizes.headSize
        query = config.linear(width, inner)
        key = config.linear(width, inner)
        value = config.linear(width, inner)
        let hasOwn = !config.sharesProjections
        distanceKey = hasOwn && config.contentToPosition ? config.linear(width, inner) : nil
        distanceQuery = hasOwn && config.positionToContent ? config.linear(width, inner) : nil
        output = config.linear(inner, width)
        norm = LayerNorm(width, epsilon: config.shape.normEpsilon)
    }

    func callAsFunction(_ x: Tensor, _ distances: DeBERTaDistances, _ context: ForwardContext) throws -> Tensor {
        let shape = config.shape
        func heads(_ y: Tensor) throws -> Tensor {
            try y.reshaped([y.shape[0], -1, shape.sizes.headSize]).transposed(0, 1)  // [H, T, E]
        }
        let terms = 1 + (config.contentToPosition ? 1 : 0) + (config.positionToContent ? 1 : 0)
        let scale = 1 / Double(shape.sizes.headSize * terms).squareRoot()
        let (q, k, v) = (
            try heads(query(x, context) * scale), try heads(key(x, context)), try heads(value(x, context))
        )
        let r = try context.dropped(distances.vectors, shape.hiddenDropout, .embedding, layer: 1 + layer)  // [2A, D]
        let keys = try config.contentToPosition ? heads((distanceKey ?? key)(r, context)) : nil  // [H, 2A, E]
        let queries =
            try config.positionToContent ? heads((distanceQuery ?? query)(r, context) * scale) : nil  // [H, 2A, E]
        var parts: [Tensor] = []
        for (number, sequence) in distances.sequences.enumerated() where !sequence.rows.isEmpty {
            func own(_ y: Tensor) throws -> Tensor {
                try y.narrowed(1, start: sequence.rows.lowerBound, length: sequence.rows.count)  // [H, T, E]
            }
            func picked(_ scores: Tensor, _ index: Tensor) throws -> Tensor {
                try scores.gathered(2, index.expanded([shape.sizes.heads] + index.shape))  // [H, T, T]
            }
            let (q, k, v) = (try own(q), try own(k), try own(v))
            var scores = try matmul(q, k.transposed(1, 2))  // [H, T, T]
            if let keys { scores = try scores + picked(matmul(q, keys.transposed(1, 2)), sequence.forward) }
            if let queries {
                let byKey = try picked(matmul(k, queries.transposed(1, 2)), sequence.backward)  // [H, T, T]
                scores = try scores + byKey.transposed(1, 2)
            }
            let weights = try context.dropped(
                softmax(scores), shape.attentionDropout, .attention, layer: layer << 20 + number)
            parts.append(try matmul(weights, v).transposed(0, 1))  // [T, H, E]
        }
        let mixed = try concatenated(parts).reshaped([x.shape[0], -1])  // [T, D]
        let y = try output(mixed, context)
        return try norm(context.dropped(y, shape.hiddenDropout, .attentionOutput, layer: layer) + x, context)
    }
}

/// Attention and a feed-forward part, each followed by a residual and a norm.
final class DeBERTaLayer: TransformerLayer {
    @Child("attention") var attention: DeBERTaAttention
    @Child("intermediate.dense") var up: Linear
    @Child("output.dense") var down: Linear
    @Child("output.LayerNorm") var norm: LayerNorm

    private let shape: EncoderShape
    private let layer: Int

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ config: DeBERTaConfig, layer: Int) {
        shape = config.shape
        self.layer = layer
        super.init()
        attention = DeBERTaAttention(config, layer: layer)
        up = config.linear(shape.sizes.width, shape.sizes.hidden)
        down = config.linear(shape.sizes.hidden, shape.sizes.width)
        norm = LayerNorm(shape.sizes.width, epsilon: shape.normEpsilon)
    }

    func callAsFunction(_ x: Tensor, _ distances: DeBERTaDistances, _ context: ForwardContext) throws -> Tensor {
        let h = try attention(x, distances, context)  // [T, D]
        let y = try down(shape.activation(up(h, context)), context)  // [T, D]
        return try norm(context.dropped(y, shape.hiddenDropout, .feedForwardOutput, layer: layer) + h, context)
    }
}

/// `norm(y + a(conv(x)))` with x the embeddings and y what the first layer makes of them.
final class DeBERTaConvolution: Module {
    @Parameter("conv.weight") private var weight: Tensor  // [D, D, taps]
    @Parameter("conv.bias") private var bias: Tensor  // [D]
    @Child("LayerNorm") var norm: LayerNorm

    private let taps: Int
    private let config: DeBERTaConfig

    init(_ config: DeBERTaConfig, taps: Int) {
        self.taps = taps
        self.config = config
        super.init()
        let width = config.shape.sizes.width
        $weight.declare([width, width, taps], config.shape.initializer)
        $bias.declare([width])
        norm = LayerNorm(width, epsilon: config.shape.normEpsilon)
    }

    func callAsFunction(_ y: Tensor, beside x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let tokens = x.shape[0]
        // What lies beyond a sequence is a row of zeros.
        let rows = try concatenated([x, Tensor.zeros([1, x.shape[1]], dtype: x.dtype, device: x.device)])
        var sum = bias
        for tap in 0..<taps {
            let shift = tap - taps / 2
            let places = zip(context.bounds, context.bounds.dropFirst()).flatMap { start, end in
                (start..<end).map { row in
                    (start..<end).contains(row + Int32(shift)) ? row + Int32(shift) : Int32(tokens)
                }
            }
            let matrix = try weight.selected(2, tap).transposed(0, 1)  // [D, D]
            sum = try matmul(rows.indexed(0, Tensor(places, device: x.device)), matrix) + sum  // [T, D]
        }
        let dropped = try context.dropped(sum, config.shape.hiddenDropout, .feedForward)
        return try norm(y + config.convolutionActivation(dropped), context)
    }
}

/// Words, vectors of distances, and the layers.
final class DeBERTaTrunk: Trunk {
    @Child("embeddings.word_embeddings") var table: Embedding
    @Child("embeddings.position_embeddings") var positions: Embedding?
    @Child("embeddings.token_type_embeddings") var segments: Embedding?
    @Child("embeddings.embed_proj") var projection: Linear?
    @Child("embeddings.LayerNorm") var norm: LayerNorm
    @Child("encoder.rel_embeddings") var distances: Embedding
    @Child("encoder.LayerNorm") var distanceNorm: LayerNorm?
    @Child("encoder.layer") var layers: [DeBERTaLayer]
    @Child("encoder.conv") var convolution: DeBERTaConvolution?

    private let config: DeBERTaConfig

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ config: DeBERTaConfig) {
        self.config = config
        super.init()
        let (shape, initializer) = (config.shape, config.shape.initializer)
        let width = shape.sizes.width
        table = Embedding(
            shape.sizes.vocabulary, config.wordWidth, initializer: initializer, padding: shape.padding)
        positions = config.hasPositions ? Embedding(shape.positions, config.wordWidth, initializer: initializer) : nil
        segments = shape.segments > 0 ? Embedding(shape.segments, config.wordWidth, initializer: initializer) : nil
        projection = config.wordWidth == width ? nil : config.linear(config.wordWidth, width, bias: false)
        norm = LayerNorm(width, epsilon: shape.normEpsilon)
        distances = Embedding(2 * config.span, width, initializer: initializer)
        distanceNorm = config.normsDistances ? LayerNorm(width, epsilon: shape.normEpsilon) : nil
        layers = (0..<shape.sizes.layers).map { DeBERTaLayer(config, layer: $0) }
        convolution = config.convolutionWidth.map { DeBERTaConvolution(config, taps: $0) }
    }

    /// Distances have no end; only a table of positions has one.
    override var facts: TrunkFacts {
        TrunkFacts(
            name: "deberta", sizes: config.shape.sizes,
            maximumLength: config.hasPositions ? config.shape.positions : Int(Int32.max))
    }
    override var embedding: Embedding { table }
    override var outputWidth: Int { config.shape.sizes.width }
    override var isCausal: Bool { false }
    override var ignoredNames: [String] { ["embeddings.position_ids", "embeddings.position_embeddings.weight"] }

    override func callAsFunction(_ words: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let shape = config.shape
        try batch.check(within: maximumLength)
        var x = words  // [T, e]
        if let positions { x = try x + positions(Tensor(batch.positions, device: x.device), context) }
        if let segments {
            let parts = batch.segments ?? Array(repeating: 0, count: batch.tokens.count)
            x = try x + segments(Tensor(parts, device: x.device), context)
        }
        x = try norm(projection?(x, context) ?? x, context)  // [T, D]
        x = try context.dropped(x, shape.hiddenDropout, .embedding)
        let embedded = x
        let distances = try distances(batch, context)
        for (index, layer) in layers.enumerated() {
            x = try context.layer([x, distances.vectors]) { try layer($0[0], distances.with($0[1]), context) }
            if index == 0, let convolution { x = try convolution(x, beside: embedded, context) }
        }
        return x
    }

    private func distances(_ batch: TokenBatch, _ context: ForwardContext) throws -> DeBERTaDistances {
        let device = table.weight.device
        let vectors = try distances(Tensor(Array(0..<Int32(2 * config.span)), device: device), context)  // [2A, D]
        var known: [Int: (Tensor, Tensor)] = [:]
        let sequences = try zip(batch.boundaries, batch.boundaries.dropFirst()).map { start, end in
            let length = Int(end - start)
            let made =
                try known[length] ?? (
                    Tensor(config.distances(length, isReversed: false), shape: [length, length], device: device),
                    Tensor(config.distances(length, isReversed: true), shape: [length, length], device: device)
                )
            known[length] = made
            return (rows: Int(start)..<Int(end), forward: made.0, backward: made.1)
        }
        return DeBERTaDistances(vectors: try distanceNorm?(vectors, context) ?? vectors, sequences: sequences)
    }
}

/// `W a(V h + c) + b` of each sequence's first token.
final class DeBERTaScoreHead: ScoreHead {
    @Child("pooler.dense") var pooler: Linear
    @Child("classifier") var classifier: Linear

    private let config: DeBERTaConfig

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ config: DeBERTaConfig, labelCount: Int) {
        self.config = config
        super.init()
        pooler = config.linear(config.shape.sizes.width, config.shape.sizes.width)
        classifier = config.linear(config.shape.sizes.width, labelCount)
    }

    override var labelCount: Int { classifier.outputs }

    override func callAsFunction(_ hidden: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let first = try hidden.indexed(0, Tensor(batch.firstRows, device: hidden.device))  // [S, D]
        let kept = try context.dropped(first, config.poolerDropout, .head)
        let pooled = try config.poolerActivation(pooler(kept, context))  // [S, D]
        return try classifier(
            context.dropped(pooled, config.headDropout, .head, layer: 1).widened(), context)  // [S, L]
    }
}

package enum DeBERTa {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DeBERTaConfig(config)
        let isLegacy = try config.flag("legacy") ?? true
        let isTied = try config.flag("tie_word_embeddings") ?? true
        let trunk = DeBERTaTrunk(fields)
        switch task {
        case .sequenceClassification(let labels):
            return SequenceClassifier(
                "DebertaV2ForSequenceClassification", trunk, head: DeBERTaScoreHead(fields, labelCount: labels),
                headNames: ["pooler", "classifier"])
        case .maskedLanguageModel:
            // The head of the published v3 files is called otherwise, and has the table of words in any case.
            return MaskedLanguageModel(
                "DebertaV2ForMaskedLM", trunk,
                head: EncoderMaskedHead(
                    fields.shape, width: isLegacy ? fields.wordWidth : fields.shape.sizes.width,
                    tiedTo: isTied || !isLegacy ? trunk.embedding : nil, activation: fields.shape.activation,
                    names: isLegacy
                        ? .init(dense: "transform.dense", norm: "transform.LayerNorm")
                        : .init(dense: "dense", norm: "LayerNorm")),
                headName: isLegacy ? "cls.predictions" : "lm_predictions.lm_head")
        case .hiddenStates: return BareModel("DebertaV2Model", trunk)
        case .causalLanguageModel, .sequenceToSequence: throw EncoderConfig.doesNotContinue("deberta-v2")
        }
    }
}
