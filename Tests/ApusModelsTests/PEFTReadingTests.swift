import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Files of adapters that PEFT reads in ways of its own (Scripts/fixtures/make_peft_readings.py).
struct PEFTReadingTests {
    static let experts = ["experts-deepseek", "experts-qwen2", "experts-mixtral"]
    static let cases =
        experts + [
            "weight-patterns", "router", "exact-names", "head-neox", "shared-expert", "hira-patterns", "boft-no-kernel",
            "tied-saved", "tied-targets", "tied-absent",
        ]

    private func read(_ folder: URL, on name: String) throws -> (CausalLanguageModel, AttachedAdapter) {
        let model = try Fixture.model(name, dtype: .float64)
        let attached = try AdapterFiles.method(in: folder.path).attach(
            to: model, heads: model.headNames, trunk: model.trunk.name)
        try attached.load(from: folder.path, dtype: .float64, device: .cpu)
        return (model, attached)
    }

    private func worst(_ model: CausalLanguageModel, _ fixture: Fixture) throws -> Double {
        let batch = fixture.batch()
        let logits = try model.outputs(batch).logits
        return try (0..<batch.sequenceCount).map { index in
            let (start, end) = (Int(batch.boundaries[index]), Int(batch.boundaries[index + 1]))
            let wanted = try fixture.tensors.tensor("logits.\(index)", dtype: .float64, device: .cpu).tensor
            return try relativeDifference(logits.narrowed(0, start: start, length: end - start), wanted)
        }.max() ?? .nan
    }

    private func configuration(_ attached: AttachedAdapter) throws -> JSONValue {
        try JSONValue(parsing: Data(attached.configurationText().utf8))
    }

    private func lora(rank: Int = 1, dropout: Double = 0) -> LoRAConfiguration {
        var method = LoRAConfiguration()
        (method.rank, method.alpha, method.dropout) = (rank, 4, dropout)
        return method
    }

    @Test(arguments: cases) func theyAreReadAsPEFTReadsThem(name: String) throws {
        let fixture = try Fixture("peft-readings/\(name)")
        let base = try #require(fixture.expected["model"]?.stringValue)
        let (model, attached) = try read(fixture.folder, on: base)
        let distance = try worst(model, fixture)
        #expect(distance <= 1e-6)
        print("peft reading \(name): \(distance)")

        // Written and read again it is the same adapter.
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-reading-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try SafetensorsWriter.write(
            attached.weightSources(), to: folder.appendingPathComponent(AdapterFiles.weightsName).path)
        try attached.configurationText().write(
            to: folder.appendingPathComponent(AdapterFiles.configurationName), atomically: true, encoding: .utf8)
        let (again, reread) = try read(folder, on: base)
        #expect(try worst(again, fixture) <= 1e-6)
        #expect(try reread.configurationText() == attached.configurationText())
    }

