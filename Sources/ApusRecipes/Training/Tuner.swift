import ApusAdapters
import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusNN
import ApusOptimizers
import ApusText
import ApusTorch
import ApusTraining
import Foundation

/// What trains: an adapter, or weights of the model itself.
struct Tuner {
    /// Elements of the model without adapters.
    let baseParameterCount: Int
    /// The adapter that trains; nil where weights of the model do.
    private(set) var attached: AttachedAdapter?
    private let own: OwnWeights?
    /// The adapter that the run goes on with.
    private let startingAdapter: String?

    /// Hangs the adapter on; no weights are needed.
    ///
    /// - Parameter bits: Of the model's matrices; nil where they are in full.
    init(
        _ settings: SFTSettings, model: any TextModel, config: JSONValue, sourceName: String, bits: Int? = nil
    ) throws {
        baseParameterCount = model.parameterCount + QuantizedLayers.addedCount(model, bits: bits)
        guard settings.model.adapters.count <= 1 else {
            throw AdapterError(
                "--adapters: training goes on from one adapter, got \(settings.model.adapters.count). Give one of them."
            )
        }
        startingAdapter = settings.model.adapters.first
        if !settings.model.tunerType.isAdapter {
            guard startingAdapter == nil else {
                throw AdapterError(
                    "--adapters does not go with --tuner_type \(settings.model.tunerType.rawValue); merge the adapter first "
                        + "(apus merge-lora)")
            }
            own = try OwnWeights(
                settings.full, tuner: settings.model.tunerType, seed: settings.model.seed, of: model)
            attached = nil
            return
        }
        own = nil
        var adapter = AdapterSettings(
            settings.tuner, modelType: config["model_type"]?.stringValue, on: model)
        adapter.tokenizer = sourceName
        var method: any AdapterMethod =
            try settings.tuner.own.map { OwnConfiguration($0) }
            ?? startingAdapter.map { try AdapterFiles.method(in: $0) }
            ?? Self.method(settings.model.tunerType, adapter)
        if let startingAdapter, settings.tuner.own == nil {
            let (own, asked) = (type(of: method).tunerType, settings.model.tunerType.rawValue)
            guard own == asked else {
                throw AdapterError(
                    "--adapters: \(startingAdapter) is an adapter of the method \(own), and --tuner_type is \(asked). Give "
                        + "--tuner_type \(own).")
            }
            try method.train(adapter)
        }
        method.base.baseModel = sourceName
        if startingAdapter == nil {
            method.base.modulesToSave += try Self.modulesToSave(settings.tuner.modulesToSave, of: model)
        }
        attached = try method.attached(to: model, for: settings.taskType)
    }

    /// What a user should know of the adapter that the run goes on with, and of the file that it writes.
    var notices: [String] {
        (startingAdapter == nil ? [] : [attached?.method.notice, attached?.method.base.notice].compactMap(\.self))
            + [attached.flatMap { $0.method.fileNotice($0.parts) }].compactMap(\.self)
    }

    /// Whether a checkpoint holds the whole model.
    var isFull: Bool { own != nil }

    /// Whether the model without what trains is still the model that the run began with.
    var leavesBase: Bool { attached?.leavesBase ?? false }

    /// The layers that the model has and its files have not, where the method adds some.
    static func layerPlan(_ settings: SFTSettings, config: JSONValue) throws -> LayerPlan? {
        guard settings.model.tunerType.isAdapter, settings.tuner.own == nil else { return nil }
        let type = config["model_type"]?.stringValue
        let method =
            try settings.model.adapters.first.map { try AdapterFiles.method(in: $0) }
            ?? method(settings.model.tunerType, AdapterSettings(settings.tuner, modelType: type))
        return try AdaptedModel.plan(of: [method], config: config)
    }

    /// Gives the trained parameters their first values: from a checkpoint, an adapter, data of the run, or the seed.
    ///
    /// - Parameters:
    ///   - restoresState: Whether the state of the checkpoint's run is read afterwards.
    ///   - passes: Over the data of the run.
    mutating func prepare(
        _ model: any TextModel, settings: SFTSettings, tokenizer: Tokenizer, device: Device, checkpoint: String?,
        restoresState: Bool, passes: StartPasses
    ) throws {
        if let own { try own.setTrainable(model) }
        guard var attached else { return }
        defer { self.attached = attached }
        if let checkpoint, attached.method.isShapedByData {
            // What the data decided stands in the file.
            attached.detach()
            var method = try AdapterFiles.method(in: checkpoint)
            try method.train(AdapterSettings(settings.tuner, modelType: nil))
            attached = try method.attached(to: model, for: settings.taskType)
        }
        let dtype = settings.tuner.loraDType ?? .float32
        // The file of some methods is not what was trained; that lies in the state of the run.
        let folder = restoresState && !attached.isStoredAsTrained ? nil : checkpoint ?? startingAdapter
        if let folder {
            try attached.load(from: folder, dtype: dtype, device: device)
        } else {
            try attached.materialize(
                dtype: dtype, device: device, seed: UInt64(bitPattern: Int64(settings.model.seed))
            ) { tokenizer.encode($0, pair: nil).ids }
            // A run that goes on is told by its state what data began it with.
            if attached.method.startsFromData, checkpoint == nil {
                attached = try attached.started(
                    from: passes, seed: UInt64(bitPattern: Int64(settings.model.seed)))
            }
        }
        try attached.setTrainable(true)
    }

