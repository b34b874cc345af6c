import ApusRunLog
import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusDatasets
@testable import ApusGeneration
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusOptimizers
@testable import ApusTorch
@testable import ApusTraining
@testable import ApusWeights

/// Models that read a text and write another, against transformers, PEFT and the Trainer
/// (Scripts/fixtures/make_seq2seq.py).
struct SequenceToSequenceTests {
    static let models = ["t5", "flan-t5", "mt5"]

    /// One model of the fixtures with its rows.
    struct Case {
        let name: String
        let fixture: Fixture

        init(_ name: String) throws {
            self.name = name
            fixture = try Fixture("seq2seq/\(name)")
        }

        func model(_ task: ModelTask = .sequenceToSequence, changes: JSONObject = [:]) throws -> any TextModel {
            var config = try #require(Fixture.json("seq2seq/\(name)/config.json").objectValue)
            for (key, value) in changes { config[key] = value }
            let model = try Models.registry.model(.object(config), for: task)
            #expect(model.trunk.notices.isEmpty)
            try model.loadWeights(ModelWeights(folder: fixture.folder.path), dtype: .float32, device: .cpu)
            return model
        }

        func language(changes: JSONObject = [:]) throws -> CausalLanguageModel {
            try #require(try model(changes: changes) as? CausalLanguageModel)
        }

        static func numbers(_ value: JSONValue?) -> [Int32] {
            (value?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
        }

        static func rows(_ json: JSONValue) -> [(source: [Int32], answer: [Int32])] {
            (json["rows"]?.arrayValue ?? []).map { (numbers($0["source"]), numbers($0["answer"])) }
        }

        var sources: [[Int32]] { Self.rows(fixture.expected).map(\.source) }

        /// The rows of the fixture as one flat batch.
        var batch: TokenBatch { Self.batch(Self.rows(fixture.expected)) }

        static func batch(_ rows: [(source: [Int32], answer: [Int32])]) -> TokenBatch {
            TokenBatch(sources: rows.map(\.source), answers: rows.map { ($0.answer, nil) }, start: 0)
        }

        func answers(_ json: JSONValue) -> [[Int32]] { (json["greedy"]?.arrayValue ?? []).map(Self.numbers) }
    }

    static func greedy(_ model: CausalLanguageModel) -> TokenGenerator {
        var sampling = Sampling()
        sampling.temperature = 0
        return TokenGenerator(model, sampling: sampling, endTokens: [1])
    }

    /// Loss, logits of every row and gradients of what trains, of a model as it stands.
    static func check(
        _ model: CausalLanguageModel, _ batch: TokenBatch, _ expected: Fixture,
        _ slots: [(name: String, slot: ParameterSlot)], _ what: String
    ) throws {
        let context = try model.context(for: batch)
        let part = try NextToken(model).loss(batch, context)
        let loss = try part.sum / Double(part.targets)
        #expect(try abs(loss.item() - #require(expected.expected["loss"]?.doubleValue)) <= 1e-5)
        let logits = try model.logits(model.hiddenStates(batch, context), context)
        var distance = 0.0
        for index in 0..<batch.sequenceCount {
            let (start, end) = (Int(batch.boundaries[index]), Int(batch.boundaries[index + 1]))
            let own = try logits.narrowed(0, start: start, length: end - start)
            distance = try max(distance, difference(own, expected.tensor("logits.\(index)")))
        }
        #expect(distance <= 1e-5)
        try loss.backward()
        var worst = (0.0, "")
        for (name, slot) in slots {
            let gradient = try #require(slot.tensor?.gradient, "\(name) has no gradient")
            let own = try relativeDifference(gradient, expected.tensor("grad.\(name)"))
            if own > worst.0 { worst = (own, name) }
        }
        #expect(worst.0 <= 1e-5, "\(worst.1)")
        print("parity \(what): logits \(distance), gradients \(worst.0) (\(worst.1))")
    }

