import ApusAdapters
import ApusDatasets
import ApusFiles
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusNN
import ApusRunLog
import ApusText
import ApusTorch
import ApusTraining
import Foundation

/// Learning which of two answers is better, or which answers are good, on models that continue text; or a model that
/// rewards answers.
struct PreferenceLearning: TextTask {
    let preferences: PreferenceSettings

    init(_ preferences: PreferenceSettings) { self.preferences = preferences }

    /// What the model is for, before and after.
    private var base: any TextTask {
        preferences.method == .rewardModel ? TaskType.sequenceClassification.task : TaskType.causalLM.task
    }

    var word: String { base.word }
    var activity: String { base.activity }
    var peft: PEFTTask? { base.peft }
    var predictsTokens: Bool { base.predictsTokens }
    var options: Set<String> { TaskType.causalLM.task.options.union(base.options) }

    func head(labelCount: Int?, config: JSONValue) throws -> ModelTask {
        try base.head(labelCount: preferences.method == .rewardModel ? 1 : nil, config: config)
    }

    func metrics(loss: LossType?, problem: ProblemType?) -> [String] {
        switch preferences.method {
        case .dpo, .orpo, .cpo, .simpo: preferences.pairTerms.metricNames
        case .kto: JudgedAnswers.metricNames
        case .rewardModel: RewardPairs.metricNames(isCentered: preferences.centerRewardsCoefficient != nil)
        case .grpo:
            PolicyObjective.metricNames(
                preferences.makerOptions(groupSize: preferences.policy.evaluationGroup, batchSize: 1),
                preferences.policyLoss, preferences.policyOptions)
        case .ppo: ProximalObjective.metricNames(preferences.makerOptions(groupSize: 1, batchSize: 1))
        case .gkd: []
        }
    }

    func training(_ inputs: TrainingInputs) throws -> TrainingTask {
        let (settings, console) = (inputs.settings, inputs.console)
        if inputs.text.fallsBack, settings.encoding.useChatTemplate {
            console.print("\(inputs.source.name) has no chat template; ChatML is used")
        }
        if preferences.method != .grpo { console.print(Self.noteOnDropout(settings, preferences)) }
        if preferences.samplesAnswers { return try policy(inputs) }
        if preferences.method == .rewardModel {
            guard (settings.optimization.routerAuxLossCoef ?? 0) == 0 else {
                throw SettingsError(
                    "--router_aux_loss_coef: a reward model has no such loss here. Leave it out; the routers stay as they are "
                        + "with --tuner_type lora.")
            }
            let model = try Models.registry.classifier(inputs.config, labels: 1)
            return TrainingTask(
                model: model, samples: try pairs(inputs, model),
                objective: RewardPairs(model, preferences.rewardLoss),
                labels: try LabelScheme(problemType: .regression, labelCount: 1))
        }
        let model = try Models.registry.model(inputs.config)
        guard !model.trunk.hasEncoder else {
            throw SettingsError(
                "--rlhf_type \(preferences.method.rawValue): \(model.architecture) reads a text whole and writes another; "
                    + "preferences are learned by models that continue text. Give one of those.")
        }
        try model.setRouterLoss(settings.optimization.routerAuxLossCoef)
        try checkReference(model, inputs)
        if preferences.method == .kto {
            return compared(JudgedAnswers(model, preferences.judgedLoss), model, try answers(inputs, model), inputs)
        }
        let objective = try PairPreferences(model, preferences.pairTerms)
        return compared(objective, model, try pairs(inputs, model), inputs)
    }

    /// What is learned by comparing with a reference, where the method has one.
    private func compared(
        _ objective: some ComparedObjective, _ model: any TextModel, _ samples: TrainingSamples,
        _ inputs: TrainingInputs
    ) -> TrainingTask {
        let memory = ReferenceMemory(preferences, inputs, samples)
        return TrainingTask(
            model: model, samples: samples, objective: objective,
            compares: { loading in
                guard preferences.usesReference else { return nil }
                if let known = try memory.found(loading) {
                    objective.reference = .known(known)
                    return nil
                }
                (objective.reference, objective.moving) = try compared(inputs, loading)
                try memory.ask(loading, objective.rememberReference)
                return objective.reference.model
            },
            writes: { folder, _ in try memory.keep(objective.reference, in: folder) })
    }

