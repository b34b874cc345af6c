import ApusJSON
import ApusLanguageModel
import ApusNN
import Foundation

/// What the configurations of the Llama family have in common, by the names of `config.json`.
protocol DecoderConfig: Decodable {
    var vocabSize: Int { get }
    var hiddenSize: Int { get }
    var intermediateSize: Int { get }
    var numHiddenLayers: Int { get }
    var numAttentionHeads: Int { get }
    var numKeyValueHeads: Int? { get }
    var headDim: Int? { get }
    var rmsNormEps: Double? { get }
    var hiddenAct: String? { get }
    var maxPositionEmbeddings: Int? { get }
    var tieWordEmbeddings: Bool? { get }
    var attentionDropout: Double? { get }
    var initializerRange: Double? { get }

    func validate() throws
}

extension DecoderConfig {
    /// Decodes and checks a `config.json`.
    init(_ config: JSONValue) throws {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            self = try decoder.decode(Self.self, from: Data(config.serialized().utf8))
        } catch DecodingError.keyNotFound(let key, _) {
            throw ModelError("config.json has no \"\(Self.snakeCase(key.stringValue))\"")
        } catch DecodingError.typeMismatch(let type, let context) {
            let key = context.codingPath.last.map { Self.snakeCase($0.stringValue) } ?? "?"
            throw ModelError("config.json: \"\(key)\" is not of the type \(type)")
        } catch let error as DecodingError {
            throw ModelError("config.json cannot be read: \(error)")
        }
        try validate()
    }

    private static func snakeCase(_ name: String) -> String {
        name.reduce(into: "") { $0 += $1.isUppercase ? "_" + $1.lowercased() : String($1) }
    }

    func validateDecoder() throws {
        let sizes: [(String, Int)] = [
            ("vocab_size", vocabSize), ("hidden_size", hiddenSize), ("intermediate_size", intermediateSize),
            ("num_hidden_layers", numHiddenLayers), ("num_attention_heads", numAttentionHeads),
            ("num_key_value_heads", keyValueHeads), ("head_dim", headSize),
            ("max_position_embeddings", maxPositionEmbeddings ?? 1),
        ]
        for (name, size) in sizes where size < 1 || size > 1 << 31 {
            throw ModelError("config.json: \"\(name)\" is \(size); it must be between 1 and 2^31")
        }
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

    func model(
        _ architecture: String, shape: DecoderShape, config: JSONValue, defaultLength: Int
    ) throws -> CausalLanguageModel {
        let maximumLength = maxPositionEmbeddings ?? defaultLength
        return CausalLanguageModel(
            architecture: architecture, shape: shape,
            rotary: try RotaryConfiguration.embedding(
                config: config, headSize: shape.headSize, maximumLength: maximumLength),
            tiesEmbeddings: tieWordEmbeddings ?? false, maximumLength: maximumLength)
    }
}