    /// Modules of the model that train whole beside the adapter.
    var wholeModules: [String] { attached?.method.base.storedModules ?? [] }

    /// What an adapted layer keeps beside its input, in numbers for each token, for the memory forecast.
    var adaptedRank: Int {
        let shapes = attached?.parts.flatMap { $0.adapter.parameters().compactMap(\.slot.shape) } ?? []
        return shapes.filter { $0.count == 2 }.compactMap { $0.min() }.max() ?? 0
    }

    /// Numbers that adapters keep for the backward pass.
    struct KeptCounts {
        /// Whatever the tokens.
        var fixed = 0
        /// Of each token.
        var ofToken = 0

        static func += (counts: inout KeptCounts, more: KeptCounts) {
            counts.fixed += more.fixed
            counts.ofToken += more.ofToken
        }
    }

    /// What adapters keep in all layers, and in those that are there together where layers run again: the most of one, and
    /// all that lies in none.
    func keptCounts(of model: any TextModel) -> (all: KeptCounts, atOnce: KeptCounts) {
        let layers = model.modules().filter { $0.module is TransformerLayer }.map { $0.path + "." }
        var (ofLayers, outside): ([String: KeptCounts], KeptCounts) = ([:], KeptCounts())
        for part in attached?.parts ?? [] {
            guard let linear = part.host as? Linear, let adapter = part.adapter as? LinearAdapter else { continue }
            let count = KeptCounts(fixed: adapter.keptCount(on: linear), ofToken: adapter.keptCountOfToken(on: linear))
            if let layer = layers.first(where: part.path.hasPrefix) {
                ofLayers[layer, default: KeptCounts()] += count
            } else {
                outside += count
            }
        }
        var (all, atOnce) = (outside, outside)
        for counts in ofLayers.values { all += counts }
        atOnce += KeptCounts(
            fixed: ofLayers.values.map(\.fixed).max() ?? 0, ofToken: ofLayers.values.map(\.ofToken).max() ?? 0)
        return (all, atOnce)
    }

    /// What takes part in the steps of a run of so many.
    mutating func participants(totalSteps: Int) throws -> [any StepParticipant] {
        try own?.participants ?? attached?.participants(totalSteps: totalSteps) ?? []
    }

    /// Refuses a head or pooler with first values that nothing would store.
    func checkStored(new: [String], of model: String) throws {
        try attached?.checkStored(new: new, of: model)
    }

    /// Those of some weights with first values that keep them: an adapter that goes on brings its own.
    func keepingFirstValues(_ new: [String], checkpoint: String?) -> [String] {
        guard checkpoint != nil || startingAdapter != nil, let attached else { return new }
        return attached.unstored(new)
    }

    /// - Parameter rate: The highest learning rate.
    func trained(rate: Double, of model: any TextModel) -> [TrainedParameter] {
        let ofLayerNorms = attached?.layerNormParameters(of: model) ?? model.layerNormParameters
        return (own?.parameters ?? attached?.parameters ?? []).compactMap { name, slot in
            slot.tensor.map {
                TrainedParameter(
                    name: name, tensor: $0,
                    rateFactor: attached?.method.rateFactor(of: name, shape: $0.shape, rate: rate) ?? 1,
                    isOfLayerNorm: ofLayerNorms.contains(name))
            }
        }
    }

    /// The names of trained matrices that linear layers multiply with.
    func linearMatrices(of model: any TextModel) -> Set<String> {
        if let attached { return attached.linearMatrices(of: model) }
        let linear = Set(model.modules().filter { $0.module is Linear }.map { "\($0.path).weight" })
        return linear.intersection((own?.parameters ?? []).map(\.name))
    }

    var trainedCount: Int {
        (own?.parameters ?? attached?.parameters ?? []).reduce(0) { $0 + $1.slot.count }
    }

    /// Elements that have gradients and moments at a time.
    var activeCount: Int { own?.activeCount ?? trainedCount }

