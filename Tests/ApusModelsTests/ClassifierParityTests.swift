import ApusRunLog
import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusDatasets
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusOptimizers
@testable import ApusTorch
@testable import ApusTraining
@testable import ApusWeights

/// Models that score sequences or fill in masks, against transformers, PEFT and the Trainer
/// (Scripts/fixtures/make_classifiers.py).
struct ClassifierParityTests {
    static let classifiers = [
        "qwen2-regression", "llama-single", "qwen3-multi", "mistral-regression-two", "bert-regression", "bert-single",
        "bert-multi", "roberta-single",
    ]

    /// One model of the fixtures with its rows.
    struct Case {
        let name: String
        let fixture: Fixture
        let labelCount: Int?
        let problem: ProblemType?

        init(_ name: String) throws {
            self.name = name
            fixture = try Fixture("classifiers/\(name)")
            labelCount = fixture.expected["labels"]?.intValue
            problem = fixture.expected["problem"]?.stringValue.flatMap(ProblemType.init)
        }

        func model(
            _ task: ModelTask, withoutDropout: Bool = false, dtype: DType = .float32
        ) throws -> any TextModel {
            var config = try Fixture.json("classifiers/\(name)/config.json")
            if withoutDropout, var object = config.objectValue {
                for key in object.keys where key.contains("dropout") { object[key] = 0.0 }
                config = .object(object)
            }
            let model = try Models.registry.model(config, for: task)
            try model.loadWeights(ModelWeights(folder: fixture.folder.path), dtype: dtype, device: .cpu)
            return model
        }

        func classifier(withoutDropout: Bool = false, dtype: DType = .float32) throws -> SequenceClassifier {
            let task = ModelTask.sequenceClassification(labels: labelCount ?? 1)
            return try #require(
                try model(task, withoutDropout: withoutDropout, dtype: dtype) as? SequenceClassifier)
        }

        func sample(_ row: JSONValue) -> ScoredDataset.Sample {
            func numbers(_ value: JSONValue?) -> [Int32] {
                (value?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
            }
            let label = row["label"] ?? .null
            let values = (label.arrayValue ?? [label]).compactMap(\.doubleValue).map { Float($0) }
            return ScoredDataset.Sample(
                ids: numbers(row["ids"]), segments: numbers(row["segments"]),
                target: problem == .singleLabel ? .classID(Int32(label.intValue ?? 0)) : .values(values))
        }

        func data(_ json: JSONValue) -> ScoredDataset {
            let isBERT = name.hasPrefix("bert")
            return ScoredDataset(
                (json["rows"]?.arrayValue ?? []).map { row in
                    let full = sample(row)
                    return ScoredDataset.Sample(
                        ids: full.ids, segments: isBERT ? full.segments : nil, target: full.target)
                })
        }

        /// The rows of the fixture as one flat batch.
        var batch: TokenBatch {
            let all = data(fixture.expected)
            return all.batch(Array(all.indices), draw: nil)
        }
    }

    func check(
        _ tensors: Fixture, _ slots: [(name: String, slot: ParameterSlot)], _ what: String
    ) throws -> Double {
        var worst = 0.0
        let largest = try slots.map { try abs(tensors.tensor("grad.\($0.name)")).max().item() as Double }.max() ?? 0
        for (name, slot) in slots {
            let gradient = try #require(slot.tensor?.gradient, "\(name) has no gradient")
            let wanted = try tensors.tensors.tensor("grad.\(name)", dtype: gradient.dtype, device: .cpu).tensor
            guard !name.hasSuffix("key.bias") else {
                // It shifts all scores of a query alike, which has no effect: its gradient is rounding alone.
                #expect(try difference(gradient, wanted) <= 1e-6 * largest, "\(what): \(name)")
                continue
            }
            let distance = try relativeDifference(gradient, wanted)
            #expect(distance <= 1e-5, "\(what): \(name)")
            worst = max(worst, distance)
        }
        return worst
    }

