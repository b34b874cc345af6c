package import ApusJSON
package import ApusNN
package import ApusTorch

/// `h + Rᵀ (W h + b - R h)`: behind a layer, hidden states are changed in a subspace of a low rank, whose directions R are
/// orthonormal.
///
/// The kinds differ in what they leave out: Noreft has a free matrix P in the place of R; Direft and Nodireft leave `R h` out;
/// Consreft has a constant in the place of `W h + b`; Lobireft a constant, and leaves `R h` out. Wu et al. 2024,
/// <https://arxiv.org/abs/2404.03592>, sections 3.2 and appendix.
package final class Intervention: LayerAdapter {
    package enum Kind: String, Sendable, CaseIterable {
        case loreft = "LoreftIntervention"
        case noreft = "NoreftIntervention"
        case consreft = "ConsreftIntervention"
        case lobireft = "LobireftIntervention"
        case direft = "DireftIntervention"
        case nodireft = "NodireftIntervention"

        var isOrthogonal: Bool { self != .noreft && self != .nodireft }
        /// Whether what lies in the subspace is a constant and no function of h.
        var isConstant: Bool { self == .consreft || self == .lobireft }
        /// Whether it takes the place of what lay there, and is not added to it.
        var replaces: Bool { self == .loreft || self == .noreft || self == .consreft }
    }

    @Parameter("weight") private var weight: Tensor  // [r, D]
    @Parameter("bias") private var bias: Tensor  // [r]
    @Parameter("learned_source") private var source: Tensor  // [r]
    /// Any matrix of full rank; R is what orthonormal columns it amounts to.
    @Parameter("rotate_layer") private var columns: Tensor  // [D, r]
    @Parameter("proj_layer.weight") private var projection: Tensor  // [r, D]
    @Parameter("proj_layer.bias") private var projectionBias: Tensor  // [r]

    private let kind: Kind
    private let rank: Int
    private let activation: Activation?
    /// Whether training made it, and not a file, which holds the directions alone.
    private let isInTraining: Bool

    init(
        name: String, layer: Int, width: Int, rank: Int, kind: Kind, activation: Activation?, isInTraining: Bool
    ) {
        (self.kind, self.rank, self.activation, self.isInTraining) = (kind, rank, activation, isInTraining)
        super.init(name: name, layer: layer)
        let bound = Initializer.uniform(bound: 1 / Double(width).squareRoot())
        if kind.isConstant {
            $source.declare([rank], .uniform(bound: 1))
        } else {
            $weight.declare([rank, width], bound)
            $bias.declare([rank], bound)
        }
        if kind.isOrthogonal {
            $columns.declare([width, rank], .normal(deviation: 1))
        } else {
            $projection.declare([rank, width], bound)
            $projectionBias.declare([rank], bound)
        }
    }

    package override var summary: String { "\(kind.rawValue)(rank \(rank))" }

    package override func callAsFunction(_ hidden: Tensor, _ context: ForwardContext) throws -> Tensor {
        let h = try hidden.to(parameters()[0].slot.tensor?.dtype ?? hidden.dtype)
        let directions = try kind.isOrthogonal ? self.directions() : projection  // [r, D]
        var inside = try kind.isConstant ? source : activated(linear(h, weight, bias))  // [T, r]
        if kind.replaces {
            inside = try inside - linear(h, directions, kind.isOrthogonal ? nil : projectionBias)
        } else if kind.isConstant {
            inside = try inside.unsqueezed(0).expanded([h.shape[0], rank])
        }
        return try (h + matmul(inside, directions)).to(hidden.dtype)
    }

    private func activated(_ x: Tensor) throws -> Tensor { try activation.map { try $0(x) } ?? x }

    /// R [r, D]: the Q of the columns' QR decomposition, with the signs that make the diagonal of the other factor positive.
    ///
    /// pyreft makes such directions of reflections; the directions that there are, are the same.
    private func directions() throws -> Tensor {
        let (q, r) = try columns.qrDecomposition()
        let diagonal = try withoutGradients {
            try (r * Tensor.identity(rank, dtype: r.dtype, device: r.device)).sum(0)  // [r]
        }
        let signs = try diagonal.isLess(than: 0).to(q.dtype) * -2 + 1
        return try (q * signs).transposed(0, 1)
    }

    /// Begins with orthonormal columns.
    func start() throws {
        if kind.isOrthogonal { try $columns.fill(directions().transposed(0, 1).contiguous().detached()) }
    }

    package override var isStoredAsTrained: Bool { !(kind.isOrthogonal && isInTraining) }

    /// pyreft stores the directions that there are, and not what makes them.
    package override func stored() throws -> [(name: String, tensor: Tensor)] {
        try super.stored().map { name, tensor in
            guard name == "rotate_layer" else { return (name, tensor) }
            return (name, try withoutGradients { try directions().transposed(0, 1).contiguous() })
        }
    }
}