    /// What a run writes of LoRA on all layers is what PEFT was given to read.
    @Test(arguments: experts) func loraOnExpertsIsWrittenAsPEFTReadsIt(name: String) throws {
        let fixture = try Fixture("peft-readings/\(name)")
        let model = try Fixture.model(#require(fixture.expected["model"]?.stringValue))
        var method = lora()
        method.usesRankStabilization = name == "experts-qwen2"
        let attached = try method.attach(to: model, heads: model.headNames, trunk: model.trunk.name)
        let ours = try configuration(attached)
        let theirs = try Fixture.json("peft-readings/\(name)/adapter_config.json")
        func sorted(_ value: JSONValue?) -> [String] { (value?.arrayValue ?? []).compactMap(\.stringValue).sorted() }
        for key in ["target_modules", "target_parameters"] {
            #expect(sorted(ours[key]) == sorted(theirs[key]), "\(key)")
        }
        let pattern = "mlp.experts.gate_up_proj"
        #expect(ours["rank_pattern"] == [pattern: 2])
        let alpha = try #require(theirs["alpha_pattern"]?[pattern]?.doubleValue)
        #expect(abs(try #require(ours["alpha_pattern"]?[pattern]?.doubleValue) - alpha) < 1e-9)
        #expect(ours["alpha_pattern"]?.objectValue?.keys == [pattern])
        let file = try SafetensorsFile(path: fixture.folder.appendingPathComponent(AdapterFiles.weightsName).path)
        #expect(Set(attached.parameters.map(\.name)) == Set(file.tensorNames))
        #expect(attached.method.fileNotice(attached.parts) == nil)
    }

    /// Of some layers alone each weight is named whole.
    @Test func someLayersAreNamedWhole() throws {
        let model = try Fixture.model("deepseek-v3")
        var method = lora()
        method.selection.targets = .pattern(#"model\.layers\.0\..*(down_proj|o_proj)"#)
        let first = try configuration(method.attach(to: model))
        #expect(first["target_modules"] == ["model.layers.0.self_attn.o_proj"])
        #expect(first["target_parameters"] == ["model.layers.0.mlp.down_proj.weight"])
        method.selection.targets = .names(["shared_experts.down_proj", "q_b_proj"])
        let second = try configuration(method.attach(to: model, named: "second"))
        #expect(second["target_modules"] == ["q_b_proj"])
        #expect(
            second["target_parameters"] == [
                "model.layers.1.mlp.shared_experts.down_proj.weight",
                "model.layers.2.mlp.shared_experts.down_proj.weight",
            ])
    }

    /// The part of Mixtral that has the experts has a name in files of models and another in transformers 5.
    @Test(arguments: ["block_sparse_moe.gate", "mlp.gate"]) func mixtralIsMeantByBothNames(router: String) throws {
        var byName = lora()
        byName.selection.targets = .names([router])
        let layers = try byName.attach(to: Fixture.model("mixtral")).parts.map(\.path)
        #expect(!layers.isEmpty && layers.allSatisfy { $0.hasSuffix(".block_sparse_moe.gate") })
        var byWeight = lora()
        byWeight.selection.targets = .names([])
        byWeight.parameters = ["\(router).weight"]
        #expect(try byWeight.attach(to: Fixture.model("mixtral")).parts.map(\.path) == layers)
    }

    /// Its files are those of LoRA, of layers of experts too.
    @Test func longLoRANamesExpertsAsLoRADoes() throws {
        var settings = AdapterSettings()
        settings[LongLoRAConfiguration.besideOption] = false
        func attached(_ method: any AdapterMethod) throws -> AttachedAdapter {
            try method.attach(to: Fixture.model("qwen2-moe"))
        }
        settings[LoRAConfiguration.dropoutOption] = 0.0
        let plain = try configuration(attached(LoRAConfiguration(settings)))["target_parameters"]
        #expect(plain?.arrayValue?.isEmpty == false)
        #expect(try configuration(attached(LongLoRAConfiguration(settings)))["target_parameters"] == plain)
        settings[LoRAConfiguration.dropoutOption] = 0.1
        let dropping = try attached(LongLoRAConfiguration(settings))
        #expect(dropping.method.fileNotice(dropping.parts)?.contains("lora_dropout 0") == true)
    }

    /// Patterns of the layers of experts become those of their tensors: 3 ranks, of two matrices 6, and the alpha of that.
    @Test func ranksOfExpertsAreThoseOfTheirTensors() throws {
        let model = try Fixture.model("qwen2-moe")
        var method = lora(rank: 2)
        let patterns: JSONValue = ["rank_pattern": ["gate_proj": 3, "up_proj": 3], "alpha_pattern": ["down_proj": 5]]
        let reader = ConfigurationReader(json: patterns, file: "test")
        method.rankPattern = try PathPatterns(reader, "rank_pattern", ofCounts: true)
        method.alphaPattern = try PathPatterns(reader, "alpha_pattern", ofCounts: false)
        let file = try configuration(method.attach(to: model))
        #expect(
            file["rank_pattern"] == [
                "gate_proj": 3, "up_proj": 3, "mlp.experts.gate_up_proj": 6, "shared_expert.gate_proj.weight": 3,
                "shared_expert.up_proj.weight": 3,
            ])
        #expect(
            file["alpha_pattern"] == [
                "down_proj": 5, "mlp.experts.gate_up_proj": 8, "shared_expert.down_proj.weight": 5,
            ])
    }

    /// PEFT refuses what drops, and cannot say gates without what they open.
    @Test func aNoteSaysWhatPEFTDoesNotRead() throws {
        let model = try Fixture.model("deepseek-v3")
        func notice(_ method: LoRAConfiguration) throws -> String? {
            let attached = try method.attach(to: model)
            defer { attached.detach() }
            return attached.method.fileNotice(attached.parts)
        }
        #expect(try notice(lora(dropout: 0.05))?.contains("lora_dropout 0") == true)
        var method = lora()
        method.selection.targets = .names(["gate_proj", "up_proj"])
        #expect(try notice(method)?.contains("down_proj") == true)
        method.selection.targets = .names(["o_proj"])
        #expect(try notice(method) == nil)
        method.dropout = 0.05
        #expect(try notice(method) == nil)
        let one = try Fixture.model("qwen3.5-moe")
        let attached = try lora().attach(to: one)
        #expect(
            attached.method.fileNotice(attached.parts)?.contains("--target_parameters mlp.experts.gate_up_proj") == true
        )
    }

    /// Twice the same with half the weight each is the same change.
    @Test(arguments: [AdapterCombination.Kind.cat, .svd]) func adaptersOnExpertsAreCombined(
        kind: AdapterCombination.Kind
    ) throws {
        let fixture = try Fixture("peft-readings/experts-qwen2")
        let model = try Fixture.model("qwen2-moe", dtype: .float64)
        let adapters = try ["a", "b"].map { name in
            let attached = try AdapterFiles.method(in: fixture.folder.path).attach(to: model, named: name)
            try attached.load(from: fixture.folder.path, dtype: .float64, device: .cpu)
            return attached
        }
        let combined = try AdapterCombination(kind, weights: [0.5, 0.5])(adapters, on: model, named: "new")
        for adapter in adapters { adapter.detach() }
        #expect(try worst(model, fixture) <= 1e-6)
        let file = try configuration(combined)
        #expect(file["r"] == (kind == .cat ? 2 : 1) && file["use_rslora"] == false)
        #expect(file["rank_pattern"]?["model.layers.0.mlp.experts.gate_up_proj"] == (kind == .cat ? 4 : 2))
    }

    /// Under the name of files of models the head is written under the name that PEFT looks for.
    @Test func theHeadOfNeoXIsWrittenByItsLaterName() throws {
        let model = try Fixture.model("gpt-neox")
        for name in ["embed_out", "lm_head"] {
            var method = lora()
            method.selection.targets = .names([name])
            let attached = try method.attach(to: model, named: name, heads: model.headNames)
            #expect(try configuration(attached)["target_modules"] == ["lm_head"])
            #expect(attached.parts.map(\.path) == ["embed_out"])
            try attached.materialize(dtype: .float32, device: .cpu, seed: 1)
            #expect(
                try attached.storedTensors().map(\.name)
                    == ["A", "B"].map { "base_model.model.lm_head.lora_\($0).weight" })
        }
    }

    /// Its tokens too, which are adapted beside LoRA.
    @Test(arguments: ["embed_out", "lm_head"]) func tokensOfTheHeadOfNeoX(name: String) throws {
        let model = try Fixture.model("gpt-neox")
        var method = lora()
        method.selection.targets = .names(["query_key_value"])
        method.tokens = .modules([.init(name: name, ids: [3, 4])])
        let attached = try method.attach(to: model, heads: model.headNames)
        try attached.materialize(dtype: .float32, device: .cpu, seed: 1)
        #expect(
            try attached.storedTensors().map(\.name).filter { $0.contains("token_adapter") }
                == ["base_model.model.lm_head.token_adapter.trainable_tokens_delta"])
        #expect(try configuration(attached)["trainable_token_indices"] == ["lm_head": [3, 4]])
    }

    /// The part of Mixtral that has the experts is `mlp` to PEFT.
    @Test(arguments: ["gate", "block_sparse_moe.gate"]) func routersThatAreStoredWhole(name: String) throws {
        let model = try Fixture.model("mixtral")
        var method = lora()
        method.selection.targets = .names(["q_proj"])
        method.base.modulesToSave = [name]
        let attached = try method.attach(to: model, heads: model.headNames)
        try attached.materialize(dtype: .float32, device: .cpu, seed: 1)
        #expect(try attached.storedTensors().map(\.name).contains("base_model.model.model.layers.0.mlp.gate.weight"))
        #expect(try configuration(attached)["modules_to_save"] == [.string(name == "gate" ? name : "mlp.gate")])
    }

    @Test func severalButterflyFactorsAreNoted() throws {
        let path = Fixture.root.appendingPathComponent("methods/qwen2-tied-gqa/boft-butterfly").path
        #expect(try AdapterFiles.method(in: path).fileNotice([])?.contains("boft_n_butterfly_factor 3") == true)
        let plain = Fixture.root.appendingPathComponent("peft-readings/boft-no-kernel").path
        #expect(try AdapterFiles.method(in: plain).fileNotice([]) == nil)
    }
}
