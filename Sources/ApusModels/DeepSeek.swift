// DeepSeek-V2 and V3 (R1, V3.1, and what shares their shape, such as Moonlight). DeepSeek-AI 2024,
// https://arxiv.org/abs/2405.04434, https://arxiv.org/abs/2412.19437.
// Unusual: latent attention; experts in groups, of which few are asked; V3 chooses by scores with a bias that is not trained
// by gradients and weighs by those without.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, N experts, G groups of experts, k experts of a token.

/// Which experts a token may go to: those of the best few groups.
struct ExpertGroups {
    let count: Int
    let chosen: Int

    /// `scores` [T, N] with those of experts outside the best groups replaced.
    ///
    /// - Parameter worth: What a group's experts, [T, G, N/G], make it worth, [T, G].
    func limited(_ scores: Tensor, to value: Double, worth: (Tensor) throws -> Tensor) throws -> Tensor {
        guard chosen < count else { return scores }
        let (tokens, experts) = (scores.shape[0], scores.shape[1])
        let best = try worth(scores.reshaped([tokens, count, -1])).top(chosen).indices  // [T, g]
        let zeros = try Tensor.zeros([tokens, count], device: scores.device)
        let ones = try Tensor.ones([tokens, chosen], device: scores.device)
        let isOutside = try zeros.scattered(1, best, ones).isLess(than: 0.5)  // [T, G]
        let each = try isOutside.unsqueezed(2).expanded([-1, -1, experts / count]).reshaped([tokens, experts])
        return try scores.masked(by: each, with: value)
    }
}

/// A router whose scores are products in float32, whatever the model computes in.
class WideRouter: Router {
    override func scores(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let wide: DType = x.dtype.isShortFloat ? .float32 : x.dtype
        let isAdapted = adapters.contains { context.adapters.contains($0.name) }
        return try isAdapted ? self(x, context).to(wide) : linear(x.to(wide), matrix.to(wide))
    }
}

/// V2's: softmax, then the likeliest.
final class DeepSeekV2Router: WideRouter {
    private let fields: DeepSeekExperts

    init(_ fields: DeepSeekExperts, width: Int, initializer: Initializer) {
        self.fields = fields
        super.init(width: width, experts: fields.experts.count, initializer: initializer)
    }

    override func routing(_ scores: Tensor) throws -> Routing {
        let likely = try fields.groups?.limited(softmax(scores), to: 0) { try $0.max(2) } ?? softmax(scores)
        let (weights, experts) = try likely.top(fields.experts.chosen)
        return Routing(experts: experts, weights: try weights * fields.scale)
    }
}

/// V3's: sigmoids, chosen with a bias and weighed without it.
final class DeepSeekV3Router: WideRouter {
    @Parameter("e_score_correction_bias") private var correction: Tensor  // [N]

    private let fields: DeepSeekExperts

    init(_ fields: DeepSeekExperts, width: Int, initializer: Initializer) {
        self.fields = fields
        super.init(width: width, experts: fields.experts.count, initializer: initializer)
        $correction.declareBuffer([fields.experts.count], kept: .float32)
    }

    override func routing(_ scores: Tensor) throws -> Routing {
        let likely = try sigmoid(scores)  // [T, N]
        let chosen = try withoutGradients {
            let corrected = try likely.detached() + correction
            let limited = try fields.groups?.limited(corrected, to: -.infinity) { try $0.top(2).values.sum(2) }
            return try (limited ?? corrected).top(fields.experts.chosen).indices  // [T, k]
        }
        var weights = try likely.gathered(1, chosen)  // [T, k]
        if fields.dividesBySum { weights = try weights / (weights.sum(1, keepAxis: true) + 1e-20) }
        return Routing(experts: chosen, weights: try weights * fields.scale)
    }
}

/// The fields of a `config.json` that are about experts.
struct DeepSeekExperts {
    let experts: ExpertConfig
    let groups: ExpertGroups?
    let scale: Double
    let dividesBySum: Bool
    /// The feed-forward width of what all tokens share.
    let sharedHidden: Int?
    private let firstSparseLayer: Int
    /// Nil where it is those from `firstSparseLayer` on.
    var layersWithExperts: Set<Int>?

    init(_ config: ModelConfig, _ defaults: DeepSeek.Defaults) throws {
        experts = try ExpertConfig(
            config, countKeys: ["n_routed_experts", "num_experts", "num_local_experts"],
            defaults: (defaults.experts, defaults.chosen, defaults.expertHidden))
        let isOwn = config.has("n_shared_experts")
        let hasNone = isOwn && (config["n_shared_experts"] ?? 0) == 0
        let shared = hasNone ? nil : isOwn ? try config.optionalSize("n_shared_experts") : defaults.shared
        sharedHidden = shared.map { [hidden = experts.hidden] in $0 * hidden }
        scale = try config.number("routed_scaling_factor") ?? defaults.scale
        dividesBySum = try config.flag("norm_topk_prob") ?? defaults.dividesBySum
        firstSparseLayer = try config.integer("first_k_dense_replace") ?? defaults.firstSparseLayer
        let method = try config.text("topk_method") ?? defaults.method
        guard defaults.methods.contains(method) else {
            throw ModelError(
                "config.json: topk_method \"\(method)\" is not there; there are "
                    + defaults.methods.joined(separator: ", "))
        }
        try config.require("moe_layer_freq", 1, otherwise: "which is not there yet; there is 1")
        try config.require(
            "scoring_func", .string(defaults.scoring), otherwise: "which is not there; there is \(defaults.scoring)")
        let (count, chosen) = (
            try config.integer("n_group") ?? defaults.groups, try config.integer("topk_group") ?? defaults.chosenGroups
        )
        guard method != "greedy" else {
            groups = nil
            return
        }
        guard count > 0, chosen > 0, chosen <= count, experts.count % count == 0,
            experts.count / count > 1 || count == 1
        else {
            throw ModelError(
                "config.json: \(experts.count) experts do not fall into n_group \(count) groups of two or more, of which "
                    + "topk_group \(chosen) are asked")
        }
        groups = ExpertGroups(count: count, chosen: chosen)
    }

