// GLM-4.7-Flash. Z.ai 2026, https://huggingface.co/zai-org/GLM-4.7-Flash.
// Unusual: DeepSeek-V3's layers; a list says which of them have experts.

import ApusJSON
package import ApusLanguageModel
import ApusNN

package enum GLM4MoELite {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let defaults = DeepSeek.Defaults(
            length: 202_752, experts: 64, chosen: 4, expertHidden: 1536, shared: 1, scale: 1.8, dividesBySum: true,
            firstSparseLayer: 1, groups: 1, chosenGroups: 1, method: "noaux_tc", methods: ["noaux_tc"],
            scoring: "sigmoid", normEpsilon: 1e-5, queryRank: 768, furtherLayers: 1)
        var experts = try DeepSeekExperts(config, defaults)
        experts.layersWithExperts = try layersWithExperts(config)
        return try DeepSeek.model(config, task, "Glm4MoeLite", defaults, experts) {
            DeepSeekV3Router(experts, width: $0.sizes.width, initializer: $0.initializer)
        }
    }

    /// By `mlp_layer_types`; without it all but the first, whatever `first_k_dense_replace` says.
    private static func layersWithExperts(_ config: ModelConfig) throws -> Set<Int> {
        let layers = try config.size("num_hidden_layers")
        guard let types = config["mlp_layer_types"] else { return Set(1..<max(layers, 1)) }
        let names = types.arrayValue?.compactMap(\.stringValue) ?? []
        guard names.count == layers else {
            throw ModelError("config.json: mlp_layer_types names \(names.count) layers, num_hidden_layers is \(layers)")
        }
        if let other = names.first(where: { $0 != "dense" && $0 != "sparse" }) {
            throw ModelError("config.json: mlp_layer_types \"\(other)\" is not there; there are dense, sparse")
        }
        return Set(names.indices.filter { names[$0] == "sparse" })
    }
}
