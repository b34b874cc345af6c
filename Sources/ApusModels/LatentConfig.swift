import ApusJSON
import ApusLanguageModel
import ApusNN
import ApusTorch

extension LatentShape {
    /// The sizes of latent attention, and the other fields with them.
    ///
    /// - Parameter queryRank: What a missing `q_lora_rank` means; null is none.
    static func read(
        _ config: ModelConfig, _ defaults: DecoderDefaults, queryRank: Int
    ) throws -> (fields: DecoderConfig, shape: LatentShape) {
        let turning = try config.optionalSize("qk_rope_head_dim") ?? 64
        // The sum of two others.
        _ = config["qk_head_dim"]
        var defaults = defaults
        defaults.headSize = turning
        var fields = try DecoderConfig(config, defaults)
        let sizes = fields.sizes
        guard sizes.headSize == turning else {
            throw ModelError("config.json: head_dim (\(sizes.headSize)) is not qk_rope_head_dim (\(turning))")
        }
        guard sizes.keyValueHeads == sizes.heads else {
            throw ModelError(
                "config.json: latent attention has as many heads of keys as of queries; num_key_value_heads is "
                    + "\(sizes.keyValueHeads), num_attention_heads \(sizes.heads)")
        }
        let shape = LatentShape(
            queryRank: config.has("q_lora_rank") ? try config.optionalSize("q_lora_rank") : queryRank,
            rank: try config.size("kv_lora_rank"), plainSize: try config.size("qk_nope_head_dim"), rotarySize: turning,
            valueSize: try config.optionalSize("v_head_dim") ?? sizes.width / sizes.heads)
        fields.sizes = TransformerSizes(
            vocabulary: sizes.vocabulary, width: sizes.width, hidden: sizes.hidden, layers: sizes.layers,
            heads: sizes.heads, keyValueHeads: sizes.heads, headSize: shape.headSize)
        return (fields, shape)
    }

    /// The scale of attention, which grows where positions are stretched.
    func options(_ config: ModelConfig, _ fields: DecoderConfig) throws -> AttentionOptions {
        var options = AttentionOptions(headSize: headSize, dropout: fields.attentionDropout)
        guard let scaling = try RotaryConfiguration.table(config) else { return options }
        let isStretched = try RotaryConfiguration.name(scaling) != "default"
        if isStretched, let all = try scaling.number("mscale_all_dim"), all != 0 {
            guard let factor = try scaling.number("factor") else {
                throw ModelError("config.json: mscale_all_dim needs the number \"factor\" beside it")
            }
            let magnitude = RotaryEmbedding.yarnMagnitude(factor, all)
            guard magnitude.isFinite, magnitude > 0 else {
                throw ModelError("config.json: mscale_all_dim \(all) with the factor \(factor) leaves no scale")
            }
            options.scale *= magnitude * magnitude
        }
        return options
    }
}
