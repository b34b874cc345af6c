package import ApusJSON
package import ApusNN

/// LoRA, as PEFT's `LoraConfig` describes it.
package struct LoRAConfiguration: AdapterMethod {
    package static let peftType = "LORA"
    package static let tunerType = "lora"

    static let rankOption = AdapterOption(
        "lora_rank", .integer(AdapterOption.counts), default: 8, "Rank r of the adapter.", decidesCount: true)
    static let alphaOption = AdapterOption(
        "lora_alpha", .number(.leastNonzeroMagnitude..<1e30), default: 32, "The adapter is scaled by alpha / r.")
    static let dropoutOption = AdapterOption(
        "lora_dropout", .number(0..<1), default: 0.05, "Dropout before the adapter.")
    static let rankStabilizationOption = AdapterOption(
        "use_rslora", .boolean, default: false, "Scale by alpha / √r instead.")
    static let decompositionOption = AdapterOption(
        "use_dora", .boolean, default: false, "Train the length of each row of the weights by itself (DoRA).",
        decidesCount: true)
    static let initializationOption = AdapterOption(
        "init_weights",
        .choice(
            [
                "true", "false", "gaussian", "pissa", "pissa_niter_4", "pissa_niter_16", "olora", "loftq", "eva",
                "corda",
                "lora-ga",
            ],
            later: ["pissa_niter_8", "bat"]),
        default: "true",
        "Start of the adapter: true (B = 0), false (random), gaussian, or made of the weights (pissa, olora, loftq) or of the "
            + "data (eva, corda, lora-ga).")
    static let rateRatioOption = AdapterOption(
        "lorap_lr_ratio", .number(.leastNonzeroMagnitude..<1e6),
        "Learning rate of B over that of A (LoRA+); without it they are the same.")
    static let tokensOption = AdapterOption(
        "trainable_token_indices", .list,
        "Ids of tokens whose vectors are trained beside, or JSON from modules to such ids.", decidesCount: true)
    static let biasOption = AdapterOption(
        "lora_bias", .choice(TrainedBiases.allCases.map(\.rawValue)), default: "none",
        "Whether biases are trained beside: those of the whole model, or of the adapted layers.",
        decidesCount: true)
    static let shiftOption = AdapterOption(
        "lora_b_bias", .boolean, default: false, "Give B a bias (PEFT's lora_bias).", decidesCount: true)
    static let rankPatternOption = AdapterOption(
        "lora_rank_pattern", .text, "Other ranks by layer, as JSON: {\"v_proj\": 16}.", decidesCount: true)
    static let alphaPatternOption = AdapterOption(
        "lora_alpha_pattern", .text, "Other alphas by layer, as JSON: {\"v_proj\": 64}.")
    static let replicationOption = AdapterOption(
        "layer_replication", .text,
        "Layers of the model as pieces that may overlap, as JSON: [[0, 4], [2, 5]]; each copy gets its own adapter.",
        decidesCount: true)
    static let parametersOption = AdapterOption(
        "target_parameters", .list, "Weights to adapt: ends of names, such as q_proj.weight.", decidesCount: true)
    package static let options =
        [
            rankOption, alphaOption, dropoutOption, rankStabilizationOption, decompositionOption,
            initializationOption, rateRatioOption, tokensOption, biasOption, shiftOption, rankPatternOption,
            alphaPatternOption, replicationOption, parametersOption,
        ] + LoRAStartSettings.options + LayerSelection.options

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
        /// What rounding the base matrix has lost (`"loftq"`).
        case loftq
        /// Principal components of the layers' inputs (`"eva"`).
        case eva
        /// Singular values beside the correlation of the layers' inputs (`"corda"`).
        case corda
        /// Singular vectors of the base matrix's gradient (`"lora_ga"`).
        case gradients
        /// A way that leaves the base matrix as it is and whose first values the file's replace.
        case stored(name: String)
    }

    package var rank = 8
    package var alpha = 8.0
    package var dropout = 0.0
    package var usesRankStabilization = false
    /// DoRA: directions and lengths of the weights' rows apart.
    package var isDecomposed = false
    /// Whether B has a bias.
    package var hasBias = false
    package var selection = LayerSelection()
    /// Patterns on module paths to other ranks and alphas, in order.
    var rankPattern = PathPatterns()
    var alphaPattern = PathPatterns()
    package var initialization = Initialization.standard
    var start = LoRAStartSettings()
    /// What a file says of how the adapter began, by PEFT's keys.
    var startKeys = JSONObject()
    /// Pieces of the model's layers that follow one another; nil takes the layers as they are.
    var replication: LayerReplication?
    /// Weights to adapt, by the ends of their names.
    var parameters: [String] = []
    /// The learning rate of B over that of A.
    ///
    /// Hayou et al. 2024, <https://arxiv.org/abs/2402.12354>.
    package var rateRatio: Double?
    /// Tokens that are trained by themselves.
    var tokens: TokenTargets?
    package var base = AdapterBase()

    package init() {}

    package init(_ settings: AdapterSettings) throws {
        rank = try settings.integer(Self.rankOption)
        alpha = try settings.number(Self.alphaOption)
        dropout = try settings.number(Self.dropoutOption)
        usesRankStabilization = try settings.flag(Self.rankStabilizationOption)
        isDecomposed = try settings.flag(Self.decompositionOption)
        selection = try LayerSelection(settings, DefaultTargets.lora)
        hasBias = try settings.flag(Self.shiftOption)
        base.biases = try TrainedBiases(rawValue: settings.text(Self.biasOption)) ?? .none
        let patterns = try ConfigurationReader(settings, [Self.rankPatternOption, Self.alphaPatternOption])
        rankPattern = try PathPatterns(patterns, Self.rankPatternOption.name, ofCounts: true)
        alphaPattern = try PathPatterns(patterns, Self.alphaPatternOption.name, ofCounts: false)
        initialization = try Initialization(settings.text(Self.initializationOption))
        start = try LoRAStartSettings(settings)
        startKeys = start.json(initialization)
        replication = try settings[Self.replicationOption].stringValue.map {
            try LayerReplication(text: $0, place: "--layer_replication")
        }
        parameters = (settings[Self.parametersOption].arrayValue ?? []).compactMap(\.stringValue)
        rateRatio = settings[Self.rateRatioOption].doubleValue
        tokens = try TokenTargets(settings[Self.tokensOption], place: "--trainable_token_indices")
        try checkCombination("--use_dora", "--init_weights")
    }

    package mutating func train(_ settings: AdapterSettings) throws {
        dropout = try settings.number(Self.dropoutOption)
        rateRatio = settings[Self.rateRatioOption].doubleValue
    }

    /// Of tables of words LoRA+ trains with a rate of its own.
    package func rateFactor(of name: String, shape: [Int], rate: Double) -> Double {
        guard let rateRatio else { return 1 }
        if name.contains("lora_embedding_") { return Self.embeddingRate / rate }
        return name.contains("lora_B") || shape.count == 1 ? rateRatio : 1
    }

    package static let embeddingRate = 1e-6

    package var summary: String {
        "Rank \(rank), alpha \(pythonNumber(alpha).serialized())" + (isDecomposed ? ", DoRA" : "")
    }

    func rank(of path: String) -> Int { rankPattern[path].map { Int($0) } ?? rank }

    /// α / r, or α / √r.
    func scale(of path: String) -> Double {
        let alpha = alphaPattern[path] ?? alpha
        let rank = Double(rank(of: path))
        return alpha / (usesRankStabilization ? rank.squareRoot() : rank)
    }

    package func draw(_ parts: [AdapterPart]) throws { try TokenParts.draw(parts) }

    package func prepareBase(_ parts: [AdapterPart]) throws {
        for part in parts {
            guard let linear = part.host as? Linear, let lora = part.adapter as? LoRA else { continue }
            switch initialization {
            case .pissa: try lora.take(.singularValues, from: linear)
            case .olora: try lora.take(.orthogonal, from: linear)
            case .loftq: try lora.round(start.rounding, linear)
            case .standard, .gaussian, .random, .stored, .eva, .corda, .gradients: return
            }
        }
    }

    package var startsFromData: Bool { [.eva, .corda, .gradients].contains(initialization) }

    /// What of a checkpoint's file holds for training, where data have decided it.
    package var isShapedByData: Bool { initialization == .eva }

    package func start(
        _ parts: [AdapterPart], from passes: StartPasses, seed: UInt64
    ) throws -> (method: any AdapterMethod, parts: [AdapterPart])? {
        switch initialization {
        case .eva:
            let method = try startFromComponents(passes, parts)
            return (method, parts.filter { !($0.adapter is LoRA) || method.selection.targets.contains($0.path) })
        case .corda: try startFromCorrelations(passes, parts)
        case .gradients: try startFromGradients(passes, parts, seed: seed)
        case .standard, .gaussian, .random, .pissa, .olora, .loftq, .stored: break
        }
        return nil
    }

    package func participants(_ parts: [AdapterPart], totalSteps: Int) throws -> [any StepParticipant] {
        initialization.storesChange ? [try ChangedBase(parts)] : []
    }

    package func layerPlan(layers: Int) throws -> LayerPlan? { try replication?.plan(layers: layers) }

    package func start(_ parts: [AdapterPart], seed: UInt64, encode: ((String) throws -> [Int32])?) throws {
        try TokenParts.start(parts)
        for part in parts {
            switch (part.host, part.adapter) {
            case (let linear as Linear, let adapter as DoRA): try adapter.start(on: linear)
            case (let table as Embedding, let adapter as LoRAEmbedding): try adapter.start(on: table)
            default: break
            }
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
    package func json(_ parts: [AdapterPart]) -> JSONValue {
        initialization.storesChange ? ofChange.keys(parts) : keys(parts)
    }

    /// The method of the plain adapter that what has changed since the start amounts to.
    ///
    /// Ranks are twice as large, and alphas so much larger that the scales stay.
    var ofChange: LoRAConfiguration {
        var plain = self
        plain.initialization = .standard
        plain.rank *= 2
        let factor = usesRankStabilization ? 2.0.squareRoot() : 2
        plain.alpha *= factor
        plain.rankPattern = rankPattern.multiplied(by: 2)
        plain.alphaPattern = alphaPattern.multiplied(by: factor)
        return plain
    }

    private func keys(_ parts: [AdapterPart]) -> JSONValue {
        base.json(
            Self.peftType,
            Self.file(
                selection, parts.withoutTokens,
                startKeys.merging(
                    [
                        "alpha_pattern": alphaPattern.json, "init_lora_weights": initialization.json,
                        "bias": .string(base.biases.rawValue), "lora_alpha": pythonNumber(alpha),
                        "layer_replication": replication?.json ?? .null,
                        "lora_bias": .bool(hasBias), "lora_dropout": .double(dropout), "r": .int(rank),
                        "rank_pattern": rankPattern.json, "trainable_token_indices": tokens?.json ?? .null,
                        "target_parameters": parameters.isEmpty ? .null : .array(parameters.map(JSONValue.string)),
                        "use_dora": .bool(isDecomposed),
                        "use_rslora": .bool(usesRankStabilization),
                    ])))
    }

    /// Every key of PEFT's `LoraConfig`, which AdaLoRA's builds on; `own` are those with other values than none.
    static func file(_ selection: LayerSelection, _ parts: [AdapterPart], _ own: JSONObject) -> JSONObject {
        let isTransposed = parts.contains { ($0.host as? Linear)?.layout == .inputsFirst }
        var file: JSONObject = [
            "alora_invocation_tokens": nil, "arrow_config": nil, "bias": "none", "corda_config": nil,
            "ensure_weight_tying": false, "eva_config": nil, "exclude_modules": selection.excluded?.json ?? .null,
            "fan_in_fan_out": .bool(isTransposed), "layer_replication": nil,
            "layers_pattern": selection.layersPattern.map { .array($0.map(JSONValue.string)) } ?? .null,
            "layers_to_transform": selection.layers.map { .array($0.map(JSONValue.int)) } ?? .null,
            "loftq_config": [:], "lora_bias": false, "lora_ga_config": nil, "megatron_config": nil,
            "megatron_core": "megatron.core", "monteclora_config": nil, "qalora_group_size": 16,
            "target_modules": selection.json(parts.map(\.path)), "target_parameters": nil,
            "trainable_token_indices": nil, "use_bdlora": nil, "use_qalora": false, "velora_config": nil,
        ]
        for (key, value) in own { file[key] = value }
        return file
    }

    /// Each of these changes the values; none may be passed over in silence.
    static let inactive: [(key: String, values: [JSONValue])] = [
        ("use_qalora", [false]), ("ensure_weight_tying", [false]),
        ("alora_invocation_tokens", [[]]), ("use_bdlora", [false]), ("arrow_config", []), ("kasa_config", []),
        ("velora_config", []), ("monteclora_config", []), ("megatron_config", []),
    ]

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        try reader.refuse(Self.inactive)
        rank = try reader.count("r")
        alpha = try reader.required("lora_alpha", "a number") { $0.doubleValue.flatMap { $0.isFinite ? $0 : nil } }
        dropout = try reader.number("lora_dropout", default: 0)
        guard (0..<1).contains(dropout) else {
            throw reader.refusal("\"lora_dropout\" must be in [0, 1), it is \(dropout)")
        }
        usesRankStabilization = try reader.flag("use_rslora")
        isDecomposed = try reader.flag("use_dora")
        hasBias = try reader.flag("lora_bias")
        parameters = try reader.list("target_parameters", "a list of strings", \.stringValue) ?? []
        // Where only weights are named, no layers are.
        let namesNone = !parameters.isEmpty && (json["target_modules"] ?? .null).isNull
        selection = try namesNone ? LayerSelection(.names([])) : LayerSelection(reader)
        rankPattern = try PathPatterns(reader, "rank_pattern", ofCounts: true)
        alphaPattern = try PathPatterns(reader, "alpha_pattern", ofCounts: false)
        initialization = try Initialization(
            json: json["init_lora_weights"] ?? true, place: "\(file): init_lora_weights")
        tokens = try TokenTargets(
            json["trainable_token_indices"] ?? .null, place: "\(file): trainable_token_indices")
        base = try reader.base()
        base.biases = try reader.biases("lora_only")
        start = try LoRAStartSettings(reader)
        for key in ["eva_config", "corda_config", "lora_ga_config", "loftq_config"] {
            startKeys[key] = json[key]?.isNull == false ? json[key] : nil
        }
        replication = try json["layer_replication"].flatMap { value in
            value.isNull || value == [] ? nil : try LayerReplication(value, place: "\(file): layer_replication")
        }
        try checkCombination("\(file): use_dora", "init_lora_weights")
    }

    private func checkCombination(_ decomposition: String, _ start: String) throws {
        if hasBias, isDecomposed || ![.standard, .random].contains(initialization) {
            throw AdapterError(
                "\(decomposition), or \(start) other than true and false, does not go with a bias of B (lora_bias), in PEFT "
                    + "neither; leave one of them out")
        }
        if replication != nil, base.biases != .none {
            throw AdapterError(
                "layer_replication: copies of a layer share its weights, so that these cannot be trained beside; leave out "
                    + "lora_bias")
        }
        if !parameters.isEmpty, dropout > 0 || isDecomposed || hasBias {
            throw AdapterError(
                "target_parameters changes weights and not what goes into layers, so that there is nothing to drop from: give "
                    + "lora_dropout 0, and no use_dora or lora_bias, in PEFT neither")
        }
        switch initialization {
        case .pissa, .olora, .loftq, .eva, .corda, .gradients:
            if isDecomposed {
                throw AdapterError("\(decomposition) with \(start) \(word) is not there yet; give one of the two")
            }
            guard parameters.isEmpty else {
                throw AdapterError("target_parameters with \(start) \(word) is not there yet; give one of the two")
            }
        case .standard, .gaussian, .random, .stored: return
        }
    }

    /// How the start is called on a command line.
    private var word: String {
        switch initialization {
        case .corda: "corda"
        case .gradients: "lora-ga"
        default: initialization.json.stringValue ?? initialization.json.serialized()
        }
    }
}

