import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusOptimizers
import ApusTorch
import ApusTraining
import ApusWeights
import Foundation
import Testing

@testable import ApusNN
@testable import ApusRecipes

/// Training of a model's own weights: which of them, a few layers at a time, and with moments kept otherwise.
struct OwnWeightsTests {
    private func model(
        _ name: String = "qwen2-tied-gqa", for task: ModelTask = .causalLanguageModel
    ) throws -> any TextModel {
        let config = try JSONValue(
            parsing: Data(contentsOf: URL(fileURLWithPath: "\(TinyRun.fixtures)/\(name)/config.json")))
        return try Models.registry.model(config, for: task)
    }

    /// A file whose head is not the table, though its configuration says so: what is saved has both, and says so.
    @Test func anotherHeadThanTheTableIsSaved() throws {
        let run = try TinyRun().with {
            $0.model.tunerType = .full
            ($0.optimization.maxSteps, $0.evaluation.saveSteps) = (1, 1)
        }
        let path = "\(run.settings.model.name ?? "")/model.safetensors"
        let file = try SafetensorsFile(path: path)
        var sources = try file.tensorNames.map { name in
            WeightSource(name, try file.tensor(name, dtype: .float32, device: .cpu).tensor.cloned())
        }
        let table = try file.tensor("model.embed_tokens.weight", dtype: .float32, device: .cpu).tensor.cloned()
        sources.append(WeightSource("lm_head.weight", try table * 2))
        try SafetensorsWriter.write(sources, to: path)
        try run()
        let checkpoint = "\(run.output)/checkpoint-1"
        let config = try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: "\(checkpoint)/config.json")))
        #expect(config["tie_word_embeddings"] == false)
        let saved = try SafetensorsFile(path: "\(checkpoint)/model.safetensors")
        func tensor(_ name: String) throws -> Tensor {
            try saved.tensor(name, dtype: .float32, device: .cpu).tensor
        }
        let (head, words) = (try tensor("lm_head.weight"), try tensor("model.embed_tokens.weight"))
        // One step moves each number by at most the learning rate, and the table is no copy of the head.
        let moved = try abs(head - table * 2).max().item() as Double
        #expect(moved > 0 && moved < 0.03 && head.shape == words.shape, "moved \(moved), \(head.shape), \(words.shape)")
        #expect(try abs(head - words).max().item() as Double > 0.03)
        // The checkpoint is read as what it says, without a word.
        let model = try Models.registry.model(config)
        try model.loadWeights(saved, dtype: .float32, device: .cpu)
        #expect(!model.head.isTied && model.trunk.notices == [])
    }

    private func trained(
        _ model: any TextModel, _ tuner: TunerType = .full, _ change: (inout FullTuningSettings) -> Void = { _ in }
    ) throws -> [String] {
        var settings = FullTuningSettings()
        change(&settings)
        return try OwnWeights(settings, tuner: tuner, seed: 1, of: model).parameters.map(\.name)
    }

    @Test func rulesFollowEachOther() throws {
        let model = try model()
        let all = model.parameters().map(\.name)
        #expect(try trained(model) == all)
        #expect(
            try trained(model) { $0.freezeParameters = ["model.embed", "model.layers.0"] }
                == all.filter { !$0.hasPrefix("model.embed") && !$0.hasPrefix("model.layers.0") })
        let regex = try trained(model) {
            $0.freezeParameters = ["model"]
            $0.trainableParametersRegex = #"\d\.mlp\."#
        }
        #expect(regex == all.filter { $0.contains(".mlp.") } && !regex.isEmpty)
        #expect(
            try trained(model) {
                $0.freezeParametersRegex = "."
                $0.trainableParameters = ["model.norm"]
            } == ["model.norm.weight"])
    }

    /// The longest beginning that is no larger than the share.
    @Test func aShareIsCountedFromTheBottom() throws {
        let model = try model()
        let counts = model.parameters().map(\.slot.count)
        let half = counts.reduce(0, +) / 2
        let left = try trained(model) { $0.freezeParametersRatio = 0.5 }
        let frozen = model.parameters().filter { !left.contains($0.name) }.reduce(0) { $0 + $1.slot.count }
        #expect(frozen <= half && frozen + (counts.max() ?? 0) > half)
        #expect(throws: SettingsError.self) { try trained(model) { $0.freezeParametersRatio = 1 } }
    }

    @Test func rulesThatMatchNothingAreRefused() throws {
        let model = try model()
        for change in [
            { (settings: inout FullTuningSettings) in settings.freezeParameters = ["layers.0"] },
            { $0.trainableParameters = ["embed"] }, { $0.freezeParametersRegex = "q_porj" },
            { $0.trainableParametersRegex = "(" }, { $0.lisaActivatedLayers = 3 },
        ] {
            let error = #expect(throws: SettingsError.self) { try trained(model, .full, change) }
            #expect(error.map { "\($0)".hasPrefix("--") } == true)
        }
    }

    @Test func bitFitTrainsBiasesAndTheHead() throws {
        let encoder = try model("../classifiers/bert-single", for: .sequenceClassification(labels: 3))
        let biases = try trained(encoder, .bitFit)
        #expect(biases.allSatisfy { $0.hasSuffix(".bias") || $0 == "classifier.weight" })
        #expect(biases.contains("classifier.weight") && biases.contains("bert.encoder.layer.0.output.dense.bias"))
        #expect(throws: SettingsError.self) { try trained(model("llama-untied-mha"), .bitFit) }
    }

    /// Layers change with the interval and depend on nothing else.
    @Test func layersTakeTurns() throws {
        let slots = (0..<6).map { index in
            let slot = ParameterSlot("\(index)")
            slot.declare([2])
            return [slot]
        }
        let layers = ActivatedLayers(slots, count: 2, interval: 3, seed: 5)
        let turns = (0..<60).map { layers.active(in: $0) }
        #expect(turns.allSatisfy { $0.count == 2 })
        for step in stride(from: 0, to: 60, by: 3) { #expect(Set(turns[step..<step + 3]).count == 1) }
        #expect(Set(turns).count > 5 && turns.reduce(into: Set()) { $0.formUnion($1) }.count == 6)
        try layers.starting(at: 7)
        #expect(slots.map { $0[0].isTrainable } == (0..<6).map(turns[7].contains))
        try layers.stepped(to: 9)
        #expect(slots.map { $0[0].isTrainable } == (0..<6).map(turns[9].contains))
        #expect(ActivatedLayers(slots, count: 2, interval: 3, seed: 5).active(in: 30) == turns[30])
    }

    @Test(arguments: [
        Case("freeze") { $0.full.freezeParameters = ["model.layers.0", "model.embed_tokens"] },
        Case("lisa") {
            $0.full.lisaActivatedLayers = 1
            $0.full.lisaStepInterval = 2
        },
        Case("galore") {
            $0.galore.isOn = true
            $0.galore.rank = 4
            $0.galore.updateGap = 4
        },
        Case("apollo") {
            $0.optimization.optim = .apollo
            $0.optimization.optimArgs = "rank=4,update_proj_gap=3"
            $0.optimization.optimTargetModules = ["attn", #".*\.mlp\..*"#]
        },
        Case("8 bits") { $0.optimization.optim = .adamW8Bit },
        Case("paged") {
            $0.optimization.optim = .pagedAdamW8Bit
            $0.optimization.pagedMemory = "1MB"
        },
        Case("bitfit") { $0.model.tunerType = .bitFit },
    ])
    func interruptedIsUninterrupted(change: Case) throws {
        let run = try TinyRun().with {
            $0.model.tunerType = .full
            $0.optimization.learningRate = 1e-3
            change.change(&$0)
        }
        try run()
        let (whole, log) = (try run.numbers(6), try run.losses())
        #expect(Set(log.map { $0.split(separator: " ")[1] }).count > 3)
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "last" }()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == log)
        guard change.reason == "freeze" else { return }
        func tensors(_ folder: String) throws -> SafetensorsFile {
            try SafetensorsFile(path: "\(folder)/model.safetensors")
        }
        let (before, after) = (try tensors("\(run.folder.path)/model"), try tensors("\(run.output)/checkpoint-6"))
        for name in before.tensorNames {
            let pair = try [before, after].map { try $0.tensor(name, dtype: .float32, device: .cpu).tensor }
            let isFrozen = ["model.layers.0", "model.embed_tokens"].contains(where: name.hasPrefix)
            #expect(try pair[0].equals(pair[1]) == isFrozen, "\(name)")
        }
    }

    /// Layers of Llama's kind have their norms behind attention and feed-forward part, as in `named_parameters()` of
    /// transformers; GPT-2 and ChatGLM have them before.
    @Test(arguments: [
        ("qwen2-tied-gqa", "model.layers.0.", ["input_layernorm.weight", "post_attention_layernorm.weight"]),
        ("gemma2", "model.layers.0.", ["pre_feedforward_layernorm.weight", "post_feedforward_layernorm.weight"]),
        ("olmo2", "model.layers.0.", ["post_attention_layernorm.weight", "post_feedforward_layernorm.weight"]),
        ("gpt2", "transformer.h.0.", ["mlp.c_proj.weight", "mlp.c_proj.bias"]),
        ("chatglm", "transformer.encoder.layers.0.", ["mlp.dense_h_to_4h.weight", "mlp.dense_4h_to_h.weight"]),
    ])
    func shareIsCountedInTheOrderOfTransformers(name: String, layer: String, last: [String]) throws {
        let model = try model(name)
        let all = model.parameters().filter { !$0.slot.isBuffer }
        // Everything up to the last two weights of the first layer.
        let ends = Set(last.map { layer + $0 })
        let kept = all.filter { name, _ in
            !ends.contains(name) && (name.hasPrefix(layer) || ["embed", "wte", "wpe"].contains(where: name.contains))
        }
        let total = all.reduce(0) { $0 + $1.slot.count }
        let share = (Double(kept.reduce(0) { $0 + $1.slot.count }) + 0.5) / Double(total)
        let trained = Set(try trained(model) { $0.freezeParametersRatio = share })
        #expect(trained == Set(all.map(\.name)).subtracting(kept.map(\.name)))
    }

    /// A table of words is none, whatever it is called, nor is a norm; of an adapter it is what hangs on linear layers.
    @Test func linearMatricesAreThoseOfLinearLayers() throws {
        let run = try TinyRun()
        let source = try ModelSource("\(run.folder.path)/model", surroundings: Surroundings())
        let config = try source.config()
        let layers = try #require(config["num_hidden_layers"]?.intValue)
        func names(_ tuner: TunerType, _ change: (inout SFTSettings) -> Void = { _ in }) throws -> Set<String> {
            var settings = run.settings
            settings.model.tunerType = tuner
            change(&settings)
            let model = try Models.registry.model(config)
            return try Tuner(settings, model: model, config: config, sourceName: "m", bits: nil)
                .linearMatrices(of: model)
        }
        let matrices =
            ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"]
            + ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
        let paths = (0..<layers).flatMap { layer in matrices.map { "model.layers.\(layer).\($0)" } }
        #expect(try names(.full) == Set(paths.map { "\($0).weight" }))
        #expect(try names(.full) { $0.full.freezeParameters = ["model.layers"] } == [])
        let lora = try names(.lora) { $0.tuner.modulesToSave = ["embed_tokens", "norm"] }
        #expect(
            lora == Set(paths.flatMap { path in ["A", "B"].map { "base_model.model.\(path).lora_\($0).weight" } }))
    }

    @Test(arguments: [
        Case("--tuner_type lora trains an adapter") { $0.galore.isOn = true },
        Case("--use_galore true with --optim sgd") {
            $0.model.tunerType = .full
            $0.galore.isOn = true
            $0.optimization.optim = .sgd
        },
        Case("\"kan\" names no linear layer that is trained, such as model.layers.0.mlp.down_proj.") {
            $0.model.tunerType = .full
            $0.optimization.optim = .apollo
            $0.optimization.optimTargetModules = ["mlp", "kan"]
        },
        Case("--optim_target_modules: \"embed_tokens\" names no linear layer") {
            $0.model.tunerType = .full
            $0.optimization.optim = .apollo
            $0.optimization.optimTargetModules = ["embed_tokens"]
        },
        Case("--paged_memory: got \"much\"") { $0.optimization.pagedMemory = "much" },
        Case("leave nothing to train") {
            $0.model.tunerType = .bitFit
            $0.full.freezeParametersRegex = "."
        },
    ])
    func whatDoesNotGoTogether(refused: Case) throws {
        let run = try TinyRun().with(refused.change)
        let refusal = #expect(throws: (any Error).self) { try FineTuning(run.settings.validated())() }
        #expect(refusal.map { "\($0)".contains(refused.reason) } == true, "\(refusal.map { "\($0)" } ?? "")")
    }
}

