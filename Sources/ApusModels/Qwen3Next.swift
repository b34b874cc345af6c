// Qwen3-Next. Qwen team 2025, https://qwen.ai/blog?id=4074cca80393150c248e508aa62983f9cb7d27cd.
// Unusual: three of four layers have linear attention by the gated delta rule; the fourth gates what its heads give; of
// many small experts a token takes ten; norms are about one.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width, H query heads, K key/value heads, E head size.

/// Attention whose outputs are gated head by head, with a quarter of each head rotated: `W_o (attention · σ(gate))`.
final class GatedAttention: Sublayer {
    @Child("q_proj") var query: Linear  // queries and gates, head by head
    @Child("k_proj") var key: Linear
    @Child("v_proj") var value: Linear
    @Child("o_proj") var output: Linear
    @Child("q_norm") var queryNorm: WideRMSNorm
    @Child("k_norm") var keyNorm: WideRMSNorm

    private let sizes: TransformerSizes
    private let layer: Int
    private let options: AttentionOptions

    init(_ fields: DecoderConfig, layer: Int, bias: Bool) {
        sizes = fields.sizes
        self.layer = layer
        options = fields.attentionOptions()
        super.init()
        func linear(_ inputs: Int, _ outputs: Int) -> Linear {
            Linear(inputs, outputs, bias: bias, initializer: fields.initializer)
        }
        let (queries, keys) = (sizes.heads * sizes.headSize, sizes.keyValueHeads * sizes.headSize)
        query = linear(sizes.width, 2 * queries)
        key = linear(sizes.width, keys)
        value = linear(sizes.width, keys)
        output = linear(queries, sizes.width)
        queryNorm = WideRMSNorm(sizes.headSize, epsilon: fields.normEpsilon, offset: 1)
        keyNorm = WideRMSNorm(sizes.headSize, epsilon: fields.normEpsilon, offset: 1)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        func heads(_ y: Tensor) throws -> Tensor { try y.reshaped([-1, sizes.keyValueHeads, sizes.headSize]) }

        let both = try query(x, context).reshaped([-1, sizes.heads, 2, sizes.headSize])  // [T, H, 2, E]
        let q = try context.rotary(queryNorm(both.selected(2, 0), context))  // [T, H, E]
        let k = try context.rotary(keyNorm(heads(key(x, context)), context))  // [T, K, E]
        let mixed = try context.attend(q, k, heads(value(x, context)), layer: layer, options)  // [T, H, E]
        let gated = try mixed * sigmoid(both.selected(2, 1))
        return try output(gated.reshaped([-1, sizes.heads * sizes.headSize]), context)  // [T, D]
    }
}

/// Linear attention whose projections lie key head by key head: q, k, its values, their gates; its rates, their decays.
final class GroupedGatedDeltaNet: GatedDeltaNet {
    @Child("in_proj_qkvz") var mixed: Linear
    @Child("in_proj_ba") var rates: Linear

    override init(_ sizes: GatedDeltaSizes, layer: Int) {
        super.init(sizes, layer: layer)
        mixed = Linear(sizes.width, 2 * (sizes.keys + sizes.values), bias: false, initializer: sizes.initializer)
        rates = Linear(sizes.width, 2 * sizes.valueHeads, bias: false, initializer: sizes.initializer)
    }

    override func inputs(_ x: Tensor, _ context: ForwardContext) throws -> GatedDeltaInputs {
        let (groups, key, values) = (sizes.keyHeads, sizes.keySize, sizes.shared * sizes.valueSize)
        let all = try mixed(x, context).reshaped([-1, groups, 2 * (key + values)])
        func part(_ start: Int, _ length: Int) throws -> Tensor {
            try all.narrowed(2, start: start, length: length).reshaped([-1, groups * length])
        }
        let both = try rates(x, context).reshaped([-1, groups, 2 * sizes.shared])
        func heads(_ start: Int) throws -> Tensor {
            try both.narrowed(2, start: start, length: sizes.shared).reshaped([-1, sizes.valueHeads])
        }
        return GatedDeltaInputs(
            mixed: try concatenated([part(0, key), part(key, key), part(2 * key, values)], axis: 1),
            gate: try part(2 * key + values, values).reshaped([-1, sizes.valueHeads, sizes.valueSize]),
            rate: try heads(0), decay: try heads(sizes.shared))
    }
}

/// What Qwen3-Next and Qwen3.5 have in common.
struct HybridConfig {
    let fields: DecoderConfig
    let delta: GatedDeltaSizes
    private let bias: Bool
    private let isLinear: [Bool]

