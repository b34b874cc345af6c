public import ApusNN
public import ApusTorch

/// A model below its head: ids, or given vectors in their place, to hidden states.
///
/// A file of an architecture brings its own, or takes `Decoder` with layers of its own.
open class Trunk: Module {
    /// The name on disk below a head, such as `model`, `transformer` or `bert`.
    package let name: String
    package let sizes: TransformerSizes
    /// The longest text the model was made for.
    package let maximumLength: Int
    /// What a user should know of how the model was read.
    package var notices: [String] = []

    package init(name: String, sizes: TransformerSizes, maximumLength: Int) {
        self.name = name
        self.sizes = sizes
        self.maximumLength = maximumLength
        super.init()
    }

    /// The table of word vectors; its device and type are the model's.
    open var embedding: Embedding { preconditionFailure("\(type(of: self)) does not name its table of words") }

    /// Whether a token sees only those before it, and text can be continued.
    open var isCausal: Bool { true }

    /// How positions turn queries and keys; nil in models that place tokens otherwise.
    package var rotary: RotaryEmbedding? { nil }

    /// Ends of names of buffers that old files hold and no computation reads.
    open var ignoredNames: [String] { ["rotary_emb.inv_freq"] }

    /// The vectors of the batch's tokens, [T, D].
    open func words(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        try embedding(Tensor(batch.tokens, device: embedding.weight.device), context)
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
        for layer in layers {
            x = try context.layer(x) { try layer($0, context) }
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
    }

    @Child("embed_tokens") private var table: Embedding
    @Child("layers") private var layers: [TransformerLayer]
    @Child("norm") private var norm: Norm

    private let angles: RotaryEmbedding?

    package init(
        name: String = "model", names: Names = Names(), sizes: TransformerSizes, maximumLength: Int,
        rotary: RotaryEmbedding?, embedding: Embedding, layers: [TransformerLayer], norm: Norm
    ) {
        angles = rotary
        super.init(name: name, sizes: sizes, maximumLength: maximumLength)
        _table = Child(wrappedValue: embedding, names.embedding)
        _layers = Child(wrappedValue: layers, names.layers)
        _norm = Child(wrappedValue: norm, names.norm)
    }

    package override var embedding: Embedding { table }
    package override var rotary: RotaryEmbedding? { angles }

    package override func callAsFunction(
        _ words: Tensor, _ batch: TokenBatch, _ context: ForwardContext
    ) throws -> Tensor {
        try norm(run(layers, words, context))
    }
}
