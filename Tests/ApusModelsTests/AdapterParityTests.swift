import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Adapters that PEFT has written, loaded, differentiated, merged and written again; in float64, where a difference is a
/// mistake and not rounding.
struct AdapterParityTests {
    static let adapters = [
        "qwen2-tied-gqa/lora", "qwen2-tied-gqa/lora-rslora", "qwen2-tied-gqa/lora-patterns",
        "qwen2-tied-gqa/lora-regex-layers", "qwen2-tied-gqa/lora-one-layer", "qwen2-tied-gqa/lora-excluded",
        "qwen2-tied-gqa/lora-head", "qwen2-tied-gqa/lora-embedding", "qwen2-tied-gqa/lora-saved-embedding",
        "qwen2-tied-gqa/lora-absent", "qwen2-tied-gqa/lora-pissa", "qwen2-tied-gqa/lora-olora",
        "llama-untied-mha/lora", "llama-untied-mha/lora-rslora", "llama-untied-mha/lora-patterns",
        "llama-untied-mha/lora-head", "llama-untied-mha/lora-embedding", "llama-untied-mha/lora-saved-embedding",
        "gpt2/lora-gpt2", "qwen2-moe/lora",
    ]

    /// What PEFT's merged model answers otherwise than the adapted one.
    ///
    /// PEFT adds such an adapter to the one matrix that is both table and head. Here the two come apart and the answers
    /// stay.
    static let mergesOtherwise = ["qwen2-tied-gqa/lora-head", "qwen2-tied-gqa/lora-embedding"]

    /// The bar of adapters, relative to the largest value.
    ///
    /// Norms are float32 in transformers, decompositions in PEFT.
    static let bar = 1e-6

    func adapted(_ name: String, dtype: DType = .float64) throws -> (Fixture, CausalLanguageModel, AttachedAdapter) {
        let fixture = try Fixture("adapters/\(name)")
        let model = try Fixture.model(String(name.split(separator: "/")[0]), dtype: dtype)
        let attached = try AdapterFiles.method(in: fixture.folder.path).attach(
            to: model, heads: model.headNames, trunk: model.trunk.name)
        try attached.load(from: fixture.folder.path, dtype: dtype, device: .cpu)
        return (fixture, model, attached)
    }

    /// The largest difference from the fixture's logits, relative to the largest of them.
    func worst(_ logits: Tensor, _ batch: TokenBatch, _ fixture: Fixture, _ prefix: String) throws -> Double {
        try (0..<batch.sequenceCount).map { index in
            let (start, end) = (Int(batch.boundaries[index]), Int(batch.boundaries[index + 1]))
            let wanted = try fixture.tensors.tensor("\(prefix).\(index)", dtype: .float64, device: .cpu).tensor
            return try relativeDifference(logits.narrowed(0, start: start, length: end - start), wanted)
        }.max() ?? .nan
    }

    @Test(arguments: adapters) func logitsGradientsAndMergeEqualPEFT(name: String) throws {
        let bar = Self.bar
        let (fixture, model, attached) = try adapted(name)
        try attached.setTrainable(true)
        let batch = fixture.batch()
        let (logits, loss) = try model.outputs(batch)
        let distance = try worst(logits, batch, fixture, "logits")
        #expect(distance <= bar)
        try loss.backward()
        for (parameter, slot) in attached.parameters {
            let gradient = try #require(slot.tensor?.gradient, "\(parameter) has no gradient")
            let expected = try fixture.tensors.tensor("grad.\(parameter)", dtype: .float64, device: .cpu).tensor
            #expect(try relativeDifference(gradient, expected) <= 1e-5, "\(parameter)")
        }
        // A frozen model has no gradients.
        let trained = attached.parameters.map { ObjectIdentifier($0.slot) }
        #expect(
            model.parameters().allSatisfy {
                trained.contains(ObjectIdentifier($0.slot)) || $0.slot.tensor?.gradient == nil
            })

