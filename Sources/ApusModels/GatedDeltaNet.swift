import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, S sequences, D width, G key heads, H value heads, E size of a key, F size of a value.

/// The sizes of linear attention, by the names that Qwen gives them.
struct GatedDeltaSizes {
    let width: Int
    let keyHeads: Int
    let valueHeads: Int
    let keySize: Int
    let valueSize: Int
    let taps: Int
    let normEpsilon: Double
    let initializer: Initializer

    /// All of the keys, and all of the values, of a token.
    var keys: Int { keyHeads * keySize }
    var values: Int { valueHeads * valueSize }
    /// Value heads that share a key head.
    var shared: Int { valueHeads / keyHeads }

    init(_ config: ModelConfig, _ fields: DecoderConfig) throws {
        func size(_ key: String, _ value: Int, most: Int) throws -> Int {
            let size = try config.optionalSize(key) ?? value
            guard size <= most else { throw ModelError("config.json: \(key) is \(size); it must be at most \(most)") }
            return size
        }
        width = fields.sizes.width
        keyHeads = try size("linear_num_key_heads", 16, most: 1 << 16)
        valueHeads = try size("linear_num_value_heads", 32, most: 1 << 16)
        keySize = try size("linear_key_head_dim", 128, most: 1 << 16)
        valueSize = try size("linear_value_head_dim", 128, most: 1 << 16)
        taps = try size("linear_conv_kernel_dim", 4, most: 1 << 10)
        normEpsilon = fields.normEpsilon
        initializer = fields.initializer
        guard valueHeads % keyHeads == 0 else {
            throw ModelError(
                "config.json: linear_num_value_heads (\(valueHeads)) is not a multiple of linear_num_key_heads (\(keyHeads))"
            )
        }
    }
}

/// What a token's row is projected to.
struct GatedDeltaInputs {
    /// Queries, keys and values of all heads, side by side, [T, 2GE + HF].
    let mixed: Tensor
    /// What the outputs are gated with, [T, H, F].
    let gate: Tensor
    /// What β and the decay of each head are made of, [T, H] each.
    let rate: Tensor
    let decay: Tensor
}

/// What a layer of linear attention remembers of each sequence.
private final class GatedDeltaState: LayerState {
    /// The last rows before the convolution, [S, K - 1, 2GE + HF].
    var rows: Tensor?
    /// [S, H, E, F].
    var memory: Tensor?

    init(sequences: Int) {}

    func keep(_ sequences: [Int]) throws {
        guard let rows, let memory else { return }
        let kept = try Tensor(sequences, device: rows.device)
        self.rows = try rows.indexed(0, kept)
        self.memory = try memory.indexed(0, kept)
    }
}

/// Linear attention by the gated delta rule, behind a short convolution and before a gated norm, [T, D] → [T, D].
///
/// `q, k, v = silu(conv(W x))`, `β = σ(b)`, `g = -exp(A) · softplus(a + bias)`, q and k of length one, and
/// `y = W_o (norm(o) · silu(z))`. What projects rows differs from family to family. Yang, Kautz, Hatamizadeh 2024,
/// <https://arxiv.org/abs/2412.06464>.
class GatedDeltaNet: Sublayer {
    @Child("conv1d") var convolution: CausalConvolution
    @Parameter("dt_bias") var decayBias: Tensor  // [H]
    @Parameter("A_log") var decayRate: Tensor  // [H]
    @Child("norm") var norm: RMSNorm
    @Child("out_proj") var output: Linear

    let sizes: GatedDeltaSizes
    private let layer: Int

    /// - Parameter layer: Counts from 0; names this layer's state.
    init(_ sizes: GatedDeltaSizes, layer: Int) {
        self.sizes = sizes
        self.layer = layer
        super.init()
        convolution = CausalConvolution(
            channels: 2 * sizes.keys + sizes.values, taps: sizes.taps, initializer: .uniform(bound: 0.5))
        $decayBias.declare([sizes.valueHeads], .ones)
        $decayRate.declare([sizes.valueHeads], .logarithm(low: 0.01, high: 16))
        norm = RMSNorm(sizes.valueSize, epsilon: sizes.normEpsilon)
        output = Linear(sizes.values, sizes.width, bias: false, initializer: sizes.initializer)
    }

    /// The projections of x [T, D].
    func inputs(_ x: Tensor, _ context: ForwardContext) throws -> GatedDeltaInputs {
        preconditionFailure("\(type(of: self)) does not say how it projects")
    }

    final override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        try context.requireNoPrefix("the linear attention of this model keeps one matrix for all tokens")
        let inputs = try inputs(x, context)
        let state = context.state?.of(layer, make: GatedDeltaState.init)
        let (rows, last) = try convolution(
            inputs.mixed, bounds: context.bounds, after: state?.rows, keepsRows: state != nil)
        let wide: DType = x.dtype.isShortFloat ? .float32 : x.dtype
        let mixed = try silu(rows)
        func heads(_ start: Int, _ count: Int, _ size: Int) throws -> Tensor {
            try mixed.narrowed(1, start: start, length: count * size).reshaped([-1, count, size]).to(wide)
        }
        let q = try shared(normed(heads(0, sizes.keyHeads, sizes.keySize)) * (1 / Double(sizes.keySize).squareRoot()))
        let k = try shared(normed(heads(sizes.keys, sizes.keyHeads, sizes.keySize)))  // [T, H, E]
        let decay = try -(exp(decayRate.to(wide)) * softplus(inputs.decay.to(wide) + decayBias.to(wide)))  // [T, H]
        let rule = GatedDeltaRule(
            queries: q, keys: k, values: try heads(2 * sizes.keys, sizes.valueHeads, sizes.valueSize), decay: decay,
            rate: try sigmoid(inputs.rate).to(wide))
        let (outputs, memory) = try rule(bounds: context.bounds, memory: state?.memory, keepsMemory: state != nil)
        if let state { (state.rows, state.memory) = (last, memory) }
        let gated = try norm(outputs.to(x.dtype), context).to(wide) * silu(inputs.gate.to(wide))  // [T, H, F]
        return try output(gated.to(x.dtype).reshaped([-1, sizes.values]), context)  // [T, D]
    }

    /// `x / √(Σ x² + ε)`, [T, G, E].
    private func normed(_ x: Tensor) throws -> Tensor {
        try x * ((x * x).sum(2, keepAxis: true) + 1e-6).power(-0.5)
    }

    /// A row for each value head, [T, G, E] → [T, H, E].
    private func shared(_ x: Tensor) throws -> Tensor {
        guard sizes.shared > 1 else { return x }
        return try x.unsqueezed(2).expanded([x.shape[0], sizes.keyHeads, sizes.shared, sizes.keySize])
            .reshaped([-1, sizes.valueHeads, sizes.keySize])
    }
}
