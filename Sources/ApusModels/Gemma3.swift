// Gemma 3, its models of text alone (270M, 1B), and EmbeddingGemma. Gemma Team 2025, https://arxiv.org/abs/2503.19786.
// Unusual beside Gemma 2: each head of q and k is normed; no caps; five layers with a window to one without, the two kinds
// with rotary tables of their own.

import ApusJSON
package import ApusLanguageModel
import ApusNN

package enum Gemma3 {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let own = try GemmaConfig(
            config, length: 131_072, ropeTheta: 1e6, layerKind: LayerKind.full.rawValue)
        let fields = own.fields
        let period = try config.optionalSize("sliding_window_pattern") ?? 6
        let attention = try GemmaAttention(config, fields, softCaps: (nil, nil)) {
            ($0 + 1) % period == 0 ? .full : .sliding
        }
        let seesBothSides = try config.flag("use_bidirectional_attention") ?? false
        if seesBothSides, task == .causalLanguageModel {
            throw ModelError(
                "config.json: use_bidirectional_attention is true: this model sees the whole text and does not continue "
                    + "it; give --task_type embedding or seq_cls")
        }
        // Seen from both sides, a window is half of what the file says to either side, and the token itself.
        let window = seesBothSides ? attention.window.map { $0 / 2 + 1 } : attention.window
        let trunk = own.trunk(
            rotary: [fields.rotary, try slidingRotary(config, fields)], sight: seesBothSides ? .bothSides : .back
        ) { layer in
            SandwichLayer(
                own.norm,
                attention: GroupedQueryAttention(
                    fields.sizes, layer: layer, inputBias: own.attentionBias, outputBias: own.attentionBias,
                    headNorm: { WideRMSNorm(fields.sizes.headSize, epsilon: fields.normEpsilon, offset: 1) },
                    table: attention.kinds[layer] == .full ? 0 : 1,
                    options: attention.options(fields, layer: layer, window: window), initializer: fields.initializer),
                feedForward: own.feedForward(), names: .gemma)
        }
        var heads = fields.heads("Gemma3")
        heads.trunkPrefix = "Gemma3Text"
        heads.softCap = attention.finalSoftCap
        return try heads.model(trunk, task)
    }

    /// The table of layers with a window, which is never stretched for longer texts unless the file says so of this kind.
    private static func slidingRotary(_ config: ModelConfig, _ fields: DecoderConfig) throws -> RotaryEmbedding {
        let kind = LayerKind.sliding.rawValue
        guard config["rope_parameters"]?[kind]?.objectValue != nil else {
            let base = try config.number("rope_local_base_freq") ?? 10_000
            guard base > 1 else {
                throw ModelError("config.json: rope_local_base_freq is \(base); it must exceed 1")
            }
            return RotaryEmbedding(size: fields.sizes.headSize, base: base)
        }
        return try RotaryConfiguration.embedding(
            config: config, headSize: fields.sizes.headSize, maximumLength: fields.maximumLength,
            defaultBase: config.number("rope_local_base_freq") ?? 10_000, layerKind: kind, isOfKindAlone: true
        ).rotary
    }
}
