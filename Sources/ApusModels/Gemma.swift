// Gemma 1 (2B and 7B). Gemma Team 2024, https://arxiv.org/abs/2403.08295.
// Unusual: norms multiply with 1 + w; the vectors of words are multiplied with √D; the gate's activation is a GELU; heads
// have 256 elements whatever the width.

import ApusJSON
package import ApusLanguageModel
import ApusNN

/// What the configurations of Gemma 1 to 3 have in common.
struct GemmaConfig {
    let fields: DecoderConfig
    let attentionBias: Bool
    let activation: Activation

    /// - Parameter length: What a missing `max_position_embeddings` means.
    init(_ config: ModelConfig, length: Int, ropeTheta: Double = 10_000, layerKind: String? = nil) throws {
        fields = try DecoderConfig(
            config,
            DecoderDefaults(
                length: length, headSize: 256, ropeTheta: ropeTheta, layerKind: layerKind, tiesEmbeddings: true,
                activation: nil, padding: 0))
        attentionBias = try config.flag("attention_bias") ?? false
        // The first files say `gelu` and mean the form with tanh; later ones have a key of their own for it.
        let first = try config.activation("hidden_act", default: Activation.geluTanh.rawValue)
        activation = try config.activation(
            "hidden_activation", default: (first == .gelu ? .geluTanh : first).rawValue)
    }

    func norm() -> Norm { WideRMSNorm(fields.sizes.width, epsilon: fields.normEpsilon, offset: 1) }

    func feedForward() -> Sublayer {
        GatedFeedForward(
            width: fields.sizes.width, hidden: fields.sizes.hidden, activation: activation,
            initializer: fields.initializer)
    }

    /// The trunk with words multiplied with √D.
    func trunk(
        rotary: [RotaryEmbedding]? = nil, sight: Decoder.Sight = .back, _ layer: (Int) -> TransformerLayer
    ) -> Decoder {
        fields.trunk(
            rotary: rotary, scale: .words(Double(fields.sizes.width).squareRoot()), norm: norm(), sight: sight, layer)
    }
}

package enum Gemma {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let own = try GemmaConfig(config, length: 8192)
        try config.require("use_bidirectional_attention", false, otherwise: "which is not there for Gemma 1")
        let fields = own.fields
        let trunk = own.trunk { layer in
            PreNormLayer(
                own.norm,
                attention: GroupedQueryAttention(
                    fields.sizes, layer: layer, inputBias: own.attentionBias, outputBias: own.attentionBias,
                    options: fields.attentionOptions(), initializer: fields.initializer),
                feedForward: own.feedForward())
        }
        return try fields.model("Gemma", trunk, task)
    }
}