/// ReFT, as ms-swift's `reft`.
package struct ReFTConfiguration: AdapterMethod {
    package static let peftType = "REFT"
    package static let tunerType = "reft"
    package static let modelPrefix = ""
    package static let hangsOnLayers = false
    package static let folder = "default/"

    static let rankOption = AdapterOption(
        "reft_rank", .integer(AdapterOption.counts), default: 4, "Rank of the subspace.", decidesCount: true)
    static let layersOption = AdapterOption(
        "reft_layers", .list, "Numbers of the layers to change behind, from 0; all without.", decidesCount: true)
    static let kindOption = AdapterOption(
        "reft_intervention_type", .choice(Intervention.Kind.allCases.map(\.rawValue)), default: "LoreftIntervention",
        "How the hidden states are changed.", decidesCount: true)
    static let argumentsOption = AdapterOption(
        "reft_args", .text, "More of it, as JSON: {\"act_fn\": \"gelu\"}.")
    package static let options = [rankOption, layersOption, kindOption, argumentsOption]

    private var rank = 4
    private var layers: [Int]?
    private var kind = Intervention.Kind.loreft
    private var activationName: String?
    private let isInTraining: Bool
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        isInTraining = true
        rank = try settings.integer(Self.rankOption)
        kind = try Intervention.Kind(rawValue: settings.text(Self.kindOption)) ?? .loreft
        let words = (settings[Self.layersOption].arrayValue ?? []).compactMap(\.stringValue)
        layers = words.isEmpty ? nil : words.compactMap(Int.init)
        guard layers == nil || layers?.count == words.count else {
            throw AdapterError("--reft_layers: \(words.joined(separator: " ")) are not all numbers of layers")
        }
        let text = settings[Self.argumentsOption].stringValue ?? "{}"
        guard let arguments = (try? JSONValue(parsing: text))?.objectValue else {
            throw AdapterError("--reft_args: \(text) is not a JSON object; write it such as {\"act_fn\": \"gelu\"}")
        }
        try take(arguments, "--reft_args")
    }

    package init(json: JSONValue, file: String) throws {
        isInTraining = false
        let reader = ConfigurationReader(json: json, file: file)
        try reader.refuse([("layer_key", []), ("model_key_mapping", [])])
        rank = try reader.count("r", default: 4)
        layers = try reader.list("layers", "a list of numbers", \.intValue)
        let word = try reader.text("intervention_type") ?? Intervention.Kind.loreft.rawValue
        guard let kind = Intervention.Kind(rawValue: word) else {
            throw reader.refusal(
                "\"intervention_type\" is \"\(word)\"; there are "
                    + Intervention.Kind.allCases.map(\.rawValue).joined(separator: ", "))
        }
        self.kind = kind
        try take(reader.optional("args", "an object", \.objectValue) ?? [:], "\(file): args")
        base = try reader.base()
    }

    private mutating func take(_ arguments: JSONObject, _ place: String) throws {
        for (key, value) in arguments {
            switch (key, value) {
            case ("act_fn", .string(let name)) where name == "linear" || Activation(rawValue: name) != nil:
                activationName = name
            case ("dropout", let value) where value.doubleValue == 0: continue
            default:
                throw AdapterError(
                    "\(place): \"\(key)\": \(value.serialized()) is not there; there is \"act_fn\" (linear, gelu, gelu_new, "
                        + "relu, silu)")
            }
        }
    }

    package var summary: String { "Rank \(rank), \(kind.rawValue)" }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        guard base.storedModules.isEmpty else {
            throw AdapterError(
                "--tuner_type reft: ms-swift's files of this method have no place for a head that is trained beside it; take "
                    + "lora or ia3 for --task_type seq_cls")
        }
        guard let host = model.modules().lazy.compactMap({ $0.module as? any LayerHost }).first else {
            throw AdapterError(
                "--tuner_type reft hangs behind the layers of a trunk, and this model has none; take lora")
        }
        guard !host.hasEncoder else {
            throw AdapterError(
                "--tuner_type reft: the layers of models that read a text with an encoder are of two stacks, and ms-swift knows "
                    + "neither; take lora or ia3")
        }
        let count = host.sizes.layers
        if let layer = layers?.first(where: { !(0..<count).contains($0) }) {
            throw AdapterError("--reft_layers: there is no layer \(layer); the model has \(count), counted from 0")
        }
        if let layers, let twice = layers.enumerated().first(where: { layers[..<$0.offset].contains($0.element) }) {
            throw AdapterError("--reft_layers: layer \(twice.element) is named twice; name each once")
        }
        guard rank < host.sizes.width else {
            throw AdapterError("--reft_rank \(rank): the hidden states have \(host.sizes.width) numbers; give fewer")
        }
        let list = model.modules().first { $0.module is TransformerLayer }?.path.split(separator: ".").dropLast() ?? []
        return (layers ?? Array(0..<count)).map { layer in
            let adapter = Intervention(
                name: name, layer: layer, width: host.sizes.width, rank: rank, kind: kind,
                activation: activationName.flatMap(Activation.init(rawValue:)), isInTraining: isInTraining)
            host.layerAdapters.append(adapter)
            let path = (list + ["\(layer)"]).joined(separator: ".")
            return AdapterPart(path: path, host: host, adapter: adapter, prefix: "\(path).intervention.")
        }
    }

    package func start(_ parts: [AdapterPart], seed: UInt64, encode: ((String) throws -> [Int32])?) throws {
        for part in parts { try (part.adapter as? Intervention)?.start() }
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        [
            "args": activationName.map { ["act_fn": .string($0)] } ?? [:],
            "base_model_name_or_path": base.baseModel.map(JSONValue.string) ?? .null,
            "intervention_type": .string(kind.rawValue), "layer_key": nil,
            "layers": layers.map { .array($0.map(JSONValue.int)) } ?? .null, "model_key_mapping": nil,
            "model_type": nil, "r": .int(rank), "swift_type": .string(Self.peftType),
        ]
    }
}
