import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusOptimizers
@testable import ApusTorch
@testable import ApusTraining
@testable import ApusWeights

/// A method on a tiny model, with what PEFT makes of it (Scripts/fixtures/make_methods.py).
struct MethodCase {
    let name: String
    let fixture: Fixture
    let start: SafetensorsFile
    let isClassifier: Bool
    /// Whether the model reads a text and writes another.
    let isTwoStacks: Bool
    let dtype = DType.float64

    init(_ name: String) throws {
        self.name = name
        fixture = try Fixture("methods/\(name)")
        start = try SafetensorsFile(path: fixture.folder.appendingPathComponent("start.safetensors").path)
        isClassifier = name.contains("-single/")
        isTwoStacks = name.contains("t5/")
    }

    private var modelName: String { String(name.split(separator: "/")[0]) }
    private var modelPath: String {
        "\(isClassifier ? "classifiers" : isTwoStacks ? "seq2seq" : "models")/\(modelName)"
    }

    func config() throws -> JSONValue { try Fixture.json("\(modelPath)/config.json") }

    func model() throws -> any TextModel { try plainModel(method().layerPlan) }

    /// The model without its adapter.
    ///
    /// - Parameter plan: Which layers it has, of so many.
    func plainModel(_ plan: (Int) throws -> LayerPlan? = { _ in nil }) throws -> any TextModel {
        guard isClassifier || isTwoStacks else {
            return try Fixture.model(modelName, dtype: dtype, plan: plan(LayerPlan.layerCount(of: config()) ?? 0))
        }
        let task = isTwoStacks ? ModelTask.sequenceToSequence : .sequenceClassification(labels: 3)
        let model = try Models.registry.model(config(), for: task)
        let folder = Fixture.root.appendingPathComponent(modelPath).path
        try model.loadWeights(ModelWeights(folder: folder), dtype: dtype, device: .cpu)
        return model
    }

    /// The method as a command line asks for it.
    func method() throws -> any AdapterMethod {
        let type = try #require(AdapterMethods.of(tunerType: fixture.expected["tuner"]?.stringValue ?? ""))
        var settings = AdapterSettings()
        settings.modelType = try config()["model_type"]?.stringValue
        let names = (fixture.expected["targets"]?.arrayValue ?? []).compactMap(\.stringValue)
        settings.targets = names == ["auto"] ? .automatic : names == ["all-linear"] ? .allLinear : .names(names)
        for option in type.options {
            if option.name == "lora_dropout" { settings[option] = 0.0 }
            if let value = fixture.expected["options"]?[option.name] { settings[option] = value }
        }
        var method = try type.init(settings)
        method.base.baseModel = "Tests/Fixtures/\(modelPath)"
        if isTwoStacks { method.base.taskType = "SEQ_2_SEQ_LM" }
        if isClassifier {
            method.base.taskType = "SEQ_CLS"
            method.base.modulesToSave = ["classifier", "score"]
        }
        return method
    }

    /// A model with the adapter as PEFT's training began with it.
    func beginning() throws -> (model: any TextModel, attached: AttachedAdapter) {
        let model = try model()
        let attached = try method().attach(to: model, heads: model.headNames, trunk: model.trunk.name)
        try attached.materialize(dtype: dtype, device: .cpu, seed: 1)
        for (name, slot) in attached.parameters {
            // A table that is all there is lies inside an `Embedding` of PEFT's.
            let stored = start.tensorNames.contains(name) ? name : "embedding.weight"
            try slot.fill(start.tensor(stored, dtype: dtype, device: .cpu).tensor.cloned())
        }
        try attached.setTrainable(true)
        return (model, attached)
    }

    /// A model with the adapter that PEFT saved after its training.
    func loaded() throws -> (model: any TextModel, attached: AttachedAdapter) {
        let model = try model()
        let attached = try AdapterFiles.method(in: fixture.folder.path).attach(
            to: model, heads: model.headNames, trunk: model.trunk.name)
        try attached.load(from: fixture.folder.path, dtype: dtype, device: .cpu)
        return (model, attached)
    }

    /// Texts with their answers.
    var texts: [(source: [Int32], answer: [Int32])] { SequenceToSequenceTests.Case.rows(fixture.expected) }

