// BERT, and what shares its shape (MiniLM, the Chinese BERTs, sentence encoders …). Devlin et al. 2018,
// https://arxiv.org/abs/1810.04805.
// Unusual: norms come after the residuals; two segments; scores come from the pooled first token.

package import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// S sequences, L labels, D width, V vocabulary.

/// Dropout and a linear layer on the pooled first token.
final class BERTSequenceClassifier: EncoderModel, SequenceClassifier {
    @Child("classifier") var classifier: Linear

    let labelCount: Int
    private let dropout: Double

    init(shape: EncoderShape, labelCount: Int, dropout: Double) {
        self.labelCount = labelCount
        self.dropout = dropout
        super.init(
            architecture: "BertForSequenceClassification", shape: shape, trunkName: "bert", hasHead: true, pools: true)
        classifier = Linear(shape.sizes.width, labelCount, initializer: shape.initializer)
    }

    package override var headNames: [String] { ["classifier"] }
    package override var modulesToSave: [String] { ["classifier"] }

    func scores(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let first = try firstStates(batch, context)  // [S, D]
        let pooled = try encoder.pooler?(first, context) ?? first  // [S, D]
        let kept = try context.dropped(pooled, dropout, .head)
        return try linear(kept.to(.float32), classifier.weight.to(.float32), classifier.bias?.to(.float32))  // [S, L]
    }
}

/// A transform and the word vectors as the head: which token a mask stands for.
final class BERTMaskedLanguageModel: EncoderModel, MaskedLanguageModel {
    @Child("cls.predictions.transform.dense") var dense: Linear
    @Child("cls.predictions.transform.LayerNorm") var norm: LayerNorm
    @Parameter("cls.predictions.bias") var headBias: Tensor  // [V]

    init(shape: EncoderShape) {
        super.init(
            architecture: "BertForMaskedLM", shape: shape, trunkName: "bert", hasHead: true, pools: false)
        dense = Linear(shape.sizes.width, shape.sizes.width, initializer: shape.initializer)
        norm = LayerNorm(shape.sizes.width, epsilon: shape.normEpsilon)
        $headBias.declare([shape.sizes.vocabulary])
    }

    package override var headNames: [String] { ["cls"] }
    var headWeight: Tensor { embedding.weight }

    func transformed(_ hidden: Tensor, _ context: ForwardContext) throws -> Tensor {
        try norm(shape.activation(dense(hidden, context)))  // [N, D]
    }
}

package enum BERT {
    package static func make(_ config: JSONValue, _ task: ModelTask) throws -> any TextModel {
        let fields = try EncoderConfig(config)
        let shape = fields.shape()
        switch task {
        case .sequenceClassification(let labels):
            return BERTSequenceClassifier(shape: shape, labelCount: labels, dropout: fields.headDropout)
        case .maskedLanguageModel:
            return BERTMaskedLanguageModel(shape: shape)
        case .hiddenStates:
            return EncoderModel(
                architecture: "BertModel", shape: shape, trunkName: "bert", hasHead: false, pools: true)
        case .causalLanguageModel:
            throw ModelError(
                "models of type \"bert\" do not continue text; give --task_type seq_cls, embedding, reranker or mlm")
        }
    }
}
