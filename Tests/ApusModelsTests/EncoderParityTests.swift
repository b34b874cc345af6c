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

/// Encoders near BERT, against transformers, PEFT and the Trainer (Scripts/fixtures/make_encoders.py).
struct EncoderParityTests {
    static let classifiers = [
        "xlm-roberta-single", "camembert-single", "distilbert-single", "electra-regression", "albert-single",
        "deberta-single",
        "deberta-first-multi", "modernbert-single", "modernbert-mean-regression",
    ]
    static let masked = [
        "xlm-roberta-masked", "camembert-masked", "distilbert-masked", "electra-masked", "albert-masked",
        "deberta-masked",
        "deberta-masked-new", "deberta-first-masked", "modernbert-masked",
    ]
    static let bare = ["distilbert-hidden", "electra-hidden", "modernbert-hidden"]

    /// One model of the fixtures with its rows.
    struct Case {
        let fixture: Fixture
        let labelCount: Int?
        let problem: ProblemType?
        let hasSegments: Bool

        init(_ name: String) throws {
            fixture = try Fixture("encoders-near-bert/\(name)")
            labelCount = fixture.expected["labels"]?.intValue
            problem = fixture.expected["problem"]?.stringValue.flatMap(ProblemType.init)
            hasSegments = fixture.expected["segments"]?.boolValue == true
        }

        var task: ModelTask {
            switch labelCount {
            case nil: .hiddenStates
            case 0?: .maskedLanguageModel
            case let count?: .sequenceClassification(labels: count)
            }
        }

        func model(
            config name: String = "config.json", withoutDropout: Bool = false, dtype: DType = .float32
        ) throws -> any TextModel {
            var config = try #require(Fixture.parse(fixture.folder.appendingPathComponent(name).path).objectValue)
            if withoutDropout { for key in config.keys where key.contains("dropout") { config[key] = 0.0 } }
            let model = try Models.registry.model(.object(config), for: task)
            #expect(model.trunk.notices.isEmpty)
            try model.loadWeights(ModelWeights(folder: fixture.folder.path), dtype: dtype, device: .cpu)
            return model
        }

        func classifier(withoutDropout: Bool = false, dtype: DType = .float32) throws -> SequenceClassifier {
            try #require(try model(withoutDropout: withoutDropout, dtype: dtype) as? SequenceClassifier)
        }

        private func numbers(_ value: JSONValue?) -> [Int32] {
            (value?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
        }

        func data(_ json: JSONValue) -> ScoredDataset {
            ScoredDataset(
                (json["rows"]?.arrayValue ?? []).map { row in
                    let label = row["label"] ?? .null
                    let values = (label.arrayValue ?? [label]).compactMap(\.doubleValue).map { Float($0) }
                    return ScoredDataset.Sample(
                        ids: numbers(row["ids"]), segments: hasSegments ? numbers(row["segments"]) : nil,
                        target: problem == .singleLabel ? .classID(Int32(label.intValue ?? 0)) : .values(values))
                })
        }

        /// The rows of the fixture as one flat batch.
        var batch: TokenBatch {
            let all = data(fixture.expected)
            return all.batch(Array(all.indices), draw: nil)
        }

        /// The same with the tokens behind the masks as targets.
        var maskedBatch: TokenBatch {
            var (rows, labels): ([Int32], [Int32]) = ([], [])
            var start: Int32 = 0
            for row in fixture.expected["rows"]?.arrayValue ?? [] {
                for (index, label) in numbers(row["label"]).enumerated() where label != -100 {
                    rows.append(start + Int32(index))
                    labels.append(label)
                }
                start += Int32(numbers(row["ids"]).count)
            }
            let samples = (fixture.expected["rows"]?.arrayValue ?? [])
            return TokenBatch(
                samples.map { numbers($0["ids"]) },
                segments: samples.map { hasSegments ? numbers($0["segments"]) : nil },
                targets: TokenTargets(rows: rows, labels: labels))
        }

        var loss: Double? { fixture.expected["loss"]?.doubleValue }

        func distance(_ values: Tensor, _ batch: TokenBatch, _ name: String) throws -> Double {
            try (0..<batch.sequenceCount).map { index in
                let (start, end) = (Int(batch.boundaries[index]), Int(batch.boundaries[index + 1]))
                return try difference(
                    values.narrowed(0, start: start, length: end - start), fixture.tensor("\(name).\(index)"))
            }.max() ?? .nan
        }
    }

