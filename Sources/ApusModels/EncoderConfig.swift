import ApusJSON
import ApusLanguageModel
import ApusNN

/// What the configurations of the BERT family have in common, by the names of `config.json`.
struct EncoderConfig: Decodable {
    let vocabSize: Int
    let hiddenSize: Int
    let numHiddenLayers: Int
    let numAttentionHeads: Int
    let intermediateSize: Int
    let hiddenAct: String?
    let hiddenDropoutProb: Double?
    let attentionProbsDropoutProb: Double?
    let classifierDropout: Double?
    let maxPositionEmbeddings: Int?
    let typeVocabSize: Int?
    let initializerRange: Double?
    let layerNormEps: Double?
    let positionEmbeddingType: String?
    let isDecoder: Bool?
    let padTokenId: Int?
    let tieWordEmbeddings: Bool?

    /// Decodes and checks a `config.json`.
    init(_ config: JSONValue) throws {
        self = try ModelConfig.decode(config)
        try ModelConfig.checkSizes([
            ("vocab_size", vocabSize), ("hidden_size", hiddenSize), ("intermediate_size", intermediateSize),
            ("num_hidden_layers", numHiddenLayers), ("num_attention_heads", numAttentionHeads),
            ("max_position_embeddings", maxPositionEmbeddings ?? 512), ("type_vocab_size", typeVocabSize ?? 2),
        ])
        guard hiddenSize % numAttentionHeads == 0 else {
            throw ModelError(
                "config.json: hidden_size (\(hiddenSize)) is not a multiple of num_attention_heads (\(numAttentionHeads))"
            )
        }
        guard positionEmbeddingType ?? "absolute" == "absolute" else {
            throw ModelError(
                "config.json: position_embedding_type \"\(positionEmbeddingType ?? "")\" is not there yet; there is absolute"
            )
        }
        guard isDecoder != true else {
            throw ModelError("config.json: is_decoder is true; a BERT that continues text is not there yet")
        }
        guard tieWordEmbeddings != false else {
            throw ModelError("config.json: tie_word_embeddings is false, which is not there yet for encoders")
        }
        let probabilities = [
            ("hidden_dropout_prob", hiddenDropoutProb), ("attention_probs_dropout_prob", attentionProbsDropoutProb),
            ("classifier_dropout", classifierDropout),
        ]
        for case (let name, let value?) in probabilities where !(0..<1).contains(value) {
            throw ModelError("config.json: \"\(name)\" is \(value); it must be in [0, 1)")
        }
        if let hiddenAct, Activation(rawValue: hiddenAct) == nil {
            let known = Activation.allCases.map(\.rawValue).joined(separator: ", ")
            throw ModelError("config.json: hidden_act \"\(hiddenAct)\" is not there yet; there are \(known)")
        }
    }

    func shape(defaultSegments: Int = 2) -> EncoderShape {
        let sizes = TransformerSizes(
            vocabulary: vocabSize, width: hiddenSize, hidden: intermediateSize, layers: numHiddenLayers,
            heads: numAttentionHeads, keyValueHeads: numAttentionHeads, headSize: hiddenSize / numAttentionHeads)
        var shape = EncoderShape(
            sizes: sizes, positions: maxPositionEmbeddings ?? 512, segments: typeVocabSize ?? defaultSegments,
            normEpsilon: layerNormEps ?? 1e-12)
        shape.activation = hiddenAct.flatMap(Activation.init) ?? .gelu
        shape.hiddenDropout = hiddenDropoutProb ?? 0.1
        shape.attentionDropout = attentionProbsDropoutProb ?? 0.1
        shape.initializer = .normal(deviation: initializerRange ?? 0.02)
        return shape
    }

    /// Before the classifier.
    var headDropout: Double { classifierDropout ?? hiddenDropoutProb ?? 0.1 }
}
