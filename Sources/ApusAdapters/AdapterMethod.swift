package import ApusJSON
package import ApusNN
package import ApusWeights

/// A method of parameter-efficient training, described by settings or by PEFT's `adapter_config.json`.
///
/// A method is one file and a line in `AdapterMethods`, its options included; nothing else knows it by name.
package protocol AdapterMethod: Sendable {
    /// PEFT's `peft_type`.
    static var peftType: String { get }
    /// ms-swift's `--tuner_type`, or PEFT's name in lower case.
    static var tunerType: String { get }
    /// What the method takes from a command line beside the layers to adapt.
    static var options: [AdapterOption] { get }
    /// What the names of the model's modules begin with in a file.
    static var modelPrefix: String { get }
    /// Former values of `peft_type` whose files are refused, with what to do about them.
    static var formerPEFTTypes: [String: String] { get }
    /// Where the files lie below the adapter's folder: nowhere, or a folder with its slash.
    static var folder: String { get }
    /// Whether it hangs on layers, so that `--target_modules` chooses them.
    static var hangsOnLayers: Bool { get }
    /// Whether what it does depends on how long the run is, so that a resumed one must be as long.
    static var isScheduled: Bool { get }
    /// Whether tokens see fewer others while it trains, which is so wherever the model is asked then.
    static var narrowsAttention: Bool { get }

    /// The method as a command line asks for it.
    init(_ settings: AdapterSettings) throws

    /// Reads PEFT's file.
    ///
    /// - Throws: `AdapterError` naming an option that would change what is computed and is not there.
    init(json: JSONValue, file: String) throws

    /// What every method's file holds.
    var base: AdapterBase { get set }
    /// One line for people: `Rank 8, alpha 32`.
    var summary: String { get }
    /// What a user should know of an adapter that was read.
    var notice: String? { get }

    /// What a user should know of the file that an adapter on a model is written to.
    func fileNotice(_ parts: [AdapterPart]) -> String?

    /// Takes up what only the tensors of its file say of an adapter that was read.
    mutating func read(_ store: any TensorStore) throws

    /// Takes up what a command line says of training an adapter further that was read from a file.
    mutating func train(_ settings: AdapterSettings) throws

    /// What the learning rate of a trained tensor is of the run's.
    ///
    /// - Parameter rate: The highest learning rate of the run.
    func rateFactor(of name: String, shape: [Int], rate: Double) -> Double

    /// Settles what depends on the model, before parts hang on it.
    mutating func prepare(on model: Module) throws

    /// Hangs the method's parts on a model, in the order of its layers.
    ///
    /// - Parameter heads: Paths of the modules that make the model's answer.
    func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart]

    /// Paths of the model's own modules that the method trains and stores; they are counted with the model.
    func ownModules(of model: Module) throws -> [String]

    /// Fills what the parts hold and is not trained, as PEFT draws it from the configuration: on the CPU.
    func draw(_ parts: [AdapterPart]) throws

    /// Whether base weights are others while it trains than those of the model's files.
    var changesBase: Bool { get }

    /// What the parts' base weights become before the adapter has values: the residuals of decompositions.
    func prepareBase(_ parts: [AdapterPart]) throws

    /// First values that are made of the model's weights and no slot can draw by itself.
    ///
    /// - Parameters:
    ///   - seed: For what is drawn.
    ///   - encode: The ids of a text by the model's tokenizer; nil where there is none.
    func start(_ parts: [AdapterPart], seed: UInt64, encode: ((String) throws -> [Int32])?) throws

    /// Whether passes over data of the run make first values.
    var startsFromData: Bool { get }

    /// Whether data have decided which layers are adapted and how, so that a run goes on with what its file says of that.
    var isShapedByData: Bool { get }

    /// Makes first values of passes over data.
    ///
    /// - Returns: What the method has become and the parts that stay, where data decide that.
    func start(
        _ parts: [AdapterPart], from passes: StartPasses, seed: UInt64
    ) throws -> (method: any AdapterMethod, parts: [AdapterPart])?

    /// Which layers of the file the model has that the method trains on; nil where they are the model's own.
    ///
    /// - Parameter layers: Layers of the file.
    func layerPlan(layers: Int) throws -> LayerPlan?

    /// What takes part in the steps of a run of so many.
    mutating func participants(_ parts: [AdapterPart], totalSteps: Int) throws -> [any StepParticipant]

    /// PEFT's file, every key.
    func json(_ parts: [AdapterPart]) throws -> JSONValue
}

