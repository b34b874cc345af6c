// Mixtral 8x7B and 8x22B. Jiang et al. 2024, https://arxiv.org/abs/2401.04088.
// Unusual: Mistral's attention over eight experts, of which a token takes two; what they count adds up to one.

package import ApusLanguageModel
import ApusNN

package enum Mixtral {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(
            config, DecoderDefaults(length: 131_072, normEpsilon: 1e-5, ropeTheta: 1e6))
        let experts = try ExpertConfig(
            config, countKeys: ["num_local_experts", "num_experts"], hiddenKey: "intermediate_size",
            defaults: (8, 2, nil))
        guard try config.number("router_jitter_noise") ?? 0 == 0 else {
            throw ModelError("config.json: router_jitter_noise is not there yet; set it to 0")
        }
        let window = try config.optionalSize("sliding_window")
        let (width, initializer) = (fields.sizes.width, fields.initializer)
        var names = PreNormLayer.Names()
        names.feedForward = "block_sparse_moe"
        let trunk = fields.trunk { layer in
            PreNormLayer(
                { RMSNorm(width, epsilon: fields.normEpsilon) },
                attention: GroupedQueryAttention(
                    fields.sizes, layer: layer, options: fields.attentionOptions(window: window),
                    initializer: initializer),
                feedForward: MixtureOfExperts(
                    SoftmaxRouter(
                        width: width, experts: experts.count, choosing: experts.chosen, weights: .ofTheChosen,
                        initializer: initializer),
                    experts: experts.experts(fields, names: .numbered)),
                names: names)
        }
        trunk.routerLossWeight = experts.lossWeight
        return try fields.model("Mixtral", trunk, task)
    }
}
