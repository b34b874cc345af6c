public import ApusNN
public import ApusTorch

/// What can be known of a trunk before it has weights.
public struct TrunkFacts: Sendable, Equatable {
    /// The name on disk below a head, such as `model`, `transformer` or `bert`.
    package let name: String
    package let sizes: TransformerSizes
    /// The longest text the model was made for.
    package let maximumLength: Int

    package init(name: String, sizes: TransformerSizes, maximumLength: Int) {
        self.name = name
        self.sizes = sizes
        self.maximumLength = maximumLength
    }
}

/// A model below its head: ids, or given vectors in their place, to hidden states.
///
/// A file of an architecture brings its own, or takes `Decoder` with layers of its own.
open class Trunk: Module, PromptHost, LayerHost {
    /// What every sequence has in front of it.
    @Child("prompts") package var prompts: [PromptAdapter] = []
    /// What hangs behind layers.
    @Child("interventions") package var layerAdapters: [LayerAdapter] = []
    /// What looks at a pass without adapters first.
    @Child("passes") package var passAdapters: [PassAdapter] = []
    /// While training, a sequence is attended to in groups of this share of its length; nil attends to it as a whole.
    package var attentionGroups: Double?
    /// The strength of the noise on the vectors of words while training (NEFTune); nil puts none on them.
    package var noiseStrength: Double?
    /// The weight of the loss that spreads tokens over experts, beside that of the next token; nil leaves it out.
    package var routerLossWeight: Double?
    /// Called before each layer runs, and again where it runs in the backward pass: then the gradients of what lies
    /// above are complete.
    package var onLayer: (() throws -> Void)?

    /// The adapters that take part in passes which do not say otherwise.
    package var activeAdapters = AdapterSelection.all

    /// What a user should know of how the model was read.
    package var notices: [String] = []

    /// Keys of `config.json` that could list a kind for each layer; where there are some, layers differ by their number.
    package var unlistedKinds: [String] = []

    open var facts: TrunkFacts { preconditionFailure("\(type(of: self)) does not say what it is") }

    package var name: String { facts.name }
    package var sizes: TransformerSizes { facts.sizes }
    package var maximumLength: Int { facts.maximumLength }

    /// The table of word vectors; its device and type are the model's.
    open var embedding: Embedding { preconditionFailure("\(type(of: self)) does not name its table of words") }

    /// How many numbers a hidden state has.
    open var outputWidth: Int { embedding.width }

    /// Whether a token sees only those before it, and text can be continued.
    open var isCausal: Bool { true }

    /// How positions turn queries and keys: one table, or one for each kind of layer, which layers name by its number;
    /// none in models that place tokens otherwise.
    package final var rotary: [RotaryEmbedding] = []

    /// The token that every answer begins with, in models that read a text whole and write another; nil in all others.
    open var startToken: Int32? { nil }

    package var hasEncoder: Bool { startToken != nil }

    /// The numbers of the layers that see what prompts put in front of a sequence: where there are two stacks, those of the
    /// second.
    open var sequenceLayers: Range<Int> { 0..<sizes.layers }

    /// Paths below the trunk by which `transformers` calls the table of words again: each of two stacks has it as its own.
    open var embeddingCopies: [String] { [] }

    /// Gives one of `embeddingCopies` a table of its own, because a file has other values there; it is a copy no more.
    open func untie(copy path: String) {}

    /// All tables of words that there are.
    open var wordTables: [Embedding] { [embedding] }

    /// How many layers `config.json` speaks of: where there are two stacks, those of the first.
    open var configuredLayers: Int { sizes.layers }

    /// Ends of names of buffers that old files hold and no computation reads.
    open var ignoredNames: [String] {
        ["rotary_emb.inv_freq", "rotary_pos_emb.inv_freq", ".attn.bias", ".attention.bias", ".masked_bias"]
    }

    /// Beginnings of names, below the trunk's, of what files hold that this model does not compute with.
    open var ignoredParts: [String] { [] }

    /// Names that files may write between the trunk's and those of its parts: of models of which this is one part.
    open var outerNames: [String] { [] }

    /// What a `config.json` written for this model has to say, because readers differ about what its absence means.
    open var writtenConfiguration: [String: Bool] { [:] }

    /// The vectors of the batch's tokens, [T, D].
    open func words(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        try vectors(of: batch.tokens, context)
    }

