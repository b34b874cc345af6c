// Qwen2 and Qwen2.5. Yang et al. 2024, https://arxiv.org/abs/2407.10671, https://arxiv.org/abs/2412.15115.
// Unusual: q, k and v have a bias, the output projection has none. Sizes up to 1.5B tie the head to the embedding.

package import ApusJSON
package import ApusLanguageModel
import ApusNN

/// The fields of a Qwen2 `config.json`.
package struct Qwen2Config: DecoderConfig {
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
    let useSlidingWindow: Bool?
    let attentionDropout: Double?
    let initializerRange: Double?

    package func validate() throws {
        try validateDecoder()
        if useSlidingWindow == true {
            throw ModelError("config.json: use_sliding_window is true; Qwen2 with sliding windows is not there yet")
        }
    }
}

package enum Qwen2 {
    package static func make(_ config: JSONValue) throws -> CausalLanguageModel {
        let fields = try Qwen2Config(config)
        var shape = fields.shape
        shape.hasAttentionInputBias = true
        return try fields.model("Qwen2ForCausalLM", shape: shape, config: config, defaultLength: 32_768)
    }
}
