// CamemBERT, a RoBERTa of French. Martin et al. 2019, https://arxiv.org/abs/1911.03894.
// Unusual: nothing beside RoBERTa.

package import ApusLanguageModel

package enum CamemBERT {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        try RoBERTa.model(config, task, type: "camembert", family: "Camembert")
    }
}
