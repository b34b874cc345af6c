// T5, T5 v1.1, Flan-T5, mT5, mT0. Raffel et al. 2019, https://arxiv.org/abs/1910.10683; Shazeer 2020,
// https://arxiv.org/abs/2002.05202; Xue et al. 2020, https://arxiv.org/abs/2010.11934.
// Unusual: an encoder reads the text, a decoder writes the answer; distances have a bias each instead of positions;
// scores are not scaled; where the head is the table of words, what it sees is.

package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens of the decoder, T' of the encoder, S sequences, D width, H heads, E head size, F feed-forward width, L labels.

/// A bias for each head and bucket of distances, which all blocks of a stack use.
struct DistanceBiases {
    let table: Embedding

    /// [buckets, H].
    func callAsFunction(_ context: ForwardContext) throws -> Tensor {
        try table(Tensor(Array(0..<Int32(table.count)), device: table.weight.device), context)
    }
}

/// Attention without a scale: to the own sequence, or across to what an encoder read.
final class T5Attention: Module {
    @Child("q") var query: Linear
    @Child("k") var key: Linear
    @Child("v") var value: Linear
    @Child("o") var output: Linear
    @Child("relative_attention_bias") var distances: Embedding?

    private let headSize: Int
    private let layer: Int
    private let options: AttentionOptions

    /// - Parameters:
    ///   - layer: Counts through both stacks.
    ///   - buckets: How distances share biases; nil where they have none.
    ///   - ownsBiases: Whether the table of biases is here, in the first block of a stack.
    init(_ config: T5Config, layer: Int, buckets: DistanceBuckets?, ownsBiases: Bool) {
        let (width, heads) = (config.sizes.width, config.sizes.heads)
        headSize = config.sizes.headSize
        self.layer = layer
        var options = AttentionOptions(scale: 1, dropout: config.dropout)
        options.buckets = buckets
        self.options = options
        super.init()
        let inner = heads * headSize
        query = Linear(width, inner, bias: false, initializer: config.initializer(fanIn: width * headSize))
        key = Linear(width, inner, bias: false, initializer: config.initializer(fanIn: width))
        value = Linear(width, inner, bias: false, initializer: config.initializer(fanIn: width))
        output = Linear(inner, width, bias: false, initializer: config.initializer(fanIn: inner))
        distances =
            ownsBiases
            ? Embedding(config.bucketCount, heads, initializer: config.initializer(fanIn: width)) : nil
    }

    private func heads(_ y: Tensor) throws -> Tensor { try y.reshaped([y.shape[0], -1, headSize]) }

    func callAsFunction(_ x: Tensor, _ biases: DistanceBiases, _ context: ForwardContext) throws -> Tensor {
        let mixed = try context.attend(
            heads(query(x, context)), heads(key(x, context)), heads(value(x, context)), layer: layer, options,
            biases: biases(context))  // [T, H, E]
        return try output(mixed.reshaped([x.shape[0], -1]), context)  // [T, D]
    }

    func callAsFunction(_ x: Tensor, across memory: EncoderMemory?, _ context: ForwardContext) throws -> Tensor {
        let mixed = try context.attend(heads(query(x, context)), across: memory, layer: layer, options) { states in
            (try heads(key(states, context)), try heads(value(states, context)))  // [T', H, E]
        }
        return try output(mixed.reshaped([x.shape[0], -1]), context)  // [T, D]
    }
}

/// `wo(a(wi x))`, or `wo(a(wi_0 x) · wi_1 x)`.
final class T5FeedForward: Module {
    @Child("wi") var plain: Linear?
    @Child("wi_0") var gate: Linear?
    @Child("wi_1") var up: Linear?
    @Child("wo") var down: Linear

    private let config: T5Config
    private let layer: Int

    init(_ config: T5Config, layer: Int) {
        self.config = config
        self.layer = layer
        super.init()
        let (width, hidden) = (config.sizes.width, config.sizes.hidden)
        func wide() -> Linear { Linear(width, hidden, bias: false, initializer: config.initializer(fanIn: width)) }
        plain = config.isGated ? nil : wide()
        gate = config.isGated ? wide() : nil
        up = config.isGated ? wide() : nil
        down = Linear(hidden, width, bias: false, initializer: config.initializer(fanIn: hidden))
    }

    func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let inner: Tensor  // [T, F]
        if let gate, let up {
            inner = try config.activation(gate(x, context)) * up(x, context)
        } else {
            inner = try config.activation(plain?(x, context) ?? x)
        }
        return try down(context.dropped(inner, config.dropout, .feedForward, layer: layer), context)  // [T, D]
    }
}

