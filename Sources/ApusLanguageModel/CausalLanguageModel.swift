public import ApusNN
package import ApusTorch

/// A model that predicts the next token of each position of a flat batch.
public final class CausalLanguageModel: Module {
    @Child("model") package var decoder: Decoder
    @Child("lm_head") package var head: Linear?

    package let shape: DecoderShape
    package let rotary: RotaryEmbedding
    /// Whether the head is the embedding table.
    package let tiesEmbeddings: Bool
    /// The longest text the model was made for.
    public let maximumLength: Int
    /// The name of the class in `transformers`, such as `Qwen2ForCausalLM`.
    public let architecture: String

    package init(
        architecture: String, shape: DecoderShape, rotary: RotaryEmbedding, tiesEmbeddings: Bool, maximumLength: Int
    ) {
        self.architecture = architecture
        self.shape = shape
        self.rotary = rotary
        self.tiesEmbeddings = tiesEmbeddings
        self.maximumLength = maximumLength
        super.init()
        decoder = Decoder(shape)
        head =
            tiesEmbeddings
            ? nil : Linear(shape.width, shape.vocabulary, bias: false, initializer: shape.initializer)
    }

    public var vocabularySize: Int { shape.vocabulary }

    /// The weight of the head, [V, D].
    package var headWeight: Tensor { head?.weight ?? decoder.embedding.weight }

    package var device: Device { decoder.embedding.weight.device }

    package var dtype: DType { decoder.embedding.weight.dtype }

    /// The last hidden states of a flat batch, [T, D].
    package func hiddenStates(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        try decoder(Tensor(batch.tokens, device: device), context)
    }

    /// The scores of every next token, [rows, V], for some rows of hidden states [T, D].
    package func logits(_ hidden: Tensor) throws -> Tensor {
        try linear(hidden, headWeight)
    }

    /// What the layers share in a pass over this batch.
    package func context(
        for batch: TokenBatch, cache: KVCache? = nil, isTraining: Bool = false, usesAdapters: Bool = true,
        checkpointsLayers: Bool = false, randomKey: UInt64 = 0
    ) throws -> ForwardContext {
        let (cosines, sines) = try rotary.tables(
            positions: batch.positions, lengths: batch.lengthsByToken, device: device)
        return ForwardContext(
            bounds: batch.boundaries, cosines: cosines, sines: sines, cache: cache, isTraining: isTraining,
            usesAdapters: usesAdapters, checkpointsLayers: checkpointsLayers, randomKey: randomKey)
    }
}
