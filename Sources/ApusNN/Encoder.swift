package import ApusTorch

// T tokens, D width, H heads, E head size, F feed-forward width, S sequences.

/// The sizes of an encoder of the BERT family.
package struct EncoderShape: Sendable, Equatable {
    package var sizes: TransformerSizes
    package var positions: Int
    package var segments: Int
    package var normEpsilon: Double
    package var activation = Activation.gelu
    package var hiddenDropout = 0.1
    package var attentionDropout = 0.1
    package var initializer: Initializer = .normal(deviation: 0.02)
    /// The position of a sequence's first token; RoBERTa counts from its padding id + 1, and padding has the one before.
    package var firstPosition = 0
    /// The id whose vector no text trains.
    package var padding: Int32?

    package init(sizes: TransformerSizes, positions: Int, segments: Int, normEpsilon: Double) {
        self.sizes = sizes
        self.positions = positions
        self.segments = segments
        self.normEpsilon = normEpsilon
    }
}

/// Positions and segments added to the vectors of words, and normed: [T, D] → [T, D].
package final class EncoderEmbeddings: Module {
    @Child("word_embeddings") package var words: Embedding
    @Child("position_embeddings") var positions: Embedding
    @Child("token_type_embeddings") var segments: Embedding
    @Child("LayerNorm") var norm: LayerNorm

    private let dropout: Double

    /// - Parameter width: Of the vectors, where the layers have another.
    package init(_ shape: EncoderShape, width: Int? = nil) {
        dropout = shape.hiddenDropout
        super.init()
        let width = width ?? shape.sizes.width
        words = Embedding(
            shape.sizes.vocabulary, width, initializer: shape.initializer, padding: shape.padding)
        positions = Embedding(
            shape.positions, width, initializer: shape.initializer,
            padding: shape.firstPosition > 0 ? Int32(shape.firstPosition) - 1 : nil)
        segments = Embedding(shape.segments, width, initializer: shape.initializer)
        norm = LayerNorm(width, epsilon: shape.normEpsilon)
    }

    package func callAsFunction(
        _ words: Tensor, positions: Tensor, segments: Tensor, _ context: ForwardContext
    ) throws -> Tensor {
        let sum = try words + self.segments(segments, context) + self.positions(positions, context)  // [T, D]
        return try context.dropped(norm(sum, context), dropout, .embedding)
    }
}

/// Attention in which every token sees every other of its sequence.
package final class EncoderAttention: Module {
    @Child("self.query") var query: Linear
    @Child("self.key") var key: Linear
    @Child("self.value") var value: Linear
    @Child("output.dense") var output: Linear
    @Child("output.LayerNorm") var norm: LayerNorm

    private let shape: EncoderShape
    private let layer: Int

    init(_ shape: EncoderShape, layer: Int) {
        self.shape = shape
        self.layer = layer
        super.init()
        let width = shape.sizes.width
        query = Linear(width, width, initializer: shape.initializer)
        key = Linear(width, width, initializer: shape.initializer)
        value = Linear(width, width, initializer: shape.initializer)
        output = Linear(width, width, initializer: shape.initializer)
        norm = LayerNorm(width, epsilon: shape.normEpsilon)
    }

    func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let size = shape.sizes.headSize
        func heads(_ y: Tensor) throws -> Tensor { try y.reshaped([-1, shape.sizes.heads, size]) }

        let mixed = try context.attend(
            heads(query(x, context)), heads(key(x, context)), heads(value(x, context)), layer: layer,
            AttentionOptions(headSize: size, dropout: shape.attentionDropout))  // [T, H, E]
        let y = try output(mixed.reshaped([-1, shape.sizes.width]), context)  // [T, D]
        return try norm(context.dropped(y, shape.hiddenDropout, .attentionOutput, layer: layer) + x, context)
    }
}

/// Attention and a feed-forward part, each followed by a residual and a norm.
package final class EncoderLayer: TransformerLayer {
    @Child("attention") var attention: EncoderAttention
    @Child("intermediate.dense") var up: Linear
    @Child("output.dense") var down: Linear
    @Child("output.LayerNorm") var norm: LayerNorm

    private let shape: EncoderShape
    private let layer: Int

    package init(_ shape: EncoderShape, layer: Int) {
        self.shape = shape
        self.layer = layer
        super.init()
        let (width, hidden) = (shape.sizes.width, shape.sizes.hidden)
        attention = EncoderAttention(shape, layer: layer)
        up = Linear(width, hidden, initializer: shape.initializer)
        down = Linear(hidden, width, initializer: shape.initializer)
        norm = LayerNorm(width, epsilon: shape.normEpsilon)
    }

    package override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let h = try attention(x, context)  // [T, D]
        let y = try down(shape.activation(up(h, context)), context)  // [T, D]
        return try norm(context.dropped(y, shape.hiddenDropout, .feedForwardOutput, layer: layer) + h, context)
    }
}

/// `tanh(W h + b)` of each sequence's first token.
package final class EncoderPooler: Module {
    @Child("dense") var dense: Linear

    package init(_ shape: EncoderShape) {
        super.init()
        dense = Linear(shape.sizes.width, shape.sizes.width, initializer: shape.initializer)
    }

    package func callAsFunction(_ first: Tensor, _ context: ForwardContext) throws -> Tensor {
        try tanh(dense(first, context))  // [S, D]
    }
}