/// Attention, in a decoder attention across, and a feed-forward part, each as `h = x + f(norm(x))`.
final class T5Block: TransformerLayer {
    @Child("layer.0.SelfAttention") var attention: T5Attention
    @Child("layer.0.layer_norm") var attentionNorm: RMSNorm
    @Child("layer.1.EncDecAttention") var crossAttention: T5Attention?
    @Child("layer.1.layer_norm") var crossNorm: RMSNorm?
    @Child("layer.1.DenseReluDense") var feedForward: T5FeedForward
    @Child("layer.1.layer_norm") var feedForwardNorm: RMSNorm

    private let dropout: Double
    private let layer: Int
    private let biases: DistanceBiases

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    /// - Parameters:
    ///   - layer: Counts through both stacks.
    ///   - first: The first block of the stack; nil for itself.
    init(_ config: T5Config, layer: Int, ofDecoder isDecoder: Bool, after first: T5Block?) {
        dropout = config.dropout
        self.layer = layer
        let buckets = DistanceBuckets(
            count: config.bucketCount, reach: config.bucketReach, ofBothSides: !isDecoder)
        let attention = T5Attention(config, layer: layer, buckets: buckets, ownsBiases: first == nil)
        biases =
            first?.biases
            ?? DistanceBiases(table: attention.distances ?? Embedding(config.bucketCount, config.sizes.heads))
        super.init()
        func norm() -> RMSNorm { RMSNorm(config.sizes.width, epsilon: config.normEpsilon) }
        self.attention = attention
        attentionNorm = norm()
        crossAttention =
            isDecoder ? T5Attention(config, layer: layer, buckets: nil, ownsBiases: false) : nil
        crossNorm = isDecoder ? norm() : nil
        let last = "layer.\(isDecoder ? 2 : 1)"
        _feedForward = Child(wrappedValue: T5FeedForward(config, layer: layer), "\(last).DenseReluDense")
        _feedForwardNorm = Child(wrappedValue: norm(), "\(last).layer_norm")
    }

    func callAsFunction(_ x: Tensor, across memory: EncoderMemory?, _ context: ForwardContext) throws -> Tensor {
        var h = try add(attention(attentionNorm(x, context), biases, context), to: x, .attentionOutput, context)
        if let crossAttention, let crossNorm {
            h = try add(
                crossAttention(crossNorm(h, context), across: memory, context), to: h, .crossAttentionOutput, context)
        }
        return try add(feedForward(feedForwardNorm(h, context), context), to: h, .feedForwardOutput, context)
    }

    private func add(
        _ y: Tensor, to x: Tensor, _ place: ForwardContext.DropoutPlace, _ context: ForwardContext
    ) throws -> Tensor {
        try x + context.dropped(y, dropout, place, layer: layer)  // [T, D]
    }
}

/// Blocks and a norm: the encoder, or the decoder.
final class T5Stack: Module {
    @Child("block") var blocks: [T5Block]
    @Child("final_layer_norm") var norm: RMSNorm

    private let dropout: Double
    /// Tells the random streams of the stacks apart.
    private let number: Int

    init(_ config: T5Config, ofDecoder isDecoder: Bool) {
        dropout = config.dropout
        number = isDecoder ? 1 : 0
        super.init()
        let before = isDecoder ? config.encoderLayers : 0
        var all: [T5Block] = []
        for index in 0..<(isDecoder ? config.decoderLayers : config.encoderLayers) {
            all.append(T5Block(config, layer: before + index, ofDecoder: isDecoder, after: all.first))
        }
        blocks = all
        norm = RMSNorm(config.sizes.width, epsilon: config.normEpsilon)
    }

    func callAsFunction(
        _ words: Tensor, across memory: EncoderMemory? = nil, _ context: ForwardContext
    ) throws -> Tensor {
        guard words.dtype != .float16 else {
            throw ModelError(
                "models of the family T5 overflow in float16. Give --torch_dtype bfloat16 or float32.")
        }
        var x = try context.dropped(words, dropout, .embedding, layer: number)
        for block in blocks {
            guard let memory else {
                x = try context.layer(x) { try block($0, across: nil, context) }
                continue
            }
            x = try context.layer([x, memory.states]) {
                try block($0[0], across: EncoderMemory(states: $0[1], spans: memory.spans), context)
            }
        }
        return try context.dropped(norm(x, context), dropout, .output, layer: number)  // [T, D]
    }
}

/// An encoder that reads a text and a decoder that looks at what it read.
final class T5Trunk: Trunk {
    @Child("shared") var table: Embedding
    @Child("encoder") var encoder: T5Stack
    @Child("decoder") var decoder: T5Stack
    /// Of a file whose stacks have other tables than the one that they share by rule.
    @Child("encoder.embed_tokens") var encoderTable: Embedding?
    @Child("decoder.embed_tokens") var decoderTable: Embedding?

