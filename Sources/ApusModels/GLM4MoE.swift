// GLM-4.5 to 4.7, with and without "Air". GLM-4.5 Team 2025, https://arxiv.org/abs/2508.06471.
// Unusual: ordinary attention, with half of each head turned, above the experts of DeepSeek-V3.

package import ApusLanguageModel
import ApusNN

package enum GLM4MoE {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(config, DecoderDefaults(length: 131_072, normEpsilon: 1e-5, rotatedShare: 0.5))
        let experts = try DeepSeekExperts(
            config,
            DeepSeek.Defaults(
                length: 131_072, experts: 128, chosen: 8, expertHidden: 1408, shared: 1, scale: 1, dividesBySum: true,
                firstSparseLayer: 1, groups: 1, chosenGroups: 1, method: "noaux_tc", methods: ["noaux_tc"],
                scoring: "sigmoid"))
        let bias = try config.flag("attention_bias") ?? false
        let hasHeadNorms = try config.flag("use_qk_norm") ?? false
        let (sizes, epsilon, initializer) = (fields.sizes, fields.normEpsilon, fields.initializer)
        let trunk = try fields.trunk(ignoring: config.furtherLayers(behind: sizes.layers, orElse: 1)) { layer in
            PreNormLayer(
                width: sizes.width, normEpsilon: epsilon,
                attention: GroupedQueryAttention(
                    sizes, layer: layer, inputBias: bias,
                    headNorm: hasHeadNorms ? { RMSNorm(sizes.headSize, epsilon: epsilon) } : nil,
                    options: fields.attentionOptions(), initializer: initializer),
                feedForward: experts.part(fields, layer: layer) {
                    DeepSeekV3Router(experts, width: sizes.width, initializer: initializer)
                })
        }
        return try fields.model("Glm4Moe", trunk, task)
    }
}
