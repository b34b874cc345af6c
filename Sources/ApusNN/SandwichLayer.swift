package import ApusTorch

/// Attention and a feed-forward part, each between two norms and around a residual:
/// `h = x + norm(attention(norm(x)))`, `y = h + norm(mlp(norm(h)))`.
package final class SandwichLayer: TransformerLayer {
    /// What the parts are called on disk.
    package struct Names: Sendable {
        package var attentionInput: String
        package var attention = "self_attn"
        package var attentionOutput: String
        package var feedForwardInput: String
        package var feedForward = "mlp"
        package var feedForwardOutput: String

        package init(
            attentionInput: String, attentionOutput: String, feedForwardInput: String, feedForwardOutput: String
        ) {
            self.attentionInput = attentionInput
            self.attentionOutput = attentionOutput
            self.feedForwardInput = feedForwardInput
            self.feedForwardOutput = feedForwardOutput
        }
    }

    package override var registersNormsLast: Bool { true }

    @Child("input_layernorm") private var attentionInput: Norm
    @Child("self_attn") private var attention: Sublayer
    @Child("post_attention_layernorm") private var attentionOutput: Norm
    @Child("pre_feedforward_layernorm") private var feedForwardInput: Norm
    @Child("mlp") private var feedForward: Sublayer
    @Child("post_feedforward_layernorm") private var feedForwardOutput: Norm

    /// - Parameter norm: Makes each of the four norms.
    package init(_ norm: () -> Norm, attention: Sublayer, feedForward: Sublayer, names: Names) {
        super.init()
        _attentionInput = Child(wrappedValue: norm(), names.attentionInput)
        _attention = Child(wrappedValue: attention, names.attention)
        _attentionOutput = Child(wrappedValue: norm(), names.attentionOutput)
        _feedForwardInput = Child(wrappedValue: norm(), names.feedForwardInput)
        _feedForward = Child(wrappedValue: feedForward, names.feedForward)
        _feedForwardOutput = Child(wrappedValue: norm(), names.feedForwardOutput)
    }

    package override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let seen = try attention(attentionInput(x, context), context)
        let h = try x + attentionOutput(seen, context)  // [T, D]
        let fed = try feedForward(feedForwardInput(h, context), context)
        return try h + feedForwardOutput(fed, context)
    }
}
