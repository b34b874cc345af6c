public import ApusTorch

// T tokens, D width, F feed-forward width.

/// What the three matrices of a gated feed-forward part are called on disk.
public struct GatedNames: Sendable {
    package var gate: String
    package var up: String
    package var down: String

    package init(gate: String, up: String, down: String) { (self.gate, self.up, self.down) = (gate, up, down) }

    /// Llama's.
    public static let projections = GatedNames(gate: "gate_proj", up: "up_proj", down: "down_proj")
    /// Those of the first Llama's own files, which Mixtral and InternLM2 kept.
    package static let numbered = GatedNames(gate: "w1", up: "w3", down: "w2")
}

/// `down(silu(gate(x)) · up(x))`, the feed-forward part of Llama and its relatives.
public final class SwiGLU: Sublayer {
    @Child("gate_proj") var gate: Linear
    @Child("up_proj") var up: Linear
    @Child("down_proj") var down: Linear

    public init(
        width: Int, hidden: Int, bias: Bool = false, initializer: Initializer = .kaimingUniform,
        names: GatedNames = .projections
    ) {
        super.init()
        _gate = Child(wrappedValue: Linear(width, hidden, bias: bias, initializer: initializer), names.gate)
        _up = Child(wrappedValue: Linear(width, hidden, bias: bias, initializer: initializer), names.up)
        _down = Child(wrappedValue: Linear(hidden, width, bias: bias, initializer: initializer), names.down)
    }

    public override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        try down(swiglu(gate: gate(x, context), up: up(x, context)), context)
    }
}

/// `down(activation(gate(x)) · up(x))`, with another activation than `SwiGLU`'s.
///
/// Shazeer 2020, <https://arxiv.org/abs/2002.05202>.
package final class GatedFeedForward: Sublayer {
    @Child("gate_proj") var gate: Linear
    @Child("up_proj") var up: Linear
    @Child("down_proj") var down: Linear

    private let activation: Activation

    package init(
        width: Int, hidden: Int, activation: Activation, bias: Bool = false, initializer: Initializer,
        names: GatedNames = .projections
    ) {
        self.activation = activation
        super.init()
        _gate = Child(wrappedValue: Linear(width, hidden, bias: bias, initializer: initializer), names.gate)
        _up = Child(wrappedValue: Linear(width, hidden, bias: bias, initializer: initializer), names.up)
        _down = Child(wrappedValue: Linear(hidden, width, bias: bias, initializer: initializer), names.down)
    }

    package override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        try down(activation(gate(x, context)) * up(x, context), context)
    }
}

/// `down(silu(g) · u)` with one product for both, `[g | u] = W x`.
package final class FusedSwiGLU: Sublayer {
    @Child("gate_up_proj") var gateAndUp: Linear  // [2F, D]: gate, then up
    @Child("down_proj") var down: Linear

    package init(
        width: Int, hidden: Int, initializer: Initializer, name: String = "gate_up_proj", down: String = "down_proj"
    ) {
        super.init()
        _gateAndUp = Child(wrappedValue: Linear(width, 2 * hidden, bias: false, initializer: initializer), name)
        _down = Child(wrappedValue: Linear(hidden, width, bias: false, initializer: initializer), down)
    }

    package override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let both = try gateAndUp(x, context)  // [T, 2F]
        let hidden = both.shape[1] / 2
        let gate = try both.narrowed(1, start: 0, length: hidden)  // [T, F]
        return try down(swiglu(gate: gate, up: both.narrowed(1, start: hidden, length: hidden)), context)
    }
}
