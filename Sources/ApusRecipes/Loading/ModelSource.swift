import ApusHub
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusNN
import ApusWeights
import Foundation

/// Where a model lies: a Hugging Face folder or a GGUF file.
struct ModelSource {
    enum Form {
        case folder
        case gguf(GGUFModel)
    }

    /// What the user wrote.
    let name: String
    /// The folder or file it stands for.
    let root: String
    /// The folder with the configuration, the weights and the tokenizer, or the file.
    ///
    /// Older sentence encoders keep these in a folder of their own inside `root`.
    let path: String
    let form: Form
    /// The layers that a method has added to the model's.
    var plan: LayerPlan?

    /// Finds a model by path, or by hub id in the local caches; one that is in neither is fetched.
    ///
    /// - Parameter need: How much of a model of a hub has to be there.
    /// - Throws: `ModelError` saying where was looked, or what lies there instead of a model; `HubError`.
    init(_ name: String, surroundings: Surroundings, need: HubCache.Need = .weights) throws {
        self.name = name
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: name, isDirectory: &isFolder) {
            root = isFolder.boolValue ? HubCache.snapshot(in: name) ?? name : name
        } else {
            root = try surroundings.modelFolder(name, need: need)
            isFolder = true
        }
        guard isFolder.boolValue else {
            path = root
            form = .gguf(try GGUFModel(GGUFFile(path: Self.gguf(root))))
            return
        }
        if let file = try Self.onlyGGUF(in: root) {
            path = root
            form = .gguf(try GGUFModel(GGUFFile(path: file)))
            return
        }
        path = try SentenceModules(folder: root)?.modelFolder ?? root
        form = .folder
        try Self.checkTexts(in: path)
    }

    /// The name under which files remember the model: the id of a hub, or the whole path, which holds wherever they are
    /// read.
    var recordedName: String {
        guard FileManager.default.fileExists(atPath: name) else { return Hub.split(name).id }
        return URL(fileURLWithPath: name).standardizedFileURL.path
    }

    /// A file given as a model, which can only be GGUF.
    private static func gguf(_ path: String) throws -> String {
        let endings = [".safetensors", ".bin", ".pt", ".pth", ".json"]
        guard let ending = endings.first(where: path.lowercased().hasSuffix) else { return path }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        throw ModelError(
            "--model \(path): a \(ending) file is one part of a model. Give the folder with its config.json and its "
                + "tokenizer: --model \(folder)")
    }

    /// The GGUF file of a folder that holds no other weights.
    ///
    /// - Throws: `ModelError` when there are several.
    private static func onlyGGUF(in folder: String) throws -> String? {
        let weights = try WeightsFolder(folder)
        let files = weights.ggufFiles
        guard !files.isEmpty, !weights.holdsWeights else { return nil }
        guard files.count == 1 else {
            throw ModelError(
                "--model \(folder) holds several GGUF files: \(files.prefix(12).joined(separator: ", "))"
                    + (files.count > 12 ? " and \(files.count - 12) more" : "")
                    + ". Give the path of one: --model \(folder)/\(files[0])")
        }
        return "\(folder)/\(files[0])"
    }

    /// The files that a model is read from beside its weights.
    private static let texts = [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja", "chat_template.json",
        "modules.json",
    ]

    /// Refuses pointers of git-lfs, web pages and the like in the place of texts, before a reader stumbles over them.
    private static func checkTexts(in folder: String) throws {
        for name in texts {
            guard let file = FileHandle(forReadingAtPath: "\(folder)/\(name)") else { continue }
            defer { try? file.close() }
            let start = try file.read(upToCount: 512) ?? Data()
            let isWhole = name.hasSuffix(".json")
            let error = start.withUnsafeBytes { FileSort.error($0, path: "\(folder)/\(name)", wanted: .json) }
            switch start.withUnsafeBytes({ FileSort($0) }) {
            // A list of words or a template may begin with anything that is text.
            case .webPage? where !isWhole: continue
            default: if let error { throw error }
            }
            if start.isEmpty, isWhole {
                throw ModelError("\(folder)/\(name) is empty; download it again")
            }
        }
    }

    /// The `config.json`, or what stands for it in a GGUF file.
    ///
    /// - Throws: `ModelError` when it is missing, or describes weights that are not read.
    func config() throws -> JSONValue {
        let own = try ownConfig()
        return plan?.expanded(own) ?? own
    }

    private func ownConfig() throws -> JSONValue {
        if case .gguf(let model) = form { return model.config }
        guard let whole = try json("config.json") else { throw ModelError(missingConfig()) }
        let described = Models.registry.textConfiguration(whole)
        let isUnpacked = EightBitWeights(described) != nil || WeightQuantization.isOfExpertsAlone(described)
        let config = isUnpacked ? described.without("quantization_config") : described
        if let quantisation = WeightQuantization(config, folder: path) {
            throw ModelError(quantisation.text(path: path, name: name))
        }
        try checkType(config)
        if let kind = config["_class_name"]?.stringValue, config["model_type"] == nil {
            throw ModelError("\(path)/config.json describes a diffusion model (\(kind)). Give a language model.")
        }
        return config
    }

    /// Refuses a family that is not there, before anything else of the folder is looked at.
    private func checkType(_ config: JSONValue) throws {
        let known = Models.registry.types
        guard let type = config["model_type"]?.stringValue, !known.contains(type) else { return }
        let near = NearestNames.find(type, among: known).map { "\"\($0)\"" }
        let question = near.isEmpty ? "" : " Is it one like \(near.joined(separator: " or "))?"
        throw ModelError(
            "\(path)/config.json: models of type \"\(type)\" are not there yet.\(question) There are "
                + "\(known.joined(separator: ", ")).")
    }

    private func missingConfig() -> String {
        func holds(_ file: String) -> Bool { FileManager.default.fileExists(atPath: "\(path)/\(file)") }
        if holds("adapter_config.json") {
            let base = try? json("adapter_config.json")?["base_model_name_or_path"]?.stringValue
            return "--model \(path) is an adapter, not a model. Give it as --adapters \(path)"
                + ((base ?? nil).map { ", with --model \($0)" } ?? ", with its base model as --model")
        }
        if holds("model_index.json") {
            return "\(path) holds a pipeline of diffusers, not a language model. Give a language model."
        }
        if holds("params.json") {
            return "\(path) holds a model in Meta's or Mistral's own format (params.json), which is not read. "
                + "Download the files of Hugging Face's format: config.json, the tokenizer and model*.safetensors."
        }
        return "\(path) holds no config.json; is it the folder of a model?"
    }

    /// One of the folder's JSON files, or nil when it is not there.
    func json(_ file: String) throws -> JSONValue? { try Self.json("\(path)/\(file)", form: form) }

    /// As `json`, of the folder that was given.
    func rootJSON(_ file: String) throws -> JSONValue? { try Self.json("\(root)/\(file)", form: form) }

    private static func json(_ path: String, form: Form) throws -> JSONValue? {
        guard case .folder = form, let data = FileManager.default.contents(atPath: path) else { return nil }
        do {
            return try JSONValue(parsing: data)
        } catch {
            if let other = data.withUnsafeBytes({ FileSort.error($0, path: path, wanted: .json) }) { throw other }
            throw ModelError("\(path): \(error)")
        }
    }

    /// The weights; opening them reads and checks their tables alone.
    ///
    /// - Throws: `WeightsError` that says what lies there instead.
    func weights() throws -> any TensorStore {
        let store: any TensorStore =
            switch form {
            case .gguf(let model): model
            case .folder: try WeightsFolder(path).open(block: json("config.json").flatMap(EightBitWeights.init)?.block)
            }
        let whole = try SplitExperts(store) ?? store
        return plan.map { PlannedStore(whole, plan: $0) } ?? whole
    }
}