extension AdapterMethod {
    package static var modelPrefix: String { "base_model.model." }
    package static var formerPEFTTypes: [String: String] { [:] }
    package static var folder: String { "" }
    package static var hangsOnLayers: Bool { true }
    package static var isScheduled: Bool { false }
    package static var narrowsAttention: Bool { false }
    package var notice: String? { nil }
    package func fileNotice(_ parts: [AdapterPart]) -> String? { nil }
    package mutating func read(_ store: any TensorStore) throws {}
    package mutating func train(_ settings: AdapterSettings) throws {}
    package func rateFactor(of name: String, shape: [Int], rate: Double) -> Double { 1 }
    package mutating func prepare(on model: Module) throws {}
    package func ownModules(of model: Module) throws -> [String] { [] }
    package func draw(_ parts: [AdapterPart]) throws {}
    package var changesBase: Bool { false }
    package func prepareBase(_ parts: [AdapterPart]) throws {}
    package func start(_ parts: [AdapterPart], seed: UInt64, encode: ((String) throws -> [Int32])?) throws {}
    package var startsFromData: Bool { false }
    package var isShapedByData: Bool { false }
    package func start(
        _ parts: [AdapterPart], from passes: StartPasses, seed: UInt64
    ) throws -> (method: any AdapterMethod, parts: [AdapterPart])? { nil }
    package func layerPlan(layers: Int) throws -> LayerPlan? { nil }
    package mutating func participants(_ parts: [AdapterPart], totalSteps: Int) throws -> [any StepParticipant] { [] }
}

/// One adapter of a model on its place.
package struct AdapterPart {
    /// The module that it belongs to, by PEFT's names.
    package let path: String
    package let host: Module
    package let adapter: Adapter
    /// What the names of its tensors begin with in a file.
    package let prefix: String

    /// - Parameter prefix: By default `base_model.model.` and the path.
    package init(path: String, host: Module, adapter: Adapter, prefix: String? = nil) {
        self.path = path
        self.host = host
        self.adapter = adapter
        self.prefix = prefix ?? "base_model.model.\(path)."
    }

    /// What the other parts of an adapter share.
    package init(shared adapter: SharedAdapter, of model: Module) {
        self.init(path: "", host: model, adapter: adapter, prefix: "base_model.")
    }
}

extension [AdapterPart] {
    /// Those that hang on a layer.
    var onLayers: [AdapterPart] { filter { !($0.adapter is SharedAdapter) } }
}

/// The part of `adapter_config.json` that all methods share.
package struct AdapterBase: Sendable, Equatable {
    /// The version of PEFT whose files these are.
    static let peftVersion = "0.20.0"

    package var taskType: String? = "CAUSAL_LM"
    /// Modules that are trained and stored whole beside the adapters, by PEFT's rule for names.
    package var modulesToSave: [String] = []
    /// Whether a head that is the table of words stays so where that is trained whole.
    var keepsTies = false
    /// Which biases of the model are trained and stored beside (`bias`).
    package var biases = TrainedBiases.none
    /// What `bias` says of a file that has no biases all the same.
    var lostBiases: String?
    package var baseModel: String?
    package var revision: String?
    /// Keys of the file that nothing here reads.
    var leftOut: [String] = []

    package init() {}

    package init(json: JSONValue) {
        modulesToSave = (json["modules_to_save"]?.arrayValue ?? []).compactMap(\.stringValue)
        taskType = json["task_type"]?.stringValue
        baseModel = json["base_model_name_or_path"]?.stringValue
        revision = json["revision"]?.stringValue
    }

    /// What a user should know of the file.
    package var notice: String? {
        var lines: [String] = []
        if !leftOut.isEmpty {
            lines.append(
                "not understood, and left out of what is computed: "
                    + leftOut.map { "\"\($0)\"" }.joined(separator: ", "))
        }
        if let lostBiases {
            lines.append(
                "\"bias\" is \(lostBiases), but PEFT stores no trained biases of this method: the model's own are used, as there"
            )
        }
        return lines.isEmpty ? nil : "adapter_config.json: " + lines.joined(separator: "; ")
    }

    /// The modules that are stored, with those that PEFT adds for the task of its own accord.
    package var storedModules: [String] {
        guard taskType == "SEQ_CLS" || taskType == "TOKEN_CLS" else { return modulesToSave }
        return modulesToSave + ["classifier", "score"].filter { !modulesToSave.contains($0) }
    }

    /// The file of a method: its own keys and those that all have.
    func json(_ peftType: String, _ own: JSONObject) -> JSONValue {
        var object = own
        object["auto_mapping"] = .null
        object["base_model_name_or_path"] = baseModel.map(JSONValue.string) ?? .null
        object["inference_mode"] = true
        let modules = modulesToSave.map { JSONValue.string(ModulePaths.inTransformers($0)) }
        object["modules_to_save"] = modules.isEmpty ? .null : .array(modules)
        object["peft_type"] = .string(peftType)
        object["peft_version"] = .string(Self.peftVersion)
        object["revision"] = revision.map(JSONValue.string) ?? .null
        object["task_type"] = taskType.map(JSONValue.string) ?? .null
        return .object(object)
    }
}

