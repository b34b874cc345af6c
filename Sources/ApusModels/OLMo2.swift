// OLMo 2 (1B to 32B). OLMo Team 2025, https://arxiv.org/abs/2501.00656.
// Unusual: norms come after attention and feed-forward part instead of before them; q and k are normed as wholes, before
// they are split into heads.

package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width, H query heads, K key/value heads, E head size.

final class OLMo2Attention: Sublayer {
    @Child("q_proj") var query: Linear
    @Child("k_proj") var key: Linear
    @Child("v_proj") var value: Linear
    @Child("o_proj") var output: Linear
    @Child("q_norm") var queryNorm: WideRMSNorm
    @Child("k_norm") var keyNorm: WideRMSNorm

    private let headSize: Int
    private let layer: Int
    private let options: AttentionOptions

    init(_ fields: DecoderConfig, layer: Int, bias: Bool) {
        let sizes = fields.sizes
        headSize = sizes.headSize
        self.layer = layer
        options = fields.attentionOptions()
        super.init()
        let (queries, keys) = (sizes.heads * sizes.headSize, sizes.keyValueHeads * sizes.headSize)
        query = Linear(sizes.width, queries, bias: bias, initializer: fields.initializer)
        key = Linear(sizes.width, keys, bias: bias, initializer: fields.initializer)
        value = Linear(sizes.width, keys, bias: bias, initializer: fields.initializer)
        output = Linear(queries, sizes.width, bias: bias, initializer: fields.initializer)
        queryNorm = WideRMSNorm(queries, epsilon: fields.normEpsilon)
        keyNorm = WideRMSNorm(keys, epsilon: fields.normEpsilon)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        func heads(_ y: Tensor) throws -> Tensor { try y.reshaped([x.shape[0], -1, headSize]) }

        let q = try context.rotary(heads(queryNorm(query(x, context), context)))  // [T, H, E]
        let k = try context.rotary(heads(keyNorm(key(x, context), context)))  // [T, K, E]
        let mixed = try context.attend(q, k, heads(value(x, context)), layer: layer, options)  // [T, H, E]
        return try output(mixed.reshaped([x.shape[0], -1]), context)  // [T, D]
    }
}

/// `h = x + norm(attention(x))`, `y = h + norm(mlp(h))`.
final class OLMo2Layer: TransformerLayer {
    override var registersNormsLast: Bool { true }

    @Child("self_attn") var attention: OLMo2Attention
    @Child("post_attention_layernorm") var attentionNorm: WideRMSNorm
    @Child("mlp") var feedForward: SwiGLU
    @Child("post_feedforward_layernorm") var feedForwardNorm: WideRMSNorm

    init(_ fields: DecoderConfig, layer: Int, bias: Bool) {
        super.init()
        attention = OLMo2Attention(fields, layer: layer, bias: bias)
        attentionNorm = WideRMSNorm(fields.sizes.width, epsilon: fields.normEpsilon)
        feedForward = fields.swiGLU()
        feedForwardNorm = WideRMSNorm(fields.sizes.width, epsilon: fields.normEpsilon)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let h = try x + attentionNorm(attention(x, context), context)  // [T, D]
        return try h + feedForwardNorm(feedForward(h, context), context)
    }
}

package enum OLMo2 {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(config, DecoderDefaults(length: 2048, normEpsilon: 1e-5, padding: 1))
        let bias = try config.flag("attention_bias") ?? false
        let trunk = fields.trunk(norm: WideRMSNorm(fields.sizes.width, epsilon: fields.normEpsilon)) {
            OLMo2Layer(fields, layer: $0, bias: bias)
        }
        return try fields.model("Olmo2", trunk, task)
    }
}
