// Seed-OSS (36B). ByteDance Seed Team 2025, https://github.com/ByteDance-Seed/seed-oss.
// Unusual: nothing; queries, keys and values have biases, and what attention and feed-forward part give is dropped from.

package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width.

/// `h = x + attention(norm(x))`, `y = h + mlp(norm(h))`.
final class SeedOSSLayer: TransformerLayer {
    override var registersNormsLast: Bool { true }

    @Child("self_attn") var attention: GroupedQueryAttention
    @Child("mlp") var feedForward: SwiGLU
    @Child("input_layernorm") var attentionNorm: RMSNorm
    @Child("post_attention_layernorm") var feedForwardNorm: RMSNorm

    private let dropout: Double
    private let layer: Int

    init(_ fields: DecoderConfig, layer: Int, biases: (input: Bool, output: Bool, feedForward: Bool), dropout: Double) {
        self.dropout = dropout
        self.layer = layer
        super.init()
        attention = GroupedQueryAttention(
            fields.sizes, layer: layer, inputBias: biases.input, outputBias: biases.output,
            options: fields.attentionOptions(), initializer: fields.initializer)
        feedForward = fields.swiGLU(bias: biases.feedForward)
        attentionNorm = RMSNorm(fields.sizes.width, epsilon: fields.normEpsilon)
        feedForwardNorm = RMSNorm(fields.sizes.width, epsilon: fields.normEpsilon)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let mixed = try attention(attentionNorm(x, context), context)  // [T, D]
        let h = try x + context.dropped(mixed, dropout, .attentionOutput, layer: layer)
        let y = try feedForward(feedForwardNorm(h, context), context)  // [T, D]
        return try h + context.dropped(y, dropout, .feedForwardOutput, layer: layer)
    }
}

package enum SeedOSS {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(config, DecoderDefaults(length: 524_288, headSize: 128, padding: 1))
        let biases = (
            input: try config.flag("attention_bias") ?? true, output: try config.flag("attention_out_bias") ?? false,
            feedForward: try config.flag("mlp_bias") ?? false
        )
        let dropout = try config.probability("residual_dropout") ?? 0.1
        let trunk = fields.trunk { SeedOSSLayer(fields, layer: $0, biases: biases, dropout: dropout) }
        return try fields.model("SeedOss", trunk, task)
    }
}