    /// A bias of keys shifts all scores of a query alike, which has no effect: its gradient is rounding alone.
    ///
    /// That of one product for queries, keys and values is so in its middle, and of DeBERTa's it is not, whose queries
    /// see it.
    private func check(
        _ tensors: Fixture, _ slots: [(name: String, slot: ParameterSlot)], _ what: String
    ) throws -> Double {
        var worst = 0.0
        let wanted = try slots.map { try tensors.tensor("grad.\($0.name)") }
        let largest = try wanted.map { try abs($0).max().item() as Double }.max() ?? 0
        for ((name, slot), wanted) in zip(slots, wanted) {
            let gradient = try #require(slot.tensor?.gradient, "\(name) has no gradient")
            guard try abs(wanted).max().item() > 1e-5 * largest else {
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
        #expect(model.parameterCount == test.fixture.expected["parameters"]?.intValue)
        try model.setTrainable(true)
        let batch = test.batch
        let part = try SequenceScores(model, #require(test.problem)).loss(batch, model.context(for: batch))
        let scores = try difference(#require(part.outputs), test.fixture.tensor("scores"))
        #expect(scores <= 1e-5)
        let loss = try part.sum / Double(part.targets)
        #expect(try abs(loss.item() - #require(test.loss)) <= 1e-5)
        try loss.backward()
        let worst = try check(test.fixture, model.parameters(), name)
        print("parity \(name): scores \(scores), gradients \(worst)")
    }

    @Test(arguments: classifiers) func adaptersOfPEFTGiveTheSameScores(name: String) throws {
        let test = try Case(name)
        let fixture = try Fixture("encoders-near-bert/\(name)/lora")
        let dtype: DType = fixture.expected["dtype"]?.stringValue == "float64" ? .float64 : .float32
        let model = try test.classifier(dtype: dtype)
        let attached = try AdapterFiles.method(in: fixture.folder.path).attach(
            to: model, heads: model.headNames, trunk: model.trunk.name)
        try attached.load(from: fixture.folder.path, dtype: dtype, device: .cpu)
        try attached.setTrainable(true)
        let batch = test.batch
        let part = try SequenceScores(model, #require(test.problem)).loss(batch, model.context(for: batch))
        let outputs = try #require(part.outputs)
        let wanted = try fixture.tensors.tensor("scores", dtype: dtype, device: .cpu).tensor
        let scores = try relativeDifference(outputs, wanted)
        // ModernBERT's own program cannot be asked in float64.
        let bar = dtype == .float64 ? 1e-6 : 1e-5
        #expect(outputs.dtype == dtype && scores <= bar)
        try (part.sum / Double(part.targets)).backward()
        let worst = try check(fixture, attached.parameters, name)
        try attached.merge()
        let merged = try withoutGradients { try model.scores(batch, model.context(for: batch)) }
        #expect(try relativeDifference(merged, outputs) <= bar)
        print("parity \(name) with LoRA: scores \(scores), gradients \(worst)")
    }

    @Test(arguments: masked) func masksAreFilledAsByTransformers(name: String) throws {
        let test = try Case(name)
        let model = try #require(try test.model() as? MaskedLanguageModel)
        #expect(model.parameterCount == test.fixture.expected["parameters"]?.intValue)
        try model.setTrainable(true)
        let batch = test.maskedBatch
        let context = try model.context(for: batch)
        let part = try MaskedToken(model).loss(batch, context)
        let loss = try part.sum / Double(part.targets)
        #expect(try abs(loss.item() - #require(test.loss)) <= 1e-5)
        try loss.backward()
        let worst = try check(test.fixture, model.parameters(), name)
        let logits = try test.distance(model.logits(model.hiddenStates(batch, context), context), batch, "logits")
        #expect(logits <= 1e-5)
        print("parity \(name): logits \(logits), gradients \(worst)")
    }

    @Test(arguments: bare) func hiddenStatesEqualTransformers(name: String) throws {
        let test = try Case(name)
        let model = try test.model()
        let batch = test.batch
        let hidden = try model.hiddenStates(batch, model.context(for: batch))
        #expect(try test.distance(hidden, batch, "hidden") <= 1e-5)
        #expect(model.trunk.outputWidth == hidden.shape[1])
    }

    @Test(arguments: classifiers + masked) func bothSpellingsOfTheConfigurationMakeTheSameModel(name: String) throws {
        let test = try Case(name)
        let (a, b) = (try test.model(), try test.model(config: "config.transformers5.json"))
        let batch = test.batch
        #expect(
            try a.hiddenStates(batch, a.context(for: batch)).equals(b.hiddenStates(batch, b.context(for: batch))))
    }

    /// With dropout, which must drop the same again.
    @Test(arguments: ["albert-single", "deberta-first-multi", "modernbert-single"])
    func checkpointedLayersHaveTheSameGradients(name: String) throws {
        let test = try Case(name)
        func gradients(checkpoints: Bool) throws -> [Tensor] {
            let model = try test.classifier()
            try model.setTrainable(true)
            let context = try model.context(
                for: test.batch, isTraining: true, checkpointsLayers: checkpoints, randomKey: 7)
            try SequenceScores(model, #require(test.problem)).loss(test.batch, context).sum.backward()
            return try model.parameters().map { try #require($0.slot.tensor?.gradient) }
        }
        for (a, b) in try zip(gradients(checkpoints: false), gradients(checkpoints: true)) {
            #expect(try difference(a, b) <= 1e-5)
        }
    }

    @Test(arguments: [
        ("xlm-roberta-single", "lora"), ("distilbert-single", "full"), ("distilbert-single", "lora"),
        ("electra-regression", "full"), ("electra-regression", "lora"), ("albert-single", "full"),
        ("albert-single", "lora"), ("deberta-single", "full"), ("deberta-single", "lora"),
        ("deberta-first-multi", "full"), ("modernbert-single", "full"), ("modernbert-single", "lora"),
    ])
    func everyStepEqualsTheTrainers(name: String, run: String) throws {
        let test = try Case(name)
        let recorded = try Fixture.json("encoders-near-bert/\(name)/run-\(run).json")
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
        func number(_ key: String) -> Double { recorded["settings"]?[key]?.doubleValue ?? 0 }
        let trained = slots.compactMap { name, slot in
            slot.tensor.map { TrainedParameter(name: name, tensor: $0) }
        }
        var settings = AdamW.Settings()
        (settings.beta1, settings.beta2) = (number("adam_beta1"), number("adam_beta2"))
        settings.epsilon = number("adam_epsilon")
        let update = UpdateStep(
            trained,
            optimizer: try AdamW(ParameterGroup.decaying(trained, number("weight_decay")), settings: settings),
            maximumNorm: number("max_grad_norm"))
        let data = test.data(recorded)
        let losses = (recorded["losses"]?.arrayValue ?? []).compactMap(\.doubleValue)
        let schedule = Schedule(
            .cosine, peak: number("learning_rate"), warmupSteps: Int(number("warmup_steps")), totalSteps: losses.count)
        var distance = 0.0
        for (step, wanted) in losses.enumerated() {
            let batch = data.batch((0..<4).map { (4 * step + $0) % data.count }, draw: nil)
            let part = try SequenceScores(model, #require(test.problem)).loss(
                batch, model.context(for: batch, isTraining: true))
            try update.accumulate(part.sum, targets: part.targets)
            let outcome = try update(rate: schedule.rate(at: step), step: step + 1)
            distance = max(distance, abs(outcome.loss - wanted))
        }
        print("parity \(name) \(run): \(losses.count) steps, largest difference of a loss \(distance)")
        #expect(losses.count == 20 && distance <= 1e-5)
    }

    /// As `transformers` puts distances into buckets.
    @Test func bucketsOfDistances() {
        let buckets = DeBERTaBuckets(count: 256, farthest: 512)
        let expected = [
            0: 0, 1: 1, 128: 128, 129: 129, 130: 130, 140: 137, 160: 149, 200: 169, 255: 192, 256: 192, 300: 207,
            400: 233, 511: 255, 512: 256,
        ]
        for (distance, bucket) in expected { #expect(buckets(distance) == bucket, "\(distance)") }
    }

    /// As their authors count them.
    @Test(
        arguments: [
            (
                #"{"model_type": "electra", "embedding_size": 768, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072, "num_hidden_layers": 12, "vocab_size": 30522}"#,
                false, 108_891_648
            ),
            (
                #"{"model_type": "deberta-v2", "vocab_size": 128100, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072, "type_vocab_size": 0, "relative_attention": true, "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": true, "pos_att_type": "p2c|c2p", "position_biased_input": false}"#,
                false, 183_831_552
            ),
            (
                #"{"model_type": "xlm-roberta", "vocab_size": 250002, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072, "type_vocab_size": 1, "max_position_embeddings": 514}"#,
                true, 278_295_186
            ),
            (
                #"{"model_type": "albert", "vocab_size": 30000, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}"#,
                false, 11_683_584
            ),
            (
                #"{"model_type": "albert", "vocab_size": 30000, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}"#,
                true, 11_221_680
            ),
            (
                #"{"model_type": "distilbert", "vocab_size": 30522, "dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072}"#,
                false, 66_362_880
            ),
            (
                #"{"model_type": "distilbert", "vocab_size": 30522, "dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072}"#,
                true, 66_985_530
            ),
            (
                #"{"model_type": "modernbert", "vocab_size": 50368, "hidden_size": 768, "intermediate_size": 1152, "num_hidden_layers": 22, "num_attention_heads": 12}"#,
                false, 149_014_272
            ),
            (
                #"{"model_type": "modernbert", "vocab_size": 50368, "hidden_size": 1024, "intermediate_size": 2624, "num_hidden_layers": 28, "num_attention_heads": 16}"#,
                true, 395_881_664
            ),
        ])
    func modelsHaveAsManyParametersAsPublished(config: String, masked: Bool, total: Int) throws {
        let model = try Models.registry.model(
            JSONValue(parsing: config), for: masked ? .maskedLanguageModel : .hiddenStates)
        #expect(model.parameterCount == total)
    }

    @Test func whatIsNotThereIsRefusedByName() throws {
        for name in ["xlm-roberta", "camembert", "distilbert", "electra", "albert", "deberta", "modernbert"] {
            let config = try Fixture.json("encoders-near-bert/\(name)-masked/config.json")
            for task in [ModelTask.causalLanguageModel, .sequenceToSequence] {
                let error = #expect(throws: ModelError.self) { try Models.registry.model(config, for: task) }
                #expect(error?.description.contains("do not continue text") == true)
            }
        }
    }
}
