package import ApusJSON
import Foundation

/// The part of PEFT's `LoraConfig` that decides what is computed.
package struct LoRAConfiguration: Sendable, Equatable {
    package enum Initialization: Sendable, Equatable {
        /// A by Kaiming's rule, B zero (`true`).
        case standard
        /// A from N(0, 1/r²), B zero (`"gaussian"`).
        case gaussian
        /// Both random (`false`), for tests: the adapted model differs from the base model at once.
        case random
    }

    package var rank = 8
    package var alpha = 8.0
    package var dropout = 0.0
    package var usesRankStabilization = false
    package var targets = TargetModules.allLinear
    package var excluded: TargetModules?
    package var layers: [Int]?
    package var layersPattern: [String]?
    /// Patterns on module paths to other ranks and alphas, in order.
    package var rankPattern: [(pattern: String, value: Double)] = []
    package var alphaPattern: [(pattern: String, value: Double)] = []
    package var initialization = Initialization.standard
    package var taskType: String? = "CAUSAL_LM"
    /// Modules that are trained and stored whole beside the adapters, by PEFT's rule for names.
    package var modulesToSave: [String] = []
    package var baseModel: String?
    package var revision: String?

    package init() {}

    package static func == (lhs: Self, rhs: Self) -> Bool { lhs.json == rhs.json }

    func rank(of path: String) -> Int { Self.match(rankPattern, path).map { Int($0) } ?? rank }

    /// α / r, or α / √r.
    func scale(of path: String) -> Double {
        let alpha = Self.match(alphaPattern, path) ?? alpha
        let rank = Double(rank(of: path))
        return alpha / (usesRankStabilization ? rank.squareRoot() : rank)
    }

    /// PEFT takes the first key that matches the whole path or its end after a dot.
    private static func match(_ patterns: [(pattern: String, value: Double)], _ path: String) -> Double? {
        patterns.first { TargetModules.fullMatch("(.*\\.)?(\($0.pattern))", path) }?.value
    }
}

// MARK: - adapter_config.json

extension LoRAConfiguration {
    /// The version of PEFT whose files these are.
    static let peftVersion = "0.20.0"

    /// The file as PEFT writes it: every key, sorted by the writer.
    package var json: JSONValue {
        func patterns(_ list: [(pattern: String, value: Double)]) -> JSONValue {
            var object = JSONObject()
            for (pattern, value) in list { object[pattern] = Self.number(value) }
            return .object(object)
        }
        return [
            "alora_invocation_tokens": nil, "alpha_pattern": patterns(alphaPattern), "arrow_config": nil,
            "auto_mapping": nil, "base_model_name_or_path": baseModel.map(JSONValue.string) ?? .null, "bias": "none",
            "corda_config": nil, "ensure_weight_tying": false, "eva_config": nil,
            "exclude_modules": excluded?.json ?? .null, "fan_in_fan_out": false, "inference_mode": true,
            "init_lora_weights": initialization.json, "layer_replication": nil,
            "layers_pattern": layersPattern.map { .array($0.map(JSONValue.string)) } ?? .null,
            "layers_to_transform": layers.map { .array($0.map(JSONValue.int)) } ?? .null, "loftq_config": [:],
            "lora_alpha": Self.number(alpha), "lora_bias": false, "lora_dropout": .double(dropout),
            "lora_ga_config": nil, "megatron_config": nil, "megatron_core": "megatron.core",
            "modules_to_save": modulesToSave.isEmpty ? nil : .array(modulesToSave.map(JSONValue.string)),
            "monteclora_config": nil, "peft_type": "LORA",
            "peft_version": .string(Self.peftVersion), "qalora_group_size": 16, "r": .int(rank),
            "rank_pattern": patterns(rankPattern), "revision": revision.map(JSONValue.string) ?? .null,
            "target_modules": targets.json, "target_parameters": nil,
            "task_type": taskType.map(JSONValue.string) ?? .null, "trainable_token_indices": nil,
            "use_bdlora": nil, "use_dora": false, "use_qalora": false,
            "use_rslora": .bool(usesRankStabilization), "velora_config": nil,
        ]
    }

