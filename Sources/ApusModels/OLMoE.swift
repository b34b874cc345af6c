// OLMoE (1B active of 7B). Muennighoff et al. 2024, https://arxiv.org/abs/2409.02060.
// Unusual: q and k are normed as wholes, before they are split into heads; every layer has experts, by the mixture of Qwen.

package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width, H query heads, K key/value heads, E head size.

final class OLMoEAttention: Sublayer {
    @Child("q_proj") var query: Linear
    @Child("k_proj") var key: Linear
    @Child("v_proj") var value: Linear
    @Child("o_proj") var output: Linear
    @Child("q_norm") var queryNorm: RMSNorm
    @Child("k_norm") var keyNorm: RMSNorm

    private let headSize: Int
    private let layer: Int
    /// What queries, keys and values are cut to; nil leaves them.
    private let limit: Double?
    private let options: AttentionOptions

    init(_ fields: DecoderConfig, layer: Int, bias: Bool, limit: Double?) {
        let sizes = fields.sizes
        headSize = sizes.headSize
        self.layer = layer
        self.limit = limit
        options = fields.attentionOptions()
        super.init()
        let (queries, keys) = (sizes.heads * sizes.headSize, sizes.keyValueHeads * sizes.headSize)
        query = Linear(sizes.width, queries, bias: bias, initializer: fields.initializer)
        key = Linear(sizes.width, keys, bias: bias, initializer: fields.initializer)
        value = Linear(sizes.width, keys, bias: bias, initializer: fields.initializer)
        output = Linear(queries, sizes.width, bias: bias, initializer: fields.initializer)
        queryNorm = RMSNorm(queries, epsilon: fields.normEpsilon)
        keyNorm = RMSNorm(keys, epsilon: fields.normEpsilon)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        func heads(_ y: Tensor) throws -> Tensor {
            try y.clipped(to: limit).reshaped([x.shape[0], -1, headSize])
        }

        let q = try context.rotary(heads(queryNorm(query(x, context), context)))  // [T, H, E]
        let k = try context.rotary(heads(keyNorm(key(x, context), context)))  // [T, K, E]
        let mixed = try context.attend(q, k, heads(value(x, context)), layer: layer, options)  // [T, H, E]
        return try output(mixed.reshaped([x.shape[0], -1]), context)  // [T, D]
    }
}

package enum OLMoE {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(config, DecoderDefaults(length: 4096, normEpsilon: 1e-5, padding: 1))
        let experts = try ExpertConfig(
            config, hiddenKey: "intermediate_size", defaults: (count: 64, chosen: 8, hidden: nil))
        let weights: SoftmaxRouter.Weights = try config.flag("norm_topk_prob") ?? false ? .ofTheChosen : .asTheyAre
        let bias = try config.flag("attention_bias") ?? false
        let limit = try config.number("clip_qkv")
        let (width, initializer) = (fields.sizes.width, fields.initializer)
        let trunk = fields.trunk { layer in
            PreNormLayer(
                width: width, normEpsilon: fields.normEpsilon,
                attention: OLMoEAttention(fields, layer: layer, bias: bias, limit: limit),
                feedForward: MixtureOfExperts(
                    SoftmaxRouter(
                        width: width, experts: experts.count, choosing: experts.chosen, weights: weights,
                        initializer: initializer),
                    experts: experts.experts(fields)))
        }
        trunk.routerLossWeight = experts.lossWeight
        return try fields.model("Olmoe", trunk, task)
    }
}