    func loaded(_ inputs: LoadingInputs) throws -> any LoadedTask { try base.loaded(inputs) }

    /// That nothing is dropped, by the option that would, and for what.
    private static func noteOnDropout(_ settings: SFTSettings, _ preferences: PreferenceSettings) -> String {
        "note: nothing is dropped"
            + (settings.model.tunerType.options.contains("lora_dropout") ? " (--lora_dropout and the like)" : "")
            + (preferences.usesReference ? ", so that model and reference are measured alike" : "")
    }

    // MARK: - Data

    private func pairs(_ inputs: TrainingInputs, _ model: any TextModel) throws -> TrainingSamples {
        let (settings, console) = (inputs.settings, inputs.console)
        let rows = try inputs.rows(as: PreferenceRecognizer(ConversationRecognizer.Options(settings.data)))
        let truncation = try inputs.truncation(for: model)
        let encoding = ConversationEncoder(settings.encoding, text: inputs.text)
        let cache = inputs.sampleCache()
        let (train, validation) = try console.encoded(rows) { part, progress in
            let result = try part.paired(
                truncation: truncation, isStrict: settings.data.strict, threads: settings.data.datasetNumProc,
                progress: progress, cache: cache, encode: encoding.encode)
            return (result.dataset, result.report)
        }
        let data = train.0
        let samples = try TrainingSamples(
            rows: rows, isSplit: settings.data.isSplit, train: (PairSamples(data), train.1),
            validation: validation.map { (PairSamples($0.0, isHeldOut: true), $0.1) }, empty: PairSamples(),
            row: { data.rows[$0] },
            bytes: data.withBytes, maximumDroppedShare: settings.data.maxDroppedRatio)
        let first = data.sample(0)
        console.preview(first.chosen, inputs.text.tokenizer, as: "chosen side of the first pair")
        console.preview(first.rejected, inputs.text.tokenizer, as: "rejected side")
        return samples
    }

    private func answers(_ inputs: TrainingInputs, _ model: any TextModel) throws -> TrainingSamples {
        let (settings, console) = (inputs.settings, inputs.console)
        let rows = try inputs.rows(as: JudgedRecognizer(ConversationRecognizer.Options(settings.data)))
        let truncation = try inputs.truncation(for: model)
        let encoding = ConversationEncoder(settings.encoding, text: inputs.text)
        let cache = inputs.sampleCache()
        let (train, validation) = try console.encoded(rows) { part, progress in
            let result = try part.judged(
                truncation: truncation, isStrict: settings.data.strict, threads: settings.data.datasetNumProc,
                progress: progress, cache: cache, encode: encoding.encode)
            return (result.dataset, result.report)
        }
        let data = train.0
        try checkBalance(data, console)
        if let held = validation?.0, settings.evalStrategy != .no {
            try checkMeasured(held, by: settings.evaluation.metricForBestModel)
        }
        let group =
            preferences.judgedLoss.comparesWithOthers
            ? settings.optimization.perDeviceTrainBatchSize * settings.optimization.gradientAccumulationSteps : nil
        let samples = try TrainingSamples(
            rows: rows, isSplit: settings.data.isSplit, train: (JudgedSamples(data, groupSize: group), train.1),
            validation: validation.map { (JudgedSamples($0.0, groupSize: group, isHeldOut: true), $0.1) },
            empty: JudgedSamples(),
            row: { data.rows[$0] }, bytes: data.withBytes, maximumDroppedShare: settings.data.maxDroppedRatio)
        console.preview(data.sample(0).answer, inputs.text.tokenizer)
        console.print("[LABEL] \(data.sample(0).isGood)")
        return samples
    }

    /// Refuses answers that are all good or all bad, and says which weights would even them out.
    private func checkBalance(_ data: JudgedDataset, _ console: Console) throws {
        let good = data.indices.count { data.isGood($0) }
        let bad = data.count - good
        guard good > 0, bad > 0 else {
            throw DatasetError(
                "--rlhf_type kto: all \(data.count) answers have the label \(good > 0), and kto tells good from bad. Give rows "
                    + "of both, or learn good answers alone with `apus sft`.")
        }
        let ratio = preferences.desirableWeight * Double(good) / (preferences.undesirableWeight * Double(bad))
        guard ratio < 0.99 || ratio > 1.34 else { return }
        func range(_ low: Double, _ high: Double) -> String {
            "\(readable(rounded(low))) to \(readable(rounded(high)))"
        }
        func rounded(_ x: Double) -> Double { (x * 100).rounded() / 100 }
        let (w, v) = (preferences.undesirableWeight * Double(bad) / Double(good), preferences.desirableWeight)
        console.print(
            "note: \(good) good and \(bad) bad answers; the authors of KTO advise --desirable_weight "
                + "\(range(w, w * 4 / 3)), or --undesirable_weight "
                + range(v * Double(good) / Double(bad) * 3 / 4, v * Double(good) / Double(bad)))
    }