    @Test(arguments: models) func logitsLossAndGradientsEqualTransformers(name: String) throws {
        let test = try Case(name)
        let model = try test.language()
        #expect(model.parameterCount == test.fixture.expected["parameters"]?.intValue)
        try model.setTrainable(true)
        try Self.check(model, test.batch, test.fixture, model.parameters(), name)
    }

    @Test(arguments: models) func adaptersOfPEFTGiveTheSame(name: String) throws {
        let test = try Case(name)
        let expected = try Fixture("seq2seq/\(name)/lora")
        let model = try test.language()
        let method = try AdapterFiles.method(in: expected.folder.path)
        #expect(method.base.taskType == "SEQ_2_SEQ_LM")
        let attached = try method.attach(to: model, heads: model.headNames, trunk: model.trunk.name)
        try attached.load(from: expected.folder.path, device: .cpu)
        try attached.setTrainable(true)
        try Self.check(model, test.batch, expected, attached.parameters, "\(name) with LoRA")
        let answers = try Self.greedy(model).answers(to: test.sources, limit: 30)
        #expect(answers == test.answers(expected.expected))
        let before = try withoutGradients { try model.hiddenStates(test.batch, model.context(for: test.batch)) }
        try attached.merge()
        let after = try withoutGradients { try model.hiddenStates(test.batch, model.context(for: test.batch)) }
        #expect(try difference(before, after) <= 2e-5)
    }

    /// All at once and each alone, through more distances than have a bucket of their own.
    @Test(arguments: models) func greedyAnswersEqualTransformers(name: String) throws {
        let test = try Case(name)
        let generator = Self.greedy(try test.language())
        let wanted = test.answers(test.fixture.expected)
        #expect(Set(wanted.joined()).count > 8)
        #expect(try generator.answers(to: test.sources, limit: 30) == wanted)
        for (source, answer) in zip(test.sources, wanted) {
            #expect(try generator.answers(to: [source], limit: 30) == [answer])
        }
    }

    /// A pass that goes on from a state is the same as one over all, also when a sequence in front of others has ended.
    @Test func cachedPassesEqualTheWholeOne() throws {
        let test = try Case("flan-t5")
        let model = try test.language()
        let batch = test.batch
        try withoutGradients {
            let whole = try model.hiddenStates(batch, model.context(for: batch))
            func tokens(_ sequence: Int) -> [Int32] {
                Array(batch.tokens[Int(batch.boundaries[sequence])..<Int(batch.boundaries[sequence + 1])])
            }
            let state = ModelState(sequences: 4)
            let first = TokenBatch(answering: test.sources, start: 0)
            _ = try model.hiddenStates(first, model.context(for: first, state: state))
            try state.keep([1, 3])
            let (long, short) = (tokens(1), tokens(3))
            let second = TokenBatch(continuing: [(Array(long[1..<30]), 1), (Array(short[1..<4]), 1)])
            _ = try model.hiddenStates(second, model.context(for: second, state: state))
            let last = TokenBatch(continuing: [([long[30]], 30), ([short[4]], 4)])
            let hidden = try model.hiddenStates(last, model.context(for: last, state: state))
            for (row, place) in [(0, Int(batch.boundaries[1]) + 30), (1, Int(batch.boundaries[3]) + 4)] {
                #expect(try difference(hidden.selected(0, row), whole.selected(0, place)) <= 1e-5)
            }
        }
    }

