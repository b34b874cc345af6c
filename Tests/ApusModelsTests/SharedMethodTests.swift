import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Methods with parts that layers share, and those that change few elements, spectra or rows of tables.
struct SharedMethodTests {
    private func settings(
        _ targets: [String] = ["q_proj"], _ values: [(AdapterOption, JSONValue)] = []
    ) -> AdapterSettings {
        var settings = AdapterSettings()
        settings.modelType = "qwen2"
        settings.targets = .names(targets)
        for (option, value) in values { settings[option] = value }
        return settings
    }

    private func refusal(_ text: String, _ body: () throws -> Void) {
        let error = #expect(throws: AdapterError.self) { try body() }
        #expect(error?.description.contains(text) == true, "\(error.map { "\($0)" } ?? "nothing") lacks \(text)")
    }

    private func model(_ name: String = "qwen2-tied-gqa", _ dtype: DType = .float64) throws -> CausalLanguageModel {
        try Fixture.model(name, dtype: dtype)
    }

    private func logits(
        _ model: CausalLanguageModel, _ adapters: AdapterSelection = .all, isTraining: Bool = false, key: UInt64 = 0
    ) throws -> Tensor {
        try withoutGradients {
            let batch = try Fixture("models/qwen2-tied-gqa").batch()
            let context = try model.context(
                for: batch, isTraining: isTraining, adapters: adapters, randomKey: key)
            return try model.logits(model.hiddenStates(batch, context), context)
        }
    }

    /// What PEFT draws from a seed and stores, to the bit.
    @Test(arguments: [
        "qwen2-tied-gqa/vera", "qwen2-tied-gqa/randlora", "qwen2-tied-gqa/randlora-very-sparse",
        "llama-untied-mha/randlora-auto", "gpt2/randlora-auto", "qwen2-tied-gqa/shira", "qwen2-tied-gqa/shira-unseeded",
    ])
    func whatIsDrawnIsPEFTs(name: String) throws {
        let test = try MethodCase(name)
        let attached = try test.method().attach(to: test.model())
        try attached.drawConstants(dtype: .float32, device: .cpu)
        let file = try AdapterFiles.weights(in: test.fixture.folder.path).store
        let drawn = attached.parts.flatMap { part in
            part.adapter.constants().map { (part.prefix + $0.name, $0.slot) }
        }
        #expect(drawn.count >= 2)
        for (name, slot) in drawn {
            let mine = try #require(slot.tensor)
            #expect(try file.dtype(of: name) == mine.dtype)
            #expect(try mine.equals(file.tensor(name, dtype: mine.dtype, device: .cpu).tensor), "\(name)")
        }
    }

    /// An adapter that is not trained yet changes nothing.
    @Test(arguments: [
        "vera", "randlora", "shira", "waveft", "tokens", "lora-tokens",
    ])
    func freshAdaptersChangeNothing(variant: String) throws {
        let test = try MethodCase("qwen2-tied-gqa/\(variant)")
        let model = try model()
        let base = try logits(model)
        let attached = try test.method().attach(to: model)
        try attached.materialize(dtype: .float64, device: .cpu, seed: 3)
        #expect(try relativeDifference(logits(model), base) <= 1e-14)
        try attached.merge()
        #expect(try relativeDifference(logits(model), base) <= 1e-14)
    }

