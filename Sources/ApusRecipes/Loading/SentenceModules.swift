import ApusJSON
import ApusLanguageModel
import ApusTorch
import ApusWeights
import Foundation

/// The `modules.json` of sentence-transformers: what a text passes through, in order.
struct SentenceModules {
    struct Module {
        /// The class without its package, such as `Pooling`.
        let kind: String
        let type: String
        /// The folder inside the model's, empty for the model's own.
        let path: String
        fileprivate let json: JSONValue
    }

    let modules: [Module]
    private let folder: String

    static let name = "modules.json"

    /// Nil for a folder without the file.
    ///
    /// - Throws: `ModelError` for a file that is not a list of modules in the folder.
    init?(folder: String) throws {
        let path = "\(folder)/\(Self.name)"
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        let list: [JSONValue]
        do {
            list = try JSONValue(parsing: data).arrayValue ?? []
        } catch {
            if let other = data.withUnsafeBytes({ FileSort.error($0, path: path, wanted: .json) }) { throw other }
            throw ModelError("\(path): \(error)")
        }
        self.folder = folder
        modules = try list.map { json in
            let module = json["path"]?.stringValue ?? ""
            guard module.split(separator: "/").allSatisfy({ $0 != ".." }), !module.hasPrefix("/") else {
                throw ModelError("\(path): the path \"\(module)\" leads out of the folder")
            }
            let type = json["type"]?.stringValue ?? ""
            let kind = type.split(separator: ".").last.map(String.init) ?? ""
            return Module(
                kind: Self.transformers.contains(kind) ? "Transformer" : kind, type: type, path: module, json: json)
        }
    }

    /// What the first versions called the one module that there is now for all models.
    private static let transformers = ["BERT", "RoBERTa", "DistilBERT", "ALBERT", "XLMRoBERTa", "CamemBERT"]

    /// Where the model itself lies: older files have a folder for it, such as `0_Transformer`.
    var modelFolder: String {
        guard let path = modules.first(where: { $0.kind == "Transformer" })?.path, !path.isEmpty,
            FileManager.default.fileExists(atPath: "\(folder)/\(path)/config.json")
        else { return folder }
        return "\(folder)/\(path)"
    }

    /// The text of the file for a model that lies in the folder itself, as it is saved.
    var written: String {
        let list = modules.map { module -> JSONValue in
            guard module.kind == "Transformer", var json = module.json.objectValue else { return module.json }
            json["path"] = ""
            return .object(json)
        }
        return JSONValue.array(list).serialized(indent: 2) + "\n"
    }
}

extension SentenceProjection {
    /// Reads a `Dense` module: its `config.json` and its weights, `linear.weight`, `linear.bias` and for some
    /// `residual.weight`.
    ///
    /// - Parameter width: Of the vectors that come in.
    /// - Throws: `ModelError` naming what the module does that is not there, or a file that does not fit.
    convenience init(folder: String, width: Int, normalizes: Bool) throws {
        let file = "\(folder)/config.json"
        guard let data = FileManager.default.contents(atPath: file) else {
            throw ModelError("\(file) is not there, although modules.json names it; download the model again")
        }
        let config: JSONValue
        do { config = try JSONValue(parsing: data) } catch { throw ModelError("\(file): \(error)") }
        let input = config["module_input_name"]?.stringValue ?? "sentence_embedding"
        guard input == "sentence_embedding", config["module_output_name"]?.stringValue ?? input == input else {
            throw ModelError("\(file): a Dense of \"\(input)\" is not there yet; there is that of whole texts")
        }
        // Files without the key are of a Dense with its default.
        let name = config["activation_function"]?.stringValue ?? "torch.nn.modules.activation.Tanh"
        guard name.hasPrefix("torch.nn."), let last = name.split(separator: ".").last,
            let function = Function(rawValue: String(last))
        else {
            throw ModelError(
                "\(file): the activation_function \"\(name)\" is not there yet; there are "
                    + Function.allCases.map { "torch.nn.\($0.rawValue)" }.joined(separator: ", "))
        }
        let store = try WeightsFolder(folder).open()
        func matrix(_ name: String, _ shape: [Int]) throws -> Tensor {
            guard store.tensorNames.contains(name), try store.shape(of: name) == shape else {
                throw ModelError(
                    "\(folder): its weights hold no \(name) of the shape \(shape), which its config.json and the module "
                        + "before it ask for; take all modules from one model")
            }
            return try store.tensor(name, dtype: .float32, device: .cpu).tensor.cloned()
        }
        guard config["in_features"]?.intValue ?? width == width else {
            throw ModelError(
                "\(file): in_features is \(config["in_features"]?.intValue ?? 0), but the vectors before it have \(width)"
            )
        }
        let stored = store.tensorNames.contains("linear.weight") ? try store.shape(of: "linear.weight") : []
        let out = config["out_features"]?.intValue ?? stored.first ?? 0
        var residual = Residual.none
        if config["use_residual"]?.boolValue == true {
            residual = width == out ? .input : .projected(try matrix("residual.weight", [out, width]))
        }
        self.init(
            weight: try matrix("linear.weight", [out, width]),
            bias: config["bias"]?.boolValue == false ? nil : try matrix("linear.bias", [out]), function: function,
            residual: residual, normalizes: normalizes)
    }
}