    /// The vectors of tokens, [T, D].
    ///
    /// - Parameter own: The table of a part that has its own; nil stands for the model's.
    /// - Throws: `ModelError` for an id without a row. libtorch would not say which, and on a GPU end the program.
    package final func vectors(
        of ids: [Int32], in own: Embedding? = nil, _ context: ForwardContext
    ) throws -> Tensor {
        let table = own ?? embedding
        if let id = ids.first(where: { !(0..<table.count).contains(Int($0)) }) {
            throw ModelError(
                "token \(id) has no row in the model's table of words, which has \(table.count). Leave the token out of the "
                    + "texts, or take the tokenizer of the same model.")
        }
        return try table(Tensor(ids, device: table.weight.device), context)
    }

    /// All that comes after the vectors of words: [T, D] → [T, D].
    open func callAsFunction(_ words: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it computes")
    }

    /// The layers one after the other.
    package final func run(
        _ layers: [TransformerLayer], _ x: Tensor, _ context: ForwardContext
    ) throws -> Tensor {
        var x = x
        for (index, layer) in layers.enumerated() {
            let behind = layerAdapters.filter { $0.layer == index && context.adapters.contains($0.name) }
            x = try context.layer(x) { [self] x in
                try onLayer?()
                return try behind.reduce(layer(x, context)) { try $1($0, context) }
            }
        }
        return x
    }
}

/// Words, layers and a norm: the trunk of decoders whose positions are in their attention.
package final class Decoder: Trunk {
    /// What the parts are called on disk.
    package struct Names: Sendable {
        package var embedding = "embed_tokens"
        package var layers = "layers"
        package var norm = "norm"

        package init() {}

        package init(embedding: String, layers: String, norm: String) {
            (self.embedding, self.layers, self.norm) = (embedding, layers, norm)
        }
    }

    /// Which tokens a token sees: those before it, or all of its text, as in encoders made of decoders.
    package enum Sight: Sendable {
        case back, bothSides
    }

    /// What vectors are multiplied with before the first layer.
    package enum Scale: Sendable {
        /// Those of words alone, by a number that is rounded to the type of the weights.
        case words(Double)
        /// Those of words and whatever stands in their place.
        case inputs(Double)
    }

    @Child("embed_tokens") private var table: Embedding
    @Child("layers") private var layers: [TransformerLayer]
    @Child("norm") private var norm: Norm

    private let ownFacts: TrunkFacts
    private let scale: Scale?
    private let dropout: Double
    private let sight: Sight
    private let ignored: [String]
    private let outer: [String]

    /// - Parameters:
    ///   - dropout: The probability with which elements of the words' vectors are dropped while training.
    ///   - ignored: Beginnings of names of what files hold beside these parts.
    ///   - outer: Names that files may write between the trunk's and those of its parts.
    package init(
        _ facts: TrunkFacts, names: Names = Names(), rotary: [RotaryEmbedding] = [], embedding: Embedding,
        scale: Scale? = nil, dropout: Double = 0, sight: Sight = .back, ignoring ignored: [String] = [],
        insideOf outer: [String] = [], layers: [TransformerLayer], norm: Norm
    ) {
        ownFacts = facts
        self.scale = scale
        self.dropout = dropout
        self.sight = sight
        self.ignored = ignored
        self.outer = outer
        super.init()
        self.rotary = rotary
        _table = Child(wrappedValue: embedding, names.embedding)
        _layers = Child(wrappedValue: layers, names.layers)
        _norm = Child(wrappedValue: norm, names.norm)
    }

    package override var facts: TrunkFacts { ownFacts }
    package override var embedding: Embedding { table }
    package override var isCausal: Bool { sight == .back }
    package override var ignoredParts: [String] { ignored }
    package override var outerNames: [String] { outer }

    package override func words(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let words = try super.words(batch, context)
        guard case .words(let factor) = scale else { return words }
        return try words * Tensor.full([1], factor, dtype: words.dtype, device: words.device)
    }

    package override func callAsFunction(
        _ words: Tensor, _ batch: TokenBatch, _ context: ForwardContext
    ) throws -> Tensor {
        var x = try context.dropped(words, dropout, .embedding)
        if case .inputs(let factor) = scale { x = try x * factor }
        return try norm(run(layers, x, context), context)
    }
}
