import ApusAdapters
import ApusLanguageModel
import ApusNN
import ApusTraining
import Foundation

/// The training of a model's own weights: which of them, and which layers at a time.
struct OwnWeights {
    /// The weights that train, under their names on disk, in the model's order.
    let parameters: [(name: String, slot: ParameterSlot)]
    private let layers: ActivatedLayers?

    /// First everything trains; then what `freeze_…` names does not; then what `trainable_…` names does again.
    ///
    /// - Throws: `SettingsError` when a rule matches nothing, or nothing is left to train.
    init(_ settings: FullTuningSettings, tuner: TunerType, seed: Int, of model: any TextModel) throws {
        let all = model.parameters().filter { !$0.slot.isBuffer }
        var trained = Set(all.map(\.name))
        if tuner == .bitFit {
            trained = trained.filter { name in
                name.hasSuffix(".bias")
                    || model.headNames.contains { head in name.hasPrefix(head + ".") }
                        && !model.continuesText
            }
            guard trained.contains(where: { $0.hasSuffix(".bias") }) else {
                throw SettingsError(
                    "--tuner_type bitfit trains biases, and \(model.architecture) has none. Give --tuner_type lora, or full."
                )
            }
        }
        if settings.freezeParametersRatio > 0 {
            trained.subtract(Self.bottom(settings.freezeParametersRatio, of: Self.registered(all, of: model)))
        }
        trained.subtract(try Self.names(all, beginningWith: settings.freezeParameters, "freeze_parameters"))
        trained.subtract(try Self.names(all, matching: settings.freezeParametersRegex, "freeze_parameters_regex"))
        trained.formUnion(try Self.names(all, beginningWith: settings.trainableParameters, "trainable_parameters"))
        trained.formUnion(
            try Self.names(all, matching: settings.trainableParametersRegex, "trainable_parameters_regex"))
        guard !trained.isEmpty else {
            throw SettingsError(
                "--freeze_parameters, --freeze_parameters_regex and --freeze_parameters_ratio leave nothing to train. "
                    + "Name what trains with --trainable_parameters or --trainable_parameters_regex.")
        }
        parameters = all.filter { trained.contains($0.name) }
        layers = try Self.layers(settings, seed: seed, of: model, among: trained)
    }

    /// What takes part in the steps of a run.
    var participants: [any StepParticipant] { layers.map { [$0] } ?? [] }

    func setTrainable(_ model: any TextModel) throws {
        try model.setTrainable(false)
        for (_, slot) in parameters { try slot.setTrainable(true) }
    }

    /// How many elements have gradients and moments at a time.
    var activeCount: Int { parameters.reduce(0) { $0 + $1.slot.count } - (layers?.idleCount ?? 0) }

    // MARK: - Rules

    private typealias Parameters = [(name: String, slot: ParameterSlot)]

    /// Weights in the order in which `transformers` registers them, which is what ms-swift counts up.
    ///
    /// That is the model's own order, but that many layers have their norms behind their other parts. Where matrices of one
    /// part are registered in another order (Phi3's attention, the mixers of Qwen3-Next, experts before their gate, ALBERT's
    /// last norm), the model's own stays.
    private static func registered(_ all: Parameters, of model: any TextModel) -> Parameters {
        let layers = model.modules().compactMap { path, module -> (path: String, norms: [String])? in
            guard let layer = module as? TransformerLayer, layer.registersNormsLast else { return nil }
            let norms = layer.slots().children.filter { $0.module is Norm }
            return (path + ".", norms.map { Module.joined(path, $0.name) + "." })
        }
        var (ordered, norms): (Parameters, Parameters) = ([], [])
        var current: String?
        for parameter in all {
            let layer = layers.first { parameter.name.hasPrefix($0.path) }
            if layer?.path != current {
                ordered += norms
                (norms, current) = ([], layer?.path)
            }
            if layer?.norms.contains(where: parameter.name.hasPrefix) == true {
                norms.append(parameter)
            } else {
                ordered.append(parameter)
            }
        }
        return ordered + norms
    }

    /// The first parameters whose elements, counted up, do not exceed a share of all.
    private static func bottom(_ share: Double, of all: Parameters) -> [String] {
        let limit = Int(Double(all.reduce(0) { $0 + $1.slot.count }) * share)
        var sum = 0
        return all.prefix {
            sum += $0.slot.count
            return sum <= limit
        }.map(\.name)
    }

    private static func names(_ all: Parameters, beginningWith starts: [String], _ option: String) throws -> [String] {
        for start in starts where !all.contains(where: { $0.name.hasPrefix(start) }) {
            throw SettingsError(
                "--\(option): the name of no weight begins with \"\(start)\"; names are such as \(examples(all)).")
        }
        return all.map(\.name).filter { name in starts.contains(where: name.hasPrefix) }
    }

    private static func names(_ all: Parameters, matching pattern: String?, _ option: String) throws -> [String] {
        guard let pattern else { return [] }
        guard let expression = try? NSRegularExpression(pattern: pattern) else {
            throw SettingsError("--\(option): \"\(pattern)\" is not a regular expression that can be read. Correct it.")
        }
        let found = all.map(\.name).filter {
            expression.firstMatch(in: $0, range: NSRange($0.startIndex..., in: $0)) != nil
        }
        guard !found.isEmpty else {
            throw SettingsError(
                "--\(option): \"\(pattern)\" is found in the name of no weight; names are such as \(examples(all)).")
        }
        return found
    }

    private static func examples(_ all: Parameters) -> String {
        [all.first?.name, all.count > 2 ? all[all.count / 2].name : nil, all.last?.name].compactMap { $0 }
            .joined(separator: ", ")
    }

    private static func layers(
        _ settings: FullTuningSettings, seed: Int, of model: any TextModel, among trained: Set<String>
    ) throws -> ActivatedLayers? {
        guard settings.lisaActivatedLayers > 0 else { return nil }
        let layers = model.modules().filter { $0.module is TransformerLayer }.map { path, module in
            module.parameters().filter { trained.contains(Module.joined(path, $0.name)) }.map(\.slot)
        }.filter { !$0.isEmpty }
        guard settings.lisaActivatedLayers < layers.count else {
            throw SettingsError(
                "--lisa_activated_layers \(settings.lisaActivatedLayers): \(layers.count) layers train, and fewer must "
                    + "train at a time. Give a smaller number, or 0 for all.")
        }
        return ActivatedLayers(
            layers, count: settings.lisaActivatedLayers, interval: settings.lisaStepInterval,
            seed: UInt64(bitPattern: Int64(seed)))
    }
}
