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

/// Methods that PEFT does not have, against references of their formulas (Scripts/fixtures/make_own_methods.py).
struct OwnMethodParityTests {
    static let cases = [
        "reft-loreft", "reft-noreft", "reft-consreft", "reft-lobireft", "reft-direft", "reft-nodireft", "llamapro",
        "longlora",
    ]

    private struct Case {
        let fixture: Fixture
        let start: SafetensorsFile
        let base: String
        let batch: TokenBatch

        init(_ name: String) throws {
            fixture = try Fixture("own/\(name)")
            start = try SafetensorsFile(path: fixture.folder.appendingPathComponent("start.safetensors").path)
            base = try #require(fixture.expected["base"]?.stringValue)
            batch = fixture.batch()
        }

        func method() throws -> any AdapterMethod {
            let type = try #require(AdapterMethods.of(tunerType: fixture.expected["tuner"]?.stringValue ?? ""))
            var settings = AdapterSettings()
            settings.targets = .names(["q_proj", "v_proj"])
            for option in type.options {
                if let value = fixture.expected["options"]?[option.name] { settings[option] = value }
            }
            return try type.init(settings)
        }

        func model(_ method: any AdapterMethod) throws -> CausalLanguageModel {
            let count = try LayerPlan.layerCount(of: Fixture.json("models/\(base)/config.json")) ?? 0
            return try Fixture.model(base, dtype: .float64, plan: method.layerPlan(layers: count))
        }

        func beginning() throws -> (model: CausalLanguageModel, attached: AttachedAdapter) {
            let method = try method()
            let model = try model(method)
            let attached = try method.attach(to: model, heads: model.headNames, trunk: model.trunk.name)
            try attached.materialize(dtype: .float64, device: .cpu, seed: 1)
            for (name, slot) in attached.parameters {
                try slot.fill(start.tensor(name, dtype: .float64, device: .cpu).tensor.cloned())
            }
            try attached.setTrainable(true)
            return (model, attached)
        }

        func loss(_ model: CausalLanguageModel, isTraining: Bool = true, checkpoints: Bool = false) throws -> Tensor {
            let context = try model.context(
                for: batch, isTraining: isTraining, checkpointsLayers: checkpoints, randomKey: 1)
            return try NextToken(model).loss(batch, context).sum
        }

        func logits(_ model: CausalLanguageModel) throws -> [Tensor] {
            let logits = try withoutGradients { () throws -> Tensor in
                let context = try model.context(for: batch)
                return try model.logits(model.hiddenStates(batch, context), context)
            }
            return try (0..<batch.sequenceCount).map { index in
                let (start, end) = (Int(batch.boundaries[index]), Int(batch.boundaries[index + 1]))
                return try logits.narrowed(0, start: start, length: end - start)
            }
        }

        func run(_ model: CausalLanguageModel, _ attached: AttachedAdapter) throws -> UpdateStep {
            var attached = attached
            let participants = try attached.participants(totalSteps: 20)
            let trained = attached.parameters.compactMap { name, slot in
                slot.tensor.map { TrainedParameter(name: name, tensor: $0) }
            }
            var settings = AdamW.Settings()
            (settings.beta1, settings.beta2) = (0.9, 0.95)
            return UpdateStep(
                trained, optimizer: try AdamW([ParameterGroup(trained, decay: 0)], settings: settings),
                participants: participants, maximumNorm: 0)
        }
    }

