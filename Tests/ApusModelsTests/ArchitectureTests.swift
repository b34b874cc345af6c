import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusGeneration
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusOptimizers
@testable import ApusTorch
@testable import ApusTraining
@testable import ApusWeights

/// What is done with a model of every architecture beside one pass over it, against `transformers` and PEFT.
///
/// Scripts/fixtures/behaviour.py makes what is expected; `Scripts/models` writes what these tests print to Docs/models.md.
struct ArchitectureTests {
    static let models = ParityTests.models

    struct Case {
        let name: String
        let fixture: Fixture
        let expected: JSONValue
        let tensors: SafetensorsFile

        init(_ name: String) throws {
            self.name = name
            fixture = try Fixture("models/\(name)")
            expected = try Fixture.json("models/\(name)/behaviour.json")
            tensors = try SafetensorsFile(path: fixture.folder.appendingPathComponent("behaviour.safetensors").path)
        }
    }

    /// A run of all weights by AdamW, from its beginning.
    struct Run {
        let model: CausalLanguageModel
        let update: UpdateStep
        private let batch: TokenBatch
        private let rate: Double

        init(_ test: Case) throws {
            model = try Fixture.model(test.name)
            batch = test.fixture.batch()
            try model.setTrainable(true)
            let trained = model.trainableParameters.compactMap { name, slot in
                slot.tensor.map { TrainedParameter(name: name, tensor: $0) }
            }
            let given = test.expected["optimizer"]
            rate = try #require(given?["lr"]?.doubleValue)
            let betas = (given?["betas"]?.arrayValue ?? []).compactMap(\.doubleValue)
            var settings = AdamW.Settings()
            settings.epsilon = try #require(given?["eps"]?.doubleValue)
            (settings.beta1, settings.beta2) = (try #require(betas.first), try #require(betas.last))
            update = UpdateStep(
                trained, optimizer: try AdamW([ParameterGroup(trained, decay: 0)], settings: settings),
                participants: [], maximumNorm: 0)
        }

        func losses(_ steps: Range<Int>) throws -> [Double] {
            try steps.map { step in
                let context = try model.context(for: batch)
                let rows = try model.hiddenStates(batch, context).indexed(0, Tensor(batch.targets.rows))
                let sum = try model.head.crossEntropy(rows, labels: Tensor(batch.targets.labels), context).sum
                try update.accumulate(sum, targets: batch.targets.count)
                return try update(rate: rate, step: step + 1).loss
            }
        }
    }

    @Test(arguments: models) func twentyStepsEqualThoseOfTransformers(name: String) throws {
        let test = try Case(name)
        let losses = try Run(test).losses(0..<20)
        let expected = (test.expected["losses"]?.arrayValue ?? []).compactMap(\.doubleValue)
        let distance = zip(losses, expected).map { abs($0 - $1) }.max() ?? .nan
        print("architecture \(name): steps \(distance)")
        #expect(expected.count == 20 && distance <= 1e-5)
    }

