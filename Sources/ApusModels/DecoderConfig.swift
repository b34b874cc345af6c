import ApusJSON
import ApusLanguageModel
import ApusNN
import ApusTorch

/// What keys mean for a family that its `config.json` lacks, and what its layers can do.
struct DecoderDefaults {
    /// `max_position_embeddings`.
    var length: Int
    /// `head_dim`; nil is the width over the heads.
    var headSize: Int?
    /// `intermediate_size`; nil is an error.
    var hidden: Int?
    var normEpsilon = 1e-6
    var ropeTheta = 10_000.0
    /// `partial_rotary_factor`; nil where heads are always rotated whole.
    var rotatedShare: Double?
    var pairing = RotaryEmbedding.Pairing.halves
    /// The kind of layers whose table the first one is; nil where all share one.
    var layerKind: String?
    var tiesEmbeddings = false
    /// The one activation that layers of the family have; nil where the family reads it itself.
    var activation: JSONValue? = "silu"
    /// `pad_token_id`.
    var padding: Int32?
}

/// What the configurations of the Llama family have in common, by the names of `config.json`.
struct DecoderConfig {
    var sizes: TransformerSizes
    let normEpsilon: Double
    let attentionDropout: Double
    let initializer: Initializer
    let tiesEmbeddings: Bool
    let padding: Int32?
    let rotary: RotaryEmbedding
    let maximumLength: Int

    init(_ config: ModelConfig, _ defaults: DecoderDefaults) throws {
        let heads = try config.size("num_attention_heads")
        let keyValueHeads = try config.optionalSize("num_key_value_heads") ?? heads
        let width = try config.size("hidden_size")
        guard heads % keyValueHeads == 0 else {
            throw ModelError(
                "config.json: num_attention_heads (\(heads)) is not a multiple of num_key_value_heads (\(keyValueHeads))"
            )
        }
        let size = try config.optionalSize("head_dim") ?? defaults.headSize ?? width / heads
        guard size > 0 else {
            throw ModelError("config.json: hidden_size (\(width)) leaves nothing for each of \(heads) heads")
        }
        sizes = TransformerSizes(
            vocabulary: try config.size("vocab_size"), width: width,
            hidden: try defaults.hidden.map { try config.optionalSize("intermediate_size") ?? $0 }
                ?? config.size("intermediate_size"),
            layers: try config.size("num_hidden_layers"), heads: heads, keyValueHeads: keyValueHeads, headSize: size)
        normEpsilon = try config.number("rms_norm_eps") ?? defaults.normEpsilon
        attentionDropout = try config.probability("attention_dropout") ?? 0
        initializer = .normal(deviation: try config.number("initializer_range") ?? 0.02)
        tiesEmbeddings = try config.flag("tie_word_embeddings") ?? defaults.tiesEmbeddings
        padding = try config.padding(orElse: defaults.padding)
        if let activation = defaults.activation {
            try config.require(
                "hidden_act", activation, otherwise: "which is not there yet; there is \(activation.serialized())")
        }
        (rotary, maximumLength) = try RotaryConfiguration.embedding(
            config: config, headSize: size,
            maximumLength: config.optionalSize("max_position_embeddings") ?? defaults.length,
            defaultBase: defaults.ropeTheta, defaultShare: defaults.rotatedShare, pairing: defaults.pairing,
            layerKind: defaults.layerKind)
    }

    func attentionOptions(window: Int? = nil, scale: Double? = nil) -> AttentionOptions {
        AttentionOptions(headSize: sizes.headSize, scale: scale, window: window, dropout: attentionDropout)
    }

    /// The trunk of these layers, by Llama's names.
    ///
    /// - Parameters:
    ///   - rotary: The tables that layers turn by; nil stands for the one of the configuration.
    ///   - norm: Behind the last layer; nil stands for an `RMSNorm`.
    ///   - ignored: Beginnings of names of what files hold beside the trunk's own.
    ///   - outer: Names that files may write between the trunk's and those of its parts.
    func trunk(
        rotary tables: [RotaryEmbedding]? = nil, scale: Decoder.Scale? = nil, norm: Norm? = nil,
        names: Decoder.Names = Decoder.Names(), sight: Decoder.Sight = .back, ignoring ignored: [String] = [],
        insideOf outer: [String] = [], _ layer: (Int) throws -> TransformerLayer
    ) rethrows -> Decoder {
        Decoder(
            TrunkFacts(name: "model", sizes: sizes, maximumLength: maximumLength), names: names,
            rotary: tables ?? [rotary],
            embedding: Embedding(sizes.vocabulary, sizes.width, initializer: initializer, padding: padding),
            scale: scale, sight: sight, ignoring: ignored, insideOf: outer,
            layers: try (0..<sizes.layers).map(layer), norm: norm ?? RMSNorm(sizes.width, epsilon: normEpsilon))
    }