    @Test func checkpointedLayersHaveTheSameGradients() throws {
        let test = try Case("t5")
        func gradients(checkpoints: Bool) throws -> [Tensor] {
            let model = try test.language()
            try model.setTrainable(true)
            // With dropout, which must drop the same again.
            let context = try model.context(
                for: test.batch, isTraining: true, checkpointsLayers: checkpoints, randomKey: 7)
            try NextToken(model).loss(test.batch, context).sum.backward()
            return try model.parameters().map { try #require($0.slot.tensor?.gradient) }
        }
        for (a, b) in try zip(gradients(checkpoints: false), gradients(checkpoints: true)) {
            #expect(try relativeDifference(a, b) <= 1e-6)
        }
    }

    @Test(arguments: models) func bfloat16FollowsLoosely(name: String) throws {
        let test = try Case(name)
        let model = try test.language()
        func logits() throws -> Tensor {
            try withoutGradients {
                let context = try model.context(for: test.batch)
                return try model.logits(model.hiddenStates(test.batch, context), context)
            }
        }
        let wanted = try logits()
        for (_, slot) in model.parameters() {
            if let tensor = slot.tensor { try slot.fill(tensor.to(.bfloat16)) }
        }
        #expect(model.dtype == .bfloat16)
        let scale: Double = try abs(wanted).max().item()
        #expect(try difference(logits(), wanted) <= 0.1 * scale)
        let generator = Self.greedy(model)
        #expect(try generator.answers(to: test.sources, limit: 5).count == 4)
    }

    @Test func classifiersScoreAsTransformers() throws {
        let test = try Case("t5-classifier")
        let model = try #require(try test.model(.sequenceClassification(labels: 3)) as? SequenceClassifier)
        try model.setTrainable(true)
        let labels = (test.fixture.expected["rows"]?.arrayValue ?? []).compactMap {
            $0["label"]?.intValue.map(Int32.init)
        }
        let batch = TokenBatch(test.sources, labels: .classes(labels))
        let part = try SequenceScores(model, .singleLabel).loss(batch, model.context(for: batch))
        #expect(try difference(#require(part.outputs), test.fixture.tensor("scores")) <= 1e-5)
        try (part.sum / Double(part.targets)).backward()
        for (name, slot) in model.parameters() {
            let gradient = try #require(slot.tensor?.gradient, "\(name) has no gradient")
            #expect(try relativeDifference(gradient, test.fixture.tensor("grad.\(name)")) <= 1e-5, "\(name)")
        }
        let endless = TokenBatch([[5, 6]])
        #expect(throws: ModelError.self) { try model.scores(endless, model.context(for: endless)) }
    }

    @Test func theEncoderAloneGivesTheSameStates() throws {
        let test = try Case("t5-encoder")
        let model = try test.model(.hiddenStates)
        let batch = TokenBatch(test.sources)
        let hidden = try model.hiddenStates(batch, model.context(for: batch))
        for index in 0..<batch.sequenceCount {
            let (start, end) = (Int(batch.boundaries[index]), Int(batch.boundaries[index + 1]))
            let own = try hidden.narrowed(0, start: start, length: end - start)
            #expect(try difference(own, test.fixture.tensor("hidden.\(index)")) <= 1e-5)
        }
        // A file with both halves has it too.
        _ = try Case("flan-t5").model(.hiddenStates)
    }

    @Test(arguments: [("t5", "full"), ("t5", "lora"), ("flan-t5", "full"), ("mt5", "lora")])
    func everyStepEqualsTheTrainers(name: String, run: String) throws {
        let test = try Case(name)
        let recorded = try Fixture.json("seq2seq/\(name)/run-\(run).json")
        let model = try test.language(changes: ["dropout_rate": 0.0])
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
        let decay = number("weight_decay")
        let update = UpdateStep(
            trained, optimizer: try AdamW(ParameterGroup.decaying(trained, decay), settings: settings),
            maximumNorm: number("max_grad_norm"))
        let rows = Case.rows(recorded)
        let losses = (recorded["losses"]?.arrayValue ?? []).compactMap(\.doubleValue)
        let schedule = Schedule(
            .cosine, peak: number("learning_rate"), warmupSteps: Int(number("warmup_steps")), totalSteps: losses.count)
        var distance = 0.0
        for (step, wanted) in losses.enumerated() {
            let batch = Case.batch((0..<4).map { rows[(4 * step + $0) % rows.count] })
            let part = try NextToken(model).loss(batch, model.context(for: batch, isTraining: true))
            try update.accumulate(part.sum, targets: part.targets)
            let outcome = try update(rate: schedule.rate(at: step), step: step + 1)
            distance = max(distance, abs(outcome.loss - wanted))
        }
        print("parity \(name) \(run): \(losses.count) steps, largest difference of a loss \(distance)")
        #expect(losses.count == 20 && distance <= 1e-5)
    }

    /// What version 5 of transformers writes of the same models, and what is written for both versions.
    @Test func bothSpellingsOfTheHead() throws {
        let flan = try Case("flan-t5")
        let newer = try flan.language(changes: ["tie_word_embeddings": true, "scale_decoder_outputs": false])
        let wanted = try withoutGradients {
            let model = try flan.language()
            let context = try model.context(for: flan.batch)
            return try model.logits(model.hiddenStates(flan.batch, context), context)
        }
        let context = try newer.context(for: flan.batch)
        #expect(try newer.logits(newer.hiddenStates(flan.batch, context), context).equals(wanted))
        #expect(newer.trunk.writtenConfiguration == ["scale_decoder_outputs": false])
        #expect(try Case("t5").language().trunk.writtenConfiguration == ["scale_decoder_outputs": true])
        #expect(try Case("mt5").language().trunk.writtenConfiguration.isEmpty)
    }

    /// As their authors count them; the adapter is the one of the tutorials for mT0.
    @Test(
        arguments: [
            ("t5", 512, 64, 2048, 6, 8, 32128, "relu", true, 60_506_624),
            ("t5", 768, 64, 3072, 12, 12, 32128, "relu", true, 222_903_552),
            ("t5", 512, 64, 1024, 8, 6, 32128, "gated-gelu", false, 76_961_152),
            ("mt5", 512, 64, 1024, 8, 6, 250_112, "gated-gelu", false, 300_176_768),
            ("mt5", 1024, 64, 2816, 24, 16, 250_112, "gated-gelu", false, 1_229_581_312),
        ] as [(String, Int, Int, Int, Int, Int, Int, String, Bool, Int)])
    func modelsHaveAsManyParametersAsPublished(
        type: String, width: Int, size: Int, hidden: Int, layers: Int, heads: Int, vocabulary: Int, form: String,
        isTied: Bool, total: Int
    ) throws {
        let model = try Models.registry.sequenceToSequence([
            "model_type": .string(type), "d_model": .int(width), "d_kv": .int(size), "d_ff": .int(hidden),
            "num_layers": .int(layers), "num_heads": .int(heads), "vocab_size": .int(vocabulary),
            "feed_forward_proj": .string(form), "tie_word_embeddings": .bool(isTied),
        ])
        #expect(model.parameterCount == total)
        guard total == 1_229_581_312 else { return }
        var settings = AdapterSettings()
        settings.modelType = type
        settings.targets = .automatic
        for option in LoRAConfiguration.options where option.name == "lora_rank" { settings[option] = 8 }
        let attached = try LoRAConfiguration(settings).attach(
            to: model, heads: model.headNames, trunk: model.trunk.name)
        #expect(attached.addedCount == 2_359_296 && total + attached.addedCount == 1_231_940_608)
    }

    @Test func whatIsNotThereIsRefusedByName() throws {
        let config = try Fixture.json("seq2seq/t5/config.json")
        for task in [ModelTask.causalLanguageModel, .maskedLanguageModel] {
            let error = #expect(throws: ModelError.self) { try Models.registry.model(config, for: task) }
            #expect(error?.description.contains("--task_type seq2seq_lm") == true)
        }
        let decoder = try Fixture.json("models/qwen2-tied-gqa/config.json")
        #expect(throws: ModelError.self) { try Models.registry.sequenceToSequence(decoder) }
        let test = try Case("t5")
        let half = try test.language()
        try half.setTrainable(false)
        let words = try Tensor.zeros([2, 32]).to(.float16)
        let error = #expect(throws: ModelError.self) {
            try half.trunk(words, test.batch, half.context(for: test.batch))
        }
        #expect(error?.description.contains("bfloat16") == true)
    }
}
