import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusGeneration
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Every method against PEFT: files, logits, gradients, twenty steps of training, counts.
struct MethodParityTests {
    static let cases: [String] = {
        let root = Fixture.root.appendingPathComponent("methods")
        let files = FileManager.default
        return ((try? files.contentsOfDirectory(atPath: root.path)) ?? []).sorted().flatMap { model in
            ((try? files.contentsOfDirectory(atPath: root.appendingPathComponent(model).path)) ?? []).sorted().map {
                "\(model)/\($0)"
            }
        }
    }()
    static let prompts = [
        "prompt", "prefix", "prefix-projection", "prefix-wide", "p-mlp", "p-lstm", "multitask", "multitask-slow",
    ]
    /// What no plain model stands for.
    static let unmergeable = prompts + ["adapter", "xlora", "xlora-deep", "xlora-most", "xlora-soft"]

    @Test func thereAreCases() { #expect(Self.cases.count >= 171) }

    @Test(arguments: cases) func filesOfPEFTGiveItsAnswers(name: String) throws {
        let test = try MethodCase(name)
        let (model, attached) = try test.loaded()
        let bar = 1e-6
        let before = try withoutGradients { try test.outputs(model).answers }
        let distance = try test.worst(before, "logits")
        #expect(distance <= bar)
        print("parity \(name): logits \(distance)")
        guard !Self.unmergeable.contains(where: { name.hasSuffix("/\($0)") }) else {
            let refusal = #expect(throws: (any Error).self) { try attached.merge() }
            #expect(refusal.map { "\($0)".contains("cannot be merged") } == true)
            return
        }
        try attached.merge()
        let after = try withoutGradients { try test.outputs(model).answers }
        #expect(try zip(after, before).map(relativeDifference).max() ?? .nan <= bar)
        // PEFT merges what changes a table of words into a tied head too, and the other way round, and all copies of a layer
        // into the one matrix that they share; here they come apart.
        let mergesBoth = [
            "qwen2-tied-gqa/dora-embedding", "qwen2-tied-gqa/lora-tokens-named", "llama-untied-mha/lora-replicated",
        ]
        if !mergesBoth.contains(name) { #expect(try test.worst(after, "merged") <= bar) }
    }

    @Test(arguments: cases) func trainingFollowsPEFT(name: String) throws {
        let test = try MethodCase(name)
        let (model, attached) = try test.beginning()
        // Counted as PEFT counts: with the copy of a head that is trained beside.
        let trained = attached.parameters.reduce(0) { $0 + $1.slot.count }
        #expect(trained == test.fixture.expected["trainable"]?.intValue)
        // Gradients at the beginning.
        var step = attached
        let participants = try step.participants(totalSteps: 20)
        let (_, sum, targets) = try test.outputs(model)
        var loss = try sum / Double(targets)
        for participant in participants {
            if let penalty = try participant.penalty() { loss = try loss + penalty.to(loss.dtype) }
        }
        try loss.backward()
        let names = Set(test.fixture.tensors.tensorNames)
        for (parameter, slot) in attached.parameters {
            let gradient = try #require(slot.tensor?.gradient, "\(parameter) has no gradient")
            let stored = names.contains("grad.\(parameter)") ? parameter : "embedding.weight"
            let expected = try test.fixture.tensors.tensor("grad.\(stored)", dtype: .float64, device: .cpu).tensor
            #expect(try relativeDifference(gradient, expected) <= 1e-5, "\(parameter)")
        }
        // Twenty steps, and what is stored after them.
        var run = try MethodRun(test)
        let losses = try run.losses(20)
        let expected = (test.fixture.expected["losses"]?.arrayValue ?? []).compactMap(\.doubleValue)
        let distance = zip(losses, expected).map { abs($0 - $1) }.max() ?? .nan
        #expect(expected.count == 20 && distance <= 1e-5)
        let file = try AdapterFiles.weights(in: test.fixture.folder.path).store
        var moved = 0.0
        var stored: [String] = []
        for source in try run.attached.storedTensors() {
            stored.append(source.name)
            let theirs = try file.tensor(source.name, dtype: .float64, device: .cpu).tensor
            #expect(source.tensor.shape == theirs.shape, "\(source.name)")
            // Of some layers nothing is left.
            guard theirs.count > 0, source.tensor.shape == theirs.shape else { continue }
            let distance = try relativeDifference(source.tensor, theirs)
            moved = max(moved, distance)
            #expect(distance <= 1e-4, "\(source.name)")
        }
        // PEFT stores an adapted table of words whole as well, and RandLoRA's shared matrices again for each layer.
        let repeated = file.tensorNames.filter { name in
            name.hasPrefix("base_model.model.") && [".randlora_A", ".randlora_B"].contains(where: name.hasSuffix)
        }
        let theirs = file.tensorNames.filter { !$0.hasSuffix("base_layer.weight") && !repeated.contains($0) }
        #expect(Set(stored) == Set(theirs))
        print("parity \(name): losses \(distance), stored \(moved)")
    }

    /// PEFT stores the base model's biases of modules that are trained whole too where it trains all biases.
    @Test func biasesOfTheBaseModelInAFileArePassedOver() throws {
        let test = try MethodCase("bert-single/ia3")
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.copyItem(at: test.fixture.folder, to: folder)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent(AdapterFiles.weightsName).path
        let file = try SafetensorsFile(path: path)
        var tensors = try file.tensorNames.map { name in
            WeightSource(name, try file.tensor(name, dtype: .float32, device: .cpu).tensor.cloned())
        }
        for name in ["original_module", "modules_to_save"] {
            tensors.append(WeightSource("base_model.model.classifier.\(name).bias", try Tensor.zeros([3])))
        }
        let model = try test.model()
        let attached = try AdapterFiles.method(in: folder.path).attach(
            to: model, heads: model.headNames, trunk: model.trunk.name)
        try SafetensorsWriter.write(Array(tensors.dropLast()), to: path)
        try attached.load(from: folder.path, dtype: test.dtype, device: .cpu)
        #expect(try test.worst(withoutGradients { try test.outputs(model).answers }, "logits") <= 1e-5)
        // What no module is called is an error still.
        tensors[tensors.count - 2] = WeightSource(
            "base_model.model.pooler.original_module.bias", try Tensor.zeros([3]))
        try SafetensorsWriter.write(Array(tensors.dropLast()), to: path)
        #expect(throws: AdapterError.self) { try attached.load(from: folder.path, device: .cpu) }
    }

    /// `adapter_config.json`, key for key and value for value; sets have no order.
    @Test(arguments: cases) func configurationsArePEFTs(name: String) throws {
        let test = try MethodCase(name)
        // Of fewer than twenty layers that `all-linear` chose PEFT writes whole paths, of more the ends as here.
        let chosenWhole = test.fixture.expected["targets"] == ["all-linear"]
        func plain(_ value: JSONValue?) -> JSONValue {
            guard let list = value?.arrayValue, list.allSatisfy({ $0.stringValue != nil }) else {
                return value ?? .null
            }
            let names = list.compactMap(\.stringValue).map { name in
                chosenWhole ? String(name.split(separator: ".").last ?? "") : name
            }
            return .array(Set(names).sorted().map(JSONValue.string))
        }
        var theirs =
            try Fixture.parse(
                AdapterFiles.located(AdapterFiles.configurationName, in: test.fixture.folder.path)
            ).objectValue ?? [:]
        // Programs that read ms-swift's own files pass over what they do not know; this one needs the name.
        if theirs["swift_type"] != nil {
            theirs["base_model_name_or_path"] = .string("Tests/Fixtures/models/\(name.split(separator: "/")[0])")
        }
        var run = try MethodRun(test)
        _ = try run.losses(name.hasSuffix("adalora") ? 20 : 1)
        for (origin, attached) in [("made", run.attached), ("read", try test.loaded().attached)] {
            let ours = try JSONValue(parsing: Data(attached.configurationText().utf8))
            #expect(ours.objectValue?.keys.sorted() == theirs.keys.sorted(), "\(origin)")
            for key in theirs.keys where origin == "made" || key != "base_model_name_or_path" {
                #expect(plain(ours[key]) == plain(theirs[key]), "\(origin): \(key)")
            }
        }
    }

    @Test(arguments: cases) func aResumedRunIsTheSameRun(name: String) throws {
        let test = try MethodCase(name)
        var whole = try MethodRun(test)
        var first = try MethodRun(test)
        let losses = try whole.losses(12)
        let beginning = try first.losses(7)
        var second = try MethodRun(test)
        try second.resume(first)
        #expect(try beginning + second.losses(5) == losses)
        for (mine, its) in zip(try whole.attached.storedTensors(), try second.attached.storedTensors()) {
            #expect(try mine.tensor.equals(its.tensor), "\(mine.name)")
        }
    }

    /// With a cache and without one the same tokens follow, whatever lies in front.
    @Test(arguments: cases.filter { !$0.contains("-single/") && prompts.contains(String($0.split(separator: "/")[1])) })
    func promptsStandInTheCache(name: String) throws {
        let test = try MethodCase(name)
        let model = try #require(try test.loaded().model as? CausalLanguageModel)
        let batch = test.batch
        let prompts = zip(batch.boundaries, batch.boundaries.dropFirst()).map {
            Array(batch.tokens[Int($0)..<Int($1)])
        }
        let whole = try withoutGradients { try test.outputs(model).answers }
        try withoutGradients {
            let state = ModelState(sequences: prompts.count)
            let begun = prompts.map { Array($0.dropLast(3)) }
            let start =
                test.isTwoStacks
                ? TokenBatch(
                    sources: test.texts.map(\.source), answers: begun.map { (Array($0.dropFirst()) + [0], nil) },
                    start: 0)
                : TokenBatch(continuing: begun.map { ($0, 0) })
            let context = try model.context(for: start, state: state)
            _ = try model.hiddenStates(start, context)
            let end = TokenBatch(continuing: zip(prompts, state.lengths).map { (Array($0.suffix(3)), $1) })
            let last = try model.context(for: end, state: state)
            let logits = try model.logits(model.hiddenStates(end, last), last)
            for index in prompts.indices {
                let wanted = try whole[index].narrowed(0, start: prompts[index].count - 3, length: 3)
                #expect(try relativeDifference(logits.narrowed(0, start: 3 * index, length: 3), wanted) <= 1e-12)
            }
        }
        // Without the adapter there is nothing in front.
        let plain = try #require(test.plainModel() as? CausalLanguageModel)
        let (without, with) = try withoutGradients {
            let context = try model.context(for: batch, adapters: .base)
            return (
                try model.logits(model.hiddenStates(batch, context), context), try plain.outputs(batch).logits
            )
        }
        #expect(try without.equals(with))
    }

    /// Behind prompts in front of what is read, or keys and values of the decoder, the same answers follow as in PEFT.
    @Test(arguments: cases.filter { $0.contains("t5/p") }) func answersToTextsArePEFTs(name: String) throws {
        let test = try MethodCase(name)
        let model = try #require(try test.loaded().model as? CausalLanguageModel)
        let wanted = try #require(test.fixture.expected["greedy"]?.arrayValue)
        let answers = try SequenceToSequenceTests.greedy(model).answers(to: test.texts.map(\.source), limit: 30)
        #expect(answers == wanted.map { SequenceToSequenceTests.Case.numbers($0) })
    }

    /// Layers that run again in the backward pass ask for their prefix again; PEFT refuses that.
    @Test(arguments: [
        "prefix", "prefix-projection", "prompt", "p-lstm", "ia3", "dora", "adalora", "vblora", "c3a", "lora-tokens",
        "loha", "oft-shared", "boft-butterfly", "miss", "ln", "delora",
    ])
    func checkpointedLayersHaveTheSameGradients(variant: String) throws {
        let test = try MethodCase("qwen2-tied-gqa/\(variant)")
        let gradients = try [false, true].map { checkpoints in
            let (model, attached) = try test.beginning()
            try test.outputs(model, checkpoints: checkpoints).sum.backward()
            return try attached.parameters.map { try #require($0.slot.tensor?.gradient, "\($0.name)") }
        }
        for (plain, again) in zip(gradients[0], gradients[1]) {
            #expect(try relativeDifference(again, plain) <= 1e-12)
        }
    }

    @Test func whatDoesNotGoTogetherIsRefused() {
        var settings = AdapterSettings()
        settings[LoRAConfiguration.decompositionOption] = true
        settings[LoRAConfiguration.initializationOption] = "pissa"
        #expect(throws: AdapterError.self) { try LoRAConfiguration(settings) }
        var ranks = AdapterSettings()
        ranks[AdaLoRAConfiguration.targetRankOption] = 13
        #expect(throws: AdapterError.self) { try AdaLoRAConfiguration(ranks) }
        var text = AdapterSettings()
        text[PromptTuningConfiguration.startOption] = "TEXT"
        #expect(throws: AdapterError.self) { try PromptTuningConfiguration(text) }
    }

    /// A prompt of words begins with their vectors, cut or repeated to the places there are.
    @Test func promptsBeginWithWords() throws {
        let test = try MethodCase("qwen2-tied-gqa/prompt")
        let model = try test.model()
        let words = model.trunk.embedding.weight
        func table(_ start: String, _ text: String?) throws -> Tensor {
            var settings = AdapterSettings()
            settings[PromptSizes.countOption] = 5
            settings[PromptTuningConfiguration.startOption] = .string(start)
            if let text { settings[PromptTuningConfiguration.textOption] = .string(text) }
            let attached = try PromptTuningConfiguration(settings).attach(to: test.model())
            try attached.materialize(dtype: .float64, device: .cpu, seed: 3) { _ in [7, 9] }
            return try #require(attached.parameters.first?.slot.tensor)
        }
        let ids: [Int32] = [7, 9, 7, 9, 7]
        #expect(try table("TEXT", "ab").equals(embedding(Tensor(ids), words)))
        let sampled = try table("SAMPLE_VOCAB", nil).to(.float64)
        for row in 0..<5 {
            let distances = try (words - sampled.narrowed(0, start: row, length: 1)).power(2).sum(1)
            #expect(try (-distances).max().item() == 0)
        }
        #expect(try !sampled.equals(table("RANDOM", nil)))
    }

    @Test func whatPromptsCannotDoIsRefused() throws {
        let test = try MethodCase("bert-single/prompt")
        let prefix = try MethodCase("llama-single/prefix").method()
        let encoder = #expect(throws: AdapterError.self) { try prefix.attach(to: test.model()) }
        #expect(encoder?.description.contains("prompt_tuning") == true)
        var masked = try MethodCase("qwen2-tied-gqa/prompt").method()
        masked.base.taskType = nil
        let error = #expect(throws: AdapterError.self) { try masked.attach(to: test.model()) }
        #expect(error?.description.contains("masked") == true)
    }
}
