// Qwen3, the dense sizes. Yang et al. 2025, https://arxiv.org/abs/2505.09388.
// Unusual: each head of q and k is normed before it is rotated; heads have 128 elements whatever the width.

package import ApusJSON
package import ApusLanguageModel
import ApusNN

/// The fields of a Qwen3 `config.json` beside the common ones.
struct Qwen3Config: Decodable {
    let attentionBias: Bool?
    let headDim: Int?
}

package enum Qwen3 {
    package static func make(_ config: JSONValue, _ task: ModelTask) throws -> any TextModel {
        let common = try DecoderConfig(config)
        let own: Qwen3Config = try ModelConfig.decode(config)
        let window: SlidingWindowConfig = try ModelConfig.decode(config)
        var shape = try window.applied(to: common.shape)
        shape.normsHeads = true
        shape.headSize = own.headDim ?? 128
        shape.hasAttentionInputBias = own.attentionBias ?? false
        shape.hasAttentionOutputBias = own.attentionBias ?? false
        return try common.model("Qwen3", shape: shape, config: config, task: task, defaultLength: 32_768)
    }
}
