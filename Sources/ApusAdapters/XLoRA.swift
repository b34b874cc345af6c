package import ApusJSON
package import ApusNN
package import ApusTorch
import ApusWeights
import Foundation

// T tokens, N experts, L adapted layers.

/// What says how much of each LoRA adapter goes into each token: a classifier of the last hidden states of the model without
/// adapters.
///
/// Buehler and Buehler 2024, <https://arxiv.org/abs/2402.07148>.
package final class ExpertClassifier: PassAdapter {
    @Child("internal_xlora_classifier.layers") private var layers: [Module]

    private let settings: XLoRAConfiguration.Mixture
    private let experts: Int
    private let adapted: Int
    private let stream: UInt64
    /// Of the tokens of this pass: [T, N], or [T, L, N].
    private var shares: Shares?

    private struct Shares { let values: Tensor }

    init(
        name: String, width: Int, experts: Int, adapted: Int, settings: XLoRAConfiguration.Mixture, stream: UInt64
    ) {
        (self.experts, self.adapted, self.settings, self.stream) = (experts, adapted, settings, stream)
        super.init(name: name)
        var modules: [Module] = []
        var inputs = width
        for _ in 1..<settings.depth {
            // PyTorch's list counts functions without parameters too.
            modules += [DenseLayer(inputs, settings.hidden), Module()] + (settings.dropout > 0 ? [Module()] : [])
            inputs = settings.hidden
        }
        layers = modules + [DenseLayer(inputs, settings.isByLayer ? experts * adapted : experts)]
    }

    package override var summary: String { "\(experts) experts of \(adapted) layers" }

    package override func begin(_ hidden: Tensor, _ context: ForwardContext) throws {
        guard !(context.checkpointsLayers && isRecordingGradients) else {
            throw AdapterError(
                "--tuner_type xlora: the shares of the experts are found before the layers run, and these cannot run again in "
                    + "the backward pass; give --gradient_checkpointing false")
        }
        let dense = layers.compactMap { $0 as? DenseLayer }
        var x = try hidden.to(dense[0].dtype)
        for (index, layer) in dense.enumerated() {
            x = try layer(x)
            guard index < dense.count - 1 else { break }
            x = try relu(x)
            if context.isTraining, settings.dropout > 0 {
                let key = streamKey(context.randomKey, stream, UInt64(index))
                x = try dropout(x, probability: settings.dropout, key: key)
            }
        }
        if settings.isByLayer { x = try x.reshaped([x.shape[0], adapted, experts]) }
        if settings.usesSoftmax { x = try softmax(x / settings.temperature) }
        shares = Shares(values: x)
    }

    /// How much of each expert goes into each token on a layer, [T, N].
    func shares(onLayer layer: Int) throws -> Tensor {
        guard let all = shares?.values else {
            throw AdapterError("the experts of X-LoRA are asked for their shares before a pass has begun")
        }
        var own = try settings.isByLayer ? all.selected(1, layer) : all
        if let count = settings.most, count < experts {
            let ones = try Tensor.ones([own.shape[0], count], dtype: own.dtype, device: own.device)
            let largest = try Tensor.zeros(own.shape, dtype: own.dtype, device: own.device)
                .scattered(1, own.top(count).indices, ones)
            own = try own * largest
        }
        guard settings.softensMost else { return own }
        // Of those that are left.
        let isLeft = try withoutGradients {
            try own.isEqual(to: Tensor.zeros(own.shape, dtype: own.dtype, device: own.device))
        }
        return try softmax(own.masked(by: isLeft, with: -.infinity)).masked(by: isLeft, with: 0)
    }
}

