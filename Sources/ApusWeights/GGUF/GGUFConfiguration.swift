import ApusJSON
import Foundation

/// Translates the hyperparameters of a GGUF file to the keys of a Hugging Face `config.json`.
struct GGUFConfiguration {
    var json = JSONObject()
    private(set) var headCount = 0
    private(set) var keyValueHeadCount = 0
    /// Hyperparameters of the file that found no place in the configuration.
    private(set) var unusedKeys: [String] = []

    let file: GGUFFile
    private let prefix: String
    private let architecture: GGUFArchitecture
    private let names: GGUFArchitecture.Hyperparameters
    private var usedKeys: Set<String> = []

    init(_ file: GGUFFile, architecture: GGUFArchitecture) throws {
        self.file = file
        prefix = architecture.name + "."
        self.architecture = architecture
        names = architecture.hyperparameters
        json["model_type"] = .string(architecture.modelTypes[0])
        json["architectures"] = [.string(architecture.modelClass)]
        let headDim = try readShape()
        for (key, tensor) in architecture.biases { json[key] = .bool(file[tensor] != nil) }
        json[names.activation.config] = .string(names.activation.value)
        json[names.normEpsilon.config] = .double(try required(names.normEpsilon.file, \.doubleValue))
        if names.isRotary { try readRope(headDim: headDim) }
        try architecture.readsMore?(&self, headDim)
        json["tie_word_embeddings"] = .bool(file["output.weight"] == nil)
        for (key, name) in [("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")] {
            json[key + "_token_id"] = try file.value("tokenizer.ggml.\(name)_token_id", \.intValue).map(JSONValue.int)
        }
        unusedKeys = file.metadata.keys.filter { $0.hasPrefix(prefix) && !usedKeys.contains($0) }.sorted()
    }

    /// Sizes and counts.
    ///
    /// - Returns: The width of one attention head.
    private mutating func readShape() throws -> Int {
        if let experts = try value("expert_count", \.intValue), experts > 0, architecture.feedForward != .experts {
            throw WeightsError(file.path, item: prefix + "expert_count", "mixtures of experts are not supported")
        }
        let hiddenSize = try count("embedding_length")
        headCount = try count("attention.head_count")
        keyValueHeadCount =
            try value("attention.head_count_kv", \.intValue) == nil
            ? headCount : try count("attention.head_count_kv")
        let rotated = try value("rope.dimension_count", \.intValue)
        let isPartial = architecture.rotation == .ofParts
        let given = try value("attention.key_length", \.intValue) ?? (isPartial ? nil : rotated)
        let headDim = given ?? hiddenSize / headCount
        guard headDim > 0, headDim % 2 == 0, headCount % keyValueHeadCount == 0,
            rotated ?? headDim == headDim || isPartial,
            try value("attention.value_length", \.intValue) ?? headDim == headDim
        else {
            throw WeightsError(
                file.path, item: prefix + "attention.head_count",
                "\(headCount) heads of width \(headDim) with \(keyValueHeadCount) key-value heads, of which "
                    + "\(rotated ?? headDim) elements are rotated, are not a shape this architecture has")
        }
        // The embedding is the truth: some files pad it beyond the vocabulary their metadata gives.
        _ = try value("vocab_size", \.intValue)
        guard let embedding = file["token_embd.weight"], embedding.shape.count == 2 else {
            throw WeightsError(file.path, item: "token_embd.weight", "the model has no token embedding matrix")
        }
        let layers = try count("block_count")
        // A number of layers that the file does not hold would be built before it is missed.
        guard layers <= file.tensors.count else {
            throw WeightsError(
                file.path, item: prefix + "block_count",
                "claims \(layers) layers, but the file holds \(file.tensors.count) tensors",
                advice: WeightsError.downloadAgain)
        }
        guard embedding.shape[1] == hiddenSize else {
            throw WeightsError(
                file.path, item: prefix + "embedding_length",
                "is \(hiddenSize), but token_embd.weight has rows of \(embedding.shape[1])",
                advice: WeightsError.downloadAgain)
        }
        json[names.width] = .int(hiddenSize)
        json[names.feedForward] = .int(try count("feed_forward_length"))
        json[names.layers] = .int(layers)
        json[names.heads] = .int(headCount)
        if names.isRotary {
            json["num_key_value_heads"] = .int(keyValueHeadCount)
            json["head_dim"] = .int(headDim)
            if let rotated, rotated != headDim {
                json["partial_rotary_factor"] = .double(Double(rotated) / Double(headDim))
            }
        }
        json["vocab_size"] = .int(embedding.shape[0])
        json[names.context] = .int(try count("context_length"))
        return headDim
    }

    private mutating func readRope(headDim: Int) throws {
        let theta = try value("rope.freq_base", \.doubleValue) ?? 10_000
        json["rope_theta"] = .double(theta)
        let type = try value("rope.scaling.type", \.stringValue)
        let factor = try value("rope.scaling.factor", \.doubleValue) ?? value("rope.scale_linear", \.doubleValue) ?? 1
        let originalContext = try value("rope.scaling.original_context_length", \.intValue)
        _ = try value("rope.scaling.finetuned", \.boolValue)
        switch type ?? (factor == 1 ? "none" : "linear") {
        case "none": break
        case "linear": json["rope_scaling"] = ["rope_type": "linear", "factor": .double(factor)]
        case "yarn":
            var scaling: JSONObject = ["rope_type": "yarn", "factor": .double(factor)]
            scaling["original_max_position_embeddings"] = originalContext.map(JSONValue.int)
            scaling["beta_fast"] = try value("rope.scaling.yarn_beta_fast", \.doubleValue).map(JSONValue.double)
            scaling["beta_slow"] = try value("rope.scaling.yarn_beta_slow", \.doubleValue).map(JSONValue.double)
            json["rope_scaling"] = .object(scaling)
        case let other:
            throw WeightsError(
                file.path, item: prefix + "rope.scaling.type",
                "RoPE scaling \(WeightsError.printable(other)) is not supported")
        }
        if let scaling = try Llama3Scaling(file, theta: theta, headDim: headDim) {
            guard json["rope_scaling"] == nil else {
                throw WeightsError(file.path, item: "rope_freqs.weight", "scales RoPE that the metadata scales too")
            }
            json["rope_scaling"] = scaling.json
        }
    }

    mutating func value<T>(_ key: String, _ get: (GGUFValue) -> T?) throws -> T? {
        usedKeys.insert(prefix + key)
        return try file.value(prefix + key, get)
    }

    private mutating func required<T>(_ key: String, _ get: (GGUFValue) -> T?) throws -> T {
        usedKeys.insert(prefix + key)
        return try file.requiredValue(prefix + key, get)
    }

    /// A positive integer that must be there.
    ///
    /// The bound keeps products of two of them far from overflow.
    mutating func count(_ key: String) throws -> Int {
        let count = try required(key, \.intValue)
        guard (1...1 << 31).contains(count) else {
            throw WeightsError(file.path, item: prefix + key, "\(count) is not a possible count")
        }
        return count
    }
}