    /// Whole numbers without a decimal point, as Python writes an `int`.
    private static func number(_ value: Double) -> JSONValue {
        Int(exactly: value).map(JSONValue.int) ?? .double(value)
    }

    /// Reads PEFT's file.
    ///
    /// - Throws: `AdapterError` naming a method or an option that would change what is computed and is not there yet.
    package init(json: JSONValue, file: String) throws {
        func refuse(_ what: String) -> AdapterError { AdapterError("\(file): \(what)") }

        guard let type = json["peft_type"]?.stringValue else {
            throw refuse("\"peft_type\" is missing; is this the configuration of a PEFT adapter?")
        }
        guard type == "LORA" else { throw refuse("adapters of the method \(type) are not there yet; there is LORA") }
        // Each of these changes the values; none may be passed over in silence.
        let inactive: [(key: String, values: [JSONValue])] = [
            ("use_dora", [false]), ("use_qalora", [false]), ("lora_bias", [false]), ("bias", ["none"]),
            ("fan_in_fan_out", [false]), ("target_parameters", [[]]),
            ("trainable_token_indices", [[], [:]]), ("layer_replication", [[]]), ("alora_invocation_tokens", [[]]),
            ("use_bdlora", [false]), ("arrow_config", []), ("kasa_config", []), ("velora_config", []),
            ("monteclora_config", []), ("megatron_config", []),
        ]
        for (key, values) in inactive {
            guard let value = json[key], !value.isNull, !values.contains(value) else { continue }
            throw refuse("\"\(key)\" is \(value.serialized()), which is not there yet")
        }
        guard let rank = json["r"]?.intValue, rank > 0, rank <= 1 << 20 else {
            throw refuse("\"r\" must be a positive rank, it is \(json["r"]?.serialized() ?? "missing")")
        }
        self.rank = rank
        guard let alpha = json["lora_alpha"]?.doubleValue, alpha.isFinite else {
            throw refuse("\"lora_alpha\" must be a number, it is \(json["lora_alpha"]?.serialized() ?? "missing")")
        }
        self.alpha = alpha
        dropout = json["lora_dropout"]?.doubleValue ?? 0
        guard (0..<1).contains(dropout) else { throw refuse("\"lora_dropout\" must be in [0, 1), it is \(dropout)") }
        usesRankStabilization = json["use_rslora"]?.boolValue ?? false
        guard let targets = json["target_modules"].flatMap(TargetModules.init(json:)) else {
            throw refuse("\"target_modules\" must be a string or a list of strings")
        }
        self.targets = targets
        excluded = json["exclude_modules"].flatMap(TargetModules.init(json:))
        if let value = json["layers_to_transform"], !value.isNull {
            layers = value.intValue.map { [$0] } ?? value.arrayValue?.compactMap(\.intValue)
        }
        if let value = json["layers_pattern"], !value.isNull {
            layersPattern = value.stringValue.map { [$0] } ?? value.arrayValue?.compactMap(\.stringValue)
            if layersPattern?.isEmpty == true { layersPattern = nil }
        }
        rankPattern = try Self.patterns(json["rank_pattern"], in: file)
        alphaPattern = try Self.patterns(json["alpha_pattern"], in: file)
        modulesToSave = (json["modules_to_save"]?.arrayValue ?? []).compactMap(\.stringValue)
        taskType = json["task_type"]?.stringValue
        baseModel = json["base_model_name_or_path"]?.stringValue
        revision = json["revision"]?.stringValue
    }

    private static func patterns(_ value: JSONValue?, in file: String) throws -> [(pattern: String, value: Double)] {
        try (value?.objectValue ?? JSONObject()).map { key, value in
            guard let number = value.doubleValue, number.isFinite, number > 0 else {
                throw AdapterError("\(file): the pattern \"\(key)\" must name a positive number")
            }
            return (key, number)
        }
    }
}

extension LoRAConfiguration.Initialization {
    var json: JSONValue {
        switch self {
        case .standard: true
        case .gaussian: "gaussian"
        case .random: false
        }
    }
}