/// `y + Σₙ shareₙ sₙ Bₙ Aₙ drop(x)`: LoRA adapters that are not trained, each with its share of a token.
package final class MixedExperts: LinearAdapter {
    /// An expert's part on this layer.
    struct Expert {
        let index: Int
        let a: Tensor
        let b: Tensor
        let scale: Double
        let dropout: Double
    }

    private let classifier: Shared<ExpertClassifier>
    private let layer: Int
    private let weight: Double
    private let stream: UInt64
    var experts: [Expert] = []

    init(name: String, _ classifier: ExpertClassifier, layer: Int, weight: Double, stream: UInt64) {
        self.classifier = Shared(classifier)
        (self.layer, self.weight, self.stream) = (layer, weight, stream)
        super.init(name: name)
    }

    package override var summary: String { "X-LoRA(\(experts.count) experts)" }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        var y = try below?(x) ?? base.plain(x)
        let shares = try classifier.part.shares(onLayer: layer)  // [T, N]
        let wide = try x.to(shares.dtype)
        for expert in experts {
            let key = streamKey(context.randomKey, stream, UInt64(expert.index))
            let kept =
                try context.isTraining && expert.dropout > 0
                ? dropout(wide, probability: expert.dropout, key: key) : wide
            let (a, b) = (
                try expert.a.to(wide.dtype).to(wide.device), try expert.b.to(wide.dtype).to(wide.device)
            )
            let share = try shares.narrowed(1, start: expert.index, length: 1) * (expert.scale * weight)  // [T, 1]
            y = try y + (share * linear(linear(kept, a), b)).to(y.dtype)
        }
        return y
    }
}

