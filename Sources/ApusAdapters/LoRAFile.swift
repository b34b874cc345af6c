package import ApusJSON
import ApusNN

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
        let (method, rest) = named(parts)
        return method.ownKeys(rest)
    }

    private func ownKeys(_ parts: [AdapterPart]) -> JSONValue {
        base.json(
            Self.peftType,
            Self.file(
                selection, parts.withoutTokens.withoutStacks,
                startKeys.merging(
                    [
                        "alpha_pattern": alphaPattern.json, "init_lora_weights": initialization.json,
                        "bias": .string(base.biases.rawValue), "ensure_weight_tying": .bool(ensuresTies),
                        "lora_alpha": pythonNumber(alpha),
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
        ("use_qalora", [false]), ("alora_invocation_tokens", [[]]), ("use_bdlora", [false]), ("arrow_config", []),
        ("kasa_config", []),
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
        ensuresTies = try reader.flag("ensure_weight_tying")
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

    func checkCombination(_ decomposition: String, _ start: String) throws {
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
        if replication != nil, changesBase {
            throw AdapterError(
                "layer_replication with \(start) \(word): copies of a layer share the weights that the start takes its part of, "
                    + "and PEFT takes it for each copy again; true and gaussian take none")
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
