// Hunyuan, the dense sizes (0.5B to 7B). Tencent Hunyuan Team 2025, https://github.com/Tencent-Hunyuan/Hunyuan-7B.
// Unusual: each head of q and k is normed after it was rotated; "dynamic" positions with an "alpha" are stretched by a
// fixed base.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch
import Foundation

// T tokens, D width, H query heads, K key/value heads, E head size.

final class HunYuanAttention: Sublayer {
    @Child("q_proj") var query: Linear
    @Child("k_proj") var key: Linear
    @Child("v_proj") var value: Linear
    @Child("o_proj") var output: Linear
    @Child("query_layernorm") var queryNorm: RMSNorm
    @Child("key_layernorm") var keyNorm: RMSNorm

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
        queryNorm = RMSNorm(headSize, epsilon: fields.normEpsilon)
        keyNorm = RMSNorm(headSize, epsilon: fields.normEpsilon)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        func heads(_ y: Tensor) throws -> Tensor { try y.reshaped([x.shape[0], -1, headSize]) }

        let q = try queryNorm(context.rotary(heads(query(x, context))), context)  // [T, H, E]
        let k = try keyNorm(context.rotary(heads(key(x, context))), context)  // [T, K, E]
        let mixed = try context.attend(q, k, heads(value(x, context)), layer: layer, options)  // [T, H, E]
        return try output(mixed.reshaped([x.shape[0], -1]), context)  // [T, D]
    }
}

package enum HunYuan {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(config, DecoderDefaults(length: 2048, normEpsilon: 1e-5, padding: 0))
        let bias = try config.flag("attention_bias") ?? false
        // What Tencent's own code reads and transformers does not.
        for (key, value) in [("use_qk_norm", true), ("use_cla", false), ("mlp_bias", false), ("norm_type", "rms")]
            as [(String, JSONValue)]
        {
            try config.require(key, value, otherwise: "which is not there yet; there is \(value.serialized())")
        }
        for key in ["attention_head_dim", "cla_share_factor", "org_vocab_size"] { _ = config[key] }
        let trunk = try fields.trunk(rotary: stretched(config, fields).map { [$0] }) { layer in
            PreNormLayer(
                width: fields.sizes.width, normEpsilon: fields.normEpsilon,
                attention: HunYuanAttention(fields, layer: layer, bias: bias), feedForward: fields.swiGLU())
        }
        return try fields.model("HunYuanDenseV1", trunk, task)
    }

    /// The table of base `θ · α^(E / (E − 2))`, where "dynamic" positions have an "alpha"; nil where they have none.
    ///
    /// Published tables write other keys of stretched positions beside it, which are not read then.
    private static func stretched(_ config: ModelConfig, _ fields: DecoderConfig) throws -> RotaryEmbedding? {
        guard let table = try RotaryConfiguration.table(config), try RotaryConfiguration.name(table) == "dynamic",
            let alpha = try table.number("alpha"), alpha != 0
        else { return nil }
        for key in ["beta_fast", "beta_slow", "mscale", "mscale_all_dim"] { _ = table[key] }
        guard alpha > 0 else {
            throw ModelError("config.json: alpha of the rotary embeddings is \(alpha); it must be above 0")
        }
        let size = Double(fields.sizes.headSize)
        return RotaryEmbedding(
            size: fields.sizes.headSize, base: fields.rotary.base * pow(alpha, size / (size - 2)), pairing: .halves)
    }
}