/// The biases of a model that are trained beside an adapter, by LoRA's words.
package enum TrainedBiases: String, Sendable, CaseIterable {
    case none, all
    /// Those of the adapted layers. PEFT trains them and leaves them out of its files, but reads them.
    case adapted = "lora_only"
}

/// Every method there is.
package enum AdapterMethods {
    package static let all: [any AdapterMethod.Type] = [
        LoRAConfiguration.self, IA3Configuration.self, PromptTuningConfiguration.self,
        PrefixTuningConfiguration.self, PTuningConfiguration.self, AdaLoRAConfiguration.self,
        BottleneckConfiguration.self,
        VeRAConfiguration.self, TrainableTokensConfiguration.self, RandLoRAConfiguration.self, SHiRAConfiguration.self,
        C3AConfiguration.self, FourierFTConfiguration.self, VBLoRAConfiguration.self, WaveFTConfiguration.self,
        MultitaskPromptTuningConfiguration.self,
        LoHaConfiguration.self, LoKrConfiguration.self, OFTConfiguration.self, BOFTConfiguration.self,
        HRAConfiguration.self, MiSSConfiguration.self, LNTuningConfiguration.self, RoAdConfiguration.self,
        HiRAConfiguration.self, DeLoRAConfiguration.self,
        LongLoRAConfiguration.self, LLaMAProConfiguration.self, ReFTConfiguration.self,
        XLoRAConfiguration.self,
    ]

    /// The options of all methods, each once; a name that two methods read is one option.
    package static let options: [AdapterOption] = {
        var names = Set<String>()
        return all.flatMap { $0.options }.filter { names.insert($0.name).inserted }
    }()

    /// The option of a name, or nil.
    package static func option(_ name: String) -> AdapterOption? { optionsByName[name] }

    private static let optionsByName = Dictionary(uniqueKeysWithValues: options.map { ($0.name, $0) })

    /// The method of ms-swift's name, or nil.
    package static func of(tunerType: String) -> (any AdapterMethod.Type)? {
        all.first { $0.tunerType == tunerType }
    }

    /// Reads PEFT's `adapter_config.json`.
    package static func read(_ json: JSONValue, file: String) throws -> any AdapterMethod {
        guard let type = (json["peft_type"] ?? json["swift_type"])?.stringValue else {
            let key = json["swift_type"] == nil ? "peft_type" : "swift_type"
            throw AdapterError(
                "\(file): \"\(key)\" is missing or no text; is this the configuration of a PEFT adapter?")
        }
        guard let method = all.first(where: { $0.peftType == type }) else {
            if let advice = all.compactMap({ $0.formerPEFTTypes[type] }).first {
                throw AdapterError("\(file): adapters of the method \(type) are not read: \(advice)")
            }
            let known = all.map { $0.peftType }.joined(separator: ", ")
            throw AdapterError("\(file): adapters of the method \(type) are not there yet; there is \(known)")
        }
        var read = try method.init(json: json, file: file)
        read.base.leftOut = try leftOut(of: json, read)
        return read
    }

    /// The keys of a file that say something, and that neither the method's own file has nor anything else reads.
    private static func leftOut(of json: JSONValue, _ method: any AdapterMethod) throws -> [String] {
        let own = try method.json([]).objectValue?.keys ?? []
        let idle: [JSONValue] = [.null, false, [], [:], ""]
        let known = Set(own).union(furtherKeys)
        return (json.objectValue?.keys ?? []).filter { key in
            let value = json[key] ?? .null
            return !known.contains(key) && !idle.contains(value)
        }.sorted()
    }

    /// What programs write beside: how ms-swift's files are called, how its LoRA is trained, and keys of older versions
    /// of PEFT, which are read or refused where a method has them.
    private static let furtherKeys: Set<String> = [
        "swift_type", "lora_dtype", "lorap_lr_ratio", "lorap_emb_lr", "kasa_config", "runtime_config", "merge_weights",
    ]
}
