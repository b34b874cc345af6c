// Phi-3, Phi-3.5, Phi-4 and Phi-4-mini. Abdin et al. 2024, https://arxiv.org/abs/2404.14219, https://arxiv.org/abs/2412.08905.
// Unusual: one product for q, k and v, one for gate and up; the long versions turn by LongRoPE, Phi-4-mini only three
// quarters of each head.

import ApusJSON
package import ApusLanguageModel
import ApusNN

package enum Phi3 {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(
            config, DecoderDefaults(length: 4096, normEpsilon: 1e-5, rotatedShare: 1, padding: 32_000))
        guard try config.probability("resid_pdrop") ?? 0 == 0 else {
            throw ModelError("config.json: resid_pdrop is not there yet for this architecture; set it to 0")
        }
        // No computation of the family reads it.
        _ = config["embd_pdrop"]
        // What none of its layers has.
        for key in ["attention_bias", "lm_head_bias", "mlp_bias"] where config.json[key] == false { _ = config[key] }
        let window = try config.optionalSize("sliding_window")
        let sizes = fields.sizes
        let trunk = fields.trunk { layer in
            PreNormLayer(
                width: sizes.width, normEpsilon: fields.normEpsilon,
                attention: FusedGroupedQueryAttention(
                    sizes, layer: layer, options: fields.attentionOptions(window: window),
                    initializer: fields.initializer),
                feedForward: FusedSwiGLU(width: sizes.width, hidden: sizes.hidden, initializer: fields.initializer))
        }
        return try fields.model("Phi3", trunk, task)
    }
}
