import ApusJSON
import ApusLanguageModel
import ApusNN
import ApusText
import ApusWeights
import Foundation

/// What the folder of a sentence encoder says beside its weights: the files of sentence-transformers, or, in a folder
/// without them, those that describe what Apus does; of a GGUF file, the pooling that it names.
///
/// Without either an encoder's tokens are averaged and a decoder's last token is taken, and vectors have length 1.
struct SentenceFiles {
    let pooling: SentencePooling
    /// What pooled vectors pass through.
    let projections: [SentenceProjection]
    /// The longest text in tokens that the folder allows, below the model's limit.
    let maximumLength: Int?
    /// Whether texts are brought to lower case before the tokenizer sees them.
    let lowercases: Bool
    /// What stands before every text that becomes a vector, unless a run says otherwise.
    ///
    /// Training does not put it there, as that of sentence-transformers does not.
    let prompt: String?
    /// Whether the tokens of the prompt take part in the pooling.
    let poolsPrompt: Bool
    /// Whether the files came with the model.
    let areGiven: Bool
    /// The files by their names, to be written beside a trained model.
    let companions: [(name: String, data: Data)]

    /// Whether a folder or a GGUF file describes its pooling.
    static func describe(_ source: ModelSource) throws -> Bool {
        if case .gguf(let model) = source.form { return try model.pooling() != nil }
        return try source.rootJSON(SentenceModules.name) != nil
    }

    /// - Throws: `ModelError` naming a module or a way of pooling that is not there yet.
    init(_ source: ModelSource, model: any TextModel) throws {
        var own: SentencePooling.Mode?
        if case .gguf(let file) = source.form { own = try file.pooling().flatMap(SentencePooling.Mode.init) }
        guard own == nil, try Self.describe(source), let modules = try SentenceModules(folder: source.root) else {
            // What llama.cpp pools has length 1 unless it is asked otherwise.
            pooling = SentencePooling([own ?? (model.isEncoder ? .mean : .lastToken)], normalizes: true)
            (projections, maximumLength, lowercases, prompt, poolsPrompt) = ([], nil, false, nil, true)
            areGiven = own != nil
            companions = Self.written(pooling, width: model.trunk.outputWidth)
            return
        }
        var chain = Chain(folder: source.root, width: model.trunk.outputWidth)
        for module in modules.modules { try chain.add(module) }
        guard let modes = chain.modes else {
            throw ModelError("\(source.root)/modules.json names no Pooling; is it the folder of a sentence encoder?")
        }
        pooling = SentencePooling(modes, normalizes: chain.normalizes)
        projections = try chain.projections()
        poolsPrompt = chain.poolsPrompt
        areGiven = true
        let settings = Self.transformerFiles.first { FileManager.default.fileExists(atPath: "\(source.path)/\($0)") }
        let transformer = try settings.flatMap { try source.json($0) }
        // Newer files leave the limit to the tokenizer.
        let tokenizer = try source.json("tokenizer_config.json")
        maximumLength = transformer?["max_seq_length"]?.intValue ?? tokenizer?["model_max_length"]?.intValue
        lowercases = transformer?["do_lower_case"]?.boolValue ?? false
        let general = "config_sentence_transformers.json"
        prompt = try Self.prompt(source.rootJSON(general), file: "\(source.root)/\(general)")
        let files =
            ([general] + chain.files).map { ($0, "\(source.root)/\($0)") }
            + [settings].compactMap(\.self)
            .map { ($0, "\(source.path)/\($0)") }
        companions =
            [(SentenceModules.name, Data(modules.written.utf8))]
            + files.compactMap { name, path in
                FileManager.default.contents(atPath: path).map { (name, $0) }
            }
    }

    /// The modules after the model, as they come.
    private struct Chain {
        let folder: String
        let width: Int
        private(set) var modes: [SentencePooling.Mode]?
        private(set) var normalizes = false
        private(set) var poolsPrompt = true
        private(set) var files: [String] = []
        private var dense: [(path: String, normalizes: Bool)] = []

        init(folder: String, width: Int) { (self.folder, self.width) = (folder, width) }

        mutating func add(_ module: SentenceModules.Module) throws {
            switch module.kind {
            case "Transformer": break
            case "Normalize":
                if dense.isEmpty { normalizes = true } else { dense[dense.count - 1].normalizes = true }
            case "Pooling":
                let file = module.path.isEmpty ? "config.json" : "\(module.path)/config.json"
                guard let data = FileManager.default.contents(atPath: "\(folder)/\(file)") else {
                    throw ModelError(
                        "\(folder)/modules.json names \(file), which is not there; download the model again")
                }
                let config: JSONValue
                do { config = try JSONValue(parsing: data) } catch { throw ModelError("\(folder)/\(file): \(error)") }
                modes = try SentenceFiles.modes(config, file: "\(folder)/\(file)")
                poolsPrompt = config["include_prompt"]?.boolValue ?? true
                if !module.path.isEmpty { files.append(file) }
            case "Dense" where modes != nil && !module.path.isEmpty:
                dense.append((module.path, false))
                files += ["config.json", "model.safetensors", "pytorch_model.bin"].map { "\(module.path)/\($0)" }
            default:
                throw ModelError(
                    "\(folder)/modules.json: modules of the type \"\(module.type)\" are not there yet; there are "
                        + "Transformer, then Pooling, then Dense and Normalize")
            }
        }

