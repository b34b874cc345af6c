package import ApusJSON
package import ApusNN
package import ApusTorch

/// A trained copy of a norm's parameters, in the place of its own.
///
/// Zhao et al. 2024, <https://arxiv.org/abs/2312.11420>.
package final class TunedNorm: NormAdapter {
    @Parameter("ln_tuning_layers.weight") private var weight: Tensor  // [D]
    @Parameter("ln_tuning_layers.bias") private var bias: Tensor?  // [D]

    init(name: String, for base: Norm) {
        super.init(name: name)
        for slot in base.slots().parameters {
            guard let shape = slot.shape else { continue }
            if slot.name == "bias" { $bias.declare(shape) } else { $weight.declare(shape, .ones) }
        }
    }

    package override var summary: String { "LNTuning" }

    /// The copy begins as the norm is.
    func start(on base: Norm) throws {
        for slot in base.slots().parameters {
            guard let tensor = slot.tensor else { continue }
            let own = slot.name == "bias" ? $bias : $weight
            try own.fill(tensor.to(own.tensor?.dtype ?? tensor.dtype).cloned())
        }
    }

    package override func callAsFunction(_ x: Tensor, on base: Norm, _ context: ForwardContext) throws -> Tensor {
        try base(x, with: parameters(in: x.dtype))
    }

    package override func merged(into parameters: [String: Tensor]) throws -> [String: Tensor] {
        try self.parameters(in: parameters["weight"]?.dtype ?? weight.dtype)
    }

    private func parameters(in dtype: DType) throws -> [String: Tensor] {
        var parameters = ["weight": try weight.to(dtype)]
        if let bias { parameters["bias"] = try bias.to(dtype) }
        return parameters
    }
}

/// LN tuning, as PEFT's `LNTuningConfig` describes it.
package struct LNTuningConfiguration: AdapterMethod {
    package static let peftType = "LN_TUNING"
    package static let tunerType = "ln_tuning"
    package static let options: [AdapterOption] = []

    private var selection: LayerSelection
    package var base = AdapterBase()

    /// `all-linear`, which holds where nothing is said, chooses no norms; PEFT's choice for the architecture is taken.
    package init(_ settings: AdapterSettings) throws {
        let targets = settings.targets == .allLinear ? .automatic : settings.targets
        selection = LayerSelection(try targets.resolved(DefaultTargets.norms, settings.modelType))
        // PEFT's choice for Falcon names norms that only some of its models have.
        selection.allowsAbsent = targets == .automatic
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        selection = try LayerSelection(reader)
        base = try reader.base()
    }

    package var summary: String { "Copies of norms" }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        for (path, module) in model.modules() where selection.allowsAbsent && selection.targets.contains(path) {
            guard !(module is Linear || module is Embedding) else {
                throw AdapterError("ln_tuning trains copies of norms here, and \(path) is none; leave it out")
            }
        }
        let hosts = try selection.hosts(on: model, leaving: base.storedModules, heads: heads, amongst: { $0 is Norm })
        return hosts.compactMap { path, module in
            guard let norm = module as? Norm else { return nil }
            let adapter = TunedNorm(name: name, for: norm)
            norm.adapters.append(adapter)
            return AdapterPart(path: path, host: norm, adapter: adapter)
        }
    }

    package func start(_ parts: [AdapterPart], seed: UInt64, encode: ((String) throws -> [Int32])?) throws {
        for part in parts {
            guard let norm = part.host as? Norm else { continue }
            try (part.adapter as? TunedNorm)?.start(on: norm)
        }
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        base.json(
            Self.peftType,
            [
                "exclude_modules": selection.excluded?.json ?? .null,
                "target_modules": selection.json(parts.map(\.path)),
            ])
    }
}
