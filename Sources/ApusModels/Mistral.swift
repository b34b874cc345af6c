// Mistral 7B and its successors of the same shape. Jiang et al. 2023, https://arxiv.org/abs/2310.06825.
// Unusual: in version 0.1 a token sees the last 4096 only; a configuration without the key means that too.

package import ApusJSON
package import ApusLanguageModel
import ApusNN

package enum Mistral {
    package static func make(_ config: JSONValue, _ task: ModelTask) throws -> any TextModel {
        let common = try DecoderConfig(config)
        var shape = common.shape
        if let key = config["sliding_window"], !key.isNull {
            guard let window = key.intValue else {
                throw ModelError("config.json: \"sliding_window\" is \(key.serialized()); it must be a number or null")
            }
            try ModelConfig.checkSizes([("sliding_window", window)])
            shape.window = window
        } else if config["sliding_window"] == nil {
            shape.window = 4096
        }
        return try common.model("Mistral", shape: shape, config: config, task: task, defaultLength: 131_072)
    }
}
