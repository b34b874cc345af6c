import ApusJSON
import ApusLanguageModel
import ApusNN
import Foundation

/// What the folder of a sentence encoder says beside its weights: the files of sentence-transformers, or, in a folder
/// without them, those that describe what Apus does.
///
/// Without the files an encoder's tokens are averaged and a decoder's last token is taken, and vectors have length 1.
struct SentenceFiles {
    let pooling: SentencePooling
    /// The longest text in tokens that the folder allows, below the model's limit.
    let maximumLength: Int?
    /// Whether texts are brought to lower case before the tokenizer sees them.
    let lowercases: Bool
    /// Whether the files came with the model.
    let areGiven: Bool
    /// The files by their names, to be written beside a trained model.
    let companions: [(name: String, data: Data)]

    /// Whether a folder describes its pooling.
    static func describe(_ source: ModelSource) throws -> Bool { try source.json("modules.json") != nil }

    /// - Throws: `ModelError` naming a module or a way of pooling that is not there yet.
    init(_ source: ModelSource, model: any TextModel) throws {
        guard let modules = try source.json("modules.json") else {
            pooling = SentencePooling([model.isEncoder ? .mean : .lastToken], normalizes: true)
            maximumLength = nil
            lowercases = false
            areGiven = false
            companions = Self.written(pooling, width: model.sizes.width)
            return
        }
        var files = ["modules.json", "config_sentence_transformers.json"]
        var modes: [SentencePooling.Mode] = []
        var normalizes = false
        for module in modules.arrayValue ?? [] {
            let type = module["type"]?.stringValue ?? ""
            let path = module["path"]?.stringValue ?? ""
            guard path.split(separator: "/").allSatisfy({ $0 != ".." }), !path.hasPrefix("/") else {
                throw ModelError("\(source.path)/modules.json: the path \"\(path)\" leads out of the folder")
            }
            switch type.split(separator: ".").last.map(String.init) ?? "" {
            case "Transformer": break
            case "Normalize": normalizes = true
            case "Pooling":
                let file = path.isEmpty ? "config.json" : "\(path)/config.json"
                guard let config = try source.json(file) else {
                    throw ModelError("\(source.path)/modules.json names \(file), which is not there")
                }
                modes = try Self.modes(config, file: "\(source.path)/\(file)")
                if !path.isEmpty { files.append(file) }
            default:
                throw ModelError(
                    "\(source.path)/modules.json: modules of the type \"\(type)\" are not there yet; there are "
                        + "Transformer, Pooling and Normalize")
            }
        }
        guard !modes.isEmpty else {
            throw ModelError("\(source.path)/modules.json names no Pooling; is it the folder of a sentence encoder?")
        }
        pooling = SentencePooling(modes, normalizes: normalizes)
        areGiven = true
        let settings = Self.transformerFiles.first { FileManager.default.fileExists(atPath: "\(source.path)/\($0)") }
        let transformer = try settings.flatMap { try source.json($0) }
        maximumLength = transformer?["max_seq_length"]?.intValue
        lowercases = transformer?["do_lower_case"]?.boolValue ?? false
        companions = (files + [settings].compactMap(\.self)).compactMap { name in
            FileManager.default.contents(atPath: "\(source.path)/\(name)").map { (name, $0) }
        }
    }

    /// What a run says of its vectors.
    var text: String {
        "pooling: \(pooling.modes.map(\.rawValue).joined(separator: " + "))\(pooling.normalizes ? ", normalised" : "")"
            + (areGiven ? "" : " (the folder has no modules.json)")
    }

    /// The tokens of a text at most: what was asked for, else what the folder and the model allow.
    func limit(_ asked: Int?, model: any TextModel) -> Int {
        model.limit(asked ?? maximumLength)
    }

    private static let transformerFiles = [
        "sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json",
        "sentence_camembert_config.json", "sentence_albert_config.json", "sentence_xlm-roberta_config.json",
        "sentence_xlnet_config.json",
    ]

    /// The order in which sentence-transformers lays the vectors of several ways side by side.
    private static let keys: [(key: String, mode: SentencePooling.Mode?)] = [
        ("pooling_mode_cls_token", .firstToken), ("pooling_mode_max_tokens", .largest),
        ("pooling_mode_mean_tokens", .mean), ("pooling_mode_mean_sqrt_len_tokens", .meanOverRoot),
        ("pooling_mode_weightedmean_tokens", nil), ("pooling_mode_lasttoken", .lastToken),
    ]

    /// The ways of pooling, from a key for each or, in newer files, from their names.
    private static func modes(_ config: JSONValue, file: String) throws -> [SentencePooling.Mode] {
        func refused(_ name: String) -> ModelError {
            ModelError(
                "\(file): the pooling \"\(name)\" is not there yet; there are "
                    + SentencePooling.Mode.allCases.map(\.rawValue).joined(separator: ", "))
        }
        if let named = config["pooling_mode"], !named.isNull {
            let names = (named.arrayValue ?? [named]).compactMap(\.stringValue).flatMap { $0.split(separator: "+") }
            return try names.map { name in
                guard let mode = SentencePooling.Mode(rawValue: String(name)) else { throw refused(String(name)) }
                return mode
            }
        }
        return try keys.filter { config[$0.key]?.boolValue == true }.map { key, mode in
            guard let mode else { throw refused(key) }
            return mode
        }
    }

    /// The files of a folder that came without.
    private static func written(_ pooling: SentencePooling, width: Int) -> [(name: String, data: Data)] {
        func module(_ index: Int, _ kind: String, path: String) -> JSONValue {
            [
                "idx": .int(index), "name": .string(String(index)), "path": .string(path),
                "type": .string("sentence_transformers.models.\(kind)"),
            ]
        }
        var modules = [module(0, "Transformer", path: ""), module(1, "Pooling", path: "1_Pooling")]
        if pooling.normalizes { modules.append(module(2, "Normalize", path: "2_Normalize")) }
        var modes: JSONObject = ["word_embedding_dimension": .int(width)]
        for (key, mode) in keys { modes[key] = .bool(mode.map(pooling.modes.contains) ?? false) }
        return [("modules.json", JSONValue.array(modules)), ("1_Pooling/config.json", .object(modes))].map {
            ($0, Data(($1.serialized(indent: 2) + "\n").utf8))
        }
    }
}