    /// Refuses to choose checkpoints by what answers that are all good or all bad do not tell.
    private func checkMeasured(_ held: JudgedDataset, by metric: String) throws {
        let good = held.indices.count { held.isGood($0) }
        guard !held.isEmpty, good == 0 || good == held.count else { return }
        let missing = good == 0 ? "chosen" : "rejected"
        let name = BestMetric.name(metric)
        guard name == "rewards/margins" || name.hasSuffix("/\(missing)") else { return }
        throw DatasetError(
            "--metric_for_best_model \(metric): all \(held.count) validation answers have the label \(good > 0), and it is of "
                + (name == "rewards/margins" ? "both labels" : "the other") + ". Give rows of both, or another metric.")
    }

    // MARK: - Reference

    /// Looks at what of the reference can be wrong before anything is read that takes long.
    func checkReference(_ model: CausalLanguageModel, _ inputs: TrainingInputs) throws {
        if let name = preferences.refModel {
            let source = try ModelSource(name, surroundings: inputs.surroundings)
            let config = try source.config()
            let other = try Models.registry.model(config)
            guard !other.trunk.hasEncoder else {
                throw SettingsError(
                    "--ref_model \(name): \(other.architecture) reads a text whole and writes another. Give a model that "
                        + "continues text.")
            }
            try inputs.checkTokens(
                of: other, source, match: model, flag: "--ref_model", role: "reference",
                unequalTables: { _ in "each model's probabilities are over all of its own" })
            if preferences.movesReference, let fault = MovingReference.fault(of: other, following: model) {
                throw SettingsError(
                    "--sync_ref_model true with --ref_model \(name): \(fault). Give one of the same shape.")
            }
            try inputs.checkWeights(other, name, config, "--ref_model")
        }
        for adapter in preferences.refAdapters { _ = try AdapterFiles.weights(in: adapter) }
    }

    /// The reference with its weights, and what has it follow the model; nil where it stays.
    func compared(_ inputs: TrainingInputs, _ loading: ReferenceLoading) throws -> (Reference, MovingReference?) {
        let (reference, adapter) = try reference(inputs.settings, inputs.surroundings, loading, inputs.console)
        guard preferences.movesReference else { return (reference, nil) }
        let moving = preferences.moving
        let (steps, share) = (moving.refModelSyncSteps, moving.refModelMixupAlpha)
        inputs.console.print(
            "reference: follows the model, \(readable(share)) of the way after every \(steps) steps")
        if case .model(let other) = reference {
            return (reference, try MovingReference(other, follows: loading.model, every: steps, share: share))
        }
        guard let adapter, let trained = loading.adapter, let name = preferences.refAdapters.first else {
            throw SettingsError(
                "--sync_ref_model true: the reference is the model without its adapter, which has no weights that could "
                    + "move. Give --ref_adapters, the folder that --adapters goes on with, or --ref_model, or --tuner_type "
                    + "full.")
        }
        guard !trained.method.isShapedByData else {
            throw SettingsError(
                "--sync_ref_model true: data decide which layers the adapter hangs on, and \(name) could not follow it. "
                    + "Leave it out, or give --tuner_type full.")
        }
        if let key = try trained.method.difference(from: adapter.method) {
            throw SettingsError(
                "--sync_ref_model true: the reference follows weight by weight, and \(key) of \(name) is another than that of "
                    + "the adapter that trains. Give the same folder with --adapters and --ref_adapters.")
        }
        return (
            reference,
            try MovingReference(
                adapter: adapter.parameters, follows: trained.parameters, every: steps, share: share)
        )
    }

