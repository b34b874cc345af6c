// Qwen2 and Qwen2.5. Yang et al. 2024, https://arxiv.org/abs/2407.10671, https://arxiv.org/abs/2412.15115.
// Unusual: q, k and v have a bias, the output projection has none. Sizes up to 1.5B tie the head to the embedding.

package import ApusJSON
package import ApusLanguageModel
import ApusNN

package enum Qwen2 {
    package static func make(_ config: JSONValue, _ task: ModelTask) throws -> any TextModel {
        let common = try DecoderConfig(config)
        let window: SlidingWindowConfig = try ModelConfig.decode(config)
        var shape = try window.applied(to: common.shape)
        shape.hasAttentionInputBias = true
        return try common.model("Qwen2", shape: shape, config: config, task: task, defaultLength: 32_768)
    }
}