    @Test(arguments: cases) func trainingFollowsTheFormula(name: String) throws {
        let test = try Case(name)
        let (model, attached) = try test.beginning()
        #expect(Set(attached.parameters.map(\.name)) == Set(test.start.tensorNames))
        #expect(
            attached.parameters.reduce(0) { $0 + $1.slot.count } == test.fixture.expected["trainable"]?.intValue)
        try (test.loss(model) / Double(test.batch.targets.count)).backward()
        for (parameter, slot) in attached.parameters {
            let name = "grad.\(parameter)"
            guard test.fixture.tensors.tensorNames.contains(name) else {
                #expect(parameter.hasSuffix("proj_layer.bias") && slot.tensor?.gradient == nil)
                continue
            }
            let gradient = try #require(slot.tensor?.gradient, "\(parameter)")
            let expected = try test.fixture.tensors.tensor(name, dtype: .float64, device: .cpu).tensor
            #expect(try relativeDifference(gradient, expected) <= 1e-5, "\(parameter)")
            slot.tensor?.clearGradient()
        }
        let update = try test.run(model, attached)
        let rate = test.fixture.expected["rate"]?.doubleValue ?? .nan
        let losses = try (1...20).map { step in
            try update.accumulate(test.loss(model), targets: test.batch.targets.count)
            return try update(rate: rate, step: step).loss
        }
        let expected = (test.fixture.expected["losses"]?.arrayValue ?? []).compactMap(\.doubleValue)
        let distance = zip(losses, expected).map { abs($0 - $1) }.max() ?? .nan
        print("parity own/\(name): losses \(distance)")
        #expect(expected.count == 20 && distance <= 1e-5)
        let logits = try test.logits(model)
        for (index, answer) in logits.enumerated() {
            let wanted = try test.fixture.tensors.tensor("logits.\(index)", dtype: .float64, device: .cpu).tensor
            #expect(try relativeDifference(answer, wanted) <= 1e-5)
        }
        // What is written is read back to the same answers.
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-own-\(UUID())")
        let files = folder.appendingPathComponent(type(of: attached.method).folder)
        try FileManager.default.createDirectory(at: files, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try SafetensorsWriter.write(
            attached.storedTensors().map { WeightSource($0.name, $0.tensor) },
            to: files.appendingPathComponent(AdapterFiles.weightsName).path)
        try attached.configurationText().write(
            to: files.appendingPathComponent(AdapterFiles.configurationName), atomically: true, encoding: .utf8)
        let method = try AdapterFiles.method(in: folder.path)
        let again = try test.model(method)
        let loaded = try method.attach(to: again, heads: again.headNames, trunk: again.trunk.name)
        try loaded.load(from: folder.path, dtype: .float64, device: .cpu)
        for (mine, its) in zip(try test.logits(again), logits) { #expect(try relativeDifference(mine, its) <= 1e-12) }
        guard !name.hasPrefix("reft") else {
            #expect(throws: AdapterError.self) { try loaded.merge() }
            return
        }
        try loaded.merge()
        for (mine, its) in zip(try test.logits(again), logits) { #expect(try relativeDifference(mine, its) <= 1e-12) }
    }

    @Test(arguments: ["reft-loreft", "llamapro", "longlora"]) func aResumedRunIsTheSameRun(name: String) throws {
        let test = try Case(name)
        func losses(_ update: UpdateStep, _ model: CausalLanguageModel, _ steps: Range<Int>) throws -> [Double] {
            try steps.map { step in
                try update.accumulate(test.loss(model), targets: test.batch.targets.count)
                return try update(rate: 0.005, step: step + 1).loss
            }
        }
        let (model, attached) = try test.beginning()
        let whole = try losses(test.run(model, attached), model, 0..<6)
        let (first, its) = try test.beginning()
        let run = try test.run(first, its)
        let beginning = try losses(run, first, 0..<4)
        let (second, mine) = try test.beginning()
        let resumed = try test.run(second, mine)
        let theirs = try run.states.flatMap { try $0.state }
        for state in try resumed.states.flatMap({ try $0.state }) {
            let source = try #require(theirs.first { $0.name == state.name }, "\(state.name)")
            try withoutGradients { try state.tensor.copy(from: source.tensor) }
        }
        if mine.isStoredAsTrained {
            for (to, from) in zip(mine.parameters, its.parameters) {
                guard let to = to.slot.tensor, let from = from.slot.tensor else { continue }
                try withoutGradients { try to.copy(from: from) }
            }
        }
        #expect(try beginning + losses(resumed, second, 4..<6) == whole)
    }

    /// Layers that run again in the backward pass are changed again.
    @Test(arguments: ["reft-direft", "longlora"]) func checkpointedLayersHaveTheSameGradients(name: String) throws {
        let test = try Case(name)
        let gradients = try [false, true].map { checkpoints in
            let (model, attached) = try test.beginning()
            try test.loss(model, checkpoints: checkpoints).backward()
            return try attached.parameters.map { try #require($0.slot.tensor?.gradient, "\($0.name)") }
        }
        for (plain, again) in zip(gradients[0], gradients[1]) {
            #expect(try relativeDifference(again, plain) <= 1e-12)
        }
    }

    /// Without the adapter the model is the base model, and so is one whose new layers are untrained.
    @Test func startsAreTheBaseModel() throws {
        for name in ["llamapro", "reft-direft"] {
            let test = try Case(name)
            let method = try test.method()
            let model = try test.model(method)
            let attached = try method.attach(to: model, heads: model.headNames, trunk: model.trunk.name)
            try attached.materialize(dtype: .float64, device: .cpu, seed: 1)
            let base = try Fixture.model(test.base, dtype: .float64)
            let wanted = try test.logits(base)
            model.trunk.activeAdapters = .base
            for (mine, its) in zip(try test.logits(model), wanted) { #expect(try difference(mine, its) <= 1e-12) }
        }
    }

    @Test func whatCannotBeIsRefused() throws {
        func refusal(_ tuner: String, _ options: [String: JSONValue], on base: String = "qwen2-tied-gqa") -> String {
            let error = #expect(throws: AdapterError.self) {
                let type = try #require(AdapterMethods.of(tunerType: tuner))
                var settings = AdapterSettings()
                for option in type.options { if let value = options[option.name] { settings[option] = value } }
                let method = try type.init(settings)
                let count = try LayerPlan.layerCount(of: Fixture.json("models/\(base)/config.json")) ?? 0
                let model = try Fixture.model(base, plan: method.layerPlan(layers: count))
                _ = try method.attach(to: model, heads: model.headNames, trunk: model.trunk.name)
            }
            return error?.description ?? ""
        }
        #expect(refusal("llamapro", [:]).contains("3 layers of the model do not divide"))
        #expect(refusal("llamapro", ["llamapro_num_new_blocks": 3, "llamapro_num_groups": 1]).contains("same number"))
        #expect(refusal("llamapro", ["llamapro_num_new_blocks": 3], on: "gpt2").contains("self_attn.o_proj"))
        #expect(refusal("reft", ["reft_layers": ["3"]]).contains("no layer 3"))
        #expect(refusal("reft", ["reft_layers": ["1", "0", "1"]]).contains("layer 1 is named twice"))
        #expect(refusal("reft", ["reft_rank": 48]).contains("48 numbers"))
        #expect(refusal("reft", ["reft_args": #"{"dropout": 0.1}"#]).contains("dropout"))
        #expect(refusal("lora", ["layer_replication": "[[0, 4]]"]).contains("3 layers"))
        #expect(refusal("lora", ["layer_replication": "[[2, 1]]"]).contains("list of pairs"))
        #expect(refusal("lora", ["layer_replication": "[[0, 3]]", "lora_bias": "all"]).contains("leave out lora_bias"))
        for start in ["pissa", "olora", "loftq", "corda", "lora-ga"] {
            #expect(
                refusal("lora", ["layer_replication": "[[0, 3]]", "init_weights": .string(start)]).contains(
                    "for each copy again"))
        }
        let parameters: JSONValue = ["q_proj.weight"]
        #expect(refusal("lora", ["target_parameters": parameters]).contains("lora_dropout 0"))
        #expect(
            refusal("lora", ["target_parameters": parameters, "lora_dropout": 0]).contains("adapted with its layer"))
        #expect(
            refusal("lora", ["target_parameters": ["experts.up"], "lora_dropout": 0]).contains("the name of no weight"))
        #expect(
            refusal("lora", ["target_parameters": ["embed_tokens.weight"], "lora_dropout": 0]).contains(
                "not the matrix of a linear layer"))
    }

    /// Biases of adapted layers are trained and stored beside, so that PEFT reads them.
    @Test func biasesOfAdaptedLayersAreStored() throws {
        var settings = AdapterSettings()
        settings.targets = .names(["q_proj", "down_proj"])
        settings[LoRAConfiguration.biasOption] = "lora_only"
        let method = try LoRAConfiguration(settings)
        let model = try Fixture.model("qwen2-tied-gqa")
        let attached = try method.attach(to: model)
        try attached.materialize(dtype: .float32, device: .cpu, seed: 1)
        let biases = try attached.storedTensors().map(\.name).filter { $0.hasSuffix("bias") }
        #expect(biases == (0..<3).map { "base_model.model.model.layers.\($0).self_attn.q_proj.base_layer.bias" })
        let json = try JSONValue(parsing: Data(attached.configurationText().utf8))
        #expect(json["bias"] == "lora_only")
        let read = try #require(try AdapterMethods.read(json, file: "f") as? LoRAConfiguration)
        #expect(read.base.biases == .adapted)
    }
}

