import ApusAdapters
import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusNN
import ApusText
import ApusTorch
import ApusWeights
import Foundation

/// A base model with adapters on it, all of which count, as `--model` and `--adapters` name them, with the head that its task needs.
struct AdaptedModel {
    let source: ModelSource
    let config: JSONValue
    let task: TaskType
    /// The task's model.
    let form: any LoadedTask
    let attached: [AttachedAdapter]
    /// What a user should know of how the model and the adapter were read.
    let notices: [String]

    /// - Parameter before: Looks at the files before the weights are read.
    /// - Throws: `AdapterError` when the adapter does not fit, or when no base model is named anywhere.
    init(
        _ settings: ModelSettings, device: Device, surroundings: Surroundings,
        before check: (ModelSource, TaskType) throws -> Void = { _, _ in }
    ) throws {
        let adapters = settings.adapters
        let methods = try adapters.map { (folder: $0, method: try AdapterFiles.method(in: $0)) }
        let method = methods.first?.method
        var source = try Self.base(settings.name, adapter: methods.first, surroundings: surroundings)
        source.plan = try Self.plan(of: methods.map(\.method), config: source.config())
        self.source = source
        config = try source.config()
        let files = TaskFiles(
            source: source, config: config, adapterTask: method?.base.taskType, hasAdapter: method != nil)
        let type = try settings.taskType ?? TaskType.named(by: files)
        for adapter in adapters { _ = try AdapterFiles.weights(in: adapter) }
        try check(source, type)
        form = try type.task.loaded(
            LoadingInputs(settings: settings, device: device, source: source, config: config, adapter: methods.first))
        task = type
        notices =
            form.model.trunk.notices + methods.compactMap(\.method.notice)
            + methods.compactMap(\.method.base.notice) + form.notices
        let (model, new) = (form.model, form.newWeights)
        attached = try methods.enumerated().reduce(into: []) { all, adapter in
            let (index, (folder, method)) = (adapter.offset, adapter.element)
            let attached = try method.attach(
                to: model, named: Self.name(ofAdapter: index, folder), heads: model.headNames,
                trunk: model.trunk.name)
            if index == 0 { try attached.checkStored(new: new, of: source.name) }
            try attached.checkLayers(beside: all)
            try attached.load(from: folder, device: device)
            all.append(attached)
        }
    }
}

extension AdaptedModel {
    /// What an adapter is attached as.
    static func name(ofAdapter index: Int, _ folder: String) -> String { index == 0 ? "default" : folder }

    /// The base model: the one that was asked for, or the one that the adapter's files name.
    ///
    /// - Throws: `ModelError` that says who named a model which is not there.
    static func base(
        _ given: String?, adapter: (folder: String, method: any AdapterMethod)?, surroundings: Surroundings
    ) throws -> ModelSource {
        let recorded = adapter?.method.base.baseModel
        guard let name = given ?? recorded else {
            throw ModelError(
                "--model: not given"
                    + (adapter.map { ", and \($0.folder) does not name its base model. Give it." }
                        ?? ". Give a model or a checkpoint."))
        }
        do {
            return try ModelSource(located(name, near: adapter?.folder), surroundings: surroundings)
        } catch {
            guard let adapter, name == recorded, !FileManager.default.fileExists(atPath: name) else { throw error }
            // Of a path, that it is not there; of an id, what its hub says.
            let whole = "\(error)".replacing("--model \(name): ", with: "")
            let reason = name.hasPrefix("/") ? "there is no such file or folder." : whole
            throw ModelError(
                "\(adapter.folder)/adapter_config.json names the base model as \"\(name)\" (base_model_name_or_path): "
                    + "\(reason) If it lies elsewhere, give its folder with --model.")
        }
    }

    /// The layers that adapters add to the model's.
    ///
    /// - Throws: `AdapterError` for adapters of models of different layers.
    static func plan(of methods: [any AdapterMethod], config: JSONValue) throws -> LayerPlan? {
        let type = config["model_type"]?.stringValue ?? "unknown"
        guard let layers = LayerPlan.layerCount(of: config) else {
            guard try methods.allSatisfy({ try $0.layerPlan(layers: 1024) == nil }) else {
                throw AdapterError("more layers by an adapter are not there yet for models of the type \(type)")
            }
            return nil
        }
        let plans = try methods.map { try $0.layerPlan(layers: layers) }
        guard plans.allSatisfy({ $0 == plans.first }) else {
            throw AdapterError(
                "--adapters: these adapters have added different layers to the model, so that they go with different models; "
                    + "merge one of them first (apus merge-lora)")
        }
        guard let plan = plans.first ?? nil else { return nil }
        // A copy is of the kind of its source, which a list says of each layer; numbers would say it anew.
        let unlisted = try Models.registry.model(config, for: .hiddenStates).trunk.unlistedKinds
        guard unlisted.isEmpty else {
            throw AdapterError(
                "layers of this model differ by their number, so that copies of them would be others; write "
                    + "\(unlisted.map { "\"\($0)\"" }.joined(separator: ", ")) into its config.json first")
        }
        return plan
    }

    /// A base model that was written down as a relative path, seen from the adapter's folder or one above it.
    ///
    /// The path held where the run was started, and the run's folder mostly lies below that.
    static func located(_ name: String, near adapter: String?) -> String {
        let files = FileManager.default
        guard let adapter, !name.hasPrefix("/"), !files.fileExists(atPath: name) else { return name }
        var folder = URL(fileURLWithPath: adapter).standardizedFileURL
        for _ in 0..<6 {
            let path = folder.appendingPathComponent(name).standardizedFileURL.path
            if files.fileExists(atPath: "\(path)/config.json")
                || path.hasSuffix(".gguf") && files.fileExists(atPath: path)
            {
                return path
            }
            guard folder.path != "/" else { break }
            folder = folder.deletingLastPathComponent()
        }
        return name
    }
}
