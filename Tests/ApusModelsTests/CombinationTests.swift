import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Several adapters on one model: one at a time, together, none, and combined as PEFT combines them
/// (Scripts/fixtures/make_combinations.py).
struct CombinationTests {
    private static let folder = Fixture.root.appendingPathComponent("combinations").path
    static let cases: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.filter { $0.hasSuffix(".safetensors") }.map { String($0.dropLast(12)) }.sorted()
    }()

    private func loaded(_ names: [String], on model: CausalLanguageModel) throws -> [AttachedAdapter] {
        try names.map { name in
            let folder = "\(Self.folder)/\(name)"
            let attached = try AdapterFiles.method(in: folder).attach(to: model, named: name)
            try attached.load(from: folder, dtype: .float64, device: .cpu)
            return attached
        }
    }

    private func model() throws -> CausalLanguageModel { try Fixture.model("qwen2-tied-gqa", dtype: .float64) }

    /// PEFT multiplies by α / r twice when it decomposes sums, and keeps rsLoRA with another alpha.
    @Test func whatPEFTMakesOtherwiseIsSaid() throws {
        let model = try model()
        let adapters = try loaded(["a", "b"], on: model)
        let weights = [1.0, 1]
        #expect(AdapterCombination(.svd, weights: weights).notice(adapters)?.contains("twice in svd") == true)
        #expect(AdapterCombination(.cat, weights: weights).notice(adapters) == nil)
        var method = LoRAConfiguration()
        method.usesRankStabilization = true
        let attached = try method.attach(to: model, named: "stabilised")
        #expect(AdapterCombination(.cat, weights: [1]).notice([attached])?.contains("use_rslora") == true)
    }

    @Test func thereAreCases() { #expect(Self.cases.count == 15) }

    @Test(arguments: cases) func theyAreCombinedAsPEFTDoes(name: String) throws {
        let expected = try #require(try Fixture.json("combinations/expected.json")[name])
        let names = (expected["adapters"]?.arrayValue ?? []).compactMap(\.stringValue)
        let model = try model()
        let adapters = try loaded(names, on: model)
        var combination = AdapterCombination(
            try #require(AdapterCombination.Kind(rawValue: expected["kind"]?.stringValue ?? "")),
            weights: (expected["weights"]?.arrayValue ?? []).compactMap(\.doubleValue))
        combination.density = expected["density"]?.doubleValue
        combination.majoritySign = try #require(
            AdapterCombination.MajoritySign(rawValue: expected["sign"]?.stringValue ?? ""))
        combination.seed = UInt64(try #require(expected["seed"]?.intValue))
        let combined = try combination(adapters, on: model, named: "new")
        let configuration = try JSONValue(parsing: Data(combined.configurationText().utf8))
        #expect(configuration["r"] == expected["r"] && configuration["lora_alpha"] == expected["r"])
        #expect(configuration["target_modules"] == expected["targets"] && configuration["use_rslora"] == false)
        var ours: [String: Tensor] = Dictionary(try combined.storedTensors().map { ($0.name, $0.tensor) }) { $1 }
        if combination.kind.combinesProducts {
            for path in Set(ours.keys.compactMap { $0.components(separatedBy: ".lora_").first }) {
                let (a, b) = (ours["\(path).lora_A.weight"], ours["\(path).lora_B.weight"])
                ours["\(path).lora_A.weight"] = nil
                ours["\(path).lora_B.weight"] = nil
                ours[path] = try matmul(#require(b), #require(a))
            }
        }
        let file = try SafetensorsFile(path: "\(Self.folder)/\(name).safetensors")
        #expect(Set(ours.keys) == Set(file.tensorNames))
        for (name, tensor) in ours {
            let theirs = try file.tensor(name, dtype: .float64, device: .cpu).tensor
            #expect(tensor.shape == theirs.shape, "\(name)")
            // PEFT keeps the weights of adapters in float32.
            #expect(try relativeDifference(tensor, theirs) <= 1e-6, "\(name)")
        }
    }

    /// A pass sees the adapters it is told to see; side by side they are `cat`'s combination.
    @Test func adaptersAreSwitched() throws {
        let model = try model()
        let batch = TokenBatch([[3, 14, 15, 92, 65], [35, 8, 9]])
        func logits(_ model: CausalLanguageModel, _ selection: AdapterSelection) throws -> Tensor {
            try withoutGradients {
                let context = try model.context(for: batch, adapters: selection)
                return try model.logits(model.hiddenStates(batch, context), context)
            }
        }
        let plain = try logits(model, .all)
        let adapters = try loaded(["a", "b"], on: model)
        #expect(try logits(model, .base).equals(plain))
        for name in ["a", "b"] {
            let alone = try self.model()
            _ = try loaded([name], on: alone)
            let difference = try relativeDifference(logits(model, .only([name])), logits(alone, .all))
            #expect(difference <= 1e-12)
            #expect(try relativeDifference(logits(model, .only([name])), plain) > 1e-3)
        }
        _ = try AdapterCombination(.cat, weights: [1, 1])(adapters, on: model, named: "sum")
        let together = try logits(model, .only(["a", "b"]))
        #expect(try relativeDifference(logits(model, .only(["sum"])), together) <= 1e-9)
        // Folding one in leaves what both together compute.
        try adapters[0].merge()
        #expect(try relativeDifference(logits(model, .only(["b"])), together) <= 1e-9)
        #expect(throws: AdapterError.self) { try loaded(["b"], on: model) }
    }

    @Test func whatCannotBeCombinedIsRefused() throws {
        let model = try model()
        let adapters = try loaded(["a", "c"], on: model)
        func refusal(_ kind: AdapterCombination.Kind, _ weights: [Double], density: Double? = nil) -> String {
            var combination = AdapterCombination(kind, weights: weights)
            combination.density = density
            do {
                _ = try combination(adapters, on: model, named: "new")
                return ""
            } catch {
                return "\(error)"
            }
        }
        #expect(refusal(.linear, [1, 1]).contains("these have 4, 3"))
        #expect(refusal(.cat, [1]).contains("1 weights for 2 adapters"))
        #expect(refusal(.tiesSVD, [1, 1]).contains("--density"))
        #expect(refusal(.dareTiesSVD, [1, 1], density: 1.5).contains("--density"))
    }

    /// What is more than `s B A` on layers is neither lost nor taken for something else.
    @Test func whatIsMoreThanPlainLoRAIsNamed() throws {
        func refusal(_ change: (inout LoRAConfiguration) throws -> Void) -> String {
            do {
                var method = LoRAConfiguration()
                try change(&method)
                try AdapterCombination.check([("one", LoRAConfiguration()), ("two", method)])
                return ""
            } catch {
                return "\(error)"
            }
        }
        #expect(refusal { _ in } == "")
        for start in [LoRAConfiguration.Initialization.gaussian, .random, .eva, .stored(name: "orthogonal")] {
            #expect(refusal { $0.initialization = start } == "")
        }
        #expect(refusal { $0.isDecomposed = true }.contains("and two is of the method DoRA"))
        for start in [LoRAConfiguration.Initialization.pissa(name: "pissa_niter_4"), .olora] {
            let words = refusal { $0.initialization = start }
            #expect(words.contains("init_lora_weights \(start.json.stringValue ?? "?")"))
            #expect(words.contains("--convert_to_lora"))
        }
        #expect(refusal { $0.initialization = .loftq }.contains("merge it into its model"))
        #expect(refusal { $0.hasBias = true }.contains("two has biases of its own (lora_bias)"))
        #expect(refusal { $0.base.biases = .all }.contains("(bias all)"))
        #expect(refusal { $0.base.biases = .adapted }.contains("(bias lora_only)"))
        #expect(
            refusal { $0.tokens = try TokenTargets([1, 2], place: "test") }.contains("(trainable_token_indices)"))
        #expect(refusal { $0.parameters = ["k_proj.weight"] }.contains("(target_parameters)"))
        let other = try AdapterFiles.method(
            in: Fixture.root.appendingPathComponent("methods/qwen2-tied-gqa/delora").path)
        let error = #expect(throws: AdapterError.self) { try AdapterCombination.check([("three", other)]) }
        #expect(error?.description.contains("three is of the method delora") == true)
    }

    /// Loaded adapters are looked at too, before anything is made of them.
    @Test(arguments: ["lora-b-bias", "lora-biases", "lora-tokens", "lora-parameters"])
    func anAdapterThatHoldsMoreIsNotCombined(name: String) throws {
        let model = try model()
        let folder = Fixture.root.appendingPathComponent("methods/qwen2-tied-gqa/\(name)").path
        let attached = try AdapterFiles.method(in: folder).attach(to: model, named: "more")
        try attached.load(from: folder, dtype: .float64, device: .cpu)
        let plain = try loaded(["a"], on: model)
        let error = #expect(throws: AdapterError.self) {
            try AdapterCombination(.cat, weights: [1, 1])([attached] + plain, on: model, named: "new")
        }
        #expect(error?.description.contains("and more has ") == true)
        #expect(model.modules().allSatisfy { ($0.module as? Adapter)?.name != "new" })
    }
}
