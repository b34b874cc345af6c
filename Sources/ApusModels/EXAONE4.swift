// EXAONE 4.0 (1.2B and 32B). LG AI Research 2025, https://arxiv.org/abs/2507.11407.
// Unusual: norms come after attention and feed-forward part instead of before them, and on each head of q and k; where
// layers have windows, those that see all leave q and k unturned.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width.

/// `h = x + norm(attention(x))`, `y = h + norm(mlp(h))`.
final class EXAONE4Layer: TransformerLayer {
    override var registersNormsLast: Bool { true }

    @Child("self_attn") var attention: GroupedQueryAttention
    @Child("mlp") var feedForward: SwiGLU
    @Child("post_attention_layernorm") var attentionNorm: RMSNorm
    @Child("post_feedforward_layernorm") var feedForwardNorm: RMSNorm

    init(_ fields: DecoderConfig, attention: GroupedQueryAttention) {
        super.init()
        self.attention = attention
        feedForward = fields.swiGLU()
        attentionNorm = RMSNorm(fields.sizes.width, epsilon: fields.normEpsilon)
        feedForwardNorm = RMSNorm(fields.sizes.width, epsilon: fields.normEpsilon)
    }

    override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let h = try x + attentionNorm(attention(x, context), context)  // [T, D]
        return try h + feedForwardNorm(feedForward(h, context), context)
    }
}

package enum EXAONE4 {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(config, DecoderDefaults(length: 2048, normEpsilon: 1e-5))
        let (window, kinds) = try windows(config, layers: fields.sizes.layers)
        let trunk = fields.trunk { layer in
            let isSliding = kinds[layer] == .sliding
            return EXAONE4Layer(
                fields,
                attention: GroupedQueryAttention(
                    fields.sizes, layer: layer,
                    headNorm: { RMSNorm(fields.sizes.headSize, epsilon: fields.normEpsilon) },
                    table: isSliding || window == nil ? 0 : nil,
                    options: fields.attentionOptions(window: isSliding ? window : nil),
                    initializer: fields.initializer))
        }
        return try fields.model("Exaone4", trunk, task)
    }

    /// The window, nil where there is none, and the layers that have it.
    private static func windows(_ config: ModelConfig, layers: Int) throws -> (window: Int?, kinds: [LayerKind]) {
        let isNull = config.has("sliding_window") && config["sliding_window"] == nil
        let window = isNull ? nil : try config.optionalSize("sliding_window") ?? 4096
        let pattern = config.has("sliding_window_pattern") ? config["sliding_window_pattern"] : 4
        // Published files list the layers beside a text such as LLLG.
        let period = pattern?.intValue
        guard window == nil || config["layer_types"] != nil || period ?? 0 > 0 else {
            throw ModelError(
                "config.json: without layer_types, sliding_window_pattern must be the number of layers of which the last "
                    + "sees all; it is \(pattern?.serialized() ?? "null")")
        }
        let kinds = try LayerKind.all(config, layers: layers, differ: window != nil) { layer in
            guard window != nil, let period else { return .full }
            return (layer + 1) % period == 0 ? .full : .sliding
        }
        guard window != nil || !kinds.contains(.sliding) else {
            throw ModelError("config.json: layers have sliding_attention, but sliding_window is null; give it a number")
        }
        return (window, kinds)
    }
}