extension LoRAConfiguration.Initialization {
    /// The word of a command line, ms-swift's or PEFT's.
    init(_ word: String) throws {
        switch word.lowercased() {
        case "eva": self = .eva
        case "corda": self = .corda
        case "lora-ga", "lora_ga": self = .gradients
        default:
            self = try Self(json: .string(word), place: "--init_weights")
            guard case .stored(let name) = self else { return }
            throw AdapterError(
                "--init_weights \(name) is not there yet for training; there are true, false, gaussian, pissa, "
                    + "pissa_niter_N, olora, loftq, eva, corda, lora-ga")
        }
    }

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
            case "loftq": self = .loftq
            case "corda":
                throw AdapterError(
                    "\(place) \"\(name)\" has changed the base weights by data, which a file does not let one repeat. Save "
                        + "the adapter from PEFT with path_initial_model_for_weight_conversion, or merge it there.")
            default:
                throw AdapterError(
                    "\(place) \"\(name)\" is not known; known are true, false, gaussian, pissa, pissa_niter_N, olora, loftq, "
                        + "eva, orthogonal, mica, lora_ga")
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
        case .loftq: "loftq"
        case .eva: "eva"
        // Files hold what has changed since the start, as a plain adapter.
        case .corda, .gradients: true
        }
    }
}