    /// The feed-forward part of a layer.
    func part(_ fields: DecoderConfig, layer: Int, router: () -> Router) -> Sublayer {
        guard layersWithExperts?.contains(layer) ?? (layer >= firstSparseLayer) else { return fields.swiGLU() }
        let (width, initializer) = (fields.sizes.width, fields.initializer)
        return MixtureOfExperts(
            router(), experts: experts.experts(fields),
            shared: sharedHidden.map { SwiGLU(width: width, hidden: $0, initializer: initializer) })
    }
}

extension ModelConfig {
    /// What the names of layers behind the last one begin with, which predict further tokens and are not run.
    ///
    /// - Parameter count: How many there are where no key says it.
    func furtherLayers(behind last: Int, orElse count: Int) throws -> [String] {
        let further = try integer("num_nextn_predict_layers") ?? integer("num_mtp_layers") ?? count
        return (0..<max(0, min(further, 16))).map { "layers.\(last + $0)." }
    }
}

package enum DeepSeek {
    /// What missing keys mean.
    struct Defaults {
        var length: Int
        var experts: Int
        var chosen: Int?
        var expertHidden: Int
        var shared: Int
        var scale: Double
        var dividesBySum: Bool
        var firstSparseLayer: Int
        var groups: Int
        var chosenGroups: Int
        var method: String
        var methods: [String]
        var scoring: String
        var normEpsilon = 1e-6
        var queryRank = 1536
        /// Layers behind the last one.
        var furtherLayers = 0
    }

    package static func makeV2(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let defaults = Defaults(
            length: 2048, experts: 64, chosen: nil, expertHidden: 1407, shared: 2, scale: 1, dividesBySum: false,
            firstSparseLayer: 0, groups: 1, chosenGroups: 1, method: "greedy",
            methods: ["greedy", "group_limited_greedy"], scoring: "softmax")
        let experts = try DeepSeekExperts(config, defaults)
        guard !experts.dividesBySum else {
            throw ModelError("config.json: norm_topk_prob is true, which no published V2 has; set it to false")
        }
        return try model(config, task, "DeepseekV2", defaults, experts) {
            DeepSeekV2Router(experts, width: $0.sizes.width, initializer: $0.initializer)
        }
    }

    package static func makeV3(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let defaults = Defaults(
            length: 4096, experts: 256, chosen: 8, expertHidden: 2048, shared: 1, scale: 2.5, dividesBySum: true,
            firstSparseLayer: 3, groups: 8, chosenGroups: 4, method: "noaux_tc", methods: ["noaux_tc"],
            scoring: "sigmoid")
        let experts = try DeepSeekExperts(config, defaults)
        return try model(config, task, "DeepseekV3", defaults, experts) {
            DeepSeekV3Router(experts, width: $0.sizes.width, initializer: $0.initializer)
        }
    }

    static func model(
        _ config: ModelConfig, _ task: ModelTask, _ family: String, _ defaults: Defaults, _ experts: DeepSeekExperts,
        router: (DecoderConfig) -> Router
    ) throws -> any TextModel {
        let pairing: RotaryEmbedding.Pairing = try config.flag("rope_interleave") ?? true ? .interleaved : .halves
        let (fields, shape) = try LatentShape.read(
            config, DecoderDefaults(length: defaults.length, normEpsilon: defaults.normEpsilon, pairing: pairing),
            queryRank: defaults.queryRank)
        let bias = try config.flag("attention_bias") ?? false
        let options = try shape.options(config, fields)
        // How the model was trained from its beginning.
        for key in ["aux_loss_alpha", "seq_aux", "ep_size"] { _ = config[key] }
        let further = try config.furtherLayers(behind: fields.sizes.layers, orElse: defaults.furtherLayers)
        let trunk = fields.trunk(ignoring: further) { layer in
            PreNormLayer(
                width: fields.sizes.width, normEpsilon: fields.normEpsilon,
                attention: MultiHeadLatentAttention(
                    shape, width: fields.sizes.width, heads: fields.sizes.heads, layer: layer, bias: bias,
                    normEpsilon: 1e-6, options: options, initializer: fields.initializer),
                feedForward: experts.part(fields, layer: layer) { router(fields) })
        }
        return try fields.model(family, trunk, task)
    }
}
