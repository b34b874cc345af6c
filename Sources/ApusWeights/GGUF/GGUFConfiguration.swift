import ApusJSON
import Foundation

/// Translates the hyperparameters of a GGUF file to the keys of a Hugging Face `config.json`.
struct GGUFConfiguration {
    var json = JSONObject()
    private(set) var headCount = 0
    private(set) var keyValueHeadCount = 0
    private(set) var expertCount = 0
    /// Hyperparameters of the file that found no place in the configuration.
    private(set) var unusedKeys: [String] = []

    let file: GGUFFile
    let prefix: String
    private let architecture: GGUFArchitecture
    private var names: GGUFArchitecture.Hyperparameters { architecture.hyperparameters }
    private var usedKeys: Set<String> = []

    init(_ file: GGUFFile, architecture: GGUFArchitecture) throws {
        self.file = file
        prefix = architecture.name + "."
        self.architecture = architecture
        json["model_type"] = .string(architecture.modelTypes[0])
        json["architectures"] = [.string(architecture.modelClass)]
        let headDim = try readShape()
        for (key, value) in architecture.stated { json[key] = value }
        for (key, _) in architecture.words { usedKeys.insert(prefix + key) }
        for (key, tensor) in architecture.biases { json[key] = .bool(file[tensor] != nil) }
        json[names.activation.config] = .string(names.activation.value)
        json[names.normEpsilon.config] = .double(try required(names.normEpsilon.file, \.doubleValue))
        // Of a file of any kind, by `GGUFModel.pooling`.
        usedKeys.insert(prefix + "pooling_type")
        if let second = names.secondEpsilon { _ = try value(second, \.doubleValue) }
        for value in architecture.values { try read(value) }
        if let scores = architecture.scores { try readLabels(scores.names, rowsOf: scores.matrix) }
        if let choice = architecture.choice {
            json[choice.config] = .string(json[choice.groups]?.intValue ?? 1 > 1 ? choice.ofGroups : choice.ofAll)
        }
        if names.isRotary { try readRotation(names, headDim: headDim) }
        try readLayers(headDim: headDim)
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
        expertCount = try value("expert_count", \.intValue) ?? 0
        guard expertCount == 0 || architecture.hasExperts else {
            throw WeightsError(
                file.path, item: prefix + "expert_count",
                "a \(architecture.modelClass) with \(expertCount) experts is not supported")
        }
        for (key, harmless) in architecture.foreign {
            usedKeys.insert(prefix + key)
            guard let value = file.metadata[prefix + key], value != harmless else { continue }
            throw WeightsError(
                file.path, item: prefix + key, "a \(architecture.modelClass) has nothing of this kind",
                advice: "use the model's safetensors files")
        }
        let hiddenSize = try count("embedding_length")
        headCount = try count("attention.head_count")
        keyValueHeadCount =
            try value("attention.head_count_kv", \.intValue) == nil
            ? headCount : try count("attention.head_count_kv")
        let rotated = try value("rope.dimension_count", \.intValue)
        let turnsWhole = names.firstLength == nil && names.rotatedShare == nil
        let headDim =
            try names.isLatent
            ? readLatent(rotated: rotated)
            : value("attention.key_length", \.intValue) ?? (turnsWhole ? rotated : nil) ?? hiddenSize / headCount
        guard headDim > 0, headDim % 2 == 0, headCount % keyValueHeadCount == 0,
            rotated ?? headDim == headDim || !turnsWhole,
            try names.isLatent || value("attention.value_length", \.intValue) ?? headDim == headDim
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
            if let key = names.keyValueHeads { json[key] = .int(keyValueHeadCount) }
            if names.saysHeadSize { json["head_dim"] = .int(headDim) }
        }
        json["vocab_size"] = .int(embedding.shape[0])
        json[names.context] = .int(try count("context_length"))
        return headDim
    }

    /// The sizes of latent attention.
    ///
    /// Newer files give the width of heads without the latent under keys of their own, because it is attended to itself.
    ///
    /// - Returns: The elements of a head that turn.
    private mutating func readLatent(rotated: Int?) throws -> Int {
        let turning = try rotated ?? count("rope.dimension_count")
        let (key, value) = (try count("attention.key_length"), try count("attention.value_length"))
        let whole = try optionalCount("attention.key_length_mla") ?? key
        guard turning > 0, whole > turning else {
            throw WeightsError(
                file.path, item: prefix + "rope.dimension_count", "\(turning) of the \(whole) elements of a head turn")
        }
        json["num_key_value_heads"] = .int(headCount)
        json["q_lora_rank"] = try optionalCount("attention.q_lora_rank").map(JSONValue.int) ?? .null
        json["kv_lora_rank"] = .int(try count("attention.kv_lora_rank"))
        json["qk_rope_head_dim"] = .int(turning)
        json["qk_nope_head_dim"] = .int(whole - turning)
        json["v_head_dim"] = .int(try optionalCount("attention.value_length_mla") ?? value)
        return turning
    }

    /// A number that only some families have.
    private mutating func read(_ number: GGUFArchitecture.Value) throws {
        func failure(_ problem: String) -> WeightsError {
            WeightsError(
                file.path, item: number.isWholeKey ? number.file : prefix + number.file, problem,
                advice: WeightsError.downloadAgain)
        }
        var found: JSONValue?
        switch number.kind {
        case .number:
            found = try value(number.file, \.doubleValue).map(JSONValue.double)
            guard found?.doubleValue?.isFinite != false else { throw failure("is not a finite number") }
        case .flag: found = try value(number.file, \.boolValue).map(JSONValue.bool)
        case .overRootOfLayers, .widthOver:
            found = try value(number.file, \.doubleValue).map { .double(undivided($0, number.kind)) }
            guard found?.doubleValue.map({ $0.isFinite && $0 > 0 }) != false else { throw failure("is not positive") }
        case .count: found = try optionalCount(number.file, atLeast: number.isZeroForNull ? 0 : 1).map(JSONValue.int)
        case .token: found = try optionalCount(number.file, atLeast: 0).map(JSONValue.int)
        case .rows(let name):
            let said = try number.isWholeKey ? file.value(number.file, \.intValue) : optionalCount(number.file)
            guard let rows = file[name]?.rows else { throw failure("the file has no \(name)") }
            guard said ?? rows == rows else { throw failure("is \(said ?? 0), but \(name) has \(rows) rows") }
            found = .int(rows)
        }
        if number.isZeroForNull, found == 0 { found = .null }
        guard let result = found ?? number.missing.file else { throw failure("this metadata key is missing") }
        json[number.config] = result
    }

    /// What scores are called, each by the number of its row; files of two that have no names leave it out.
    private mutating func readLabels(_ key: String, rowsOf matrix: String) throws {
        guard let matrixOfScores = file[matrix] else {
            throw WeightsError(
                file.path, item: matrix, "the file has a head of scores, without the matrix that makes the scores",
                advice: "use the model's safetensors files")
        }
        let rows = matrixOfScores.rows
        // Rows of nothing may be as many as a file says.
        guard rows <= matrixOfScores.elementCount else {
            throw WeightsError(
                file.path, item: matrix, "has \(rows) rows without numbers", advice: WeightsError.downloadAgain)
        }
        let names = try value(key, \.stringValues) ?? (0..<rows).map { "LABEL_\($0)" }
        guard names.count == rows else {
            throw WeightsError(
                file.path, item: prefix + key, "names \(names.count) scores, but \(matrix) makes \(rows)",
                advice: WeightsError.downloadAgain)
        }
        var (byNumber, byName) = (JSONObject(), JSONObject())
        for (number, name) in names.enumerated() {
            (byNumber["\(number)"], byName[name]) = (.string(name), .int(number))
        }
        (json["id2label"], json["label2id"]) = (.object(byNumber), .object(byName))
    }

    /// The number of `config.json` of which a file has a quotient.
    private func undivided(_ quotient: Double, _ kind: GGUFArchitecture.Value.Kind) -> Double {
        if case .widthOver = kind { return Double(json[names.width]?.intValue ?? 0) / quotient }
        return quotient * Double(json[names.layers]?.intValue ?? 0).squareRoot()
    }

    /// What differs between layers, and what follows from how many there are.
    private mutating func readLayers(headDim: Int) throws {
        if let pattern = architecture.pattern, let key = pattern.period {
            json[key] = .int(try pattern.file.flatMap { try optionalCount($0) } ?? pattern.usual)
        }
        if let divisor = names.scoreDivisor, let layers = json[names.layers]?.intValue,
            let width = json[names.width]?.intValue
        {
            json[divisor.config] = .int(layers == divisor.layersOfLargest ? width / headCount : headDim)
        }
        for (key, value, _) in architecture.implied { json[key] = value }
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
    private mutating func count(_ key: String) throws -> Int {
        try check(required(key, \.intValue), key)
    }

    mutating func optionalCount(_ key: String, atLeast least: Int = 1) throws -> Int? {
        try value(key, \.intValue).map { try check($0, key, atLeast: least) }
    }

    /// The bound keeps products of two counts far from overflow.
    private func check(_ count: Int, _ key: String, atLeast least: Int = 1) throws -> Int {
        guard (least...1 << 31).contains(count) else {
            throw WeightsError(file.path, item: prefix + key, "\(count) is not a possible count")
        }
        return count
    }
}