        try attached.merge()
        let merged = try model.outputs(batch).logits
        #expect(try relativeDifference(merged, logits) <= bar)
        guard !Self.mergesOtherwise.contains(name) else { return }
        #expect(try worst(merged, batch, fixture, "merged") <= bar)
        for name in fixture.tensors.tensorNames where name.hasPrefix("weight.") {
            let wanted = try fixture.tensors.tensor(name, dtype: .float64, device: .cpu).tensor
            let slot = try #require(model.parameters().first { "weight.\($0.name)" == name }?.slot, "\(name)")
            #expect(try relativeDifference(#require(slot.tensor), wanted) <= bar, "\(name)")
        }
        print("parity \(name): logits \(distance), merged \(try relativeDifference(merged, logits))")
    }

    /// Training takes its way in float32; it must stay within what rounding explains.
    @Test(arguments: adapters) func logitsInSinglePrecisionFollow(name: String) throws {
        let (fixture, model, attached) = try adapted(name, dtype: .float32)
        let batch = fixture.batch()
        let logits = try model.outputs(batch).logits
        #expect(try worst(logits, batch, fixture, "logits") <= 1e-5)
        try attached.merge()
        #expect(try relativeDifference(model.outputs(batch).logits, logits) <= 1e-5)
    }

    @Test(arguments: ["qwen2-tied-gqa/lora", "qwen2-tied-gqa/lora-patterns"])
    func writtenFilesAreTheSameAdapter(name: String) throws {
        let (fixture, model, attached) = try adapted(name, dtype: .float32)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-adapter-\(UUID())").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try SafetensorsWriter.write(attached.weightSources(), to: "\(folder)/\(AdapterFiles.weightsName)")
        try attached.configurationText().write(
            toFile: "\(folder)/\(AdapterFiles.configurationName)", atomically: true, encoding: .utf8)
        // The tensors are PEFT's file byte for byte, the configuration has PEFT's keys.
        let ours = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(AdapterFiles.weightsName)"))
        #expect(try ours == Data(contentsOf: fixture.folder.appendingPathComponent(AdapterFiles.weightsName)))
        let written = try Fixture.parse("\(folder)/\(AdapterFiles.configurationName)")
        let original = try Fixture.parse(fixture.folder.appendingPathComponent(AdapterFiles.configurationName).path)
        #expect(written.objectValue?.keys == original.objectValue?.keys)
        let again = try Fixture.model(String(name.split(separator: "/")[0]))
        let reloaded = try AdapterFiles.method(in: folder).attach(to: again)
        try reloaded.load(from: folder, device: .cpu)
        let batch = try Fixture("models/\(name.split(separator: "/")[0])").batch()
        #expect(try again.outputs(batch).logits.equals(model.outputs(batch).logits))
    }

    @Test func withoutAdaptersTheModelIsTheBaseModel() throws {
        let (_, model, _) = try adapted("qwen2-tied-gqa/lora", dtype: .float32)
        let base = try Fixture("models/qwen2-tied-gqa")
        let batch = base.batch()
        let context = try model.context(for: batch, adapters: .base)
        let logits = try model.logits(model.hiddenStates(batch, context), context)
        let distance = try worst(logits, batch, base, "logits")
        #expect(distance <= 1e-5)
    }

    @Test func aFreshAdapterChangesNothing() throws {
        let model = try Fixture.model("llama-tied-gqa")
        let fixture = try Fixture("models/llama-tied-gqa")
        let attached = try LoRAConfiguration().attach(to: model)
        try attached.materialize(dtype: .float32, device: .cpu, seed: 1)
        let batch = fixture.batch()
        #expect(try worst(model.outputs(batch).logits, batch, fixture, "logits") <= 1e-5)
    }

    @Test func wrongTargetsAndForeignAdaptersAreNamed() throws {
        var configuration = LoRAConfiguration()
        configuration.selection.targets = .names(["q_porj"])
        let error = #expect(throws: AdapterError.self) {
            try configuration.attach(to: try Fixture.model("llama-tied-gqa"))
        }
        #expect(error?.description.contains("did you mean \"q_proj\"") == true)
        let folder = Fixture.root.appendingPathComponent("adapters/qwen2-tied-gqa/lora").path
        let foreign = #expect(throws: AdapterError.self) {
            let attached = try AdapterFiles.method(in: folder).attach(to: try Fixture.model("llama-tied-gqa"))
            try attached.load(from: folder, device: .cpu)
        }
        #expect(foreign?.description.contains("does not fit the base model") == true)
    }

    /// Of several adapters on one layer the chosen ones count, and what they add is summed, as PEFT sums it.
    @Test func severalAdaptersAreChosenByName() throws {
        let first = try adapted("qwen2-tied-gqa/lora")
        let second = try adapted("qwen2-tied-gqa/lora-patterns")
        let (fixture, model, _) = first
        let folder = second.0.folder.path
        let other = try AdapterFiles.method(in: folder).attach(to: model, named: "other")
        try other.load(from: folder, dtype: .float64, device: .cpu)
        let batch = fixture.batch()
        func logits(_ model: CausalLanguageModel, _ selection: AdapterSelection) throws -> Tensor {
            try withoutGradients {
                let context = try model.context(for: batch, adapters: selection)
                return try model.logits(model.hiddenStates(batch, context), context)
            }
        }
        #expect(try worst(logits(model, .only(["default"])), batch, fixture, "logits") <= 1e-6)
        let alone = try logits(second.1, .all)
        #expect(try relativeDifference(logits(model, .only(["other"])), alone) <= 1e-12)
        let none = try logits(model, .base)
        #expect(try difference(none, alone) > 0.1)
        // Both at once: merged one after the other, the base weights hold both sums.
        let both = try logits(model, .all)
        try other.merge()
        try first.2.merge()
        #expect(try relativeDifference(logits(model, .base), both) <= 1e-12)
    }

    @Test func adaptersThatWouldGetInEachOthersWayAreRefused() throws {
        let (_, model, _) = try adapted("qwen2-tied-gqa/lora")
        let twice = #expect(throws: AdapterError.self) { try LoRAConfiguration().attach(to: model) }
        #expect(twice?.description.contains("named default already") == true)
        var storing = LoRAConfiguration()
        storing.base.modulesToSave = ["embed_tokens"]
        let beside = #expect(throws: AdapterError.self) { try storing.attach(to: model, named: "other") }
        #expect(beside?.description.contains("embed_tokens") == true)
        for biases in [TrainedBiases.all, .adapted] {
            var biased = LoRAConfiguration()
            biased.base.biases = biases
            let error = #expect(throws: AdapterError.self) { try biased.attach(to: model, named: "other") }
            #expect(error?.description.contains("bias \(biases.rawValue)") == true)
        }
        for start in [LoRAConfiguration.Initialization.pissa(name: "pissa"), .olora, .loftq, .corda, .gradients] {
            var taken = LoRAConfiguration()
            taken.initialization = start
            let error = #expect(throws: AdapterError.self) { try taken.attach(to: model, named: "other") }
            #expect(error?.description.contains("--convert_to_lora") == true)
            // Nothing hangs on the model of what was refused.
            #expect(model.modules().allSatisfy { ($0.module as? Adapter)?.name != "other" })
        }
    }

    /// The base of the first is the residual of its decomposition; what a plain one adds comes on top.
    @Test func aPlainAdapterFollowsOneThatWasTakenOutOfTheWeights() throws {
        let (fixture, model, first) = try adapted("qwen2-tied-gqa/lora-pissa")
        let folder = try Fixture("adapters/qwen2-tied-gqa/lora").folder.path
        let second = try AdapterFiles.method(in: folder).attach(to: model, named: "other")
        try second.load(from: folder, dtype: .float64, device: .cpu)
        let batch = fixture.batch()
        func logits(_ selection: AdapterSelection) throws -> Tensor {
            try withoutGradients {
                let context = try model.context(for: batch, adapters: selection)
                return try model.logits(model.hiddenStates(batch, context), context)
            }
        }
        #expect(try worst(logits(.only(["default"])), batch, fixture, "logits") <= Self.bar)
        #expect(!first.leavesBase && second.leavesBase)
        let both = try logits(.all)
        try first.merge()
        try second.merge()
        #expect(try relativeDifference(logits(.base), both) <= 1e-12)
    }

    /// PEFT trains the biases of adapted layers (`lora_only`) and leaves them out of its files: the model's own count then.
    @Test func biasesThatAFileLacksAreTheModels() throws {
        let fixture = try Fixture("adapters/qwen2-tied-gqa/lora")
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-biases-\(UUID())")
        try FileManager.default.copyItem(at: fixture.folder, to: folder)
        defer { try? FileManager.default.removeItem(at: folder) }
        let configuration = folder.appendingPathComponent(AdapterFiles.configurationName)
        var json = try #require(Fixture.parse(configuration.path).objectValue)
        json["bias"] = "lora_only"
        try Data(JSONValue.object(json).serialized().utf8).write(to: configuration)
        func attached(to model: CausalLanguageModel) throws -> AttachedAdapter {
            try AdapterFiles.method(in: folder.path).attach(to: model)
        }

        let model = try Fixture.model("qwen2-tied-gqa", dtype: .float64)
        let adapter = try attached(to: model)
        #expect(!adapter.saved.isEmpty && adapter.saved.allSatisfy { $0.path.hasSuffix("_proj.bias") })
        try adapter.load(from: folder.path, dtype: .float64, device: .cpu)
        let batch = fixture.batch()
        #expect(try worst(model.outputs(batch).logits, batch, fixture, "logits") <= Self.bar)

        // Trained further they are in the adapter's type, and never in a file that is mapped.
        for (dtype, wanted) in [(DType.bfloat16, DType.float32), (.float32, .float32)] {
            let other = try attached(to: Fixture.model("qwen2-tied-gqa", dtype: dtype))
            let before = other.saved.compactMap(\.slot.tensor)
            try other.load(from: folder.path, dtype: wanted, device: .cpu)
            let after = other.saved.compactMap(\.slot.tensor)
            #expect(before.count == other.saved.count && after.count == before.count)
            for (one, two) in zip(before, after) {
                #expect(one !== two && two.dtype == wanted)
                #expect(try two.equals(one.to(wanted)))
            }
        }

        // A file that has some of them and not all is damaged.
        let name = "base_model.model." + adapter.storedPath(adapter.saved[0].path)
        let sources = try adapter.weightSources()
        #expect(sources.contains { $0.name == name })
        try SafetensorsWriter.write(
            sources.filter { $0.name != name }, to: folder.appendingPathComponent(AdapterFiles.weightsName).path)
        let error = #expect(throws: AdapterError.self) {
            try attached(to: Fixture.model("qwen2-tied-gqa")).load(from: folder.path, device: .cpu)
        }
        #expect(error?.description.contains("missing: \(name)") == true)
    }

    /// A value of another type is never taken for an absent one.
    @Test(
        arguments: [
            ("lora_dropout", "0.1"), ("use_rslora", "yes"), ("layers_to_transform", ["1"]), ("layers_pattern", [1]),
            ("exclude_modules", 3), ("modules_to_save", "score"), ("rank_pattern", ["q_proj": 0.5]),
            ("rank_pattern", ["q_proj": 1e30]), ("rank_pattern", ["q_proj"]), ("alpha_pattern", ["q_proj(": 2]),
            ("alpha_pattern", ["(?P<x>q_proj)": 2]), ("ensure_weight_tying", "yes"),
        ] as [(String, JSONValue)])
    func wrongTypesInAFileAreNamed(key: String, value: JSONValue) throws {
        var json: JSONObject = [
            "peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM",
        ]
        _ = try AdapterMethods.read(.object(json), file: "adapter_config.json")
        json[key] = value
        let error = #expect(throws: AdapterError.self) {
            try AdapterMethods.read(.object(json), file: "adapter_config.json")
        }
        #expect(error?.description.contains("\"\(key)\"") == true)
    }

    /// The layers that a file chooses on a trunk of three layers, by the paths of what hangs there.
    private func chosen(_ keys: JSONObject, on model: Module) throws -> Set<String> {
        var json: JSONObject = ["peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]]
        for (key, value) in keys { json[key] = value }
        let attached = try AdapterMethods.read(.object(json), file: "adapter_config.json").attach(to: model)
        defer { attached.detach() }
        return Set(attached.parts.map(\.path))
    }

    @Test(
        arguments: [
            (["layers_to_transform": [1]], [1]), (["layers_to_transform": 1], [1]),
            (["layers_to_transform": []], [0, 1, 2]), (["layers_to_transform": [], "layers_pattern": []], [0, 1, 2]),
            (["layers_to_transform": [0, 2], "layers_pattern": "layers"], [0, 2]),
            (["layers_to_transform": [0, 2], "layers_pattern": ["h", "lay[a-z]+"]], [0, 2]),
            (["layers_to_transform": [2], "layers_pattern": "(?:h|layers)"], [2]),
        ] as [(JSONObject, [Int])])
    func layersAreChosenByTheirNumbers(keys: JSONObject, numbers: [Int]) throws {
        let model = try Fixture.model("qwen2-tied-gqa")
        let wanted = Set(numbers.map { "model.layers.\($0).self_attn.q_proj" })
        #expect(try chosen(keys, on: model) == wanted)
    }

    /// Lists of layers may have any name; the first number of a path counts, which is not an expert's.
    @Test func listsOfLayersMayHaveAnyName() throws {
        let both: JSONObject = ["layers_to_transform": [1], "target_modules": ["q_proj", "up"]]
        #expect(
            try chosen(both, on: Whole()) == [
                "tower.levels.1.q_proj", "tower.levels.1.experts.0.up", "tower.levels.1.experts.1.up",
            ])
        // Without a part in front of the list.
        #expect(try chosen(["layers_to_transform": [1]], on: Tower()) == ["levels.1.q_proj"])
    }

    @Test(
        arguments: [
            (["target_modules": ".*q_proj", "layers_to_transform": [1]], "\"target_modules\" that is one text"),
            (["target_modules": ".*q_proj", "layers_pattern": ["layers"]], "\"target_modules\" that is one text"),
            (["layers_pattern": ["layers"]], "\"layers_to_transform\" is missing"),
            (["layers_pattern": "layers", "layers_to_transform": []], "\"layers_to_transform\" is missing"),
            (["layers_pattern": "lay(", "layers_to_transform": [1]], "is not a regular expression"),
            (["layers_pattern": "(layers)", "layers_to_transform": [1]], "finds \"layers\" in"),
        ] as [(JSONObject, String)])
    func layersThatPEFTDoesNotChooseAreRefused(keys: JSONObject, words: String) throws {
        let model = try Fixture.model("qwen2-tied-gqa")
        let error = #expect(throws: AdapterError.self) { try chosen(keys, on: model) }
        #expect(error?.description.contains(words) == true)
    }

    @Test(arguments: ["corda"]) func startsThatCannotBeRepeatedAreRefused(name: String) throws {
        let json: JSONValue = [
            "peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"],
            "init_lora_weights": .string(name),
        ]
        let error = #expect(throws: AdapterError.self) { try AdapterMethods.read(json, file: "adapter_config.json") }
        #expect(error?.description.contains("init_lora_weights \"\(name)\"") == true)
    }
}

private final class Expert: Module {
    @Child("up") var up = Linear(2, 2)
}

private final class Level: Module {
    @Child("q_proj") var projection = Linear(2, 2)
    @Child("experts") var experts = [Expert(), Expert()]
}

private final class Tower: Module {
    @Child("levels") var levels = [Level(), Level()]
}

private final class Whole: Module {
    @Child("tower") var tower = Tower()
}
