// Qwen3, the dense sizes. Yang et al. 2025, https://arxiv.org/abs/2505.09388.
// Unusual: each head of q and k is normed before it is rotated; heads have 128 elements whatever the width.

package import ApusLanguageModel
import ApusNN

package enum Qwen3 {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(config, DecoderDefaults(length: 32_768, headSize: 128))
        let windows = try SlidingWindows(config, layers: fields.sizes.layers).windows
        let attentionBias = try config.flag("attention_bias") ?? false
        let trunk = fields.trunk { layer in
            PreNormLayer(
                width: fields.sizes.width, normEpsilon: fields.normEpsilon,
                attention: GroupedQueryAttention(
                    fields.sizes, layer: layer, inputBias: attentionBias, outputBias: attentionBias,
                    headNorm: { RMSNorm(fields.sizes.headSize, epsilon: fields.normEpsilon) },
                    options: fields.attentionOptions(window: windows[layer]), initializer: fields.initializer),
                feedForward: fields.swiGLU())
        }
        return try fields.model("Qwen3", trunk, task)
    }
}