/// Optimizers that follow gradients in the backward pass, and Q-GaLore.
struct BackwardOptimizerTests {
    private static let rate = 2e-3

    private func run(_ name: String, dtype: DType, _ make: ([ParameterGroup]) throws -> any Optimizer) throws {
        let file = try SafetensorsFile(
            path: Fixture.root.appendingPathComponent("own/optimizers/\(name).safetensors").path)
        func tensor(_ name: String) throws -> Tensor {
            try file.tensor(name, dtype: dtype, device: .cpu).tensor.cloned()
        }
        let names = file.tensorNames.filter { $0.hasPrefix("start.") }.map { String($0.dropFirst(6)) }
        let trained = try names.map { TrainedParameter(name: $0, tensor: try tensor("start.\($0)")) }
        for parameter in trained { try parameter.tensor.setRequiresGradient(true) }
        let optimizer = try make([ParameterGroup(trained, decay: 0.1)])
        let update = UpdateStep(trained, optimizer: optimizer, maximumNorm: 0)
        for step in 0..<20 {
            let loss = { () throws -> Tensor in
                try trained.map { try ($0.tensor * tensor("gradient.\(step).\($0.name)")).sum() }.reduce(
                    Tensor.zeros([], dtype: dtype)
                ) { try $0 + $1 }
            }
            if update.followsInPass {
                try update.follow(rate: Self.rate, targets: 1, loss)
            } else {
                try update.accumulate(loss(), targets: 1)
            }
            #expect(try update(rate: Self.rate, step: step + 1).verdict == .done)
        }
        for parameter in trained {
            let distance = try relativeDifference(parameter.tensor.detached(), tensor("end.\(parameter.name)"))
            print("parity \(name) \(parameter.name): \(distance)")
            #expect(distance <= 1e-6)
        }
    }

