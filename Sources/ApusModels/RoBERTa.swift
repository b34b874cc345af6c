// RoBERTa. Liu et al. 2019, https://arxiv.org/abs/1907.11692.
// Unusual: positions count from the padding id + 1; one segment; the classifier has a layer of its own, no pooler.

package import ApusLanguageModel
import ApusNN
import ApusTorch

// S sequences, L labels, D width.

/// `W tanh(V h + c) + b` of each sequence's first token.
final class RoBERTaScoreHead: ScoreHead {
    @Child("dense") var dense: Linear
    @Child("out_proj") var output: Linear

    private let dropout: Double

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ shape: EncoderShape, labelCount: Int, dropout: Double) {
        self.dropout = dropout
        super.init()
        dense = Linear(shape.sizes.width, shape.sizes.width, initializer: shape.initializer)
        output = Linear(shape.sizes.width, labelCount, initializer: shape.initializer)
    }

    override var labelCount: Int { output.outputs }

    override func callAsFunction(_ hidden: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let first = try hidden.indexed(0, Tensor(batch.firstRows, device: hidden.device))  // [S, D]
        let kept = try context.dropped(first, dropout, .head).to(.float32)
        let inner = try tanh(dense(kept, context))  // [S, D]
        return try output(context.dropped(inner, dropout, .head, layer: 1), context)  // [S, L]
    }
}

package enum RoBERTa {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try EncoderConfig(config) { ($0 ?? 1) + 1 }
        func trunk(pools: Bool) -> EncoderTrunk { EncoderTrunk(name: "roberta", fields.shape, pools: pools) }
        switch task {
        case .sequenceClassification(let labels):
            return SequenceClassifier(
                "RobertaForSequenceClassification", trunk(pools: false),
                head: RoBERTaScoreHead(fields.shape, labelCount: labels, dropout: fields.headDropout),
                headName: "classifier")
        case .maskedLanguageModel:
            let trunk = trunk(pools: false)
            return MaskedLanguageModel(
                "RobertaForMaskedLM", trunk,
                head: EncoderMaskedHead(
                    fields.shape, tiedTo: fields.tiesEmbeddings ? trunk.embedding : nil, activation: .gelu,
                    transform: "", norm: "layer_norm"),
                headName: "lm_head")
        case .hiddenStates: return BareModel("RobertaModel", trunk(pools: true))
        case .causalLanguageModel, .sequenceToSequence:
            throw ModelError(
                "models of type \"roberta\" do not continue text; give --task_type seq_cls, embedding, reranker or mlm")
        }
    }
}