    /// - Parameter hidden: What a missing `intermediate_size` means; nil is an error.
    init(_ config: ModelConfig, hidden: Int? = nil) throws {
        fields = try DecoderConfig(
            config, DecoderDefaults(length: 32_768, headSize: 256, hidden: hidden, rotatedShare: 0.25))
        delta = try GatedDeltaSizes(config, fields)
        bias = try config.flag("attention_bias") ?? false
        isLinear = try Self.linearLayers(config, layers: fields.sizes.layers)
        // The state is kept in float32 or wider whatever the model computes in.
        try config.require("mamba_ssm_dtype", "float32", otherwise: "which is not there yet; there is float32")
        try config.require("attn_output_gate", true, otherwise: "and attention without a gate is not there yet")
        guard try config.flag("use_sliding_window") ?? false == false else {
            throw ModelError("config.json: use_sliding_window is not there for this architecture; set it to false")
        }
        // How many layers predict tokens behind the next one; they are left out.
        for key in ["mtp_num_hidden_layers", "mtp_use_dedicated_embeddings", "sliding_window", "max_window_layers"] {
            _ = config[key]
        }
    }

    /// Which layers have linear attention.
    private static func linearLayers(_ config: ModelConfig, layers: Int) throws -> [Bool] {
        let interval = try config.optionalSize("full_attention_interval") ?? 4
        guard let types = config["layer_types"] else { return (1...layers).map { $0 % interval != 0 } }
        let names = types.arrayValue?.compactMap(\.stringValue) ?? []
        guard names.count == layers else {
            throw ModelError("config.json: layer_types names \(names.count) layers, num_hidden_layers is \(layers)")
        }
        return try names.map { name in
            switch name {
            case "linear_attention": return true
            case "full_attention": return false
            default:
                throw ModelError(
                    "config.json: layer_types \"\(name)\" is not there for this architecture; there are "
                        + "full_attention, linear_attention")
            }
        }
    }

    /// The trunk of these layers.
    ///
    /// - Parameters:
    ///   - linear: Makes the linear attention of a layer.
    ///   - feedForward: Makes the feed-forward part of a layer.
    func trunk(linear: (Int) -> GatedDeltaNet, feedForward: (Int) -> Sublayer) -> Decoder {
        func norm() -> Norm { WideRMSNorm(fields.sizes.width, epsilon: fields.normEpsilon, offset: 1) }
        return fields.trunk(norm: norm(), ignoring: ["mtp.", "visual."], insideOf: ["language_model."]) { layer in
            var names = PreNormLayer.Names()
            if isLinear[layer] { names.attention = "linear_attn" }
            return PreNormLayer(
                norm,
                attention: isLinear[layer] ? linear(layer) : GatedAttention(fields, layer: layer, bias: bias),
                feedForward: feedForward(layer), names: names)
        }
    }

    /// Experts, and the one that all tokens pass through.
    ///
    /// - Parameters:
    ///   - weights: What the chosen probabilities are made of.
    ///   - isOneTensor: Whether files hold the matrices of all experts as one.
    func experts(
        _ experts: ExpertConfig, sharedHidden: Int, weights: SoftmaxRouter.Weights, isOneTensor: Bool = false
    ) -> MixtureOfExperts {
        let (width, initializer) = (fields.sizes.width, fields.initializer)
        return MixtureOfExperts(
            SoftmaxRouter(
                width: width, experts: experts.count, choosing: experts.chosen, weights: weights,
                initializer: initializer),
            experts: experts.experts(fields),
            shared: GatedSharedExpert(width: width, hidden: sharedHidden, initializer: initializer), sharedName: "",
            isOneTensor: isOneTensor)
    }
}

package enum Qwen3Next {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let hybrid = try HybridConfig(config)
        let experts = try ExpertConfig(config, defaults: (512, 10, 512))
        let sharedHidden = try config.optionalSize("shared_expert_intermediate_size") ?? 512
        let weights: SoftmaxRouter.Weights = try config.flag("norm_topk_prob") ?? true ? .ofTheChosen : .asTheyAre
        let sparse = try SparseLayers(config)
        func feedForward(layer: Int) -> Sublayer {
            sparse.contains(layer)
                ? hybrid.experts(experts, sharedHidden: sharedHidden, weights: weights) : hybrid.fields.swiGLU()
        }

        let trunk = hybrid.trunk(
            linear: { GroupedGatedDeltaNet(hybrid.delta, layer: $0) }, feedForward: feedForward)
        trunk.routerLossWeight = experts.lossWeight
        return try hybrid.fields.model("Qwen3Next", trunk, task)
    }
}
