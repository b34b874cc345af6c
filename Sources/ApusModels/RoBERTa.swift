// RoBERTa. Liu et al. 2019, https://arxiv.org/abs/1907.11692.
// Unusual: positions count from the padding id + 1; one segment; the classifier has a layer of its own, no pooler.

package import ApusJSON
package import ApusLanguageModel
import ApusNN
import ApusTorch

// S sequences, L labels, D width, V vocabulary.

/// `W tanh(V h + c) + b` of each sequence's first token.
final class RoBERTaClassificationHead: Module {
    @Child("dense") var dense: Linear
    @Child("out_proj") var output: Linear

    init(_ shape: EncoderShape, labelCount: Int) {
        super.init()
        dense = Linear(shape.sizes.width, shape.sizes.width, initializer: shape.initializer)
        output = Linear(shape.sizes.width, labelCount, initializer: shape.initializer)
    }
}

final class RoBERTaSequenceClassifier: EncoderModel, SequenceClassifier {
    @Child("classifier") var classifier: RoBERTaClassificationHead

    let labelCount: Int
    private let dropout: Double

    init(shape: EncoderShape, labelCount: Int, dropout: Double) {
        self.labelCount = labelCount
        self.dropout = dropout
        super.init(
            architecture: "RobertaForSequenceClassification", shape: shape, trunkName: "roberta", hasHead: true,
            pools: false)
        classifier = RoBERTaClassificationHead(shape, labelCount: labelCount)
    }

    package override var headNames: [String] { ["classifier"] }
    package override var modulesToSave: [String] { ["classifier"] }

    func scores(_ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        func wide(_ layer: Linear, _ x: Tensor) throws -> Tensor {
            try linear(x, layer.weight.to(.float32), layer.bias?.to(.float32))
        }
        let first = try context.dropped(firstStates(batch, context), dropout, .head)  // [S, D]
        let inner = try tanh(wide(classifier.dense, first.to(.float32)))  // [S, D]
        return try wide(classifier.output, context.dropped(inner, dropout, .head, layer: 1))  // [S, L]
    }
}

final class RoBERTaMaskedLanguageModel: EncoderModel, MaskedLanguageModel {
    @Child("lm_head.dense") var dense: Linear
    @Child("lm_head.layer_norm") var norm: LayerNorm
    @Parameter("lm_head.bias") var headBias: Tensor  // [V]

    init(shape: EncoderShape) {
        super.init(
            architecture: "RobertaForMaskedLM", shape: shape, trunkName: "roberta", hasHead: true, pools: false)
        dense = Linear(shape.sizes.width, shape.sizes.width, initializer: shape.initializer)
        norm = LayerNorm(shape.sizes.width, epsilon: shape.normEpsilon)
        $headBias.declare([shape.sizes.vocabulary])
    }

    package override var headNames: [String] { ["lm_head"] }
    var headWeight: Tensor { embedding.weight }

    func transformed(_ hidden: Tensor, _ context: ForwardContext) throws -> Tensor {
        try norm(gelu(dense(hidden, context)))  // [N, D]
    }
}

package enum RoBERTa {
    package static func make(_ config: JSONValue, _ task: ModelTask) throws -> any TextModel {
        let fields = try EncoderConfig(config)
        var shape = fields.shape()
        shape.firstPosition = (fields.padTokenId ?? 1) + 1
        guard shape.firstPosition < shape.positions else {
            throw ModelError(
                "config.json: pad_token_id (\(fields.padTokenId ?? 1)) leaves none of the \(shape.positions) positions")
        }
        switch task {
        case .sequenceClassification(let labels):
            return RoBERTaSequenceClassifier(shape: shape, labelCount: labels, dropout: fields.headDropout)
        case .maskedLanguageModel:
            return RoBERTaMaskedLanguageModel(shape: shape)
        case .hiddenStates:
            return EncoderModel(
                architecture: "RobertaModel", shape: shape, trunkName: "roberta", hasHead: false, pools: true)
        case .causalLanguageModel:
            throw ModelError(
                "models of type \"roberta\" do not continue text; give --task_type seq_cls, embedding, reranker or mlm")
        }
    }
}
