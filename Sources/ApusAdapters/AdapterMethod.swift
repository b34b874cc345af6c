package import ApusJSON
package import ApusNN

/// A method of parameter-efficient training, described by settings or by PEFT's `adapter_config.json`.
///
/// A method is one file and a line in `AdapterMethods`; nothing else knows it by name.
package protocol AdapterMethod: Sendable {
    /// PEFT's `peft_type`.
    static var peftType: String { get }
    /// ms-swift's `--tuner_type`.
    static var tunerType: String { get }

    /// The method as a command line asks for it.
    init(_ settings: AdapterSettings) throws

    /// Reads PEFT's file.
    ///
    /// - Throws: `AdapterError` naming an option that would change what is computed and is not there.
    init(json: JSONValue, file: String) throws

    /// What every method's file holds.
    var base: AdapterBase { get set }
    /// The probability with which inputs of the adapter are dropped while training, in methods that do that.
    var dropout: Double { get set }
    /// One line for people: `Rank 8, alpha 32`.
    var summary: String { get }

    /// Hangs the method's parts on a model, in the order of its layers.
    ///
    /// - Parameter heads: Paths of the modules that make the model's answer.
    func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart]

    /// What the parts' base weights become before the adapter has values: the residuals of decompositions.
    func prepareBase(_ parts: [AdapterPart]) throws

    /// PEFT's file, every key.
    func json(_ parts: [AdapterPart]) -> JSONValue

    /// What a user should know of an adapter that was read.
    var notice: String? { get }
}

extension AdapterMethod {
    package func prepareBase(_ parts: [AdapterPart]) {}
    package var notice: String? { nil }
}

/// One adapter of a model on its place.
package struct AdapterPart {
    package let path: String
    package let host: Module
    package let adapter: Adapter

    package init(path: String, host: Module, adapter: Adapter) {
        self.path = path
        self.host = host
        self.adapter = adapter
    }
}

/// The part of `adapter_config.json` that all methods share.
package struct AdapterBase: Sendable, Equatable {
    package var taskType: String? = "CAUSAL_LM"
    /// Modules that are trained and stored whole beside the adapters, by PEFT's rule for names.
    package var modulesToSave: [String] = []
    package var baseModel: String?
    package var revision: String?

    package init() {}

    package init(json: JSONValue) {
        modulesToSave = (json["modules_to_save"]?.arrayValue ?? []).compactMap(\.stringValue)
        taskType = json["task_type"]?.stringValue
        baseModel = json["base_model_name_or_path"]?.stringValue
        revision = json["revision"]?.stringValue
    }

    /// The modules that are stored, with those that PEFT adds for the task of its own accord.
    package var storedModules: [String] {
        guard taskType == "SEQ_CLS" || taskType == "TOKEN_CLS" else { return modulesToSave }
        return modulesToSave + ["classifier", "score"].filter { !modulesToSave.contains($0) }
    }
}

/// What a command line says of the adapter to be made; each method takes what it knows.
package struct AdapterSettings: Sendable {
    package var rank = 8
    package var alpha = 32.0
    package var dropout = 0.0
    package var usesRankStabilization = false
    package var targets = TargetModules.allLinear
    /// PEFT's `init_lora_weights`.
    package var initialization: JSONValue = true

    package init() {}
}

/// Every method there is.
package enum AdapterMethods {
    static let all: [any AdapterMethod.Type] = [LoRAConfiguration.self]

    /// The method of ms-swift's name, or nil.
    package static func of(tunerType: String) -> (any AdapterMethod.Type)? {
        all.first { $0.tunerType == tunerType }
    }

    /// Reads PEFT's `adapter_config.json`.
    package static func read(_ json: JSONValue, file: String) throws -> any AdapterMethod {
        guard let type = json["peft_type"]?.stringValue else {
            throw AdapterError("\(file): \"peft_type\" is missing; is this the configuration of a PEFT adapter?")
        }
        guard let method = all.first(where: { $0.peftType == type }) else {
            let known = all.map { $0.peftType }.joined(separator: ", ")
            throw AdapterError("\(file): adapters of the method \(type) are not there yet; there is \(known)")
        }
        return try method.init(json: json, file: file)
    }
}
