// Gemma 2 (2B, 9B and 27B). Gemma Team 2024, https://arxiv.org/abs/2408.00118.
// Unusual beside Gemma 1: both parts of a layer lie between two norms; scores of attention and of words are capped by tanh;
// every other layer sees a window; the scale of attention is a number of its own.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

extension SandwichLayer.Names {
    /// Those of Gemma 2 and 3.
    static let gemma = SandwichLayer.Names(
        attentionInput: "input_layernorm", attentionOutput: "post_attention_layernorm",
        feedForwardInput: "pre_feedforward_layernorm", feedForwardOutput: "post_feedforward_layernorm")
}

/// What Gemma 2 and 3 have and Gemma 1 has not.
struct GemmaAttention {
    let scale: Double
    let softCap: Double?
    let finalSoftCap: Double?
    let kinds: [LayerKind]
    let window: Int?

    /// - Parameters:
    ///   - softCaps: What missing caps of attention and of words mean; nil is no cap, of attention never.
    ///   - kind: The kind of a layer in a configuration without a list of them.
    init(
        _ config: ModelConfig, _ fields: DecoderConfig, softCaps: (attention: Double?, words: Double?),
        kind: (Int) -> LayerKind
    ) throws {
        func cap(_ key: String, default value: Double?) throws -> Double? {
            guard let cap = config.has(key) ? try config.number(key) : value else { return nil }
            guard cap > 0 else { throw ModelError("config.json: \(key) is \(cap); it must be positive or null") }
            return cap
        }
        let scalar = try config.number("query_pre_attn_scalar") ?? 256
        guard scalar > 0 else {
            throw ModelError("config.json: query_pre_attn_scalar is \(scalar); it must be positive")
        }
        scale = 1 / scalar.squareRoot()
        // Files of Gemma 3 may have it, and transformers gives it to no layer there.
        softCap = try softCaps.attention.flatMap { try cap("attn_logit_softcapping", default: $0) }
        finalSoftCap = try cap("final_logit_softcapping", default: softCaps.words)
        kinds = try LayerKind.all(config, layers: fields.sizes.layers, otherwise: kind)
        window = config.has("sliding_window") ? try config.optionalSize("sliding_window") : 4096
    }

    func options(_ fields: DecoderConfig, layer: Int, window: Int?) -> AttentionOptions {
        var options = fields.attentionOptions(window: kinds[layer] == .sliding ? window : nil, scale: scale)
        options.softCap = softCap
        return options
    }
}

package enum Gemma2 {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let own = try GemmaConfig(config, length: 8192)
        try config.require("use_bidirectional_attention", false, otherwise: "which is not there for Gemma 2")
        let fields = own.fields
        let attention = try GemmaAttention(config, fields, softCaps: (50, 30)) { $0 % 2 == 0 ? .sliding : .full }
        let trunk = own.trunk { layer in
            SandwichLayer(
                own.norm,
                attention: GroupedQueryAttention(
                    fields.sizes, layer: layer, inputBias: own.attentionBias, outputBias: own.attentionBias,
                    options: attention.options(fields, layer: layer, window: attention.window),
                    initializer: fields.initializer),
                feedForward: own.feedForward(), names: .gemma)
        }
        var heads = fields.heads("Gemma2")
        heads.softCap = attention.finalSoftCap
        return try heads.model(trunk, task)
    }
}
