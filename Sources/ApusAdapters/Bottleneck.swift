package import ApusJSON
package import ApusNN
package import ApusTorch

/// `y + W₂ f(W₁ y + b₁) + b₂` behind a sublayer: a narrow way through, around a residual.
///
/// It hangs on the sublayer's last projection, whose output is the sublayer's. Houlsby et al. 2019,
/// <https://arxiv.org/abs/1902.00751>.
package final class Bottleneck: LinearAdapter {
    @Child("linear1") private var down: DenseLayer
    @Child("linear2") private var up: DenseLayer

    private let activation: Activation
    private let length: Int

    init(name: String, for base: Linear, length: Int, activation: Activation) {
        self.activation = activation
        self.length = length
        super.init(name: name)
        let bound = (6 / Double(base.outputs + length)).squareRoot()
        func layer(_ inputs: Int, _ outputs: Int) -> DenseLayer {
            DenseLayer(inputs, outputs, weight: .uniform(bound: bound), bias: .normal(deviation: 1e-6))
        }
        down = layer(base.outputs, length)
        up = layer(length, base.outputs)
    }

    package override var summary: String { "Bottleneck(\(length))" }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        let y = try below?(x) ?? base.plain(x)
        let wide = try y.to(down.dtype)
        return try (wide + up(activation(down(wide)))).to(y.dtype)
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        throw AdapterError.unmergeable(BottleneckConfiguration.tunerType)
    }
}

/// ms-swift's `adapter`, in its format: the files lie in a folder `default`.
package struct BottleneckConfiguration: AdapterMethod {
    package static let peftType = "ADAPTER"
    package static let tunerType = "adapter"
    package static let modelPrefix = ""
    package static let hangsOnLayers = false
    package static let folder = "default/"

    static let lengthOption = AdapterOption(
        "adapter_length", .integer(AdapterOption.counts), default: 128, "Width of the way through.",
        decidesCount: true)
    static let activationOption = AdapterOption(
        "adapter_act", .choice(["gelu", "gelu_new", "relu", "silu"]), default: "gelu", "The function in it.")
    package static let options = [lengthOption, activationOption]

    private var length = 128
    private var activationName = "gelu"
    private var activation = Activation.gelu
    /// The sublayers by their paths; nil is every feed-forward part.
    private var targets: TargetModules?
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        length = try settings.integer(Self.lengthOption)
        activationName = try settings.text(Self.activationOption)
        activation = try Self.activation(activationName, "--adapter_act")
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        try reader.refuse([("hidden_pos", [0]), ("method_name", ["forward"]), ("model_key_mapping", [])])
        length = try reader.count("adapter_length", default: 128)
        activationName = try reader.text("act_layer") ?? "gelu"
        activation = try Self.activation(activationName, "\(file): act_layer")
        targets = try reader.modules("target_modules")
        base = AdapterBase(json: json)
    }

    private static func activation(_ name: String, _ place: String) throws -> Activation {
        guard let activation = Activation(rawValue: name) else {
            throw AdapterError("\(place): \"\(name)\" is not there yet; there are gelu, gelu_new, relu, silu")
        }
        return activation
    }

    package var summary: String { "Width \(length), \(activationName)" }

    /// The last projections of sublayers, by the ends of their paths.
    private static let projections = [
        ".mlp.down_proj", ".mlp.c_proj", ".mlp.dense_4h_to_h", ".mlp.fc_out", ".self_attn.o_proj", ".attn.c_proj",
        ".self_attn.out_proj", ".attn.out_proj", ".attention.out_proj", ".attention.dense", ".self_attention.dense",
    ]

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        guard base.storedModules.isEmpty else {
            throw AdapterError(
                "--tuner_type adapter: ms-swift's files of this method have no place for a head that is trained beside it; "
                    + "take lora or ia3 for --task_type seq_cls")
        }
        let parts = model.modules().compactMap { path, module -> AdapterPart? in
            guard let linear = module as? Linear, Self.projections.contains(where: path.hasSuffix) else { return nil }
            let sublayer = path.split(separator: ".").dropLast().joined(separator: ".")
            guard isTarget(sublayer) else { return nil }
            let adapter = Bottleneck(name: name, for: linear, length: length, activation: activation)
            linear.adapters.append(adapter)
            return AdapterPart(
                path: sublayer, host: linear, adapter: adapter, prefix: "\(sublayer).adapter_default.")
        }
        guard !parts.isEmpty else {
            throw AdapterError(
                "--tuner_type adapter hangs behind modules named mlp, self_attn or attn, and this model has none that match; "
                    + "take lora or ia3")
        }
        return parts
    }

    /// ms-swift compares ends of paths, dots or not.
    private func isTarget(_ sublayer: String) -> Bool {
        switch targets {
        case nil: sublayer.hasSuffix(".mlp")
        case .names(let ends)?: ends.contains(where: sublayer.hasSuffix)
        case let targets?: targets.contains(sublayer)
        }
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        let first = parts.first?.path.split(separator: ".").map { Int($0) == nil ? String($0) : #"\d+"# } ?? []
        return [
            "act_layer": .string(activationName), "adapter_length": .int(length),
            "base_model_name_or_path": base.baseModel.map(JSONValue.string) ?? .null,
            "dim": (parts.first?.host as? Linear).map { .int($0.outputs) } ?? .null, "hidden_pos": 0,
            "method_name": "forward", "model_key_mapping": nil, "swift_type": .string(Self.peftType),
            "target_modules": targets?.json ?? .string(first.joined(separator: #"\."#)),
        ]
    }
}
