// GLM-4-9B and GLM-Edge as `transformers` writes them, and GLM-4-0414. GLM Team 2024, https://arxiv.org/abs/2406.12793.
// Unusual: half of each head turns, in neighbouring pairs; q, k and v have a bias; gate and up are one product. GLM-4-0414
// norms what both parts of a layer give once more.

package import ApusLanguageModel
import ApusNN

/// The parts that both generations have.
struct GLMConfig {
    let fields: DecoderConfig
    private let bias: Bool

    init(_ config: ModelConfig) throws {
        fields = try DecoderConfig(
            config,
            DecoderDefaults(
                length: 131_072, headSize: 128, normEpsilon: 1.5625e-7, rotatedShare: 0.5, pairing: .interleaved,
                padding: 151_329))
        bias = try config.flag("attention_bias") ?? true
    }

    func norm() -> Norm { RMSNorm(fields.sizes.width, epsilon: fields.normEpsilon) }

    func attention(layer: Int) -> Sublayer {
        GroupedQueryAttention(
            fields.sizes, layer: layer, inputBias: bias, options: fields.attentionOptions(),
            initializer: fields.initializer)
    }

    func feedForward() -> Sublayer {
        FusedSwiGLU(width: fields.sizes.width, hidden: fields.sizes.hidden, initializer: fields.initializer)
    }
}

package enum GLM {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let own = try GLMConfig(config)
        let trunk = own.fields.trunk { layer in
            PreNormLayer(own.norm, attention: own.attention(layer: layer), feedForward: own.feedForward())
        }
        return try own.fields.model("Glm", trunk, task)
    }
}

package enum GLM4 {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let own = try GLMConfig(config)
        let names = SandwichLayer.Names(
            attentionInput: "input_layernorm", attentionOutput: "post_self_attn_layernorm",
            feedForwardInput: "post_attention_layernorm", feedForwardOutput: "post_mlp_layernorm")
        let trunk = own.fields.trunk { layer in
            SandwichLayer(
                own.norm, attention: own.attention(layer: layer), feedForward: own.feedForward(), names: names)
        }
        return try own.fields.model("Glm4", trunk, task)
    }
}
