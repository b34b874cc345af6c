public import ApusNN
package import ApusTorch

/// A decoder of the Llama family, below whatever head a task puts on it.
public class DecoderModel: Module, TextModel {
    @Child("model") package var decoder: Decoder

    package let shape: DecoderShape
    package let rotary: RotaryEmbedding
    /// The longest text the model was made for.
    public let maximumLength: Int
    /// The name of the class in `transformers`, such as `Qwen2ForCausalLM`.
    public let architecture: String

    /// - Parameter hasHead: Whether the trunk is written under its name, as it is below a head.
    package init(
        architecture: String, shape: DecoderShape, rotary: RotaryEmbedding, maximumLength: Int, hasHead: Bool = true
    ) {
        self.architecture = architecture
        self.shape = shape
        self.rotary = rotary
        self.maximumLength = maximumLength
        super.init()
        _decoder = Child(wrappedValue: Decoder(shape), hasHead ? "model" : "")
    }

    public var vocabularySize: Int { shape.vocabulary }

    package var sizes: TransformerSizes { shape.sizes }
    package var embedding: Embedding { decoder.embedding }
    package var trunkName: String { "model" }
    package var headNames: [String] { [] }
    package var modulesToSave: [String] { [] }

    /// The last hidden states of a flat batch, [T, D].
    package func hiddenStates(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        try decoder(Tensor(batch.tokens, device: decoder.embedding.weight.device), context)
    }

    package func context(for batch: TokenBatch, _ options: PassOptions) throws -> ForwardContext {
        let angles = try rotary.tables(
            positions: batch.positions, lengths: batch.lengthsByToken, device: decoder.embedding.weight.device)
        return ForwardContext(
            bounds: batch.boundaries, angles: angles, cache: options.cache, isTraining: options.isTraining,
            usesAdapters: options.usesAdapters, checkpointsLayers: options.checkpointsLayers,
            randomKey: options.randomKey)
    }
}

/// A model that predicts the next token of each position of a flat batch.
public final class CausalLanguageModel: DecoderModel {
    @Child("lm_head") package var head: Linear?

    /// Whether the head is the embedding table.
    package let tiesEmbeddings: Bool

    package init(
        architecture: String, shape: DecoderShape, rotary: RotaryEmbedding, tiesEmbeddings: Bool, maximumLength: Int
    ) {
        self.tiesEmbeddings = tiesEmbeddings
        super.init(architecture: architecture, shape: shape, rotary: rotary, maximumLength: maximumLength)
        head =
            tiesEmbeddings
            ? nil : Linear(shape.width, shape.vocabulary, bias: false, initializer: shape.initializer)
    }

    package override var headNames: [String] { ["lm_head"] }

    /// The weight of the head, [V, D].
    package var headWeight: Tensor { head?.weight ?? decoder.embedding.weight }

    /// The scores of every next token, [rows, V], for some rows of hidden states [T, D].
    package func logits(_ hidden: Tensor) throws -> Tensor {
        try linear(hidden, headWeight)
    }
}

/// Scores of a whole sequence from the hidden state of its last token.
package final class DecoderSequenceClassifier: DecoderModel, SequenceClassifier {
    @Child("score") var score: Linear

    package let labelCount: Int

    package init(
        architecture: String, shape: DecoderShape, rotary: RotaryEmbedding, labelCount: Int, maximumLength: Int
    ) {
        self.labelCount = labelCount
        super.init(architecture: architecture, shape: shape, rotary: rotary, maximumLength: maximumLength)
        score = Linear(shape.width, labelCount, bias: false, initializer: shape.initializer)
    }

    package override var headNames: [String] { ["score"] }
    package override var modulesToSave: [String] { ["score"] }

    package func scores(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let last = try hiddenStates(batch, context).indexed(0, Tensor(batch.lastRows, device: device))  // [S, D]
        return try linear(last.to(.float32), score.weight.to(.float32))  // [S, L]
    }
}
