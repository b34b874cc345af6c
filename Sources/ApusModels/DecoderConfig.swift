import ApusJSON
import ApusLanguageModel
import ApusNN
import ApusTorch

/// What the configurations of the Llama family have in common, by the names of `config.json`.
struct DecoderConfig {
    let sizes: TransformerSizes
    let normEpsilon: Double
    let attentionDropout: Double
    let initializer: Initializer
    let tiesEmbeddings: Bool
    let padding: Int32?
    let rotary: RotaryEmbedding
    let maximumLength: Int

    /// - Parameters:
    ///   - headSize: What a missing `head_dim` means; nil is the width over the heads.
    ///   - defaultLength: What a missing `max_position_embeddings` means.
    init(_ config: ModelConfig, headSize: Int? = nil, defaultLength: Int) throws {
        let heads = try config.size("num_attention_heads")
        let keyValueHeads = try config.optionalSize("num_key_value_heads") ?? heads
        let width = try config.size("hidden_size")
        guard heads % keyValueHeads == 0 else {
            throw ModelError(
                "config.json: num_attention_heads (\(heads)) is not a multiple of num_key_value_heads (\(keyValueHeads))"
            )
        }
        let size = try config.optionalSize("head_dim") ?? headSize ?? width / heads
        guard size > 0 else {
            throw ModelError("config.json: hidden_size (\(width)) leaves nothing for each of \(heads) heads")
        }
        sizes = TransformerSizes(
            vocabulary: try config.size("vocab_size"), width: width, hidden: try config.size("intermediate_size"),
            layers: try config.size("num_hidden_layers"), heads: heads, keyValueHeads: keyValueHeads, headSize: size)
        normEpsilon = try config.number("rms_norm_eps") ?? 1e-6
        attentionDropout = try config.probability("attention_dropout") ?? 0
        initializer = .normal(deviation: try config.number("initializer_range") ?? 0.02)
        tiesEmbeddings = try config.flag("tie_word_embeddings") ?? false
        padding = try config.integer("pad_token_id").flatMap(Int32.init(exactly:))
        try config.require("hidden_act", "silu", otherwise: "which is not there yet; there is silu")
        (rotary, maximumLength) = try RotaryConfiguration.embedding(
            config: config, headSize: size,
            maximumLength: config.optionalSize("max_position_embeddings") ?? defaultLength)
    }

    func attentionOptions(window: Int?) -> AttentionOptions {
        AttentionOptions(headSize: sizes.headSize, window: window, dropout: attentionDropout)
    }

    /// The trunk of these layers, by Llama's names.
    func trunk(_ layer: (Int) throws -> TransformerLayer) rethrows -> Decoder {
        Decoder(
            TrunkFacts(name: "model", sizes: sizes, maximumLength: maximumLength), rotary: rotary,
            embedding: Embedding(sizes.vocabulary, sizes.width, initializer: initializer),
            layers: try (0..<sizes.layers).map(layer), norm: RMSNorm(sizes.width, epsilon: normEpsilon))
    }

    /// The feed-forward part of a layer.
    func swiGLU(bias: Bool = false) -> SwiGLU {
        SwiGLU(width: sizes.width, hidden: sizes.hidden, bias: bias, initializer: initializer)
    }

    /// The trunk with the head of a task.
    func model(_ family: String, _ trunk: Trunk, _ task: ModelTask) throws -> any TextModel {
        try DecoderHeads(
            family: family, tiesEmbeddings: tiesEmbeddings, padding: padding, initializer: initializer
        ).model(trunk, task)
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

    func model(_ trunk: Trunk, _ task: ModelTask) throws -> any TextModel {
        let sizes = trunk.sizes
        switch task {
        case .causalLanguageModel:
            let head =
                tiesEmbeddings
                ? VocabularyHead(tiedTo: trunk.embedding)
                : VocabularyHead(width: sizes.width, vocabulary: sizes.vocabulary, initializer: initializer)
            return CausalLanguageModel(family + causalSuffix, trunk, head: head)
        case .sequenceClassification(let labels):
            let head = LastTokenHead(
                width: sizes.width, labelCount: labels, padding: padding, initializer: initializer)
            return SequenceClassifier(family + "ForSequenceClassification", trunk, head: head, headName: "score")
        case .hiddenStates:
            return BareModel(family + "Model", trunk)
        case .maskedLanguageModel:
            throw ModelError(
                "models of the family \(family) predict the next token, not masked ones; give a BERT or RoBERTa")
        case .sequenceToSequence:
            throw ModelError(
                "models of the family \(family) continue a text and have no encoder that reads one; give --task_type causal_lm")
        }
    }
}

/// Which layers see how far, as Qwen2 and Qwen3 say it.
struct SlidingWindows {
    /// The most keys that a token sees, for each layer; nil sets no limit.
    let windows: [Int?]

    init(_ config: ModelConfig, layers: Int) throws {
        let isUsed = try config.flag("use_sliding_window") ?? false
        let size = try config.optionalSize("sliding_window") ?? 4096
        let first = try config.integer("max_window_layers") ?? 28
        let window = isUsed && (!config.has("sliding_window") || config["sliding_window"] != nil) ? size : nil
        guard let types = config["layer_types"] else {
            windows = (0..<layers).map { $0 >= first ? window : nil }
            return
        }
        let names = types.arrayValue?.compactMap(\.stringValue) ?? []
        guard names.count == layers else {
            throw ModelError("config.json: layer_types names \(names.count) layers, num_hidden_layers is \(layers)")
        }
        windows = try names.map { name in
            switch name {
            case "full_attention": return nil
            case "sliding_attention":
                guard let window else {
                    throw ModelError(
                        "config.json: layer_types has sliding_attention, but there is no window: set use_sliding_window and sliding_window"
                    )
                }
                return window
            default:
                throw ModelError(
                    "config.json: layer_types \"\(name)\" is not there yet; there are full_attention, sliding_attention"
                )
            }
        }
    }
}
