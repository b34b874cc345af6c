// MiniCPM3-4B. Hu et al. 2024, https://arxiv.org/abs/2404.06395.
// Unusual: MiniCPM's three numbers over DeepSeek's latent attention, whose pairs are halves; no experts.

package import ApusLanguageModel
import ApusNN

package enum MiniCPM3 {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let (fields, shape) = try LatentShape.read(
            config, DecoderDefaults(length: 32_768, normEpsilon: 1e-5, tiesEmbeddings: true), queryRank: 768)
        let sizes = fields.sizes
        let numbers = try MiniCPMNumbers(config, sizes, defaults: (12, 1.4, 256))
        let attentionBias = try config.flag("attention_bias") ?? false
        let feedForwardBias = try config.flag("mlp_bias") ?? false
        let options = try shape.options(config, fields)
        let trunk = fields.trunk(scale: .words(numbers.words)) { layer in
            PreNormLayer(
                { RMSNorm(sizes.width, epsilon: fields.normEpsilon) },
                attention: MultiHeadLatentAttention(
                    shape, width: sizes.width, heads: sizes.heads, layer: layer, bias: attentionBias,
                    normEpsilon: 1e-6, options: options, initializer: fields.initializer),
                feedForward: fields.swiGLU(bias: feedForwardBias), branchScale: numbers.branch)
        }
        var heads = fields.heads("MiniCPM3")
        heads.inputScale = numbers.head
        return try heads.model(trunk, task)
    }
}
