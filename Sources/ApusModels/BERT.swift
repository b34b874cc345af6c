// BERT, and what shares its shape (MiniLM, the Chinese BERTs, sentence encoders …). Devlin et al. 2018,
// https://arxiv.org/abs/1810.04805.
// Unusual: norms come after the residuals; two segments; scores come from the pooled first token.

package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, S sequences, L labels, D width.

/// Dropout and a linear layer on the pooled first token.
final class BERTScoreHead: ScoreHead {
    @Child("") var classifier: Linear

    let trunk: Pooled
    let probability: Double

    /// The pooler belongs to the trunk.
    struct Pooled {
        let pooler: EncoderPooler?
    }

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ trunk: EncoderTrunk, labelCount: Int, dropout: Double) {
        self.trunk = Pooled(pooler: trunk.pooler)
        probability = dropout
        super.init()
        classifier = Linear(trunk.sizes.width, labelCount, initializer: trunk.shape.initializer)
    }

    override var labelCount: Int { classifier.outputs }

    override func callAsFunction(_ hidden: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let first = try hidden.indexed(0, Tensor(batch.firstRows, device: hidden.device))  // [S, D]
        let pooled = try trunk.pooler?(first, context) ?? first  // [S, D]
        return try classifier(context.dropped(pooled, probability, .head).widened(), context)  // [S, L]
    }
}

package enum BERT {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try EncoderConfig(config)
        func trunk(pools: Bool) -> EncoderTrunk { EncoderTrunk(name: "bert", fields.shape, pools: pools) }
        switch task {
        case .sequenceClassification(let labels):
            let trunk = trunk(pools: true)
            return SequenceClassifier(
                "BertForSequenceClassification", trunk,
                head: BERTScoreHead(trunk, labelCount: labels, dropout: fields.headDropout), headName: "classifier")
        case .maskedLanguageModel:
            let trunk = trunk(pools: false)
            return MaskedLanguageModel(
                "BertForMaskedLM", trunk,
                head: EncoderMaskedHead(
                    fields.shape, tiedTo: fields.tiesEmbeddings ? trunk.embedding : nil,
                    activation: fields.shape.activation,
                    names: .init(dense: "transform.dense", norm: "transform.LayerNorm")),
                headName: "cls.predictions")
        case .hiddenStates: return BareModel("BertModel", trunk(pools: true))
        case .causalLanguageModel, .sequenceToSequence: throw EncoderConfig.doesNotContinue("bert")
        }
    }
}
