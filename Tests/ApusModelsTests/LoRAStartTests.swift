import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusOptimizers
@testable import ApusTorch
@testable import ApusTraining
@testable import ApusWeights

/// Starts of LoRA that passes over data or decompositions of the weights give (Scripts/fixtures/make_lora_starts.py).
struct LoRAStartTests {
    static let ofData = [
        "eva", "eva-fixed", "eva-unadjusted", "corda", "corda-kpm", "lora-ga", "lora-ga-weights", "lora-ga-steps",
    ]

    /// A case, with a model that its start was made on.
    private struct Case {
        let fixture: Fixture
        let start: SafetensorsFile
        let rows: [(ids: [Int32], isTarget: [Bool])]

        init(_ name: String) throws {
            fixture = try Fixture("starts/\(name)")
            start = try SafetensorsFile(path: fixture.folder.appendingPathComponent("start.safetensors").path)
            rows = Fixture.sequences(fixture.expected)
        }

        func method() throws -> LoRAConfiguration {
            var settings = AdapterSettings()
            settings.targets = .names((fixture.expected["targets"]?.arrayValue ?? []).compactMap(\.stringValue))
            for option in LoRAConfiguration.options {
                if let value = fixture.expected["options"]?[option.name] { settings[option] = value }
            }
            var method = try LoRAConfiguration(settings)
            method.base.baseModel = "Tests/Fixtures/models/qwen2-tied-gqa"
            return method
        }

        func passes(_ model: CausalLanguageModel) -> StartPasses {
            StartPasses(sampleCount: rows.count, batchSize: 3) { places in
                let batch = TokenBatch(places.map { rows[$0] })
                let part = try NextToken(model).loss(batch, model.context(for: batch))
                return (try part.sum / Double(part.targets), batch.targets.rows.map { $0 + 1 })
            }
        }

        /// The adapter at its start.
        func begun() throws -> (model: CausalLanguageModel, attached: AttachedAdapter) {
            let model = try Fixture.model("qwen2-tied-gqa", dtype: .float64)
            var attached = try method().attach(to: model)
            try attached.materialize(dtype: .float64, device: .cpu, seed: 1)
            if attached.method.startsFromData { attached = try attached.started(from: passes(model), seed: 1) }
            try attached.setTrainable(true)
            return (model, attached)
        }
    }

    /// A run of twenty steps on the first three sequences.
    private struct Run {
        let model: CausalLanguageModel
        var attached: AttachedAdapter
        let update: UpdateStep
        private let batch: TokenBatch

        init(_ test: Case, resuming other: Run? = nil) throws {
            (model, attached) = try test.begun()
            batch = TokenBatch(Array(test.rows.prefix(3)))
            let participants = try attached.participants(totalSteps: 20)
            let trained = attached.parameters.compactMap { name, slot in
                slot.tensor.map { TrainedParameter(name: name, tensor: $0) }
            }
            var settings = AdamW.Settings()
            (settings.beta1, settings.beta2) = (0.9, 0.95)
            update = UpdateStep(
                trained, optimizer: try AdamW([ParameterGroup(trained, decay: 0)], settings: settings),
                participants: participants, maximumNorm: 0)
            if let other {
                let theirs = try other.update.states.flatMap { try $0.state }
                for state in try update.states.flatMap({ try $0.state }) {
                    let source = try #require(theirs.first { $0.name == state.name }, "\(state.name)")
                    try withoutGradients { try state.tensor.copy(from: source.tensor) }
                }
                if attached.isStoredAsTrained {
                    for (mine, its) in zip(attached.parameters, other.attached.parameters) {
                        guard let mine = mine.slot.tensor, let its = its.slot.tensor else { continue }
                        try withoutGradients { try mine.copy(from: its) }
                    }
                }
            }
            try update.start(at: 0)
        }

        func losses(_ steps: Range<Int>) throws -> [Double] {
            try steps.map { step in
                let part = try NextToken(model).loss(batch, model.context(for: batch))
                try update.accumulate(part.sum, targets: part.targets)
                return try update(rate: 0.005, step: step + 1).loss
            }
        }
    }

    /// `B A` of two tensors of a file.
    private func product(_ store: SafetensorsFile, _ path: String) throws -> Tensor {
        try matmul(
            store.tensor("\(path).lora_B.weight", dtype: .float64, device: .cpu).tensor,
            store.tensor("\(path).lora_A.weight", dtype: .float64, device: .cpu).tensor)
    }

