// Llama 1 to 3.2, and what shares its shape (SmolLM2, TinyLlama …). Touvron et al. 2023, https://arxiv.org/abs/2302.13971,
// https://arxiv.org/abs/2307.09288; Grattafiori et al. 2024, https://arxiv.org/abs/2407.21783.
// Unusual: nothing; biases exist but are off in every published model.

package import ApusJSON
package import ApusLanguageModel
import ApusNN

/// The fields of a Llama `config.json` beside the common ones.
struct LlamaConfig: Decodable {
    let attentionBias: Bool?
    let mlpBias: Bool?
}

package enum Llama {
    package static func make(_ config: JSONValue, _ task: ModelTask) throws -> any TextModel {
        let common = try DecoderConfig(config)
        let own: LlamaConfig = try ModelConfig.decode(config)
        var shape = common.shape
        shape.hasAttentionInputBias = own.attentionBias ?? false
        shape.hasAttentionOutputBias = own.attentionBias ?? false
        shape.hasFeedForwardBias = own.mlpBias ?? false
        return try common.model("Llama", shape: shape, config: config, task: task, defaultLength: 2048)
    }
}
