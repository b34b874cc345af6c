// InternLM2 and InternLM2.5. Cai et al. 2024, https://arxiv.org/abs/2403.17297.
// Unusual: q, k and v are one product whose rows are ordered by heads of keys; all parts have other names than Llama's.

package import ApusLanguageModel
import ApusNN

package enum InternLM2 {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(config, DecoderDefaults(length: 2048))
        let bias = try config.flag("bias") ?? true
        // How the peers' code computes the same.
        _ = config["attn_implementation"]
        var names = PreNormLayer.Names()
        (names.attentionNorm, names.attention) = ("attention_norm", "attention")
        (names.feedForwardNorm, names.feedForward) = ("ffn_norm", "feed_forward")
        var trunkNames = Decoder.Names()
        trunkNames.embedding = "tok_embeddings"
        let sizes = fields.sizes
        let trunk = fields.trunk(names: trunkNames) { layer in
            PreNormLayer(
                { RMSNorm(sizes.width, epsilon: fields.normEpsilon) },
                attention: FusedGroupedQueryAttention(
                    sizes, layer: layer, order: .groups, inputBias: bias, outputBias: bias, names: ("wqkv", "wo"),
                    options: fields.attentionOptions(), initializer: fields.initializer),
                feedForward: SwiGLU(
                    width: sizes.width, hidden: sizes.hidden, initializer: fields.initializer, names: .numbered),
                names: names)
        }
        var heads = fields.heads("InternLM2")
        heads.name = "output"
        return try heads.model(trunk, task)
    }
}
