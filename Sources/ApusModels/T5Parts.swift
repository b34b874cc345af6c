import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, S sequences, D width, L labels.

/// The encoder alone, which gives texts vectors.
final class T5EncoderTrunk: Trunk {
    @Child("shared") var table: Embedding
    @Child("encoder") var encoder: T5Stack
    @Child("encoder.embed_tokens") var ownTable: Embedding?

    private let config: T5Config

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ config: T5Config) {
        self.config = config
        super.init()
        table = config.table()
        encoder = T5Stack(config, ofDecoder: false)
        ownTable = nil
    }

    override var facts: TrunkFacts { T5.facts(config, name: "") }
    override var embedding: Embedding { table }
    override var isCausal: Bool { false }
    override var configuredLayers: Int { config.encoderLayers }
    override var sequenceLayers: Range<Int> { 0..<config.encoderLayers }
    override var embeddingCopies: [String] { ownTable == nil ? ["encoder.embed_tokens"] : [] }
    override var wordTables: [Embedding] { [table, ownTable].compactMap(\.self) }
    override var ignoredNames: [String] { T5.copies }
    override var ignoredParts: [String] { ["decoder.", "lm_head."] }

    override func untie(copy path: String) { ownTable = config.table() }

    override func words(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        try vectors(of: batch.tokens, in: ownTable, context)
    }

    override func callAsFunction(_ words: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        try encoder(words, context)
    }
}

/// `W tanh(V h + c) + b` of what the decoder makes of each text's last end token.
final class T5ScoreHead: ScoreHead {
    @Child("dense") var dense: Linear
    @Child("out_proj") var output: Linear

    private let end: Int32
    private let dropout: Double

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ config: T5Config, labelCount: Int) {
        end = config.end
        dropout = config.headDropout
        super.init()
        let width = config.sizes.width
        dense = Linear(width, width, initializer: config.initializer(fanIn: width))
        output = Linear(width, labelCount, initializer: config.initializer(fanIn: width))
    }

    override var labelCount: Int { output.outputs }

    override func callAsFunction(_ hidden: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let rows = try zip(batch.boundaries, batch.boundaries.dropFirst()).map { start, stop -> Int32 in
            guard let last = batch.tokens[Int(start)..<Int(stop)].lastIndex(of: end) else {
                throw ModelError(
                    "a text has no end token (\(end)), by which a T5 scores it; --truncation_strategy right keeps it")
            }
            return Int32(last)
        }
        let ends = try hidden.indexed(0, Tensor(rows, device: hidden.device))  // [S, D]
        let kept = try context.dropped(ends, dropout, .head).widened()
        let inner = try tanh(dense(kept, context))  // [S, D]
        return try output(context.dropped(inner, dropout, .head, layer: 1), context)  // [S, L]
    }
}