        func projections() throws -> [SentenceProjection] {
            var width = width * (modes?.count ?? 1)
            return try dense.map { path, normalizes in
                let projection = try SentenceProjection(
                    folder: "\(folder)/\(path)", width: width, normalizes: normalizes)
                width = projection.width
                return projection
            }
        }
    }

    /// The prompt that `default_prompt_name` chooses among the `prompts` of a model.
    private static func prompt(_ config: JSONValue?, file: String) throws -> String? {
        guard let name = config?["default_prompt_name"]?.stringValue else { return nil }
        guard let prompt = config?["prompts"]?[name] else {
            let known = config?["prompts"]?.objectValue?.keys.joined(separator: ", ") ?? ""
            throw ModelError("\(file): default_prompt_name is \"\(name)\", which is not among its prompts (\(known))")
        }
        return prompt.stringValue.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The model with what its vectors pass through.
    func embedder(_ model: any TextModel) -> SentenceEmbedder {
        SentenceEmbedder(model, pooling, projections: projections)
    }

    /// As `embedder`, for texts with the prompt before them, the tokens of which some models leave out of the pooling.
    func embedder(_ model: any TextModel, promptOf tokenizer: Tokenizer) -> SentenceEmbedder {
        guard let prompt, !poolsPrompt else { return embedder(model) }
        let ids = tokenizer.encode(lowercases ? prompt.lowercased() : prompt)
        // A token that the tokenizer puts behind every text stands behind the text, not behind the prompt.
        let bare = tokenizer.encode(lowercases ? prompt.lowercased() : prompt, addSpecialTokens: false)
        let endsAlike = ids.last == bare.last || ids.isEmpty
        var pooling = pooling
        pooling.skippedTokens = ids.count - (endsAlike ? 0 : 1)
        return SentenceEmbedder(model, pooling, projections: projections)
    }

    /// What a run says of its vectors.
    var text: String {
        "pooling: \(pooling.modes.map(\.rawValue).joined(separator: " + "))\(pooling.normalizes ? ", normalised" : "")"
            + (projections.isEmpty
                ? "" : "; then \(projections.count) dense layer\(projections.count == 1 ? "" : "s"), used as stored")
            + (prompt.map { "; texts begin with \(JSONValue.string($0).serialized())" } ?? "")
            + (areGiven ? "" : " (the folder has no modules.json)")
    }

    private static let transformerFiles = [
        "sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json",
        "sentence_camembert_config.json", "sentence_albert_config.json", "sentence_xlm-roberta_config.json",
        "sentence_xlnet_config.json",
    ]

    /// The order in which sentence-transformers lays the vectors of several ways side by side.
    private static let keys: [(key: String, mode: SentencePooling.Mode)] = [
        ("pooling_mode_cls_token", .firstToken), ("pooling_mode_max_tokens", .largest),
        ("pooling_mode_mean_tokens", .mean), ("pooling_mode_mean_sqrt_len_tokens", .meanOverRoot),
        ("pooling_mode_weightedmean_tokens", .weightedMean), ("pooling_mode_lasttoken", .lastToken),
    ]

    /// The ways of pooling, from a key for each or, in newer files, from their names; the mean where none is chosen.
    private static func modes(_ config: JSONValue, file: String) throws -> [SentencePooling.Mode] {
        if let named = config["pooling_mode"], !named.isNull {
            let names = (named.arrayValue ?? [named]).compactMap(\.stringValue).flatMap { $0.split(separator: "+") }
            return try names.map { name in
                guard let mode = SentencePooling.Mode(rawValue: String(name)) else {
                    throw ModelError(
                        "\(file): the pooling \"\(name)\" is not there yet; there are "
                            + SentencePooling.Mode.allCases.map(\.rawValue).joined(separator: ", "))
                }
                return mode
            }
        }
        let chosen = keys.filter { config[$0.key]?.boolValue == true }.map(\.mode)
        return chosen.isEmpty ? [.mean] : chosen
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
        for (key, mode) in keys { modes[key] = .bool(pooling.modes.contains(mode)) }
        return [("modules.json", JSONValue.array(modules)), ("1_Pooling/config.json", .object(modes))].map {
            ($0, Data(($1.serialized(indent: 2) + "\n").utf8))
        }
    }
}
