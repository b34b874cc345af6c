package import ApusTorch

/// The sizes of a decoder of the Llama family.
package struct DecoderShape: Sendable, Equatable {
    package var vocabulary: Int
    package var width: Int
    package var hidden: Int
    package var layers: Int
    package var heads: Int
    package var keyValueHeads: Int
    package var headSize: Int
    package var normEpsilon: Double
    package var hasAttentionInputBias = false
    package var hasAttentionOutputBias = false
    package var hasFeedForwardBias = false
    /// Whether each head of q and k is normed before it is rotated.
    package var normsHeads = false
    /// The most keys that a token sees, in the layers from `firstWindowLayer` on; nil sets no limit.
    package var window: Int?
    package var firstWindowLayer = 0
    package var initializer: Initializer = .normal(deviation: 0.02)

    package init(
        vocabulary: Int, width: Int, hidden: Int, layers: Int, heads: Int, keyValueHeads: Int, headSize: Int,
        normEpsilon: Double
    ) {
        self.vocabulary = vocabulary
        self.width = width
        self.hidden = hidden
        self.layers = layers
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headSize = headSize
        self.normEpsilon = normEpsilon
    }

    package var sizes: TransformerSizes {
        TransformerSizes(
            vocabulary: vocabulary, width: width, hidden: hidden, layers: layers, heads: heads,
            keyValueHeads: keyValueHeads, headSize: headSize)
    }
}

/// Attention and SwiGLU, each behind a norm and around a residual.
package final class DecoderLayer: Module {
    @Child("input_layernorm") var attentionNorm: RMSNorm
    @Child("self_attn") var attention: GroupedQueryAttention
    @Child("post_attention_layernorm") var feedForwardNorm: RMSNorm
    @Child("mlp") var feedForward: SwiGLU

    init(_ shape: DecoderShape, layer: Int) {
        super.init()
        attentionNorm = RMSNorm(shape.width, epsilon: shape.normEpsilon)
        attention = GroupedQueryAttention(shape, layer: layer)
        feedForwardNorm = RMSNorm(shape.width, epsilon: shape.normEpsilon)
        feedForward = SwiGLU(
            width: shape.width, hidden: shape.hidden, bias: shape.hasFeedForwardBias, initializer: shape.initializer)
    }

    func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let h = try x + attention(attentionNorm(x), context)  // [T, D]
        return try h + feedForward(feedForwardNorm(h), context)
    }
}

/// Embedding, layers and the last norm: ids [T] → [T, D].
package final class Decoder: Module {
    @Child("embed_tokens") package var embedding: Embedding
    @Child("layers") var layers: [DecoderLayer]
    @Child("norm") var norm: RMSNorm

    package init(_ shape: DecoderShape) {
        super.init()
        embedding = Embedding(shape.vocabulary, shape.width, initializer: shape.initializer)
        layers = (0..<shape.layers).map { DecoderLayer(shape, layer: $0) }
        norm = RMSNorm(shape.width, epsilon: shape.normEpsilon)
    }

    package func callAsFunction(_ ids: Tensor, _ context: ForwardContext) throws -> Tensor {
        var x = try embedding(ids)  // [T, D]
        for layer in layers {
            x = try context.layer(x) { try layer($0, context) }
        }
        return try norm(x)
    }
}
