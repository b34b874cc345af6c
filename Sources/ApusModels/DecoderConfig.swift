import ApusJSON
import ApusLanguageModel
import ApusNN
import Foundation

/// Decodes the fields of a `config.json` that a family names in a structure of its own.
enum ModelConfig {
    static func decode<Fields: Decodable>(_ config: JSONValue) throws -> Fields {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try decoder.decode(Fields.self, from: Data(config.serialized().utf8))
        } catch DecodingError.keyNotFound(let key, _) {
            throw ModelError("config.json has no \"\(snakeCase(key.stringValue))\"")
        } catch DecodingError.typeMismatch(let type, let context) {
            let key = context.codingPath.last.map { snakeCase($0.stringValue) } ?? "?"
            throw ModelError("config.json: \"\(key)\" is not of the type \(type)")
        } catch let error as DecodingError {
            throw ModelError("config.json cannot be read: \(error)")
        }
    }

    private static func snakeCase(_ name: String) -> String {
        name.reduce(into: "") { $0 += $1.isUppercase ? "_" + $1.lowercased() : String($1) }
    }

    /// Refuses sizes that are not positive or beyond all memory.
    static func checkSizes(_ sizes: [(name: String, value: Int)]) throws {
        for (name, size) in sizes {
            // Layers are objects, made before a file can show that it does not hold as many.
            let power = name == "num_hidden_layers" ? 10 : 31
            guard (1...1 << power).contains(size) else {
                throw ModelError("config.json: \"\(name)\" is \(size); it must be between 1 and 2^\(power)")
            }
        }
    }
}

/// What the configurations of the Llama family have in common, by the names of `config.json`.
struct DecoderConfig: Decodable {
    let vocabSize: Int
    let hiddenSize: Int
    let intermediateSize: Int
    let numHiddenLayers: Int
    let numAttentionHeads: Int
    let numKeyValueHeads: Int?
    let headDim: Int?
    let rmsNormEps: Double?
    let hiddenAct: String?
    let maxPositionEmbeddings: Int?
    let tieWordEmbeddings: Bool?
    let attentionDropout: Double?
    let initializerRange: Double?

    /// Decodes and checks a `config.json`.
    init(_ config: JSONValue) throws {
        self = try ModelConfig.decode(config)
        try ModelConfig.checkSizes([
            ("vocab_size", vocabSize), ("hidden_size", hiddenSize), ("intermediate_size", intermediateSize),
            ("num_hidden_layers", numHiddenLayers), ("num_attention_heads", numAttentionHeads),
            ("num_key_value_heads", keyValueHeads), ("head_dim", headSize),
            ("max_position_embeddings", maxPositionEmbeddings ?? 1),
        ])
        guard numAttentionHeads % keyValueHeads == 0 else {
            throw ModelError(
                "config.json: num_attention_heads (\(numAttentionHeads)) is not a multiple of num_key_value_heads (\(keyValueHeads))"
            )
        }
        guard hiddenAct ?? "silu" == "silu" else {
            throw ModelError("config.json: hidden_act \"\(hiddenAct ?? "")\" is not there yet; there is silu")
        }
        if let attentionDropout, attentionDropout != 0 {
            throw ModelError("config.json: attention_dropout \(attentionDropout) is not there yet; set it to 0")
        }
    }

    private var keyValueHeads: Int { numKeyValueHeads ?? numAttentionHeads }
    private var headSize: Int { headDim ?? (numAttentionHeads > 0 ? hiddenSize / numAttentionHeads : 0) }

    var shape: DecoderShape {
        var shape = DecoderShape(
            vocabulary: vocabSize, width: hiddenSize, hidden: intermediateSize, layers: numHiddenLayers,
            heads: numAttentionHeads, keyValueHeads: keyValueHeads, headSize: headSize,
            normEpsilon: rmsNormEps ?? 1e-6)
        shape.initializer = .normal(deviation: initializerRange ?? 0.02)
        return shape
    }

    /// - Parameter name: What the classes of this family begin with in `transformers`, such as `Qwen2`.
    func model(
        _ name: String, shape: DecoderShape, config: JSONValue, task: ModelTask, defaultLength: Int
    ) throws -> any TextModel {
        let length = maxPositionEmbeddings ?? defaultLength
        let rotary = try RotaryConfiguration.embedding(
            config: config, headSize: shape.headSize, maximumLength: length)
        switch task {
        case .causalLanguageModel:
            return CausalLanguageModel(
                architecture: "\(name)ForCausalLM", shape: shape, rotary: rotary,
                tiesEmbeddings: tieWordEmbeddings ?? false, maximumLength: length)
        case .sequenceClassification(let labels):
            return DecoderSequenceClassifier(
                architecture: "\(name)ForSequenceClassification", shape: shape, rotary: rotary, labelCount: labels,
                maximumLength: length)
        case .hiddenStates:
            return DecoderModel(
                architecture: "\(name)Model", shape: shape, rotary: rotary, maximumLength: length, hasHead: false)
        case .maskedLanguageModel:
            throw ModelError(
                "models of type \"\(name.lowercased())\" predict the next token, not masked ones; give a BERT or RoBERTa"
            )
        }
    }
}

/// The keys of a sliding window, as Qwen2 and Qwen3 have them.
struct SlidingWindowConfig: Decodable {
    let useSlidingWindow: Bool?
    let slidingWindow: Int?
    let maxWindowLayers: Int?

    /// Windows begin at layer `max_window_layers`.
    func applied(to shape: DecoderShape) throws -> DecoderShape {
        guard useSlidingWindow == true, let slidingWindow else { return shape }
        try ModelConfig.checkSizes([("sliding_window", slidingWindow)])
        var shape = shape
        shape.window = slidingWindow
        shape.firstWindowLayer = maxWindowLayers ?? 28
        return shape
    }
}