    @Test(arguments: classifiers) func scoresLossAndGradientsEqualTransformers(name: String) throws {
        let test = try Case(name)
        let model = try test.classifier()
        try model.setTrainable(true)
        let batch = test.batch
        let part = try SequenceScores(model, #require(test.problem)).loss(batch, model.context(for: batch))
        let scores = try difference(#require(part.outputs), test.fixture.tensor("scores"))
        #expect(scores <= 1e-5)
        let loss = try part.sum / Double(part.targets)
        let wanted = try #require(test.fixture.expected["loss"]?.doubleValue)
        #expect(try abs(loss.item() - wanted) <= 1e-5)
        try loss.backward()
        let worst = try check(test.fixture, model.parameters(), name)
        print("parity \(name): scores \(scores), gradients \(worst)")
    }

    @Test(arguments: classifiers) func adaptersOfPEFTGiveTheSameScores(name: String) throws {
        let test = try Case(name)
        let model = try test.classifier(dtype: .float64)
        let fixture = try Fixture("classifiers/\(name)/lora")
        let attached = try AdapterFiles.method(in: fixture.folder.path).attach(
            to: model, heads: model.headNames, trunk: model.trunk.name)
        try attached.load(from: fixture.folder.path, dtype: .float64, device: .cpu)
        try attached.setTrainable(true)
        let batch = test.batch
        let part = try SequenceScores(model, #require(test.problem)).loss(batch, model.context(for: batch))
        let outputs = try #require(part.outputs)
        let wanted = try fixture.tensors.tensor("scores", dtype: .float64, device: .cpu).tensor
        let scores = try relativeDifference(outputs, wanted)
        #expect(outputs.dtype == .float64 && scores <= 1e-6)
        try (part.sum / Double(part.targets)).backward()
        let worst = try check(fixture, attached.parameters, name)
        try attached.merge()
        let merged = try withoutGradients { try model.scores(batch, model.context(for: batch)) }
        #expect(try relativeDifference(merged, outputs) <= 1e-6)
        print("parity \(name) with LoRA: scores \(scores), gradients \(worst)")
    }

    @Test func aHeadThatIsMissingIsAnErrorUnlessItMayBeNew() throws {
        let config = try Fixture.json("models/qwen2-tied-gqa/config.json")
        let folder = Fixture.root.appendingPathComponent("models/qwen2-tied-gqa").path
        let model = try Models.registry.model(config, for: .sequenceClassification(labels: 2))
        let error = #expect(throws: ModelError.self) {
            try model.loadWeights(ModelWeights(folder: folder), dtype: .float32, device: .cpu)
        }
        #expect(error?.description.contains("missing: score.weight") == true)
        let new = try model.loadWeights(ModelWeights(folder: folder), dtype: .float32, device: .cpu, newHeadSeed: 42)
        #expect(new == ["score.weight"])
    }

    /// An adapter holds the classifier but no pooler: one made anew would be another wherever the adapter is loaded.
    @Test func anAdapterOnAPoolerMadeAnewIsRefused() throws {
        let config = try Fixture.json("classifiers/bert-masked/config.json")
        let model = try Models.registry.model(config, for: .sequenceClassification(labels: 2))
        var adapter = LoRAConfiguration()
        adapter.base.modulesToSave = ["classifier", "score"]
        let attached = try adapter.attach(to: model, heads: model.headNames, trunk: model.trunk.name)
        let folder = Fixture.root.appendingPathComponent("classifiers/bert-masked").path
        let new = try model.loadWeights(ModelWeights(folder: folder), dtype: .float32, device: .cpu, newHeadSeed: 1)
        #expect(new.contains("bert.pooler.dense.weight") && new.contains("classifier.weight"))
        let error = #expect(throws: AdapterError.self) { try attached.checkStored(new: new, of: "base") }
        #expect(error?.description.contains("bert.pooler.dense.weight") == true)
        #expect(error?.description.contains("classifier.weight") == false)
        try attached.checkStored(new: ["classifier.weight", "classifier.bias"], of: "base")
    }

    @Test(arguments: ["bert-masked", "roberta-masked"]) func masksAreFilledAsByTransformers(name: String) throws {
        let test = try Case(name)
        let model = try #require(test.model(.maskedLanguageModel) as? MaskedLanguageModel)
        try model.setTrainable(true)
        var (sequences, segments): ([[Int32]], [[Int32]?]) = ([], [])
        var (rows, labels): ([Int32], [Int32]) = ([], [])
        for row in test.fixture.expected["rows"]?.arrayValue ?? [] {
            let sample = test.sample(row)
            for (index, label) in (row["label"]?.arrayValue ?? []).enumerated() where label.intValue != -100 {
                rows.append(Int32(sequences.joined().count + index))
                labels.append(Int32(label.intValue ?? 0))
            }
            sequences.append(sample.ids)
            segments.append(name.hasPrefix("bert") ? sample.segments : nil)
        }
        let batch = TokenBatch(sequences, segments: segments, targets: TokenTargets(rows: rows, labels: labels))
        let context = try model.context(for: batch)
        let part = try MaskedToken(model).loss(batch, context)
        let loss = try part.sum / Double(part.targets)
        #expect(try abs(loss.item() - #require(test.fixture.expected["loss"]?.doubleValue)) <= 1e-5)
        try loss.backward()
        let worst = try check(test.fixture, model.parameters(), name)
        let logits = try model.logits(model.hiddenStates(batch, context), context)
        var distance = 0.0
        for index in sequences.indices {
            let length = Int(batch.boundaries[index + 1] - batch.boundaries[index])
            let part = try logits.narrowed(0, start: Int(batch.boundaries[index]), length: length)
            distance = try max(distance, difference(part, test.fixture.tensor("logits.\(index)")))
        }
        #expect(distance <= 1e-5)
        print("parity \(name): logits \(distance), gradients \(worst)")
    }

    @Test func hiddenStatesOfABareEncoderEqualTransformers() throws {
        let test = try Case("bert-hidden")
        let model = try test.model(.hiddenStates)
        let batch = test.batch
        let hidden = try model.hiddenStates(batch, model.context(for: batch))
        for index in 0..<batch.sequenceCount {
            let length = Int(batch.boundaries[index + 1] - batch.boundaries[index])
            let part = try hidden.narrowed(0, start: Int(batch.boundaries[index]), length: length)
            #expect(try difference(part, test.fixture.tensor("hidden.\(index)")) <= 1e-5)
        }
    }

    @Test(arguments: [
        ("qwen2-regression", "lora"), ("qwen2-regression", "full"), ("llama-single", "lora"), ("qwen3-multi", "full"),
        ("bert-regression", "full"), ("bert-regression", "lora"), ("roberta-single", "full"),
        ("roberta-single", "lora"),
    ])
    func everyStepEqualsTheTrainers(name: String, run: String) throws {
        let test = try Case(name)
        let recorded = try Fixture.json("classifiers/\(name)/run-\(run).json")
        let model = try test.classifier(withoutDropout: true)
        var slots = model.parameters()
        if run == "lora" {
            let folder = test.fixture.folder.appendingPathComponent("lora").path
            let attached = try AdapterFiles.method(in: folder).attach(
                to: model, heads: model.headNames, trunk: model.trunk.name)
            try attached.load(from: folder, device: .cpu)
            try attached.setTrainable(true)
            slots = attached.parameters
        } else {
            try model.setTrainable(true)
        }
        let trained = slots.compactMap { name, slot in
            slot.tensor.map { TrainedParameter(name: name, tensor: $0) }
        }
        let losses = (recorded["losses"]?.arrayValue ?? []).compactMap(\.doubleValue)
        let data = test.data(recorded)
        let rate = try #require(recorded["settings"]?["learning_rate"]?.doubleValue)
        let plan = TrainingPlan(
            batches: try BatchPlan(
                sampleCount: data.count, batchSize: 4, maximumSteps: losses.count,
                order: EpochOrder(method: .sequential, seed: 0)),
            schedule: Schedule(.cosine, peak: rate, warmupSteps: 3, totalSteps: losses.count), loggingSteps: 1)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-parity-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let log = try RunLog(
            RunFolder(outputDirectory: folder, addVersion: false), RunLog.Options(maxSteps: losses.count),
            console: Console(output: Silence(), style: ConsoleStyle()))
        let training = TrainingRun(
            model: model, trained: trained, optimizer: try AdamW(ParameterGroup.decaying(trained, 0.1)),
            objective: SequenceScores(model, try #require(test.problem)), data: data, validation: ScoredDataset(),
            plan: plan, checkpoints: nil, log: log)
        #expect(try training() == .finished)
        let ours = log.history.compactMap { $0["loss"]?.doubleValue }
        #expect(ours.count == losses.count && losses.count == 50)
        let distance = zip(ours, losses).map { abs($0 - $1) }.max() ?? .nan
        print("parity \(name) \(run): \(ours.count) steps, largest difference of a loss \(distance)")
        #expect(distance <= 1e-5)
    }
}
