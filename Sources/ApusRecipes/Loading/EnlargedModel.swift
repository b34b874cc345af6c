import ApusFiles
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusNN
import ApusText
import ApusTorch
import ApusWeights
import Crypto
import Foundation

/// A copy of a model's folder with more special tokens (`--new_special_tokens`).
///
/// As in ms-swift a table of words that has no row for them grows to the next multiple of 128 rows. A new row is the mean
/// of the old ones, of the head too; `transformers` draws it around that mean with 10⁻⁹ of their covariance. A table with
/// rows to spare stays as it is.
struct EnlargedModel {
    private let source: ModelSource
    /// The tokens that the model does not know yet, in order.
    private let tokens: [String]
    private let tokenizer: Tokenizer

    /// - Parameter given: Tokens, and paths of `.txt` files with tokens between white space.
    /// - Throws: `SettingsError` for a file that cannot be read, or a model whose tokenizer is no `tokenizer.json`.
    init(_ source: ModelSource, adding given: [String]) throws {
        self.source = source
        tokenizer = try TextParts.tokenizer(of: source)
        var tokens: [String] = []
        for word in try given.flatMap(Self.words) {
            guard !word.isEmpty, !tokens.contains(word), tokenizer.id(of: word) == nil else { continue }
            tokens.append(word)
        }
        self.tokens = tokens
        guard case .folder = source.form, FileManager.default.fileExists(atPath: "\(source.path)/tokenizer.json") else {
            throw SettingsError(
                "--new_special_tokens: \(source.name) has no tokenizer.json that tokens could be written into. Save the "
                    + "tokenizer with AutoTokenizer.save_pretrained first.")
        }
    }

    private static func words(_ given: String) throws -> [String] {
        guard given.hasSuffix(".txt") else { return [given] }
        do {
            return try String(contentsOfFile: given, encoding: .utf8).split(whereSeparator: \.isWhitespace).map(
                String.init)
        } catch {
            throw SettingsError(
                "--new_special_tokens: the file \"\(given)\" cannot be read: \(error.localizedDescription) Give a file of "
                    + "tokens, or the tokens themselves.")
        }
    }

    /// The files of the model as they lie there now: one that was written again is another.
    private func files() throws -> [String] {
        let files = FileManager.default
        return try files.contentsOfDirectory(atPath: source.path).sorted().map { name in
            let facts = try files.attributesOfItem(atPath: FilePath.join(source.path, name))
            let date = (facts[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
            return "\(name) \(facts[.size] as? Int ?? 0) \(date)"
        }
    }

    /// Writes the copy, where it is not there already from the same model and tokens.
    ///
    /// - Parameter parent: The folder to write it in.
    /// - Returns: The path of the copy, or of the model where it knows all tokens.
    func written(in parent: String, task: ModelTask, tell: (String) -> Void) throws -> String {
        guard !tokens.isEmpty else { return source.path }
        let identity = try ([source.path] + tokens + [source.config().serialized(sortedKeys: true)] + files()).joined(
            separator: "\n")
        let digest = SHA256.hash(data: Data(identity.utf8)).prefix(4).map { String(format: "%02x", $0) }.joined()
        let path = FilePath.join(parent, "base-\(digest)")
        guard !FileManager.default.fileExists(atPath: path) else { return path }
        let first = Int32(tokenizer.vocabularySize)
        let config = try source.config()
        guard try source.bitsAndBytes(config) == nil else {
            throw SettingsError(
                "--new_special_tokens: the weights of \(source.name) are quantised. Give the model in its original precision."
            )
        }
        let model =
            try task == .sequenceToSequence
            ? Models.registry.sequenceToSequence(config) : Models.registry.model(config)
        let dtype = LanguageModel.storedDType(config) ?? .float32
        try model.loadWeights(source.weights(), dtype: dtype, device: .cpu)
        let (old, needed) = (model.vocabularySize, Int(first) + tokens.count)
        let rows = old < needed ? (needed + 127) / 128 * 128 : old
        let names = Set(model.headNames.flatMap { ["\($0).weight", "\($0).bias"] })
        let weights = try model.parameters().compactMap { name, slot -> WeightSource? in
            guard let tensor = slot.tensor else { return nil }
            let isTable = model.trunk.wordTables.contains { tensor === $0.weight } || names.contains(name)
            return WeightSource(name, try isTable && tensor.shape[0] == old ? tensor.enlarged(to: rows) : tensor)
        }
        let folder = try AtomicDirectory(path)
        try ModelWeightsWriter.write(weights, to: folder.stagingPath)
        try source.copyTokenizer(into: folder, without: ["tokenizer.json", "tokenizer_config.json"])
        var object = config.objectValue ?? JSONObject()
        object["vocab_size"] = .int(rows)
        try folder.write(text(object), as: "config.json")
        let file = try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: "\(source.path)/tokenizer.json")))
        try folder.write(text(adding(to: file.objectValue ?? [:], from: first)), as: "tokenizer.json")
        let settings = "\(source.path)/tokenizer_config.json"
        if FileManager.default.fileExists(atPath: settings) {
            let file = try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: settings)))
            try folder.write(text(naming(in: file.objectValue ?? [:], from: first)), as: "tokenizer_config.json")
        }
        try folder.commit(identity: ["new_special_tokens": .array(tokens.map(JSONValue.string))])
        tell(
            "\(tokens.count) new special tokens (\(tokens.prefix(8).joined(separator: " "))\(tokens.count > 8 ? " …" : "")); "
                + (rows > old ? "the table of words has \(rows) rows now, not \(old); " : "")
                + "the model with them: \(path)")
        return path
    }

    private func text(_ object: JSONObject) -> Data {
        Data((JSONValue.object(object).serialized(indent: 2) + "\n").utf8)
    }

    private static let properties: JSONObject = [
        "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true,
    ]

    /// `tokenizer.json` with the tokens.
    private func adding(to file: JSONObject, from first: Int32) -> JSONObject {
        var file = file
        var added = file["added_tokens"]?.arrayValue ?? []
        for (index, token) in tokens.enumerated() {
            var entry: JSONObject = ["id": .int(Int(first) + index), "content": .string(token)]
            for (key, value) in Self.properties { entry[key] = value }
            added.append(.object(entry))
        }
        file["added_tokens"] = .array(added)
        return file
    }

    /// `tokenizer_config.json` with them, where it lists added tokens and further special ones.
    private func naming(in file: JSONObject, from first: Int32) -> JSONObject {
        var file = file
        if var listed = file["added_tokens_decoder"]?.objectValue {
            for (index, token) in tokens.enumerated() {
                var entry: JSONObject = ["content": .string(token)]
                for (key, value) in Self.properties { entry[key] = value }
                listed["\(Int(first) + index)"] = .object(entry)
            }
            file["added_tokens_decoder"] = .object(listed)
        }
        let key = file["extra_special_tokens"]?.arrayValue == nil ? "additional_special_tokens" : "extra_special_tokens"
        file[key] = .array((file[key]?.arrayValue ?? []) + tokens.map(JSONValue.string))
        return file
    }
}

extension Tensor {
    /// With rows behind the old ones that are their mean.
    fileprivate func enlarged(to rows: Int) throws -> Tensor {
        try withoutGradients {
            let mean = try to(.float32).mean(0, keepAxis: true).to(dtype)
            let missing = rows - shape[0]
            return try concatenated([self, mean.expanded([missing] + shape.dropFirst()).contiguous()])
        }
    }
}
