// GPT-OSS (20B and 120B). OpenAI 2025, https://arxiv.org/abs/2508.10925.
// Unusual: each head has a score of its own that takes a share of attention's weights and leads nowhere; every other layer
// has a window; experts add to what their gate opens, within bounds, and have biases. Their matrices lie in one tensor for
// all, inputs first, gate and up in turns.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width, H query heads, K key/value heads, E head size, N experts, k experts of a token, F an expert's width.

final class GPTOSSAttention: Sublayer {
    @Parameter("sinks") private var sinks: Tensor  // [H]
    @Child("q_proj") var query: Linear
    @Child("k_proj") var key: Linear
    @Child("v_proj") var value: Linear
    @Child("o_proj") var output: Linear

    private let headSize: Int
    private let layer: Int
    private let options: AttentionOptions

    init(_ fields: DecoderConfig, layer: Int, window: Int?, bias: Bool) {
        let sizes = fields.sizes
        headSize = sizes.headSize
        self.layer = layer
        options = fields.attentionOptions(window: window)
        super.init()
        $sinks.declare([sizes.heads], fields.initializer)
        let (queries, keys) = (sizes.heads * sizes.headSize, sizes.keyValueHeads * sizes.headSize)
        query = Linear(sizes.width, queries, bias: bias, initializer: fields.initializer)
        key = Linear(sizes.width, keys, bias: bias, initializer: fields.initializer)
        value = Linear(sizes.width, keys, bias: bias, initializer: fields.initializer)
        output = Linear(queries, sizes.width, bias: bias, initializer: fields.initializer)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        func heads(_ y: Tensor) throws -> Tensor { try y.reshaped([x.shape[0], -1, headSize]) }

        let q = try context.rotary(heads(query(x, context)))  // [T, H, E]
        let k = try context.rotary(heads(key(x, context)))  // [T, K, E]
        let v = try heads(value(x, context))  // [T, K, E]
        let mixed = try context.attend(q, k, v, layer: layer, options, sinks: sinks)  // [T, H, E]
        return try output(mixed.reshaped([x.shape[0], -1]), context)  // [T, D]
    }
}

/// The likeliest experts by `x Wᵀ + b`; softmax over theirs alone.
///
/// No `Linear`, as in `transformers`: nothing hangs on it, and it stays whole.
final class GPTOSSRouter: Module, BalancedRouter {
    @Parameter("weight") private var weight: Tensor  // [N, D]
    @Parameter("bias") private var bias: Tensor  // [N]

    private let chosen: Int

    init(width: Int, experts: ExpertConfig, initializer: Initializer) {
        chosen = experts.chosen
        super.init()
        $weight.declare([experts.count, width], initializer)
        $bias.declare([experts.count], initializer)
    }

    /// The scores [T, N] of x [T, D].
    func scores(_ x: Tensor) throws -> Tensor { try linear(x, weight, bias) }

    func routing(_ scores: Tensor) throws -> Routing {
        let (best, experts) = try scores.top(chosen)  // [T, k]
        return Routing(experts: experts, weights: try softmax(best))
    }
}

/// `down((u + 1) · g · σ(α g))` of `[g₀ u₀ g₁ u₁ …] = gate_up(x)`, g at most the limit and u within it on both sides.
final class GPTOSSExperts: Module {
    @Parameter("gate_up_proj") private var gateAndUp: Tensor  // [N, D, 2F]
    @Parameter("gate_up_proj_bias") private var gateAndUpBias: Tensor  // [N, 2F]
    @Parameter("down_proj") private var down: Tensor  // [N, F, D]
    @Parameter("down_proj_bias") private var downBias: Tensor  // [N, D]

    private let alpha: Double
    private let limit: Double

    init(width: Int, experts: ExpertConfig, alpha: Double, limit: Double, initializer: Initializer) {
        (self.alpha, self.limit) = (alpha, limit)
        super.init()
        let (count, hidden) = (experts.count, experts.hidden)
        $gateAndUp.declare([count, width, 2 * hidden], initializer)
        $gateAndUpBias.declare([count, 2 * hidden])
        $down.declare([count, hidden, width], initializer)
        $downBias.declare([count, width])
    }

