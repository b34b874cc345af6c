// Granite 3 (2B and 8B, dense). Granite Team 2024, https://github.com/ibm-granite/granite-3.0-language-models.
// Unusual: Llama with four numbers, by which inputs, what parts of layers give, scores of attention and scores of words are
// multiplied. Yang et al. 2022, https://arxiv.org/abs/2203.03466.

package import ApusLanguageModel
import ApusNN

package enum Granite {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(config, DecoderDefaults(length: 2048))
        func multiplier(_ key: String) throws -> Double {
            let value = try config.number(key) ?? 1
            guard value != 0 else { throw ModelError("config.json: \(key) is 0") }
            return value
        }
        let attentionBias = try config.flag("attention_bias") ?? false
        let feedForwardBias = try config.flag("mlp_bias") ?? false
        let scale = try multiplier("attention_multiplier")
        let branch = try multiplier("residual_multiplier")
        let trunk = fields.trunk(scale: .inputs(try multiplier("embedding_multiplier"))) { layer in
            PreNormLayer(
                { RMSNorm(fields.sizes.width, epsilon: fields.normEpsilon) },
                attention: GroupedQueryAttention(
                    fields.sizes, layer: layer, inputBias: attentionBias, outputBias: attentionBias,
                    options: fields.attentionOptions(scale: scale), initializer: fields.initializer),
                feedForward: fields.swiGLU(bias: feedForwardBias), branchScale: branch)
        }
        var heads = fields.heads("Granite")
        heads.inputScale = 1 / (try multiplier("logits_scaling"))
        return try heads.model(trunk, task)
    }
}