    var batch: TokenBatch {
        if isTwoStacks { return SequenceToSequenceTests.Case.batch(texts) }
        guard isClassifier else { return fixture.batch() }
        let ids = (fixture.expected["sequences"]?.arrayValue ?? []).map { row in
            (row.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
        }
        let labels = (fixture.expected["labels"]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
        return TokenBatch(ids, labels: .classes(labels))
    }

    /// Logits of all positions, or scores; and the sum of the losses with its count.
    func outputs(
        _ model: any TextModel, checkpoints: Bool = false
    ) throws -> (answers: [Tensor], sum: Tensor, targets: Int) {
        let batch = batch
        let context = try model.context(for: batch, checkpointsLayers: checkpoints)
        if let classifier = model as? SequenceClassifier {
            let scores = try classifier.scores(batch, context)
            guard case .classes(let labels) = batch.labels else { preconditionFailure("the case has classes") }
            return (
                try labels.indices.map { try scores.selected(0, $0) }, try crossEntropySum(scores, Tensor(labels)),
                labels.count
            )
        }
        let causal = try #require(model as? CausalLanguageModel)
        let hidden = try causal.hiddenStates(batch, context)
        let logits = try causal.logits(hidden, context)
        let sum = try causal.head.crossEntropy(
            hidden.indexed(0, Tensor(batch.targets.rows)), labels: Tensor(batch.targets.labels), context
        ).sum
        let rows = try (0..<batch.sequenceCount).map { index in
            let start = Int(batch.boundaries[index])
            return try logits.narrowed(0, start: start, length: Int(batch.boundaries[index + 1]) - start)
        }
        return (rows, sum, batch.targets.count)
    }

    /// The largest difference of answers from PEFT's, relative to the largest of each.
    func worst(_ answers: [Tensor], _ prefix: String) throws -> Double {
        try answers.enumerated().map { index, answer in
            try relativeDifference(
                answer, fixture.tensors.tensor("\(prefix).\(index)", dtype: .float64, device: .cpu).tensor)
        }.max() ?? .nan
    }
}

/// A training run of a case, as PEFT's.
struct MethodRun {
    private let test: MethodCase
    private let model: any TextModel
    let attached: AttachedAdapter
    let update: UpdateStep
    private var done = 0

    init(_ test: MethodCase) throws {
        self.test = test
        var (model, attached) = try test.beginning()
        let participants = try attached.participants(totalSteps: 20)
        (self.model, self.attached) = (model, attached)
        let trained = attached.parameters.compactMap { name, slot in
            slot.tensor.map { TrainedParameter(name: name, tensor: $0) }
        }
        var settings = AdamW.Settings()
        (settings.beta1, settings.beta2, settings.epsilon) = (0.9, 0.95, 1e-8)
        update = UpdateStep(
            trained, optimizer: try AdamW([ParameterGroup(trained, decay: 0)], settings: settings),
            participants: participants, maximumNorm: 0)
    }

    /// The losses of the next steps.
    mutating func losses(_ steps: Int) throws -> [Double] {
        let rate = test.fixture.expected["rate"]?.doubleValue ?? .nan
        return try (0..<steps).map { _ in
            let (_, sum, targets) = try test.outputs(model)
            try update.accumulate(sum, targets: targets)
            done += 1
            return try update(rate: rate, step: done).loss
        }
    }

    /// Goes on from where another run is.
    mutating func resume(_ other: MethodRun) throws {
        let theirs = try other.update.states.flatMap { try $0.state }
        let names = Set(theirs.map(\.name))
        for state in try update.states.flatMap({ try $0.state }) {
            let source = try #require(theirs.first { $0.name == state.name }, "\(state.name)")
            try withoutGradients { try state.tensor.copy(from: source.tensor) }
        }
        #expect(names.count == theirs.count)
        // What is trained and lies in the adapter's own file.
        if attached.isStoredAsTrained {
            for (mine, its) in zip(attached.parameters, other.attached.parameters) {
                if let mine = mine.slot.tensor, let its = its.slot.tensor {
                    try withoutGradients { try mine.copy(from: its) }
                }
            }
        }
        done = other.done
    }
}