    /// What an expert makes of its rows x [t, D].
    func callAsFunction(_ x: Tensor, expert: Int) throws -> Tensor {
        func product(_ x: Tensor, _ matrices: Tensor, _ biases: Tensor) throws -> Tensor {
            try linear(x, matrices.selected(0, expert).transposed(0, 1), biases.selected(0, expert))
        }

        let both = try product(x, gateAndUp, gateAndUpBias)  // [t, 2F]
        let pairs = try both.reshaped([x.shape[0], both.shape[1] / 2, 2])
        let gate = try pairs.selected(2, 0).clipped(above: limit)  // [t, F]
        let up = try pairs.selected(2, 1).clipped(to: limit)  // [t, F]
        let opened = try (up + 1) * (gate * sigmoid(gate * alpha))
        return try product(opened, down, downBias)  // [t, D]
    }
}

final class GPTOSSFeedForward: Sublayer {
    @Child("router") private var router: GPTOSSRouter
    @Child("experts") private var experts: GPTOSSExperts

    private let count: Int

    init(_ router: GPTOSSRouter, _ experts: GPTOSSExperts, count: Int) {
        self.count = count
        super.init()
        self.router = router
        self.experts = experts
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let scores = try router.scores(x)  // [T, N]
        let routing = try router.routing(scores)
        let order = try SlotsByExpert(routing.experts, count: count)
        let mixed = try order.mixed(x, weights: routing.weights) { try experts($1, expert: $0) }  // [T, D]
        guard let balance = context.balance else { return mixed }
        return try balance.noting(router, scores: scores, counts: order.counts, output: mixed)
    }
}

package enum GPTOSS {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(
            config, DecoderDefaults(length: 131_072, headSize: 64, normEpsilon: 1e-5, ropeTheta: 150_000))
        let experts = try ExpertConfig(
            config, countKeys: ["num_local_experts", "num_experts"], hiddenKey: "intermediate_size",
            defaults: (count: 128, chosen: 4, hidden: nil))
        let bias = try config.flag("attention_bias") ?? true
        let (alpha, limit) = (try config.number("swiglu_alpha") ?? 1.702, try config.number("swiglu_limit") ?? 7)
        guard limit > 0 else { throw ModelError("config.json: swiglu_limit is \(limit); it must be above 0") }
        let windows = try windows(config, layers: fields.sizes.layers)
        // Other spellings of what `num_experts_per_tok` and the table of positions say.
        for key in ["experts_per_token", "initial_context_length"] { _ = config[key] }
        let (width, initializer) = (fields.sizes.width, fields.initializer)
        func norm() -> Norm { WideRMSNorm(width, epsilon: fields.normEpsilon) }
        let trunk = try fields.trunk(rotary: [rotary(config, fields)], norm: norm()) { layer in
            PreNormLayer(
                norm, attention: GPTOSSAttention(fields, layer: layer, window: windows[layer], bias: bias),
                feedForward: GPTOSSFeedForward(
                    GPTOSSRouter(width: width, experts: experts, initializer: initializer),
                    GPTOSSExperts(width: width, experts: experts, alpha: alpha, limit: limit, initializer: initializer),
                    count: experts.count))
        }
        trunk.routerLossWeight = experts.lossWeight
        return try fields.model("GptOss", trunk, task)
    }

    /// The most keys that each layer sees; nil sets no limit.
    private static func windows(_ config: ModelConfig, layers: Int) throws -> [Int?] {
        let kinds = try LayerKind.all(config, layers: layers) { $0 % 2 == 0 ? .sliding : .full }
        let isNull = config.has("sliding_window") && config["sliding_window"] == nil
        let window = isNull ? nil : try config.optionalSize("sliding_window") ?? 128
        guard window != nil || !kinds.contains(.sliding) else {
            throw ModelError("config.json: layers have sliding_attention, but sliding_window is null; give it a number")
        }
        return kinds.map { $0 == .sliding ? window : nil }
    }

    /// What layers turn by; a configuration that does not say it means 32 times 4096 positions.
    private static func rotary(_ config: ModelConfig, _ fields: DecoderConfig) throws -> RotaryEmbedding {
        guard try RotaryConfiguration.table(config) == nil else { return fields.rotary }
        return RotaryEmbedding(
            size: fields.sizes.headSize, base: fields.rotary.base,
            scaling: .yarn(RotaryEmbedding.YaRN(factor: 32, originalLength: 4096, truncates: false)))
    }
}