/// X-LoRA, as PEFT's `XLoraConfig` describes it.
package struct XLoRAConfiguration: AdapterMethod {
    package static let peftType = "XLORA"
    package static let tunerType = "xlora"
    package static let hangsOnLayers = false

    /// How shares are made.
    struct Mixture: Sendable, Equatable {
        var depth = 1
        var hidden = 2048
        var dropout = 0.2
        var isByLayer = false
        var usesSoftmax = true
        var softensMost = false
        var temperature = 1.0
        /// The most experts of a token; nil takes all.
        var most: Int?
    }

    static let expertsOption = AdapterOption(
        "xlora_adapters", .list, "Folders of the LoRA adapters that are mixed.", decidesCount: true)
    static let depthOption = AdapterOption(
        "xlora_depth", .integer(1...64), default: 1, "Layers of the classifier that mixes them.", decidesCount: true)
    static let hiddenOption = AdapterOption(
        "xlora_size", .integer(AdapterOption.counts), default: 2048, "Width of its inner layers.", decidesCount: true)
    static let dropoutOption = AdapterOption(
        "xlora_dropout_p", .number(0..<1), default: 0.2, "Dropout between its layers.")
    static let byLayerOption = AdapterOption(
        "layerwise_scalings", .boolean, default: false, "Mix for each layer by itself.", decidesCount: true)
    static let softmaxOption = AdapterOption(
        "enable_softmax", .boolean, default: true, "Let the shares of a token sum to 1.")
    static let softMostOption = AdapterOption(
        "enable_softmax_topk", .boolean, default: false, "Let the shares of the largest sum to 1.")
    static let temperatureOption = AdapterOption(
        "softmax_temperature", .number(.leastNonzeroMagnitude..<1e30), default: 1, "What scores are divided by.")
    static let mostOption = AdapterOption(
        "top_k_lora", .integer(AdapterOption.counts), "The most adapters that go into a token.")
    static let weightOption = AdapterOption(
        "global_scaling_weight", .number(-1e30..<1e30), default: 1, "What all adapters are multiplied by.")
    package static let options = [
        expertsOption, depthOption, hiddenOption, dropoutOption, byLayerOption, softmaxOption, softMostOption,
        temperatureOption, mostOption, weightOption,
    ]

    private var mixture = Mixture()
    private var weight = 1.0
    /// Names and folders of the experts, in order.
    private var experts: [(name: String, folder: String)] = []
    /// Where relative folders are looked for.
    private var place: String?
    private var passValue: JSONValue = 0.0
    private var width: Int?
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        let folders = (settings[Self.expertsOption].arrayValue ?? []).compactMap(\.stringValue)
        guard folders.count > 1 else {
            throw AdapterError(
                "--xlora_adapters: \(folders.count) adapters cannot be mixed; give the folders of two or more LoRA adapters"
            )
        }
        experts = folders.enumerated().map { ("\($0.offset)", $0.element) }
        mixture.depth = try settings.integer(Self.depthOption)
        mixture.hidden = try settings.integer(Self.hiddenOption)
        mixture.dropout = try settings.number(Self.dropoutOption)
        mixture.isByLayer = try settings.flag(Self.byLayerOption)
        mixture.usesSoftmax = try settings.flag(Self.softmaxOption)
        mixture.softensMost = try settings.flag(Self.softMostOption)
        mixture.temperature = try settings.number(Self.temperatureOption)
        mixture.most = settings[Self.mostOption].intValue
        weight = try settings.number(Self.weightOption)
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        try reader.refuse([("use_trainable_adapters", [false])])
        let adapters = try reader.required("adapters", "an object of folders", \.objectValue)
        experts = try adapters.map { name, folder in
            guard let folder = folder.stringValue else {
                throw reader.refusal("\"adapters\" of \"\(name)\" must be a folder, it is \(folder.serialized())")
            }
            return (name, folder)
        }
        guard experts.count > 1 else { throw reader.refusal("\"adapters\" names fewer than two adapters") }
        place = file
        width = try reader.count("hidden_size")
        mixture.depth = try reader.count("xlora_depth", default: 1)
        mixture.hidden = try reader.count("xlora_size", default: 2048)
        mixture.dropout = try reader.probability("xlora_dropout_p")
        mixture.isByLayer = try reader.flag("layerwise_scalings")
        mixture.usesSoftmax = try reader.flag("enable_softmax", default: true)
        mixture.softensMost = try reader.flag("enable_softmax_topk")
        mixture.temperature = try reader.number("softmax_temperature", default: 1)
        guard mixture.temperature > 0 else { throw reader.refusal("\"softmax_temperature\" must be positive") }
        mixture.most = json["top_k_lora"].map(\.isNull) == false ? try reader.count("top_k_lora") : nil
        weight = try reader.number("global_scaling_weight", default: 1)
        passValue = .double(try reader.number("scaling_pass_value", default: 0))
        base = try reader.base()
    }

    package var summary: String { "\(experts.count) experts, a classifier of \(mixture.depth) layers" }

    /// A folder as it is written, or seen from the file's folder or one above it.
    private func located(_ folder: String) -> String {
        let files = FileManager.default
        guard let place, !folder.hasPrefix("/"), !files.fileExists(atPath: folder) else { return folder }
        var above = URL(fileURLWithPath: place).deletingLastPathComponent()
        for _ in 0..<8 {
            let path = above.appendingPathComponent(folder).standardizedFileURL.path
            if files.fileExists(atPath: path) { return path }
            above = above.deletingLastPathComponent()
        }
        return folder
    }

    /// The experts as LoRA describes them.
    private func methods() throws -> [(method: LoRAConfiguration, folder: String)] {
        try experts.map { _, folder in
            let folder = located(folder)
            guard let lora = try AdapterFiles.method(in: folder) as? LoRAConfiguration, lora.isPlain else {
                throw AdapterError(
                    "X-LoRA mixes plain LoRA adapters, and \(folder) is another (DoRA, a start that changes the base, trained "
                        + "biases or tokens, layers that it names by their weights, or no LoRA)")
            }
            return (lora, folder)
        }
    }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        guard base.storedModules.isEmpty else {
            throw AdapterError("X-LoRA has no place for a head that is trained beside it, in PEFT neither; take lora")
        }
        guard let host = model.modules().lazy.compactMap({ $0.module as? any LayerHost }).first else {
            throw AdapterError("X-LoRA looks at the hidden states of a trunk, and this model has none; take lora")
        }
        guard !host.hasEncoder else {
            throw AdapterError(
                "X-LoRA looks at the last hidden states of a model that continues text, and PEFT finds none in one that reads "
                    + "a text with an encoder; take lora")
        }
        if let width, width != host.sizes.width {
            throw AdapterError(
                "\(place ?? ""): \"hidden_size\" is \(width), and the model's hidden states have \(host.sizes.width) numbers"
            )
        }
        let chosen = try methods().map { method, folder in
            let hosts = try method.selection.hosts(on: model, leaving: [], heads: heads)
            if let table = hosts.first(where: { !($0.module is Linear) }) {
                throw AdapterError("X-LoRA: \(folder) adapts \(table.path), a table of words, which is not mixed here")
            }
            return Set(hosts.map(\.path))
        }
        let layers = model.modules().filter { path, _ in chosen.contains { $0.contains(path) } }
        let classifier = ExpertClassifier(
            name: name, width: host.sizes.width, experts: experts.count, adapted: layers.count, settings: mixture,
            stream: AdapterStream.key(name, "classifier"))
        host.passAdapters.append(classifier)
        return [AdapterPart(shared: classifier, of: model)]
            + layers.enumerated().compactMap { index, layer in
                guard let linear = layer.module as? Linear else { return nil }
                let adapter = MixedExperts(
                    name: name, classifier, layer: index, weight: weight, stream: AdapterStream.key(name, layer.path))
                linear.adapters.append(adapter)
                return AdapterPart(path: layer.path, host: linear, adapter: adapter)
            }
    }

    /// Reads the experts.
    package func draw(_ parts: [AdapterPart]) throws {
        for part in parts { (part.adapter as? MixedExperts)?.experts = [] }
        for (index, expert) in try methods().enumerated() {
            let (store, path) = try AdapterFiles.weights(in: expert.folder)
            let names = Set(store.tensorNames)
            var taken = 0
            for part in parts {
                guard let mixed = part.adapter as? MixedExperts, let linear = part.host as? Linear else { continue }
                let stem = "base_model.model.\(part.path)"
                guard names.contains("\(stem).lora_A.weight") || names.contains("\(stem).lora_B.weight") else {
                    continue
                }
                func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
                    let full = "\(stem).\(name).weight"
                    guard names.contains(full), try store.shape(of: full) == shape else {
                        throw AdapterError(
                            "\(path): \(full) is missing or has not the shape \(shape); is it of another model?")
                    }
                    return try store.tensor(full, dtype: .float32, device: .cpu).tensor.cloned()
                }
                taken += 1
                let rank = expert.method.rank(of: part.path)
                mixed.experts.append(
                    MixedExperts.Expert(
                        index: index, a: try tensor("lora_A", [rank, linear.inputs]),
                        b: try tensor("lora_B", [linear.outputs, rank]), scale: expert.method.scale(of: part.path),
                        dropout: expert.method.dropout))
            }
            let held = names.filter { $0.hasSuffix(".lora_A.weight") }.count
            guard taken == held else {
                throw AdapterError(
                    "\(path): \(taken) of its \(held) adapted layers are in this model; is it of another model?")
            }
        }
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        var adapters = JSONObject()
        for expert in experts { adapters[expert.name] = .string(expert.folder) }
        let width = (parts.first?.host.modules().lazy.compactMap { $0.module as? any LayerHost }.first)?.sizes.width
        var file =
            base.json(
                Self.peftType,
                [
                    "adapters": .object(adapters), "enable_softmax": .bool(mixture.usesSoftmax),
                    "enable_softmax_topk": .bool(mixture.softensMost), "global_scaling_weight": .double(weight),
                    "hidden_size": (width ?? self.width).map(JSONValue.int) ?? .null,
                    "layerwise_scalings": .bool(mixture.isByLayer), "scaling_pass_value": passValue,
                    "softmax_temperature": .double(mixture.temperature),
                    "top_k_lora": mixture.most.map(JSONValue.int) ?? .null, "use_trainable_adapters": false,
                    "xlora_depth": .int(mixture.depth), "xlora_dropout_p": .double(mixture.dropout),
                    "xlora_size": .int(mixture.hidden),
                ]
            ).objectValue ?? JSONObject()
        file["modules_to_save"] = nil
        return .object(file)
    }
}

extension LoRAConfiguration {
    /// Whether it adds to its layers and changes nothing else.
    fileprivate var isPlain: Bool {
        switch initialization {
        case .pissa, .olora, .loftq: false
        default:
            !isDecomposed && !hasBias && tokens == nil && base.biases == .none && base.modulesToSave.isEmpty
                && replication == nil && parameters.isEmpty
        }
    }
}