    @Test func lomoFollowsItsFormula() throws { try run("lomo", dtype: .float64) { LOMO($0) } }
    @Test func adaLOMOFollowsItsFormula() throws { try run("adalomo", dtype: .float64) { try AdaLOMO($0) } }

    @Test func quantizedGaLoreFollowsItsFormula() throws {
        var options = GaLore.Options()
        (options.rank, options.gap, options.scale) = (16, 3, 0.5)
        var lazy = LazyProjection()
        (lazy.bits, lazy.group, lazy.memory) = (4, 32, 2)
        options.lazy = lazy
        try run("q-galore", dtype: .float64) { try GaLore($0, options: options) { _ in true } }
    }

    /// A run of LOMO is a run of SGD, whether gradients are clipped or not, and holds few gradients at a time.
    @Test(arguments: [0.0, 0.5]) func lomoIsSGD(maximumNorm: Double) throws {
        let fixture = try Fixture("models/qwen2-untied")
        let batch = fixture.batch()
        func losses(_ isLOMO: Bool) throws -> (losses: [Double], norms: [Double], most: Int) {
            let model = try Fixture.model("qwen2-untied", dtype: .float64)
            try model.setTrainable(true)
            let trained = model.parameters().compactMap { name, slot in
                slot.tensor.map { TrainedParameter(name: name, tensor: $0) }
            }
            let groups = ParameterGroup.decaying(trained, 0.1)
            let update = UpdateStep(
                trained, optimizer: isLOMO ? LOMO(groups) : try SGD(groups), maximumNorm: maximumNorm)
            var most = 0
            model.trunk.onLayer = {
                most = max(most, trained.reduce(0) { $0 + ($1.gradient?.count ?? 0) })
                if isLOMO { try update.flush() }
            }
            let outcomes = try (0..<6).map { step in
                func loss() throws -> Tensor {
                    try NextToken(model).loss(batch, model.context(for: batch, checkpointsLayers: true)).sum
                }
                if isLOMO {
                    try update.follow(rate: 0.05, targets: batch.targets.count, loss)
                } else {
                    try update.accumulate(loss(), targets: batch.targets.count)
                }
                return try update(rate: 0.05, step: step + 1)
            }
            #expect(outcomes.allSatisfy { $0.verdict == .done })
            return (outcomes.map(\.loss), outcomes.map(\.norm), most)
        }
        let (sgd, lomo) = (try losses(false), try losses(true))
        for (a, b) in zip(sgd.losses + sgd.norms, lomo.losses + lomo.norms) { #expect(abs(a - b) <= 1e-9 * abs(a)) }
        // The head and the last norm, or one layer.
        #expect(lomo.most < sgd.most)
    }

    @Test func aLossThatIsNotFiniteMovesNothing() throws {
        let tensor = try Tensor([1, 2] as [Float])
        try tensor.setRequiresGradient(true)
        let trained = [TrainedParameter(name: "w", tensor: tensor)]
        let update = UpdateStep(trained, optimizer: LOMO([ParameterGroup(trained, decay: 0)]), maximumNorm: 0)
        try update.follow(rate: 1, targets: 1) { try tensor.sum() * Double.nan }
        #expect(try update(rate: 1, step: 1).verdict == .notFinite)
        #expect(try tensor.values(as: Float.self) == [1, 2])
    }
}
