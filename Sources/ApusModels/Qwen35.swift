// Qwen3.5, dense and with experts: the text part. Qwen team 2026, https://qwen.ai/blog?id=qwen3.5.
// Unusual: Qwen3-Next's layers with a projection for each of what linear attention needs. The published models see
// pictures too; their rotary positions in three directions are one for texts, so that the text part is a model by itself.

package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width, H value heads, F size of a value.

/// Linear attention with a matrix for queries, keys and values, one for gates, and one each for rates and decays.
final class SeparateGatedDeltaNet: GatedDeltaNet {
    @Child("in_proj_qkv") var mixed: Linear
    @Child("in_proj_z") var gate: Linear
    @Child("in_proj_b") var rate: Linear
    @Child("in_proj_a") var decay: Linear

    override init(_ sizes: GatedDeltaSizes, layer: Int) {
        super.init(sizes, layer: layer)
        func linear(_ outputs: Int) -> Linear {
            Linear(sizes.width, outputs, bias: false, initializer: sizes.initializer)
        }
        mixed = linear(2 * sizes.keys + sizes.values)
        gate = linear(sizes.values)
        rate = linear(sizes.valueHeads)
        decay = linear(sizes.valueHeads)
    }

    override func inputs(_ x: Tensor, _ context: ForwardContext) throws -> GatedDeltaInputs {
        GatedDeltaInputs(
            mixed: try mixed(x, context),
            gate: try gate(x, context).reshaped([-1, sizes.valueHeads, sizes.valueSize]),  // [T, H, F]
            rate: try rate(x, context), decay: try decay(x, context))
    }
}

package enum Qwen35 {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let hybrid = try HybridConfig(config)
        let trunk = hybrid.trunk(
            linear: { SeparateGatedDeltaNet(hybrid.delta, layer: $0) }, feedForward: { _ in hybrid.fields.swiGLU() })
        return try model(hybrid, "Qwen3_5", trunk, task)
    }

    package static func makeMoE(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let experts = try ExpertConfig(config, defaults: (256, 8, 512))
        let sharedHidden = try config.optionalSize("shared_expert_intermediate_size") ?? 512
        // No layer is dense, and the key is missing or means nothing.
        let hybrid = try HybridConfig(config, hidden: sharedHidden)
        let trunk = hybrid.trunk(
            linear: { SeparateGatedDeltaNet(hybrid.delta, layer: $0) },
            feedForward: { _ in
                hybrid.experts(experts, sharedHidden: sharedHidden, weights: .ofTheChosen, isOneTensor: true)
            })
        trunk.routerLossWeight = experts.lossWeight
        return try model(hybrid, "Qwen3_5Moe", trunk, task)
    }

    /// Classes without a head of words are called after the text part.
    private static func model(
        _ hybrid: HybridConfig, _ family: String, _ trunk: Trunk, _ task: ModelTask
    ) throws -> any TextModel {
        var heads = hybrid.fields.heads(family)
        heads.trunkPrefix = family + "Text"
        return try heads.model(trunk, task)
    }
}
