import ApusAdapters
import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusText
import ApusTorch
import ApusWeights
import Foundation

/// A base model with an adapter on it, as `--model` and `--adapters` name them, with the head that its task needs.
struct AdaptedModel {
    /// The settings of a command that loads a model.
    struct Request {
        let model: String?
        let adapters: [String]
        let taskType: TaskType?
        let labelCount: Int?
        let problemType: ProblemType?
        let dtype: DType?
        let device: Device
    }

    enum Form {
        /// Continues text.
        case language(LanguageModel)
        /// Scores whole texts.
        case classifier(SequenceClassifier, LabelScheme)
        /// Fills in masked tokens.
        case masked(MaskedLanguageModel)
        /// Turns texts into vectors.
        case sentences(SentenceEmbedder, SentenceFiles)

        var model: any TextModel {
            switch self {
            case .language(let language): language.model
            case .classifier(let model, _): model
            case .masked(let model): model
            case .sentences(let embedder, _): embedder.model
            }
        }
    }

    let source: ModelSource
    let config: JSONValue
    let form: Form
    let attached: AttachedAdapter?
    /// What a user should know of how the model and the adapter were read.
    let notices: [String]

    /// - Throws: `AdapterError` when the adapter does not fit, or when no base model is named anywhere.
    init(_ request: Request, surroundings: Surroundings) throws {
        let adapters = request.adapters
        guard adapters.count <= 1 else {
            throw AdapterError(
                "--adapters: one adapter at a time is there for now, got \(adapters.count). "
                    + "Merge one first (apus merge-lora), then give the other.")
        }
        let method = try adapters.first.map { try AdapterFiles.method(in: $0) }
        guard let name = request.model ?? method?.base.baseModel else {
            throw ModelError(
                "--model: not given"
                    + (adapters.isEmpty
                        ? ". Give a model or a checkpoint."
                        : ", and \(adapters[0]) does not name its base model. Give it."))
        }
        source = try ModelSource(Self.located(name, near: adapters.first), surroundings: surroundings)
        config = try source.config()
        let isClassifier =
            request.taskType.map { $0 == .sequenceClassification || $0 == .reranker }
            ?? (method?.base.taskType == "SEQ_CLS" || LabelScheme.isDescribed(by: config))
        let isEmbedder =
            try request.taskType.map { $0 == .embedding }
            ?? (method?.base.taskType == "FEATURE_EXTRACTION"
                || method == nil && SentenceFiles.describe(source))
        var new: [String] = []
        let dtype = request.dtype ?? LanguageModel.storedDType(config) ?? .float32
        if request.taskType == .maskedLanguageModel {
            let model = try Models.registry.masked(config)
            try request.device.prepare()
            try model.loadWeights(source.weights(), dtype: dtype, device: request.device)
            form = .masked(model)
        } else if isEmbedder {
            let model = try Models.registry.model(config, for: .hiddenStates)
            let files = try SentenceFiles(source, model: model)
            try request.device.prepare()
            // A pooler has no part in the vectors and may be missing.
            try model.loadWeights(
                source.weights(), dtype: dtype, device: request.device, newHeadSeed: 0)
            form = .sentences(files.embedder(model), files)
        } else if isClassifier {
            let labels =
                try request.taskType == .reranker
                ? LabelScheme(problemType: .regression, labelCount: 1)
                : LabelReading(config: config, adapter: adapters.first)
                    .scheme(labelCount: request.labelCount, problemType: request.problemType)
            let model = try Models.registry.classifier(config, labels: labels.labelCount)
            try request.device.prepare()
            // The head of a base model is made anew only where an adapter brings the trained one.
            let brings = method?.base.storedModules.isEmpty == false
            new = try model.loadWeights(
                source.weights(), dtype: dtype, device: request.device, newHeadSeed: brings ? 0 : nil)
            form = .classifier(model, labels)
        } else {
            form = .language(try LanguageModel(source, dtype: request.dtype, device: request.device))
        }
        var notices = form.model.trunk.notices + [method?.notice].compactMap(\.self)
        if case .language(let language) = form { notices += language.notices }
        self.notices = notices
        guard let method, let folder = adapters.first else {
            attached = nil
            return
        }
        let attached = try method.attach(
            to: form.model, heads: form.model.headNames, trunk: form.model.trunk.name)
        try attached.checkStored(new: new, of: name)
        try attached.load(from: folder, device: request.device)
        self.attached = attached
    }
}

extension AdaptedModel {
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

extension LabelScheme {
    /// Whether a `config.json` is a classifier's.
    static func isDescribed(by config: JSONValue) -> Bool {
        (config["architectures"]?.arrayValue ?? []).contains {
            $0.stringValue?.hasSuffix("ForSequenceClassification") == true
        }
    }
}

/// How a trained classifier's labels are to be read: from the settings, the `args.json` beside its adapter, or its
/// `config.json`.
struct LabelReading {
    private let config: JSONValue
    private let arguments: JSONValue
    /// Rows of the head that an adapter stores.
    private let stored: Int?

    init(config: JSONValue, adapter: String? = nil) throws {
        self.config = config
        var arguments = JSONValue.null
        if let adapter, let data = FileManager.default.contents(atPath: "\(adapter)/args.json") {
            arguments = try JSONValue(parsing: data)
        }
        self.arguments = arguments
        guard let adapter else {
            stored = nil
            return
        }
        let file = try AdapterFiles.weights(in: adapter).store
        let heads = ["score.weight", "classifier.weight", "classifier.out_proj.weight"]
        let head = file.tensorNames.first { name in heads.contains { name.hasSuffix("." + $0) } }
        stored = try head.flatMap { try file.shape(of: $0).first }
    }

    func scheme(labelCount: Int?, problemType: ProblemType? = nil) throws -> LabelScheme {
        let map = try LabelMap(config: arguments) ?? LabelMap(config: config)
        let count =
            labelCount ?? stored ?? arguments["num_labels"]?.intValue ?? config["num_labels"]?.intValue
            ?? map?.count ?? 2
        let named = arguments["problem_type"]?.stringValue ?? config["problem_type"]?.stringValue
        let problem =
            problemType ?? named.flatMap { ProblemType(rawValue: $0) } ?? (count == 1 ? .regression : .singleLabel)
        return try LabelScheme(
            problemType: problem, labelCount: count, map: map?.count == count ? map : nil,
            format: arguments["multi_label_format"]?.stringValue.flatMap { MultiLabelFormat(rawValue: $0) })
    }
}