    private let config: T5Config
    private let title: String
    /// Whether what the head sees is scaled by 1/√D; nil where `config.json` does not say it by a key of its own.
    private let scaling: Bool?

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ config: T5Config, name: String = "", scaling: Bool? = nil) {
        self.config = config
        self.scaling = scaling
        title = name
        super.init()
        table = config.table()
        encoder = T5Stack(config, ofDecoder: false)
        decoder = T5Stack(config, ofDecoder: true)
        (encoderTable, decoderTable) = (nil, nil)
    }

    override var facts: TrunkFacts { T5.facts(config, name: title) }
    override var embedding: Embedding { table }
    override var startToken: Int32? { config.start }
    override var sequenceLayers: Range<Int> {
        config.encoderLayers..<config.encoderLayers + config.decoderLayers
    }
    override var configuredLayers: Int { config.encoderLayers }
    override var embeddingCopies: [String] {
        (encoderTable == nil ? ["encoder.embed_tokens"] : []) + (decoderTable == nil ? ["decoder.embed_tokens"] : [])
    }
    override var wordTables: [Embedding] { [table, encoderTable, decoderTable].compactMap(\.self) }
    override var ignoredNames: [String] { T5.copies }
    /// The head of a model that writes, below a classifier.
    override var ignoredParts: [String] { title.isEmpty ? [] : ["lm_head."] }
    override var writtenConfiguration: [String: Bool] { scaling.map { ["scale_decoder_outputs": $0] } ?? [:] }

    override func untie(copy path: String) {
        if path.hasPrefix("encoder.") { encoderTable = config.table() } else { decoderTable = config.table() }
    }

    /// The words of the answers.
    ///
    /// A batch without a source is its own: the decoder sees its tokens moved by one, as classifiers have it.
    override func words(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        guard batch.source == nil, context.state == nil else {
            return try vectors(of: batch.tokens, in: decoderTable, context)
        }
        let moved = zip(batch.boundaries, batch.boundaries.dropFirst()).flatMap { start, end in
            start < end ? [config.start] + batch.tokens[Int(start)..<Int(end) - 1] : []
        }
        return try vectors(of: moved, in: decoderTable, context)
    }

    override func callAsFunction(_ words: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let hidden = try decoder(words, across: memory(batch, context), context)  // [T, D]
        return try scaling == true ? hidden * (1 / Double(config.sizes.width).squareRoot()) : hidden
    }

    /// What the encoder reads; nil in passes that go on.
    private func memory(_ batch: TokenBatch, _ context: ForwardContext) throws -> EncoderMemory? {
        if batch.source == nil, context.state != nil { return nil }
        let source = batch.source ?? SourceTokens(of: batch)
        let own = try vectors(of: source.tokens, in: encoderTable, context)  // [T', D]
        let (words, bounds) = try context.behindPrompts(own, bounds: source.boundaries)
        let states = try encoder(words, context.ofEncoder(bounds: bounds))
        return EncoderMemory(states: states, spans: SequenceSpans(bounds))
    }
}

package enum T5 {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        // Version 5 of transformers writes tie_word_embeddings true always, and says the scale by a key of its own.
        let isTied = try config.flag("tie_word_embeddings") ?? true
        return try model(
            config, task, family: "T5", isTied: isTied, scaling: config.flag("scale_decoder_outputs") ?? isTied)
    }

    /// mT5 and mT0, which never scale.
    package static func makeMultilingual(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        try model(
            config, task, family: "MT5", isTied: config.flag("tie_word_embeddings") ?? true, scaling: nil)
    }

    /// Copies of the table of words, and biases of distances that old files hold where there are no distances.
    static let copies = [
        "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "EncDecAttention.relative_attention_bias.weight",
    ]

    static func facts(_ config: T5Config, name: String) -> TrunkFacts {
        TrunkFacts(name: name, sizes: config.sizes, maximumLength: Int(Int32.max))
    }

    private static func model(
        _ config: ModelConfig, _ task: ModelTask, family: String, isTied: Bool, scaling: Bool?
    ) throws -> any TextModel {
        let fields = try T5Config(config)
        switch task {
        case .sequenceToSequence:
            let trunk = T5Trunk(fields, scaling: scaling)
            let head =
                isTied
                ? VocabularyHead(tiedTo: trunk.embedding)
                : VocabularyHead(
                    width: fields.sizes.width, vocabulary: fields.sizes.vocabulary, initializer: fields.initializer(1))
            return CausalLanguageModel("\(family)ForConditionalGeneration", trunk, head: head)
        case .sequenceClassification(let labels):
            let trunk = T5Trunk(fields, name: "transformer")
            return SequenceClassifier(
                "\(family)ForSequenceClassification", trunk, head: T5ScoreHead(fields, labelCount: labels),
                headName: "classification_head")
        case .hiddenStates: return BareModel("\(family)EncoderModel", T5EncoderTrunk(fields))
        case .causalLanguageModel, .maskedLanguageModel:
            throw ModelError(
                "models of the family \(family) read a text and write another; give --task_type seq2seq_lm")
        }
    }
}
