// Qwen2 and Qwen2.5. Yang et al. 2024, https://arxiv.org/abs/2407.10671, https://arxiv.org/abs/2412.15115.
// Unusual: q, k and v have a bias, the output projection has none. Sizes up to 1.5B tie the head to the embedding.

package import ApusLanguageModel
import ApusNN

package enum Qwen2 {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(config, DecoderDefaults(length: 32_768))
        let windows = try SlidingWindows(config, layers: fields.sizes.layers).windows
        let trunk = fields.trunk { layer in
            PreNormLayer(
                width: fields.sizes.width, normEpsilon: fields.normEpsilon,
                attention: GroupedQueryAttention(
                    fields.sizes, layer: layer, inputBias: true,
                    options: fields.attentionOptions(window: windows[layer]), initializer: fields.initializer),
                feedForward: fields.swiGLU())
        }
        return try fields.model("Qwen2", trunk, task)
    }
}
