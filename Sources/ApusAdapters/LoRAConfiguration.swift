package import ApusJSON
import ApusNN
import Foundation

/// LoRA, as PEFT's `LoraConfig` describes it.
package struct LoRAConfiguration: AdapterMethod {
    package static let peftType = "LORA"
    package static let tunerType = "lora"

    package enum Initialization: Sendable, Equatable {
        /// A by Kaiming's rule, B zero (`true`).
        case standard
        /// A from N(0, 1/r²), B zero (`"gaussian"`).
        case gaussian
        /// Both random (`false`), for tests: the adapted model differs from the base model at once.
        case random
        /// The base matrix's singular values (`"pissa"`, `"pissa_niter_16"`); computed whole under either name.
        case pissa(name: String)
        /// The base matrix's QR decomposition (`"olora"`).
        case olora
        /// A way that leaves the base matrix as it is and whose first values the file's replace.
        case stored(name: String)
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
    package var base = AdapterBase()
    /// Whether names that match no layer are passed over, as PEFT passes over those of a file.
    var allowsAbsentTargets = false

    package init() {}

    package init(_ settings: AdapterSettings) throws {
        rank = settings.rank
        alpha = settings.alpha
        dropout = settings.dropout
        usesRankStabilization = settings.usesRankStabilization
        targets = settings.targets
        initialization = try Initialization(json: settings.initialization, place: "--init_weights")
        if case .stored(let name) = initialization {
            throw AdapterError(
                "--init_weights \(name) is not there yet for training; there are true, false, gaussian, pissa, pissa_niter_N, olora"
            )
        }
    }

    package var summary: String { "Rank \(rank), alpha \(Self.number(alpha).serialized())" }

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

    package func prepareBase(_ parts: [AdapterPart]) throws {
        let decomposition: LoRADecomposition
        switch initialization {
        case .pissa: decomposition = .singularValues
        case .olora: decomposition = .orthogonal
        case .standard, .gaussian, .random, .stored: return
        }
        for part in parts {
            guard let linear = part.host as? Linear, let lora = part.adapter as? LoRA else { continue }
            try lora.take(decomposition, from: linear)
        }
    }

    package var notice: String? {
        guard case .stored(name: "lora_ga") = initialization else { return nil }
        return
            "init_lora_weights lora_ga: the base weights are taken as they are, as PEFT takes them when it loads such an "
            + "adapter; those it was trained on differed unless it was saved with path_initial_model_for_weight_conversion"
    }
}

// MARK: - adapter_config.json

extension LoRAConfiguration {
    /// The version of PEFT whose files these are.
    static let peftVersion = "0.20.0"

    /// The file as PEFT writes it: every key, sorted by the writer.
    ///
    /// A whole-model choice is written as the names it chose, as PEFT does.
    package func json(_ parts: [AdapterPart]) -> JSONValue {
        func patterns(_ list: [(pattern: String, value: Double)]) -> JSONValue {
            var object = JSONObject()
            for (pattern, value) in list { object[pattern] = Self.number(value) }
            return .object(object)
        }
        var targets = targets
        if case .allLinear = targets, !parts.isEmpty {
            targets = .names(Set(parts.map { String($0.path.split(separator: ".").last ?? "") }).sorted())
        }
        let isTransposed = parts.contains { ($0.host as? Linear)?.layout == .inputsFirst }
        return [
            "alora_invocation_tokens": nil, "alpha_pattern": patterns(alphaPattern), "arrow_config": nil,
            "auto_mapping": nil, "base_model_name_or_path": base.baseModel.map(JSONValue.string) ?? .null,
            "bias": "none", "corda_config": nil, "ensure_weight_tying": false, "eva_config": nil,
            "exclude_modules": excluded?.json ?? .null, "fan_in_fan_out": .bool(isTransposed), "inference_mode": true,
            "init_lora_weights": initialization.json, "layer_replication": nil,
            "layers_pattern": layersPattern.map { .array($0.map(JSONValue.string)) } ?? .null,
            "layers_to_transform": layers.map { .array($0.map(JSONValue.int)) } ?? .null, "loftq_config": [:],
            "lora_alpha": Self.number(alpha), "lora_bias": false, "lora_dropout": .double(dropout),
            "lora_ga_config": nil, "megatron_config": nil, "megatron_core": "megatron.core",
            "modules_to_save": base.modulesToSave.isEmpty ? nil : .array(base.modulesToSave.map(JSONValue.string)),
            "monteclora_config": nil, "peft_type": "LORA",
            "peft_version": .string(Self.peftVersion), "qalora_group_size": 16, "r": .int(rank),
            "rank_pattern": patterns(rankPattern), "revision": base.revision.map(JSONValue.string) ?? .null,
            "target_modules": targets.json, "target_parameters": nil,
            "task_type": base.taskType.map(JSONValue.string) ?? .null, "trainable_token_indices": nil,
            "use_bdlora": nil, "use_dora": false, "use_qalora": false,
            "use_rslora": .bool(usesRankStabilization), "velora_config": nil,
        ]
    }

    /// Whole numbers without a decimal point, as Python writes an `int`.
    private static func number(_ value: Double) -> JSONValue {
        Int(exactly: value).map(JSONValue.int) ?? .double(value)
    }

    package init(json: JSONValue, file: String) throws {
        func refuse(_ what: String) -> AdapterError { AdapterError("\(file): \(what)") }

        // Each of these changes the values; none may be passed over in silence.
        let inactive: [(key: String, values: [JSONValue])] = [
            ("use_dora", [false]), ("use_qalora", [false]), ("lora_bias", [false]), ("bias", ["none"]),
            ("target_parameters", [[]]), ("trainable_token_indices", [[], [:]]), ("layer_replication", [[]]),
            ("alora_invocation_tokens", [[]]), ("use_bdlora", [false]), ("arrow_config", []), ("kasa_config", []),
            ("velora_config", []), ("monteclora_config", []), ("megatron_config", []),
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
        func typed<Value>(_ key: String, _ wanted: String, _ read: (JSONValue) -> Value?) throws -> Value? {
            guard let value = json[key], !value.isNull else { return nil }
            guard let read = read(value) else {
                throw refuse("\"\(key)\" must be \(wanted), it is \(value.serialized())")
            }
            return read
        }
        func list<Element>(_ value: JSONValue, _ read: (JSONValue) -> Element?) -> [Element]? {
            let values = value.arrayValue ?? [value]
            let elements = values.compactMap(read)
            return elements.count == values.count ? elements : nil
        }
        dropout = try typed("lora_dropout", "a number", \.doubleValue) ?? 0
        guard (0..<1).contains(dropout) else { throw refuse("\"lora_dropout\" must be in [0, 1), it is \(dropout)") }
        usesRankStabilization = try typed("use_rslora", "true or false", \.boolValue) ?? false
        guard let targets = json["target_modules"].flatMap(TargetModules.init(json:)) else {
            throw refuse("\"target_modules\" must be a string or a list of strings")
        }
        self.targets = targets
        allowsAbsentTargets = true
        excluded = try typed("exclude_modules", "a string or a list of strings", TargetModules.init(json:))
        layers = try typed("layers_to_transform", "a number or a list of numbers") { list($0, \.intValue) }
        layersPattern = try typed("layers_pattern", "a string or a list of strings") { list($0, \.stringValue) }
        if layersPattern?.isEmpty == true { layersPattern = nil }
        _ = try typed("modules_to_save", "a list of strings") {
            $0.arrayValue.flatMap { list(.array($0), \.stringValue) }
        }
        rankPattern = try Self.patterns(json["rank_pattern"], in: file)
        alphaPattern = try Self.patterns(json["alpha_pattern"], in: file)
        initialization = try Initialization(
            json: json["init_lora_weights"] ?? true, place: "\(file): init_lora_weights")
        base = AdapterBase(json: json)
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
    /// PEFT's `init_lora_weights`.
    ///
    /// - Throws: `AdapterError` for ways that change the base weights and cannot be repeated from the file alone.
    init(json: JSONValue, place: String) throws {
        switch json {
        case .bool(true), .null, .string("true"): self = .standard
        case .bool(false), .string("false"): self = .random
        case .string(let name):
            switch name.lowercased() {
            case "gaussian": self = .gaussian
            case "olora": self = .olora
            case "pissa": self = .pissa(name: name)
            case let name where name.hasPrefix("pissa_niter_") && Int(name.dropFirst(12)) != nil:
                self = .pissa(name: name)
            case "eva", "orthogonal", "mica", "lora_ga": self = .stored(name: name.lowercased())
            case "corda", "loftq":
                throw AdapterError(
                    "\(place) \"\(name)\" changes the base weights by data or by quantisation, which is not there yet. Save "
                        + "the adapter from PEFT with path_initial_model_for_weight_conversion, or merge it there.")
            default:
                throw AdapterError(
                    "\(place) \"\(name)\" is not known; known are true, false, gaussian, pissa, pissa_niter_N, olora, eva, "
                        + "orthogonal, mica, lora_ga")
            }
        default: throw AdapterError("\(place) must be true, false or a name, it is \(json.serialized())")
        }
    }

    var json: JSONValue {
        switch self {
        case .standard: true
        case .gaussian: "gaussian"
        case .random: false
        case .pissa(let name), .stored(let name): .string(name)
        case .olora: "olora"
        }
    }
}
