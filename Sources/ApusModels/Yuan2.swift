// Yuan 2.0. Wu et al. 2023, https://arxiv.org/abs/2311.15786.
// Unusual: queries and keys are made of rows that two small convolutions have mixed with those before them; heads are cut
// across the two projections; the activation of the feed-forward part is on `up`.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, S sequences, D width, H heads, E head size.

/// The fields of a `config.json`, as Yuan 2.0 names them.
struct Yuan2Config {
    let sizes: TransformerSizes
    let normEpsilon: Double
    let initializer: Initializer
    let rotary: RotaryEmbedding
    let maximumLength: Int
    /// Behind this token nothing up to it is seen; nil where it is a token like others.
    let documentEnd: Int32?

    init(_ config: ModelConfig) throws {
        sizes = try config.sizes(hidden: config.size("intermediate_size"))
        guard sizes.width % 2 == 0 else {
            throw ModelError("config.json: hidden_size is \(sizes.width); the filter of Yuan 2.0 needs an even one")
        }
        normEpsilon = try config.number("rms_norm_eps") ?? 1e-6
        initializer = .normal(deviation: try config.number("initializer_range") ?? 0.02)
        (rotary, maximumLength) = try RotaryConfiguration.embedding(
            config: config, headSize: sizes.headSize,
            maximumLength: config.optionalSize("max_position_embeddings") ?? 8192)
        let (id, end) = (try config.integer("eod_token_id"), try config.integer("eod_token"))
        let resets = try config.flag("reset_attention_mask") ?? true
        documentEnd = resets ? Int32(exactly: id ?? end ?? 77185) : nil
        try config.require("hidden_act", "silu", otherwise: "which is not there yet; there is silu")
        try config.require(
            "use_shareqk", false, otherwise: "as in the 51B and 102B models, which are not there yet; there is 2B")
        try config.require("causal_mask", true, otherwise: "which is not there yet")
        try config.require("use_loss_mask", false, otherwise: "which is not there yet; mask labels in the data")
        // Without effect on single documents, or on numbers.
        for key in [
            "dropout", "mask_token_id", "model_max_length", "reset_position_ids", "sep_token", "sliding_window",
            "use_flash_attention",
        ] { _ = config[key] }
    }
}

/// Rows of the flat batch one place later: the first of a sequence becomes what came before it.
private struct EarlierRows {
    /// For each row the number of the one before among S rows of before and T own, [T].
    private let earlier: Tensor
    /// For each sequence the number of its last row among these, [S].
    private let last: Tensor

    init(_ bounds: [Int32], on device: Device) throws {
        let count = Int32(bounds.count - 1)
        var (earlier, last): ([Int32], [Int32]) = ([], [])
        for sequence in 0..<(bounds.count - 1) {
            let (start, end) = (bounds[sequence], bounds[sequence + 1])
            earlier += (start..<end).map { $0 == start ? Int32(sequence) : count + $0 - 1 }
            last.append(end == start ? Int32(sequence) : count + end - 1)
        }
        self.earlier = try Tensor(earlier, device: device)
        self.last = try Tensor(last, device: device)
    }

    /// - Parameter before: The last rows of before, [S, D].
    /// - Returns: The row before each of x [T, D], and the last row of each sequence, [S, D].
    func callAsFunction(_ x: Tensor, after before: Tensor) throws -> (earlier: Tensor, last: Tensor) {
        let all = try concatenated([before, x])  // [S + T, D]
        return (try all.indexed(0, earlier), try all.indexed(0, last))
    }
}

/// What the filter of a layer remembers of each sequence: the last row that it was given, and the last in its middle.
private final class FilterState: LayerState {
    var rows: (inputs: Tensor, inner: Tensor)?  // [S, D], [S, D/2]

    init(sequences: Int) {}

    func keep(_ sequences: [Int]) throws {
        guard let (inputs, inner) = rows else { return }
        let kept = try Tensor(sequences, device: inputs.device)
        rows = (try inputs.indexed(0, kept), try inner.indexed(0, kept))
    }
}

/// `W₀ x_{t-1} + W₁ x_t + b`, a convolution over two rows: [T, in] → [T, out].
final class TwoRowConvolution: Module {
    @Parameter("weight") var weight: Tensor  // [out, in, 2, 1]
    @Parameter("bias") var bias: Tensor  // [out]

    init(_ inputs: Int, _ outputs: Int, initializer: Initializer) {
        super.init()
        $weight.declare([outputs, inputs, 2, 1], initializer)
        $bias.declare([outputs])
    }

    func callAsFunction(_ x: Tensor, earlier: Tensor) throws -> Tensor {
        let taps = try weight.squeezed(3)  // [out, in, 2]
        return try linear(earlier, taps.selected(2, 0)) + linear(x, taps.selected(2, 1), bias)
    }
}

/// Localized filtering: `norm(x + conv₂(conv₁(x)))`, [T, D] → [T, D].
final class LocalizedFilter: Module {
    @Child("conv1") var first: TwoRowConvolution
    @Child("conv2") var second: TwoRowConvolution
    @Child("output_layernorm") var norm: RMSNorm

    private let width: Int
    private let layer: Int

    init(_ config: Yuan2Config, layer: Int) {
        width = config.sizes.width
        self.layer = layer
        super.init()
        first = TwoRowConvolution(width, width / 2, initializer: config.initializer)
        second = TwoRowConvolution(width / 2, width, initializer: config.initializer)
        // The published class has this number whatever rms_norm_eps says.
        norm = RMSNorm(width, epsilon: 1e-6)
    }