    /// Two adapters on one layer add up, and each can be taken alone; merging takes one away.
    @Test(arguments: [
        "vera", "randlora", "shira", "c3a", "fourierft", "vblora", "vblora-top", "waveft", "tokens",
    ])
    func adaptersStandBesideOthers(variant: String) throws {
        let test = try MethodCase("qwen2-tied-gqa/\(variant)")
        let folder = test.fixture.folder.path
        let alone = try test.loaded().model as? CausalLanguageModel
        let wanted = try logits(#require(alone))
        let model = try model()
        var lora = LoRAConfiguration()
        lora.initialization = .random
        lora.selection.targets = .names(["q_proj", "up_proj"])
        let first = try lora.attach(to: model, named: "first")
        try first.materialize(dtype: .float64, device: .cpu, seed: 5)
        let loraAlone = try logits(model)
        let second = try AdapterFiles.method(in: folder).attach(to: model)
        try second.load(from: folder, dtype: .float64, device: .cpu)
        #expect(try logits(model, .only(["default"])).equals(wanted))
        #expect(try relativeDifference(logits(model, .only(["first"])), loraAlone) <= 1e-14)
        let both = try logits(model)
        #expect(try relativeDifference(both, wanted) > 1e-3)
        try second.merge()
        #expect(try relativeDifference(logits(model), both) <= 1e-6)
    }

    /// Elements are dropped while training alone, by the key of the pass.
    @Test(arguments: [
        ("vera", "vera_dropout"), ("randlora", "randlora_dropout"), ("vblora", "vblora_dropout"),
    ])
    func dropoutIsHonoured(variant: String, option: String) throws {
        let test = try MethodCase("qwen2-tied-gqa/\(variant)")
        let folder = test.fixture.folder.path
        var json = try #require(Fixture.parse("\(folder)/\(AdapterFiles.configurationName)").objectValue)
        json[option] = 0.5
        var method = try AdapterMethods.read(.object(json), file: "adapter_config.json")
        // Training that goes on takes it from the file too.
        try method.train(AdapterSettings())
        let model = try model()
        let attached = try method.attach(to: model)
        try attached.load(from: folder, dtype: .float64, device: .cpu)
        let plain = try logits(model, key: 1)
        let (one, again, other) = try (
            logits(model, isTraining: true, key: 1), logits(model, isTraining: true, key: 1),
            logits(model, isTraining: true, key: 2)
        )
        #expect(try one.equals(again))
        #expect(try relativeDifference(one, other) > 1e-3)
        #expect(try relativeDifference(one, plain) > 1e-3)
        #expect(try logits(model, key: 2).equals(plain))
    }

    /// Low filters sum to √2, and all filters are orthonormal with their shifts.
    @Test func waveletsAreOrthogonal() throws {
        #expect(WaveletFilter.names.count == 22)
        for name in WaveletFilter.names {
            let filter = try #require(WaveletFilter(name))
            // The synthesis of an orthogonal transform keeps lengths, but for what the edges cut off.
            let size = 4 * filter.padded(2)
            let middle = size / 4
            var values = [Double](repeating: 0, count: size * size)
            values[middle * size + middle] = 3
            values[(middle + size / 2) * size + middle + size / 2] = 4
            let matrix = try filter.synthesis(Tensor(values, shape: [size, size]))
            #expect(try abs(matrix.power(2).sum().item() - 25) <= 1e-9, "\(name)")
        }
    }

    @Test func whatDoesNotFitALayerIsRefused() throws {
        refusal("vector_length 7 does not divide") {
            _ = try VBLoRAConfiguration(settings(["q_proj"], [(VBLoRAConfiguration.lengthOption, 7)])).attach(
                to: model())
        }
        refusal("topk 9 is more") {
            _ = try VBLoRAConfiguration(
                settings([], [(VBLoRAConfiguration.chosenOption, 9), (VBLoRAConfiguration.vectorsOption, 8)]))
        }
        refusal("c3a_block_size 7 does not divide") {
            _ = try C3AConfiguration(settings(["q_proj"], [(C3AConfiguration.blockOption, 7)])).attach(to: model())
        }
        refusal("give a lower rank") {
            _ = try SHiRAConfiguration(settings(["v_proj"], [(SHiRAConfiguration.rankOption, 30)])).attach(to: model())
        }
        refusal("is more than the 768 elements") {
            _ = try FourierFTConfiguration(settings(["v_proj"])).attach(to: model())
        }
        refusal("waveft_n_frequency 2592 is more") {
            _ = try WaveFTConfiguration(settings(["v_proj"])).attach(to: model())
        }
        refusal("table of words") { _ = try VeRAConfiguration(settings(["embed_tokens"])).attach(to: model()) }
        refusal("Conv1D") {
            _ = try C3AConfiguration(settings(["c_attn"])).attach(to: model("gpt2"))
        }
        refusal("Conv1D") {
            _ = try SHiRAConfiguration(settings(["c_attn"])).attach(to: model("gpt2"))
        }
    }

    @Test func waveletsWithoutCoefficientsAreRefused() {
        for name in ["db11", "coif4", "coif5", "haar"] {
            refusal("\"\(name)\" is not there") {
                _ = try WaveFTConfiguration(settings([], [(WaveFTConfiguration.familyOption, .string(name))]))
            }
        }
    }

    @Test func tokensThatCannotBeTrainedAreRefused() throws {
        func tokens(_ value: JSONValue) throws -> TrainableTokensConfiguration {
            try TrainableTokensConfiguration(
                settings(["embed_tokens"], [(TrainableTokensConfiguration.indicesOption, value)]))
        }
        refusal("name the ids") { _ = try tokens(nil) }
        refusal("named twice") { _ = try tokens([3, 3]) }
        refusal("no id of a token") { _ = try tokens(["-1"]) }
        refusal("the last one is 258") { _ = try tokens(["259"]).attach(to: model()) }
        refusal("is trained by the adapter") {
            let model = try model()
            _ = try tokens([3, 4]).attach(to: model, named: "one")
            _ = try tokens([4, 5]).attach(to: model, named: "two")
        }
        refusal("no place for a head") {
            var method = try tokens([3])
            method.base.taskType = "SEQ_CLS"
            _ = try method.attach(to: model())
        }
        func lora(_ value: JSONValue, _ targets: [String] = ["q_proj"]) throws -> LoRAConfiguration {
            try LoRAConfiguration(settings(targets, [(LoRAConfiguration.tokensOption, value)]))
        }
        refusal("adapted or trained whole already") { _ = try lora(["7"], ["embed_tokens"]).attach(to: model()) }
        refusal("is called \"embed\"") { _ = try lora([#"{"embed": [1]}"#]).attach(to: model()) }
        refusal("is not JSON") { _ = try lora(["{embed: 1}"]) }
        // Words of a command line and JSON say the same.
        #expect(try lora(["7", "9"]).tokens == lora(["[7, 9]"]).tokens)
        #expect(try lora([#"{"lm_head": [1]}"#]).tokens == lora(["lm_head": [1]]).tokens)
    }

    @Test func filesThatChangeNumbersUnseenAreRefused() throws {
        for name in ["vera", "randlora", "c3a", "fourierft", "vblora", "waveft"] {
            let path = Fixture.root.appendingPathComponent("methods/qwen2-tied-gqa/\(name)/adapter_config.json").path
            var json = try #require(try Fixture.parse(path).objectValue)
            // PEFT trains the biases of these methods and stores none.
            json["bias"] = "all"
            let notice = try AdapterMethods.read(.object(json), file: path).base.notice
            #expect(notice?.contains("stores no trained biases") == true, "\(name)")
            json["bias"] = "some"
            refusal("\"bias\" must be none") { _ = try AdapterMethods.read(.object(json), file: path) }
        }
        let top = try MethodCase("qwen2-tied-gqa/vblora-top")
        refusal("save_only_topk_weights") {
            var method = try AdapterFiles.method(in: top.fixture.folder.path)
            try method.train(AdapterSettings())
        }
    }

    /// A file that lacks the shared matrices, or whose places are none of the layer, is not taken.
    @Test func damagedFilesAreRefused() throws {
        func damaged(_ name: String, _ change: (inout [(name: String, tensor: Tensor)]) throws -> Void) throws -> String
        {
            let test = try MethodCase("qwen2-tied-gqa/\(name)")
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-damaged-\(UUID())").path
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            var tensors = try test.loaded().attached.storedTensors()
            try change(&tensors)
            try SafetensorsWriter.write(
                tensors.map { WeightSource($0.name, $0.tensor) }, to: "\(folder)/\(AdapterFiles.weightsName)")
            try FileManager.default.copyItem(
                atPath: "\(test.fixture.folder.path)/\(AdapterFiles.configurationName)",
                toPath: "\(folder)/\(AdapterFiles.configurationName)")
            let attached = try AdapterFiles.method(in: folder).attach(to: model())
            let error = #expect(throws: AdapterError.self) {
                try attached.load(from: folder, dtype: .float64, device: .cpu)
            }
            return error?.description ?? ""
        }
        #expect(
            try damaged("vera") { $0.removeAll { $0.name == "base_model.vera_A" } }.contains(
                "missing: base_model.vera_A"))
        #expect(
            try damaged("vblora") { $0.removeAll { $0.name.contains("vector_bank") } }
                .contains("missing: base_model.vblora_vector_bank"))
        for (name, end, reason) in [
            ("shira", "shira_indices", "elements that the layer has not"),
            ("vblora-top", "A_topk_indices", "vectors that"),
        ] {
            let message = try damaged(name) { tensors in
                let place = try #require(tensors.firstIndex { $0.name.hasSuffix(end) })
                let old = tensors[place].tensor
                tensors[place].tensor = try Tensor.full(old.shape, 1000, dtype: old.dtype)
            }
            #expect(message.contains(reason), "\(message)")
        }
    }
}
