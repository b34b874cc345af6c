// Llama 1 to 3.2, and what shares its shape (SmolLM2, TinyLlama …). Touvron et al. 2023, https://arxiv.org/abs/2302.13971,
// https://arxiv.org/abs/2307.09288; Grattafiori et al. 2024, https://arxiv.org/abs/2407.21783.
// Unusual: nothing; biases exist but are off in every published model.

package import ApusJSON
package import ApusLanguageModel
import ApusNN

/// The fields of a Llama `config.json`.
package struct LlamaConfig: DecoderConfig {
    let vocabSize: Int
    let hiddenSize: Int
    let intermediateSize: Int
    let numHiddenLayers: Int
    let numAttentionHeads: Int
    let numKeyValueHeads: Int?
    let headDim: Int?
    let rmsNormEps: Double?
    let hiddenAct: String?
    let maxPositionEmbeddings: Int?
    let tieWordEmbeddings: Bool?
    let attentionBias: Bool?
    let mlpBias: Bool?
    let attentionDropout: Double?
    let initializerRange: Double?

    package func validate() throws { try validateDecoder() }
}

package enum Llama {
    package static func make(_ config: JSONValue) throws -> CausalLanguageModel {
        let fields = try LlamaConfig(config)
        var shape = fields.shape
        shape.hasAttentionInputBias = fields.attentionBias ?? false
        shape.hasAttentionOutputBias = fields.attentionBias ?? false
        shape.hasFeedForwardBias = fields.mlpBias ?? false
        return try fields.model("LlamaForCausalLM", shape: shape, config: config, defaultLength: 2048)
    }
}
