// RoBERTa. Liu et al. 2019, https://arxiv.org/abs/1907.11692.
// Unusual: positions count from the padding id + 1; one segment; the classifier has a layer of its own, no pooler.

package import ApusLanguageModel
import ApusNN

package enum RoBERTa {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        try model(config, task, type: "roberta", family: "Roberta")
    }

    /// - Parameters:
    ///   - type: `model_type`.
    ///   - family: What the classes begin with in `transformers`.
    static func model(
        _ config: ModelConfig, _ task: ModelTask, type: String, family: String
    ) throws -> any TextModel {
        let fields = try EncoderConfig(config, missingPadding: 1) { ($0 ?? 1) + 1 }
        func trunk(pools: Bool) -> EncoderTrunk { EncoderTrunk(name: "roberta", fields.shape, pools: pools) }
        switch task {
        case .sequenceClassification(let labels):
            return SequenceClassifier(
                "\(family)ForSequenceClassification", trunk(pools: false),
                head: FirstTokenHead(
                    fields.shape, labelCount: labels, activation: .tanh, dropout: fields.headDropout),
                headName: "classifier")
        case .maskedLanguageModel:
            let trunk = trunk(pools: false)
            return MaskedLanguageModel(
                "\(family)ForMaskedLM", trunk,
                head: EncoderMaskedHead(
                    fields.shape, tiedTo: fields.tiesEmbeddings ? trunk.embedding : nil, activation: .gelu,
                    names: .init(dense: "dense", norm: "layer_norm")),
                headName: "lm_head")
        case .hiddenStates: return BareModel("\(family)Model", trunk(pools: true))
        case .causalLanguageModel, .sequenceToSequence:
            throw EncoderConfig.doesNotContinue(type)
        }
    }
}
