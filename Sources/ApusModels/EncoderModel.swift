package import ApusLanguageModel
package import ApusNN
package import ApusTorch

/// An encoder of the BERT family, below whatever head a task puts on it.
///
/// The trunk's name on disk differs between families (`bert`, `roberta`); without a head it has none.
package class EncoderModel: Module, TextModel {
    @Child("") package var encoder: Encoder

    package let shape: EncoderShape
    package let architecture: String
    package let trunkName: String

    /// - Parameters:
    ///   - hasHead: Whether the trunk is written under its name.
    ///   - pools: Whether the trunk has a pooler.
    init(architecture: String, shape: EncoderShape, trunkName: String, hasHead: Bool, pools: Bool) {
        self.architecture = architecture
        self.shape = shape
        self.trunkName = trunkName
        super.init()
        _encoder = Child(wrappedValue: Encoder(shape, pools: pools), hasHead ? trunkName : "")
    }

    package var headNames: [String] { [] }
    package var modulesToSave: [String] { [] }

    package var sizes: TransformerSizes { shape.sizes }
    package var embedding: Embedding { encoder.embeddings.words }
    package var maximumLength: Int { shape.positions - shape.firstPosition }

    package func hiddenStates(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let device = embedding.weight.device
        let first = Int32(shape.firstPosition)
        let segments = batch.segments ?? Array(repeating: 0, count: batch.tokens.count)
        return try encoder(
            Tensor(batch.tokens, device: device), positions: Tensor(batch.positions.map { $0 + first }, device: device),
            segments: Tensor(segments, device: device), context)
    }

    package func context(for batch: TokenBatch, _ options: PassOptions) throws -> ForwardContext {
        ForwardContext(
            bounds: batch.boundaries, angles: nil, isCausal: false, isTraining: options.isTraining,
            usesAdapters: options.usesAdapters, checkpointsLayers: options.checkpointsLayers,
            randomKey: options.randomKey)
    }

    /// The hidden state of each sequence's first token, [S, D].
    package func firstStates(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        try hiddenStates(batch, context).indexed(0, Tensor(batch.firstRows, device: embedding.weight.device))
    }
}