    /// Weights that were saved in between are those of the file of `transformers` by name, and go on to the same bits.
    @Test(arguments: models) func savedWeightsGoOnToTheSameBits(name: String) throws {
        let test = try Case(name)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let whole = try Run(test)
        _ = try whole.losses(0..<3)
        let path = folder.appendingPathComponent("model.safetensors").path
        try SafetensorsWriter.write(
            whole.model.parameters().compactMap { name, slot in slot.tensor.map { WeightSource(name, $0) } }, to: path)
        let stored = Set(try ModelWeights(folder: test.fixture.folder.path).tensorNames)
        let saved = Set(try SafetensorsFile(path: path).tensorNames)
        #expect(saved == stored)
        let resumed = try Run(test)
        let weights = try ModelWeights(folder: folder.path)
        let trained = Dictionary(uniqueKeysWithValues: resumed.model.parameters().map { ($0.name, $0.slot) })
        try withoutGradients {
            for name in saved {
                try trained[name]?.tensor?.copy(from: weights.tensor(name, dtype: .float32, device: .cpu).tensor)
            }
            let states = try whole.update.states.flatMap { try $0.state }
            for state in try resumed.update.states.flatMap({ try $0.state }) {
                try state.tensor.copy(from: #require(states.first { $0.name == state.name }, "\(state.name)").tensor)
            }
        }
        #expect(try resumed.losses(3..<6) == whole.losses(3..<6))
        print("architecture \(name): resumed bitwise")
    }

    @Test(arguments: models) func greedyAnswersEqualThoseOfTransformers(name: String) throws {
        let test = try Case(name)
        var sampling = Sampling()
        sampling.temperature = 0
        let generator = TokenGenerator(try Fixture.model(name), sampling: sampling, endTokens: [])
        func ids(_ row: JSONValue, _ key: String) -> [Int32] {
            (row[key]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
        }
        let rows = test.expected["greedy"]?.arrayValue ?? []
        #expect(rows.count == 3)
        // All at once and each by itself.
        let together = try generator.answers(to: rows.map { ids($0, "prompt") }, limit: 10)
        #expect(together == rows.map { ids($0, "ids") })
        for row in rows { #expect(try generator.answers(to: [ids(row, "prompt")], limit: 10) == [ids(row, "ids")]) }
        print(
            "architecture \(name): greedy \(zip(together, rows).filter { $0 == ids($1, "ids") }.count) of \(rows.count)"
        )
    }

    @Test(arguments: models) func allLinearLayersAreThoseOfPEFT(name: String) throws {
        let test = try Case(name)
        // Of some PEFT sees other layers than lie on disk.
        guard let expected = test.expected["adapter"]?.objectValue else {
            #expect(test.expected["adapter"]?.isNull == true)
            return
        }
        var settings = AdapterSettings()
        settings.modelType = try Fixture.json("models/\(name)/config.json")["model_type"]?.stringValue
        settings.targets = .allLinear
        for option in LoRAConfiguration.options where option.name == "lora_rank" { settings[option] = 4 }
        let model = try Fixture.model(name)
        let attached = try LoRAConfiguration(settings).attach(
            to: model, heads: model.headNames, trunk: model.trunk.name)
        try attached.materialize(dtype: .float32, device: .cpu, seed: 1)
        let ours = Dictionary(uniqueKeysWithValues: try attached.storedTensors().map { ($0.name, $0.tensor.shape) })
        let theirs = Dictionary(
            uniqueKeysWithValues: expected.keys.map { name in
                (name, (expected[name]?.arrayValue ?? []).compactMap(\.intValue))
            })
        #expect(ours == theirs)
        print("architecture \(name): adapter \(ours.count) tensors")
    }

    @Test(arguments: models) func classifiersScoreAsTransformers(name: String) throws {
        let test = try Case(name)
        guard test.expected["scores"]?.boolValue == true else {
            #expect(test.expected["scores"]?.boolValue == false)
            return
        }
        let model = try #require(
            Models.registry.model(
                Fixture.json("models/\(name)/config.json"), for: .sequenceClassification(labels: 3))
                as? SequenceClassifier)
        let store = try ModelWeights(folder: test.fixture.folder.path)
        let new = try model.loadWeights(store, dtype: .float32, device: .cpu, newHeadSeed: 1)
        #expect(new == ["score.weight"])
        let head = try #require(model.parameters().first { $0.name == "score.weight" })
        try head.slot.fill(test.tensors.tensor("score.weight", dtype: .float32, device: .cpu).tensor.cloned())
        let batch = test.fixture.batch()
        let scores = try withoutGradients { try model.scores(batch, model.context(for: batch)) }
        let distance = try difference(scores, test.tensors.tensor("scores", dtype: .float32, device: .cpu).tensor)
        print("architecture \(name): scores \(distance)")
        #expect(distance <= 1e-5)
    }
}
