// Qwen3-30B-A3B and its larger relatives. Yang et al. 2025, https://arxiv.org/abs/2505.09388.
// Unusual: Qwen3's attention over 128 small experts, of which a token takes eight.

package import ApusLanguageModel
import ApusNN

package enum Qwen3MoE {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(config, DecoderDefaults(length: 32_768))
        let experts = try ExpertConfig(config, defaults: (128, 8, 768))
        let weights: SoftmaxRouter.Weights = try config.flag("norm_topk_prob") ?? false ? .ofTheChosen : .asTheyAre
        let sparse = try SparseLayers(config)
        let bias = try config.flag("attention_bias") ?? false
        // One window for all layers or none; how many of them could have one is written and not read.
        let windows = try SlidingWindows(config, layers: fields.sizes.layers) { _, _ in true }.windows
        let (width, initializer) = (fields.sizes.width, fields.initializer)
        let trunk = fields.trunk { layer in
            PreNormLayer(
                width: width, normEpsilon: fields.normEpsilon,
                attention: GroupedQueryAttention(
                    fields.sizes, layer: layer, inputBias: bias, outputBias: bias,
                    headNorm: { RMSNorm(fields.sizes.headSize, epsilon: fields.normEpsilon) },
                    options: fields.attentionOptions(window: windows[layer]), initializer: initializer),
                feedForward: !sparse.contains(layer)
                    ? fields.swiGLU()
                    : MixtureOfExperts(
                        SoftmaxRouter(
                            width: width, experts: experts.count, choosing: experts.chosen, weights: weights,
                            initializer: initializer),
                        experts: experts.experts(fields)))
        }
        trunk.routerLossWeight = experts.lossWeight
        return try fields.model("Qwen3Moe", trunk, task)
    }
}
