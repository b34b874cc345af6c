// Qwen1.5-MoE and Qwen2-57B-A14B. Yang et al. 2024, https://arxiv.org/abs/2407.10671.
// Unusual: beside the chosen experts every token passes through one that all share, weighed by a gate of its own.

package import ApusLanguageModel
import ApusNN
import ApusTorch

/// `σ(gate(x)) · expert(x)` for the expert of all tokens.
final class GatedSharedExpert: Sublayer {
    @Child("shared_expert") var expert: SwiGLU
    @Child("shared_expert_gate") var gate: Linear

    init(width: Int, hidden: Int, initializer: Initializer) {
        super.init()
        expert = SwiGLU(width: width, hidden: hidden, initializer: initializer)
        gate = Linear(width, 1, bias: false, initializer: initializer)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        try sigmoid(gate(x, context)) * expert(x, context)  // [T, 1] · [T, D]
    }
}

package enum Qwen2MoE {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(config, DecoderDefaults(length: 32_768))
        let experts = try ExpertConfig(config, defaults: (60, 4, 1408))
        let sharedHidden = try config.optionalSize("shared_expert_intermediate_size") ?? 5632
        let weights: SoftmaxRouter.Weights = try config.flag("norm_topk_prob") ?? false ? .ofTheChosen : .asTheyAre
        let sparse = try SparseLayers(config)
        let bias = try config.flag("qkv_bias") ?? true
        // Of the layers below the limit every second one slides, unlike in Qwen2.
        let windows = try SlidingWindows(config, layers: fields.sizes.layers) { $0 % 2 == 0 && $0 < $1 }.windows
        let (width, initializer) = (fields.sizes.width, fields.initializer)
        let trunk = fields.trunk { layer in
            PreNormLayer(
                width: width, normEpsilon: fields.normEpsilon,
                attention: GroupedQueryAttention(
                    fields.sizes, layer: layer, inputBias: bias,
                    options: fields.attentionOptions(window: windows[layer]), initializer: initializer),
                feedForward: !sparse.contains(layer)
                    ? fields.swiGLU()
                    : MixtureOfExperts(
                        SoftmaxRouter(
                            width: width, experts: experts.count, choosing: experts.chosen, weights: weights,
                            initializer: initializer),
                        experts: experts.experts(fields),
                        shared: GatedSharedExpert(width: width, hidden: sharedHidden, initializer: initializer),
                        sharedName: ""))
        }
        trunk.routerLossWeight = experts.lossWeight
        return try fields.model("Qwen2Moe", trunk, task)
    }
}
