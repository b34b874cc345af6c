// ELECTRA, the discriminator and the generator. Clark et al. 2020, https://arxiv.org/abs/2003.10555.
// Unusual: vectors of words may be narrower than the layers; scores come from a GELU layer on the first token, no pooler.

package import ApusLanguageModel
import ApusNN
import ApusTorch

// T tokens, D width, e width of the vectors of words.

/// BERT's embeddings, a layer between two widths where they differ, and BERT's layers.
final class ELECTRATrunk: Trunk {
    @Child("embeddings") var embeddings: EncoderEmbeddings
    @Child("embeddings_project") var projection: Linear?
    @Child("encoder.layer") var layers: [TransformerLayer]

    private let shape: EncoderShape

    // Written out because the one that the compiler makes is taken for an endless recursion.
    @available(*, unavailable) override init() { preconditionFailure("described by its configuration") }

    init(_ shape: EncoderShape, wordWidth: Int) {
        self.shape = shape
        super.init()
        embeddings = EncoderEmbeddings(shape, width: wordWidth)
        projection =
            wordWidth == shape.sizes.width
            ? nil : Linear(wordWidth, shape.sizes.width, initializer: shape.initializer)
        layers = (0..<shape.sizes.layers).map { EncoderLayer(shape, layer: $0) }
    }

    override var facts: TrunkFacts {
        TrunkFacts(name: "electra", sizes: shape.sizes, maximumLength: shape.positions)
    }
    override var embedding: Embedding { embeddings.words }
    override var outputWidth: Int { shape.sizes.width }
    override var isCausal: Bool { false }
    override var ignoredNames: [String] { ["embeddings.position_ids"] }

    override func callAsFunction(_ words: Tensor, _ batch: TokenBatch, _ context: ForwardContext) throws -> Tensor {
        let x = try embeddings(words, batch, within: maximumLength, context)  // [T, e]
        return try run(layers, projection?(x, context) ?? x, context)  // [T, D]
    }
}

package enum ELECTRA {
    package static func make(_ config: ModelConfig, _ task: ModelTask) throws -> any TextModel {
        let fields = try EncoderConfig(config)
        let wordWidth = try config.optionalSize("embedding_size") ?? 128
        // The head of models that choose among answers.
        for key in ["summary_type", "summary_use_proj", "summary_activation", "summary_last_dropout"] {
            _ = config[key]
        }
        let trunk = ELECTRATrunk(fields.shape, wordWidth: wordWidth)
        switch task {
        case .sequenceClassification(let labels):
            return SequenceClassifier(
                "ElectraForSequenceClassification", trunk,
                head: FirstTokenHead(
                    fields.shape, labelCount: labels, activation: .gelu, dropout: fields.headDropout),
                headName: "classifier")
        case .maskedLanguageModel:
            return MaskedLanguageModel(
                "ElectraForMaskedLM", trunk,
                head: EncoderMaskedHead(
                    fields.shape, width: wordWidth, tiedTo: fields.tiesEmbeddings ? trunk.embedding : nil,
                    activation: .gelu,
                    names: .init(
                        dense: "generator_predictions.dense", norm: "generator_predictions.LayerNorm",
                        decoder: "generator_lm_head", bias: "generator_lm_head.bias")),
                headNames: ["generator_predictions", "generator_lm_head"])
        case .hiddenStates: return BareModel("ElectraModel", trunk)
        case .causalLanguageModel, .sequenceToSequence: throw EncoderConfig.doesNotContinue("electra")
        }
    }
}
