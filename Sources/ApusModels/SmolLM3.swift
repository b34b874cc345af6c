// SmolLM3-3B. Bakouch et al. 2025, https://huggingface.co/blog/smollm3.
// Unusual: every fourth layer leaves q and k unturned. Kazemnejad et al. 2023, https://arxiv.org/abs/2305.19466.

import ApusJSON
package import ApusLanguageModel
import ApusNN

package enum SmolLM3 {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(
            config, DecoderDefaults(length: 32_768, ropeTheta: 2e6, tiesEmbeddings: true, padding: 128_004))
        let layers = fields.sizes.layers
        let interval = try config.optionalSize("no_rope_layer_interval") ?? 4
        // 1 stands for a layer that turns, whatever the key's name says.
        let turns =
            config["no_rope_layers"]?.arrayValue?.map { $0.intValue == 1 || $0.boolValue == true }
            ?? (0..<layers).map { ($0 + 1) % interval != 0 }
        guard turns.count == layers else {
            throw ModelError("config.json: no_rope_layers names \(turns.count) layers, num_hidden_layers is \(layers)")
        }
        // Windows are for layers without positions, where they are used at all.
        let window = try config.flag("use_sliding_window") ?? false ? config.optionalSize("sliding_window") : nil
        if config["no_rope_layers"] == nil { config.unlistedKinds.append("no_rope_layers") }
        let kinds = try LayerKind.all(config, layers: layers, differ: window != nil) {
            turns[$0] || window == nil ? .full : .sliding
        }
        let attentionBias = try config.flag("attention_bias") ?? false
        let feedForwardBias = try config.flag("mlp_bias") ?? false
        _ = config["max_window_layers"]
        let trunk = fields.trunk { layer in
            PreNormLayer(
                width: fields.sizes.width, normEpsilon: fields.normEpsilon,
                attention: GroupedQueryAttention(
                    fields.sizes, layer: layer, inputBias: attentionBias, outputBias: attentionBias,
                    table: turns[layer] ? 0 : nil,
                    options: fields.attentionOptions(window: kinds[layer] == .sliding ? window : nil),
                    initializer: fields.initializer),
                feedForward: fields.swiGLU(bias: feedForwardBias))
        }
        return try fields.model("SmolLM3", trunk, task)
    }
}
