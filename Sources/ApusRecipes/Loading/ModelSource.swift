import ApusHub
import ApusJSON
import ApusLanguageModel
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
    let path: String
    let form: Form

    /// Finds a model by path, or by hub id in the local caches.
    ///
    /// - Throws: `ModelError` saying where was looked.
    init(_ name: String, surroundings: Surroundings) throws {
        self.name = name
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: name, isDirectory: &isFolder) {
            path = name
        } else {
            let cache = HubCache(environment: surroundings.environment)
            guard let folder = cache.folder(of: name) else {
                let isHubID = name.split(separator: "/").count == 2 && !name.hasPrefix("/") && !name.hasPrefix(".")
                throw ModelError(
                    "--model \(name): there is no such file or folder"
                        + (isHubID
                            ? ", and no model of that id in the local caches (\(cache.searched.joined(separator: ", "))). "
                                + "Downloading from a hub is not there yet: download it with `hf download \(name)` and run this again, or give a folder."
                            : ". Give the folder of a Hugging Face model, a .gguf file, or the id of a model in the local cache.")
                )
            }
            path = folder
            isFolder = true
        }
        if !isFolder.boolValue {
            form = .gguf(try GGUFModel(GGUFFile(path: path)))
        } else if let file = Self.loneGGUF(in: path) {
            form = .gguf(try GGUFModel(GGUFFile(path: file)))
        } else {
            form = .folder
        }
    }

    /// The GGUF file of a folder that holds nothing else to load.
    private static func loneGGUF(in folder: String) -> String? {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        guard !names.contains("config.json"), !names.contains("tokenizer.json") else { return nil }
        let files = names.filter { $0.lowercased().hasSuffix(".gguf") }
        return files.count == 1 ? "\(folder)/\(files[0])" : nil
    }

    /// The `config.json`, or what stands for it in a GGUF file.
    func config() throws -> JSONValue {
        if case .gguf(let model) = form { return model.config }
        guard let config = try json("config.json") else {
            throw ModelError("\(path) holds no config.json; is it the folder of a model?")
        }
        return config
    }

    /// One of the folder's JSON files, or nil when it is not there.
    func json(_ file: String) throws -> JSONValue? {
        guard case .folder = form, let data = FileManager.default.contents(atPath: "\(path)/\(file)") else {
            return nil
        }
        do {
            return try JSONValue(parsing: data)
        } catch {
            throw ModelError("\(path)/\(file): \(error)")
        }
    }

    func weights() throws -> any TensorStore {
        switch form {
        case .gguf(let model): return model
        case .folder:
            let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
            let isSafe = names.contains("model.safetensors") || names.contains("model.safetensors.index.json")
            if !isSafe, names.contains("pytorch_model.bin") {
                return try PyTorchFile(path: "\(path)/pytorch_model.bin")
            }
            if !isSafe, names.contains("pytorch_model.bin.index.json") {
                throw ModelError(
                    "\(path) holds its weights in several pickles, which are not read yet; save the model again with safe_serialization=True"
                )
            }
            return try ModelWeights(folder: path)
        }
    }
}