    @Test(arguments: ofData) func startsArePEFTs(name: String) throws {
        let test = try Case(name)
        let (_, attached) = try test.begun()
        #expect(attached.parts.count * 2 == test.start.tensorNames.count)
        var worst = 0.0
        for part in attached.parts {
            let lora = try #require(part.adapter as? LoRA)
            let path = "base_model.model.\(part.path)"
            if name.hasPrefix("eva") {
                let theirs = try test.start.tensor("\(path).lora_A.weight", dtype: .float64, device: .cpu).tensor
                #expect(lora.a.shape == theirs.shape, "\(part.path)")
                guard lora.a.shape == theirs.shape else { continue }
                worst = max(worst, try relativeDifference(lora.a, theirs))
                #expect(try difference(lora.b, Tensor.zeros(lora.b.shape)) == 0)
            } else {
                worst = max(worst, try relativeDifference(matmul(lora.b, lora.a), product(test.start, path)))
            }
        }
        print("parity \(name): start \(worst)")
        #expect(worst <= 1e-5)
    }

    @Test(arguments: ofData + ["pissa", "olora"]) func trainingFollowsPEFT(name: String) throws {
        let test = try Case(name)
        let run = try Run(test)
        let losses = try run.losses(0..<20)
        let expected = (test.fixture.expected["losses"]?.arrayValue ?? []).compactMap(\.doubleValue)
        let distance = zip(losses, expected).map { abs($0 - $1) }.max() ?? .nan
        print("parity \(name): losses \(distance)")
        #expect(expected.count == 20 && distance <= 1e-5)
        // What is stored is PEFT's, and PEFT's file gives its answers here.
        let isRaw = ["pissa", "olora"].contains(name)
        let folder = isRaw ? test.fixture.folder.appendingPathComponent("trained") : test.fixture.folder
        let file = try SafetensorsFile(path: folder.appendingPathComponent(AdapterFiles.weightsName).path)
        let stored = Dictionary(uniqueKeysWithValues: try run.attached.storedTensors().map { ($0.name, $0.tensor) })
        #expect(Set(stored.keys) == Set(file.tensorNames))
        for part in run.attached.parts {
            let path = "base_model.model.\(part.path)"
            let (a, b) = (
                try #require(stored["\(path).lora_A.weight"]), try #require(stored["\(path).lora_B.weight"])
            )
            #expect(try relativeDifference(matmul(b, a), product(file, path)) <= 1e-4, "\(part.path)")
        }
        try configurationsAreEqual(run.attached.configurationText(), folder)
        let model = try Fixture.model("qwen2-tied-gqa", dtype: .float64)
        let loaded = try AdapterFiles.method(in: folder.path).attach(to: model)
        try loaded.load(from: folder.path, dtype: .float64, device: .cpu)
        try answersArePEFTs(model, test)
        if name.hasPrefix("eva") {
            try configurationsAreEqual(loaded.configurationText(), folder, beside: ["base_model_name_or_path"])
        }
    }

    /// As a plain adapter on the base as it was, of twice the rank.
    @Test(arguments: ["pissa", "olora"]) func whatHasChangedIsAPlainAdapter(name: String) throws {
        let test = try Case(name)
        let folder = test.fixture.folder
        let model = try Fixture.model("qwen2-tied-gqa", dtype: .float64)
        let trained = folder.appendingPathComponent("trained").path
        let attached = try AdapterFiles.method(in: trained).attach(to: model)
        try attached.load(from: trained, dtype: .float64, device: .cpu)
        let change = try attached.change()
        let file = try SafetensorsFile(path: folder.appendingPathComponent(AdapterFiles.weightsName).path)
        let raw = try SafetensorsFile(path: "\(trained)/\(AdapterFiles.weightsName)")
        let stored = Dictionary(uniqueKeysWithValues: change.tensors.map { ($0.name, $0.tensor) })
        #expect(Set(stored.keys) == Set(file.tensorNames))
        for part in attached.parts {
            let path = "base_model.model.\(part.path)"
            let (a, b) = (
                try #require(stored["\(path).lora_A.weight"]), try #require(stored["\(path).lora_B.weight"])
            )
            // PEFT decomposes in float32, which is seen in what was taken out, and the change is a difference of that.
            let largest = try abs(product(raw, path)).max().item()
            #expect(try difference(matmul(b, a), product(file, path)) <= 1e-5 * largest, "\(part.path)")
        }
        try configurationsAreEqual(change.configuration, folder, beside: ["base_model_name_or_path"])
        let base = try Fixture.model("qwen2-tied-gqa", dtype: .float64)
        let plain = try AdapterFiles.method(in: folder.path).attach(to: base)
        try plain.load(from: folder.path, dtype: .float64, device: .cpu)
        try answersArePEFTs(base, test)
    }

    @Test(arguments: ["eva-fixed", "corda", "lora-ga"]) func aResumedRunIsTheSameRun(name: String) throws {
        let test = try Case(name)
        let whole = try Run(test).losses(0..<8)
        let first = try Run(test)
        let beginning = try first.losses(0..<5)
        let second = try Run(test, resuming: first)
        #expect(try beginning + second.losses(5..<8) == whole)
        #expect(zip(first.attached.parts, second.attached.parts).allSatisfy { $0.path == $1.path })
    }