    /// The counts as ms-swift prints them.
    ///
    /// `PeftModelForCausalLM: 7621.9740M Params (6.3570M Trainable [0.0834%]), 0.0020M Buffers.`
    func parameterInfo(_ model: any TextModel) -> String {
        let (all, trainable) = (parameterCount.total, trainedCount)
        func millions(_ count: Int) -> String { String(format: "%.4fM", Double(count) / 1e6) }
        return "\(attached.map(Self.peftClass) ?? model.architecture): \(millions(all)) Params "
            + "(\(millions(trainable)) Trainable [\(String(format: "%.4f", 100 * Double(trainable) / Double(max(all, 1))))%]), 0.0000M Buffers."
    }

    private static func peftClass(_ attached: AttachedAdapter) -> String {
        let task = TaskType.allCases.compactMap(\.task.peft).first { $0.word == attached.method.base.taskType }
        return task.map { "PeftModelFor\($0.suffix)" } ?? "PeftModel"
    }

    func contents(
        _ model: any TextModel, source: ModelSource, config: JSONValue, arguments: Data, settings: SFTSettings,
        labels: LabelScheme?, companions: [(name: String, data: Data)] = []
    ) -> any CheckpointContents {
        if let attached {
            return AdapterContents(
                attached: attached, arguments: arguments, settings: settings, source: source, labels: labels,
                companions: companions)
        }
        return ModelContents(
            model: model, source: source, config: config, labels: labels, companions: companions,
            arguments: arguments, shardSize: nil,
            card: ModelCard(subject: .trained, source: source, task: settings.taskType, settings: settings))
    }

    var parameterCount: ParameterCount {
        // As PEFT counts: a head that trains beside an adapter comes on top, as the copy that PEFT makes of it.
        ParameterCount(total: baseParameterCount + (attached?.addedCount ?? 0), trainable: trainedCount)
    }
}

extension Tuner {
    /// The modules that are trained whole, with ms-swift's words for kinds of them spelled out.
    static func modulesToSave(_ names: [String], of model: any TextModel) throws -> [String] {
        // Walking through a model takes a tenth of the time that counting its parameters takes.
        guard !names.isEmpty else { return [] }
        let modules = model.modules().filter { $0.module.slots().parameters.contains(where: \.isDeclared) }
        func ends(_ isMeant: (Module) -> Bool) -> [String] {
            Set(modules.filter { isMeant($0.module) }.map { String($0.path.split(separator: ".").last ?? "") }).sorted()
        }
        return try names.flatMap { name -> [String] in
            switch name {
            case "all-embedding": return ends { $0 is ApusNN.Embedding }
            case "all-norm": return ends { $0 is Norm }
            case _ where model.modules().contains(where: { ModulePaths.ends(of: $0.path).contains(name) }):
                return [name]
            default:
                let known = ends { _ in true }.joined(separator: ", ")
                throw AdapterError("--modules_to_save: no module is called \"\(name)\"; there are \(known)")
            }
        }
    }

    /// The method of a `--tuner_type`, as the settings ask for it.
    static func method(_ type: TunerType, _ settings: AdapterSettings) throws -> any AdapterMethod {
        guard let method = AdapterMethods.of(tunerType: type.rawValue) else {
            throw AdapterError("--tuner_type \(type.rawValue) makes no adapter")
        }
        return try method.init(settings)
    }
}

extension AdapterMethod {
    /// Hangs the adapter on, as PEFT does for the task.
    func attached(to model: any TextModel, for task: TaskType) throws -> AttachedAdapter {
        var method = self
        method.base.taskType = task.task.peft?.word
        if !model.modulesToSave.isEmpty {
            // PEFT's lists for the task, whichever of the two names this model has.
            method.base.modulesToSave = method.base.modulesToSave.filter { !["classifier", "score"].contains($0) }
            method.base.modulesToSave += ["classifier", "score"]
            // Parts of heads that PEFT's lists do not know.
            method.base.modulesToSave += model.modulesToSave.filter { name in
                !method.base.modulesToSave.contains { name.hasSuffix($0) }
            }
        }
        return try method.attach(to: model, heads: model.headNames, trunk: model.trunk.name)
    }
}

extension Tuner {
    /// The elements of the largest layer, table or head, whose gradients are there together where others come one by one.
    func largestPart(of model: any TextModel) -> Int {
        let layers = model.modules().filter { $0.module is TransformerLayer }
        let largest = layers.map(\.module.parameterCount).max() ?? 0
        let rest = model.parameters().filter { name, _ in !layers.contains { name.hasPrefix($0.path + ".") } }
        return max(largest, rest.reduce(0) { $0 + $1.slot.count })
    }
}
