// Mistral 7B and its successors of the same shape. Jiang et al. 2023, https://arxiv.org/abs/2310.06825.
// Unusual: in version 0.1 a token sees the last 4096 only; a configuration without the key means that too;
// layers can be named one by one (layer_types, Ministral), with a window or without.

package import ApusLanguageModel
import ApusNN

package enum Mistral {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(config, DecoderDefaults(length: 131_072))
        let window = config.has("sliding_window") ? try config.optionalSize("sliding_window") : 4096
        let kinds = try LayerKind.all(config, layers: fields.sizes.layers, differ: false) { _ in
            window == nil ? .full : .sliding
        }
        guard window != nil || !kinds.contains(.sliding) else {
            throw ModelError(
                "config.json: layer_types has sliding_attention, but there is no window: set sliding_window")
        }
        let trunk = fields.trunk { layer in
            PreNormLayer(
                width: fields.sizes.width, normEpsilon: fields.normEpsilon,
                attention: GroupedQueryAttention(
                    fields.sizes, layer: layer,
                    options: fields.attentionOptions(window: kinds[layer] == .sliding ? window : nil),
                    initializer: fields.initializer),
                feedForward: fields.swiGLU())
        }
        return try fields.model("Mistral", trunk, task)
    }
}