    func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let state = context.state?.of(layer, make: FilterState.init)
        let sequences = context.bounds.count - 1
        func before(_ rows: Tensor?, _ width: Int) throws -> Tensor {
            try rows ?? Tensor.zeros([sequences, width], dtype: x.dtype, device: x.device)
        }

        let rows = try EarlierRows(context.bounds, on: x.device)
        let inputs = try rows(x, after: before(state?.rows?.inputs, width))
        let a = try first(x, earlier: inputs.earlier)  // [T, D/2]
        let inner = try rows(a, after: before(state?.rows?.inner, width / 2))
        state?.rows = (inputs.last, inner.last)
        return try norm(second(a, earlier: inner.earlier) + x, context)  // [T, D]
    }
}

/// Attention whose queries and keys are filtered: the even and odd pieces, E wide, of both projections side by side.
final class Yuan2Attention: Module {
    @Child("q_proj") var query: Linear
    @Child("k_proj") var key: Linear
    @Child("v_proj") var value: Linear
    @Child("o_proj") var output: Linear
    @Child("lf_gate") var filter: LocalizedFilter

    private let sizes: TransformerSizes
    private let layer: Int

    init(_ config: Yuan2Config, layer: Int) {
        sizes = config.sizes
        self.layer = layer
        super.init()
        func linear() -> Linear {
            Linear(config.sizes.width, config.sizes.width, bias: false, initializer: config.initializer)
        }
        query = linear()
        key = linear()
        value = linear()
        output = linear()
        filter = LocalizedFilter(config, layer: layer)
    }

    func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let (heads, size) = (sizes.heads, sizes.headSize)
        let filtered = try filter(x, context)  // [T, D]
        let both = try concatenated([query(filtered, context), key(filtered, context)], axis: 1)
            .reshaped([-1, heads, 2, size])  // [T, H, 2, E]
        let v = try value(x, context).reshaped([-1, heads, size])  // [T, H, E]
        let mixed = try context.attend(
            context.rotary(both.selected(2, 0)), context.rotary(both.selected(2, 1)), v, layer: layer,
            AttentionOptions(headSize: size))  // [T, H, E]
        return try output(mixed.reshaped([-1, sizes.width]), context)  // [T, D]
    }
}

/// `down(gate(x) · silu(up(x)))`.
final class Yuan2FeedForward: Module {
    @Child("up_proj") var up: Linear
    @Child("gate_proj") var gate: Linear
    @Child("down_proj") var down: Linear

    init(_ config: Yuan2Config) {
        super.init()
        let (width, hidden) = (config.sizes.width, config.sizes.hidden)
        up = Linear(width, hidden, bias: false, initializer: config.initializer)
        gate = Linear(width, hidden, bias: false, initializer: config.initializer)
        down = Linear(hidden, width, bias: false, initializer: config.initializer)
    }

    func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        try down(swiglu(gate: up(x, context), up: gate(x, context)), context)  // [T, D]
    }
}

/// `h = x + attention(norm(x))`, `y = h + mlp(norm(h))`.
final class Yuan2Layer: TransformerLayer {
    @Child("self_attn") var attention: Yuan2Attention
    @Child("mlp") var feedForward: Yuan2FeedForward
    @Child("input_layernorm") var attentionNorm: RMSNorm
    @Child("post_attention_layernorm") var feedForwardNorm: RMSNorm

    init(_ config: Yuan2Config, layer: Int) {
        super.init()
        attention = Yuan2Attention(config, layer: layer)
        feedForward = Yuan2FeedForward(config)
        attentionNorm = RMSNorm(config.sizes.width, epsilon: config.normEpsilon)
        feedForwardNorm = RMSNorm(config.sizes.width, epsilon: config.normEpsilon)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let h = try x + attention(attentionNorm(x, context), context)  // [T, D]
        return try h + feedForward(feedForwardNorm(h, context), context)
    }
}

final class Yuan2Trunk: Trunk {
    @Child("embed_tokens") var table: Embedding
    @Child("layers") var layers: [TransformerLayer]
    @Child("norm") var norm: RMSNorm

    private let config: Yuan2Config

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ config: Yuan2Config) {
        self.config = config
        super.init()
        rotary = [config.rotary]
        table = Embedding(config.sizes.vocabulary, config.sizes.width, initializer: config.initializer)
        layers = (0..<config.sizes.layers).map { Yuan2Layer(config, layer: $0) }
        norm = RMSNorm(config.sizes.width, epsilon: config.normEpsilon)
    }

    override var facts: TrunkFacts {
        TrunkFacts(name: "model", sizes: config.sizes, maximumLength: config.maximumLength)
    }
    override var embedding: Embedding { table }

    override func callAsFunction(_ words: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        try checkDocuments(batch, isContinued: context.state != nil)
        return try norm(run(layers, words, context), context)
    }

    /// Refuses texts that go on behind the end of a document, which the published class would hide from what follows.
    private func checkDocuments(_ batch: TokenBatch, isContinued: Bool) throws {
        guard let end = config.documentEnd else { return }
        for (first, next) in zip(batch.boundaries, batch.boundaries.dropFirst()) where first < next {
            let ids = batch.tokens[Int(first)..<Int(next)]
            guard (isContinued ? ids : ids.dropLast()).contains(end) else { continue }
            throw ModelError(
                "a text of Yuan 2.0 goes on behind the end of a document (the token \(end)), and starting anew there "
                    + "(reset_attention_mask) is not there yet; give documents one by one")
        }
    }
}

package enum Yuan2 {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try Yuan2Config(config)
        return try DecoderHeads(
            family: "Yuan", tiesEmbeddings: config.flag("tie_word_embeddings") ?? true, padding: config.padding,
            initializer: fields.initializer
        ).model(Yuan2Trunk(fields), task)
    }
}
