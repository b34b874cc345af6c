// XLM-RoBERTa, and what shares its shape (BGE-M3, the multilingual E5 …). Conneau et al. 2019,
// https://arxiv.org/abs/1911.02116.
// Unusual: nothing beside RoBERTa; the vocabulary is that of a hundred languages.

package import ApusLanguageModel

package enum XLMRoBERTa {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        try RoBERTa.model(config, task, type: "xlm-roberta", family: "XLMRoberta")
    }
}
