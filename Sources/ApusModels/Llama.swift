// Llama 1 to 3.2, and what shares its shape (SmolLM2, TinyLlama …). Touvron et al. 2023, https://arxiv.org/abs/2302.13971,
// https://arxiv.org/abs/2307.09288; Grattafiori et al. 2024, https://arxiv.org/abs/2407.21783.
// Unusual: nothing; biases exist but are off in every published model.

package import ApusLanguageModel
import ApusNN

package enum Llama {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(config, DecoderDefaults(length: 2048))
        let attentionBias = try config.flag("attention_bias") ?? false
        let feedForwardBias = try config.flag("mlp_bias") ?? false
        let trunk = fields.trunk { layer in
            PreNormLayer(
                width: fields.sizes.width, normEpsilon: fields.normEpsilon,
                attention: GroupedQueryAttention(
                    fields.sizes, layer: layer, inputBias: attentionBias, outputBias: attentionBias,
                    options: fields.attentionOptions(), initializer: fields.initializer),
                feedForward: fields.swiGLU(bias: feedForwardBias))
        }
        return try fields.model("Llama", trunk, task)
    }
}