    /// The reference with its weights, and the adapter beside the model that it is, where it is one.
    ///
    /// - Parameter word: What it is called.
    func reference(
        _ settings: SFTSettings, _ surroundings: Surroundings, _ loading: ReferenceLoading, _ console: Console,
        as word: String = "reference"
    ) throws -> (reference: Reference, adapter: AttachedAdapter?) {
        if let adapter = preferences.refAdapters.first, loading.leavesBase, preferences.refModel == nil,
            try Self.isBesideTheModel(adapter)
        {
            let attached = try AdapterFiles.method(in: adapter).attach(
                to: loading.model, named: Self.referenceName, heads: loading.model.headNames,
                trunk: loading.model.trunk.name)
            try attached.load(from: adapter, device: loading.device)
            try attached.setTrainable(false)
            loading.model.trunk.activeAdapters = .only(["default"])
            console.print("\(word): the model with the adapter \(adapter)")
            return (.adapters(.only([Self.referenceName])), attached)
        }
        if preferences.refModel == nil, preferences.refAdapters.isEmpty, loading.leavesBase {
            console.print("\(word): the model without its adapter")
            return (.adapters(.base), nil)
        }
        let name = preferences.refModel ?? settings.model.name ?? ""
        let source = try ModelSource(name, surroundings: surroundings)
        let config = try source.config()
        let model = try Models.registry.model(config)
        let weights = try WeightLoading(
            source, config: config, options: settings.model.quantization, dtype: loading.dtype, device: loading.device)
        try model.loadWeights(
            weights.store, dtype: loading.dtype, device: loading.device, matrices: weights.matrices)
        if let adapter = preferences.refAdapters.first {
            let attached = try AdapterFiles.method(in: adapter).attach(
                to: model, heads: model.headNames, trunk: model.trunk.name)
            try attached.load(from: adapter, device: loading.device)
            try attached.setTrainable(false)
            // What moves are weights of the model.
            if preferences.movesReference { try attached.merge() }
        }
        try model.setTrainable(false)
        model.trunk.attentionGroups = loading.model.trunk.attentionGroups
        console.print("\(word): a second model, \(name)")
        return (.model(model), nil)
    }

    private static let referenceName = "ref_adapter"

    /// Whether an adapter has nothing of the model's own in its files, which would take its place in the model that trains.
    private static func isBesideTheModel(_ folder: String) throws -> Bool {
        let method = try AdapterFiles.method(in: folder)
        let configuration = try JSONValue(
            parsing: Data(contentsOf: URL(fileURLWithPath: FilePath.join(folder, AdapterFiles.configurationName))))
        return !method.changesBase && method.base.storedModules.isEmpty
            && ["none", nil].contains(configuration["bias"]?.stringValue)
    }
}

extension AdapterMethod {
    /// What of it says otherwise than another what adapters of the same weights amount to; nil where nothing does.
    fileprivate func difference(from other: any AdapterMethod) throws -> String? {
        let (own, others) = (try json([]), try other.json([]))
        // The rest is where it came from, how it began, and what the names of its weights say too.
        let irrelevant: Set = [
            "auto_mapping", "base_model_name_or_path", "revision", "peft_version", "task_type", "inference_mode",
            "lora_dropout", "init_lora_weights", "target_modules", "exclude_modules", "modules_to_save", "bias",
        ]
        return Set((own.objectValue?.keys ?? []) + (others.objectValue?.keys ?? [])).subtracting(irrelevant).sorted()
            .first { own[$0] != others[$0] }
    }
}

extension Reference {
    /// The second model, where there is one.
    var model: (any TextModel)? { if case .model(let model) = self { model } else { nil } }
}

/// What the reference of a run is made beside.
struct ReferenceLoading {
    /// The model that trains.
    let model: any TextModel
    /// The adapter that trains; it has no values yet.
    let adapter: AttachedAdapter?
    /// Whether the model without what trains is still the one of its files.
    let leavesBase: Bool
    let dtype: DType
    let device: Device
    /// The folder of the run whose state is taken up; nil for a new run.
    let folder: String?
}

extension TrainingInputs {
    /// How the samples of a model are cut.
    func truncation(for model: any TextModel) throws -> Truncation {
        try Truncation(
            maximumLength: model.limit(settings.encoding.maxLength, leaving: promptPlaces),
            strategy: settings.encoding.truncationStrategy)
    }
}