/// Modules that are trained whole beside an adapter.
struct SavedModuleTests {
    @Test func kindsAreSpelledOut() throws {
        let config = try JSONValue(
            parsing: Data(contentsOf: URL(fileURLWithPath: "\(TinyRun.fixtures)/qwen2-tied-gqa/config.json")))
        let model = try Models.registry.model(config)
        #expect(try Tuner.modulesToSave(["all-embedding"], of: model) == ["embed_tokens"])
        #expect(
            try Tuner.modulesToSave(["all-norm", "q_proj"], of: model)
                == ["input_layernorm", "norm", "post_attention_layernorm", "q_proj"])
        let error = #expect(throws: (any Error).self) { try Tuner.modulesToSave(["q_porj"], of: model) }
        #expect(error.map { "\($0)".contains("q_porj") && "\($0)".contains("q_proj") } == true)
    }

    /// What is saved whole is in the file, is trained, and is resumed.
    @Test func theyTrainAndResume() throws {
        let run = try TinyRun().with {
            $0.tuner.modulesToSave = ["norm", "embed_tokens"]
            $0.tuner.targetModules = ["q_proj"]
        }
        try run()
        let whole = try run.numbers(6)
        let file = try SafetensorsFile(path: "\(run.output)/checkpoint-6/adapter_model.safetensors")
        let before = try SafetensorsFile(path: "\(run.folder.path)/model/model.safetensors")
        for name in ["model.norm.weight", "model.embed_tokens.weight"] {
            let pair = [
                try before.tensor(name, dtype: .float32, device: .cpu).tensor,
                try file.tensor("base_model.model.\(name)", dtype: .float32, device: .cpu).tensor,
            ]
            #expect(try !pair[0].equals(pair[1]), "\(name)")
        }
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "last" }()
        #expect(try run.numbers(6) == whole)
    }

    /// LoRA+ trains B faster, and is in the file that says so.
    @Test func ratesOfTheHalvesDiffer() throws {
        let run = try TinyRun().with { try? $0.chooseTuner("lora", ["lorap_lr_ratio": "8"]) }
        let plain = try TinyRun()
        try run()
        try plain()
        #expect(try run.losses().first == plain.losses().first && run.losses() != plain.losses())
        let text = try String(contentsOfFile: "\(run.output)/checkpoint-6/additional_config.json", encoding: .utf8)
        #expect(text.contains(#""lorap_lr_ratio": 8"#))
    }
}
