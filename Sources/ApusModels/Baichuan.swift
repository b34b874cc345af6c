// Baichuan 1 and 2, 7B and 13B. Yang et al. 2023, https://arxiv.org/abs/2309.10305.
// Unusual: q, k and v are one product; the second generation divides each row of its head by the row's length; the 13B have
// ALiBi in place of rotary positions.

import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// N rows, D width, V vocabulary.

/// The scores of words by directions alone: `x · (W / ‖W‖ by rows)ᵀ`.
final class NormalizedHead: VocabularyHead {
    override var table: Tensor {
        get throws {
            let wide = try weight.to(weight.dtype.isShortFloat ? .float32 : weight.dtype)
            // A row shorter than this is divided by it.
            let least = 1e-12
            let square = try (wide * wide).sum(1, keepAxis: true)  // [V, 1]
            let length = try sqrt(square.masked(by: square.isLess(than: least * least), with: least * least))
            return try (wide / length).to(weight.dtype)
        }
    }

    override func logits(_ rows: Tensor, _ context: ForwardContext) throws -> Tensor { try linear(rows, table) }
}

package enum Baichuan {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        // No key says so, but the models with ALiBi have no table of positions to be bounded.
        let isRotary = config.has("max_position_embeddings")
        let fields = try DecoderConfig(
            config, DecoderDefaults(length: try config.optionalSize("model_max_length") ?? 4096))
        guard try config.number("z_loss_weight") ?? 0 == 0 else {
            throw ModelError("config.json: z_loss_weight, a loss on large scores, is not there yet; set it to 0")
        }
        try config.require("gradient_checkpointing", false, otherwise: "which the command line says")
        let sizes = fields.sizes
        guard sizes.keyValueHeads == sizes.heads else {
            throw ModelError("config.json: Baichuan has as many heads of keys as of queries")
        }
        var options = fields.attentionOptions()
        if !isRotary { options.slopes = ALiBi.slopes(heads: sizes.heads) }
        let trunk = fields.trunk(rotary: isRotary ? nil : []) { layer in
            PreNormLayer(
                width: sizes.width, normEpsilon: fields.normEpsilon,
                attention: FusedGroupedQueryAttention(
                    sizes, layer: layer, names: ("W_pack", "o_proj"), table: isRotary ? 0 : nil, options: options,
                    initializer: fields.initializer),
                feedForward: fields.swiGLU())
        }
        // The first generation is known by its vocabulary.
        guard task == .causalLanguageModel, sizes.vocabulary != 64_000 else {
            return try fields.model("Baichuan", trunk, task)
        }
        let head = NormalizedHead(
            width: sizes.width, vocabulary: sizes.vocabulary, initializer: fields.initializer)
        return CausalLanguageModel("BaichuanForCausalLM", trunk, head: head)
    }
}