    /// The feed-forward part of a layer.
    func swiGLU(bias: Bool = false) -> SwiGLU {
        SwiGLU(width: sizes.width, hidden: sizes.hidden, bias: bias, initializer: initializer)
    }

    /// The trunk with the head of a task.
    func model(_ family: String, _ trunk: Trunk, _ task: ModelTask) throws -> any TextModel {
        try heads(family).model(trunk, task)
    }

    /// The heads of a family.
    func heads(_ family: String) -> DecoderHeads {
        DecoderHeads(family: family, tiesEmbeddings: tiesEmbeddings, padding: padding, initializer: initializer)
    }
}

extension ModelConfig {
    /// The id of padding, which the scores of whole texts pass over.
    var padding: Int32? { get throws { try integer("pad_token_id").flatMap(Int32.init(exactly:)) } }

    /// The same, where a missing key means something and null means that there is none.
    func padding(orElse id: Int32?) throws -> Int32? { has("pad_token_id") ? try padding : id }

    /// The sizes of a decoder whose heads share out its width, by the keys that a family has for them.
    ///
    /// - Parameters:
    ///   - hidden: The width of the feed-forward part; nil is four times the model's.
    ///   - keyValueHeads: nil is as many as there are query heads.
    func sizes(
        width widthKey: String = "hidden_size", layers: String = "num_hidden_layers",
        heads headsKey: String = "num_attention_heads", hidden: Int?, keyValueHeads: Int? = nil
    ) throws -> TransformerSizes {
        let (width, heads) = (try size(widthKey), try size(headsKey))
        guard width % heads == 0 else {
            throw ModelError("config.json: \(widthKey) (\(width)) is not a multiple of \(headsKey) (\(heads))")
        }
        guard heads % (keyValueHeads ?? heads) == 0 else {
            throw ModelError(
                "config.json: \(headsKey) (\(heads)) is not a multiple of the heads of keys and values "
                    + "(\(keyValueHeads ?? heads))")
        }
        return TransformerSizes(
            vocabulary: try size("vocab_size"), width: width, hidden: hidden ?? 4 * width, layers: try size(layers),
            heads: heads, keyValueHeads: keyValueHeads ?? heads, headSize: width / heads)
    }
}

/// The heads that every decoder can have.
struct DecoderHeads {
    /// What the classes of the family begin with in `transformers`, such as `Qwen2`.
    let family: String
    /// What the class that continues text ends with.
    var causalSuffix = "ForCausalLM"
    let tiesEmbeddings: Bool
    let padding: Int32?
    let initializer: Initializer
    /// What the classes without a head of words begin with; nil where that is the family's name.
    var trunkPrefix: String?
    /// What the scores of words are called on disk.
    var name = "lm_head"
    /// Whether the head of words adds a bias.
    var bias = false
    /// What the head of words multiplies hidden states with.
    var inputScale = 1.0
    /// What the scores of words stay below.
    var softCap: Double?

    func model(_ trunk: Trunk, _ task: ModelTask) throws -> any TextModel {
        // A trunk takes and gives vectors of the same width.
        let width = trunk.embedding.width
        switch task {
        case .causalLanguageModel:
            let head =
                tiesEmbeddings
                ? VocabularyHead(tiedTo: trunk.embedding, bias: bias)
                : VocabularyHead(
                    width: width, vocabulary: trunk.sizes.vocabulary, bias: bias, initializer: initializer)
            (head.inputScale, head.softCap) = (inputScale, softCap)
            return CausalLanguageModel(family + causalSuffix, trunk, head: head, headName: name)
        case .sequenceClassification(let labels):
            let head = LastTokenHead(width: width, labelCount: labels, padding: padding, initializer: initializer)
            let name = (trunkPrefix ?? family) + "ForSequenceClassification"
            return SequenceClassifier(name, trunk, head: head, headName: "score")
        case .hiddenStates:
            return BareModel((trunkPrefix ?? family) + "Model", trunk)
        case .maskedLanguageModel:
            throw ModelError(
                "models of the family \(family) predict the next token, not masked ones; give a BERT or RoBERTa")
        case .sequenceToSequence:
            throw ModelError(
                "models of the family \(family) continue a text and have no encoder that reads one; give --task_type causal_lm"
            )
        }
    }
}