    /// Twenty layers and more are written by short names where these choose no others; tables keep their place among them.
    @Test(
        arguments: [
            .allLinear,
            // All but one of a kind, so that its name would choose that one too.
            .pattern("model\\.layers\\.([01]\\..*|2\\.(?!mlp\\.down).*)_proj"),
            .names([
                "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "0.mlp.down_proj", "1.mlp.down_proj",
            ]),
            .names(["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "embed_tokens"]),
        ] as [TargetModules])
    func whatIsWrittenOfComponentsChoosesTheSameLayers(targets: TargetModules) throws {
        let test = try Case("eva-fixed")
        var method = try test.method()
        method.selection.targets = targets
        method.rankPattern = PathPatterns([("embed_tokens", 2)])
        method.alphaPattern = PathPatterns([("embed_tokens", 5)])
        let model = try Fixture.model("qwen2-tied-gqa", dtype: .float64)
        let hung = try method.attach(to: model)
        let paths = hung.parts.map(\.path)
        #expect(paths.count >= 20)
        try hung.materialize(dtype: .float64, device: .cpu, seed: 1)
        let attached = try hung.started(from: test.passes(model), seed: 1)
        #expect(attached.parts.map(\.path) == paths)
        let json = try JSONValue(parsing: Data(attached.configurationText().utf8))
        let read = try AdapterMethods.read(json, file: "adapter_config.json")
            .attach(to: Fixture.model("qwen2-tied-gqa", dtype: .float64))
        #expect(read.parts.map(\.path) == paths)
        func scale(_ part: AdapterPart) -> Double? {
            (part.adapter as? LoRA)?.scale ?? (part.adapter as? LoRAEmbedding)?.scale
        }
        for (one, two) in zip(attached.parts, read.parts) {
            let (shapes, others) = (
                one.adapter.parameters().map(\.slot.shape), two.adapter.parameters().map(\.slot.shape)
            )
            #expect(shapes == others, "\(one.path)")
            #expect(scale(one) == scale(two), "\(one.path)")
        }
    }

    @Test func startsThatCannotBeMadeAreRefused() throws {
        func refusal(_ words: [String: JSONValue]) -> String {
            let error = #expect(throws: AdapterError.self) {
                var settings = AdapterSettings()
                settings.targets = .names(["q_proj"])
                for option in LoRAConfiguration.options { if let word = words[option.name] { settings[option] = word } }
                let test = try Case("eva")
                let model = try Fixture.model("qwen2-tied-gqa")
                let attached = try LoRAConfiguration(settings).attach(to: model)
                try attached.materialize(dtype: .float32, device: .cpu, seed: 1)
                _ = try attached.started(from: test.passes(model), seed: 1)
            }
            return error?.description ?? ""
        }
        #expect(refusal(["init_weights": "lora-ga", "lora_rank": 25]).contains("no 50 singular values"))
        #expect(refusal(["init_weights": "corda", "lora_rank": 49]).contains("no 49 singular values"))
        #expect(refusal(["init_weights": "eva", "lora_rank": 30]).contains("60 components"))
        #expect(refusal(["init_weights": "eva", "use_dora": true]).contains("eva is not there yet"))
        #expect(refusal(["init_weights": "corda", "lora_b_bias": true]).contains("bias of B"))
        #expect(refusal(["init_weights": "loftq", "lora_rank": 49]).contains("no 49 singular values"))
    }

    private func answersArePEFTs(_ model: CausalLanguageModel, _ test: Case) throws {
        let batch = TokenBatch(Array(test.rows.prefix(3)))
        let logits = try withoutGradients { () throws -> Tensor in
            let context = try model.context(for: batch)
            return try model.logits(model.hiddenStates(batch, context), context)
        }
        for index in 0..<3 {
            let (start, end) = (Int(batch.boundaries[index]), Int(batch.boundaries[index + 1]))
            let wanted = try test.fixture.tensors.tensor("logits.\(index)", dtype: .float64, device: .cpu).tensor
            let distance = try relativeDifference(logits.narrowed(0, start: start, length: end - start), wanted)
            #expect(distance <= 1e-6)
        }
    }

    private func configurationsAreEqual(_ text: String, _ folder: URL, beside: Set<String> = []) throws {
        let ours = try JSONValue(parsing: Data(text.utf8))
        let theirs = try Fixture.parse(folder.appendingPathComponent(AdapterFiles.configurationName).path)
        #expect(ours.objectValue?.keys.sorted() == theirs.objectValue?.keys.sorted())
        for key in theirs.objectValue?.keys.sorted() ?? [] where !beside.contains(key) {
            func plain(_ value: JSONValue?) -> JSONValue {
                guard let list = value?.arrayValue, key == "target_modules" else { return value ?? .null }
                return .array(list.compactMap(\.stringValue).sorted().map(JSONValue.string))
            }
            #expect(plain(ours[key]) == plain(theirs[key]), "\(key)")
        }
    }
}
