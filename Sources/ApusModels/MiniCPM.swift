// MiniCPM 1 and 2, and MiniCPM4 without sparse attention. Hu et al. 2024, https://arxiv.org/abs/2404.06395.
// Unusual: Llama with three numbers: words, what parts of layers give, and what the head sees are multiplied.

import ApusJSON
package import ApusLanguageModel
import ApusNN

/// What words, the parts of layers and the input of the head are multiplied with.
struct MiniCPMNumbers {
    let words: Double
    let branch: Double
    let head: Double

    /// - Parameter defaults: What missing `scale_emb`, `scale_depth` and `dim_model_base` mean.
    init(
        _ config: ModelConfig, _ sizes: TransformerSizes, defaults: (words: Double, depth: Double, base: Double)
    ) throws {
        func number(_ key: String, default value: Double) throws -> Double {
            let found = try config.number(key) ?? value
            guard found > 0 else { throw ModelError("config.json: \(key) is \(found); it must be positive") }
            return found
        }
        words = try number("scale_emb", default: defaults.words)
        branch = try number("scale_depth", default: defaults.depth) / Double(sizes.layers).squareRoot()
        head = try number("dim_model_base", default: defaults.base) / Double(sizes.width)
    }
}

package enum MiniCPM {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try DecoderConfig(config, DecoderDefaults(length: 2048, tiesEmbeddings: true))
        for key in ["num_experts", "sparse_config"] where config[key] != nil && config[key] != 0 {
            throw ModelError("config.json: \"\(key)\" is not there yet for models of type minicpm")
        }
        let sizes = fields.sizes
        let bias = try config.flag("attention_bias") ?? false
        let numbers = try MiniCPMNumbers(config, sizes, defaults: (1, 1, 1))
        let trunk = fields.trunk(scale: .words(numbers.words)) { layer in
            PreNormLayer(
                { RMSNorm(sizes.width, epsilon: fields.normEpsilon) },
                attention: GroupedQueryAttention(
                    sizes, layer: layer, inputBias: bias, outputBias: bias, options: fields.attentionOptions(),
                    initializer: fields.initializer),
                feedForward: fields.swiGLU(), branchScale: numbers.branch)
        }
        var heads = fields.heads("MiniCPM")
        heads.inputScale = numbers.head
        return try heads.model(trunk, task)
    }
}
