// MiniCPM 1 and 2, and MiniCPM4 without sparse attention. Hu et al. 2024, https://arxiv.org/abs/2404.06395.
// Unusual: Llama with three numbers: words, what parts of layers give, and what the head sees are multiplied.

import ApusJSON
package import ApusLanguageModel
import ApusNN

package enum MiniCPM {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(config, DecoderDefaults(length: 2048, tiesEmbeddings: true))
        func number(_ key: String, default value: Double) throws -> Double {
            let found = try config.number(key) ?? value
            guard found > 0 else { throw ModelError("config.json: \(key) is \(found); it must be positive") }
            return found
        }
        for key in ["num_experts", "sparse_config"] where config[key] != nil && config[key] != 0 {
            throw ModelError("config.json: \"\(key)\" is not there yet for models of type minicpm")
        }
        let sizes = fields.sizes
        let bias = try config.flag("attention_bias") ?? false
        let branch = try number("scale_depth", default: 1) / Double(sizes.layers).squareRoot()
        let trunk = fields.trunk(scale: .words(try number("scale_emb", default: 1))) { layer in
            PreNormLayer(
                { RMSNorm(sizes.width, epsilon: fields.normEpsilon) },
                attention: GroupedQueryAttention(
                    sizes, layer: layer, inputBias: bias, outputBias: bias, options: fields.attentionOptions(),
                    initializer: fields.initializer),
                feedForward: fields.swiGLU(), branchScale: branch)
        }
        var heads = fields.heads("MiniCPM")
        heads.inputScale = try number("dim_model_base", default: 1) / Double(sizes.width)
        return try heads.model(trunk, task)
    }
}
