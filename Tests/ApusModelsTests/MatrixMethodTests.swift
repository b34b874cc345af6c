import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch

/// The methods that change matrices and norms: first values, dropouts, several at once, and what they refuse.
struct MatrixMethodTests {
    /// A method as a command line asks for it.
    static func method(
        _ tuner: String, _ options: JSONObject = [:], on targets: [String] = ["q_proj", "down_proj"]
    ) throws -> any AdapterMethod {
        let type = try #require(AdapterMethods.of(tunerType: tuner))
        var settings = AdapterSettings()
        settings.modelType = "qwen2"
        settings.targets = targets.isEmpty ? .allLinear : .names(targets)
        for (name, value) in options {
            settings[try #require(type.options.first { $0.name == name }, "\(tuner) has no \(name)")] = value
        }
        return try type.init(settings)
    }

    static func read(_ peftType: String, _ keys: JSONObject) throws -> any AdapterMethod {
        var file: JSONObject = ["peft_type": .string(peftType), "target_modules": ["q_proj"]]
        for (key, value) in keys { file[key] = value }
        return try AdapterMethods.read(.object(file), file: "f")
    }

    static func model() throws -> CausalLanguageModel { try Fixture.model("qwen2-tied-gqa", dtype: .float64) }

    static func logits(
        _ model: CausalLanguageModel, isTraining: Bool = false, key: UInt64 = 0
    ) throws -> Tensor {
        let rows: [[Int32]] = [[5, 9, 200, 3, 17], [44, 2, 8]]
        let batch = TokenBatch(rows.map { (ids: $0, isTarget: $0.map { _ in true }) })
        return try withoutGradients {
            let context = try model.context(for: batch, isTraining: isTraining, randomKey: key)
            return try model.logits(model.hiddenStates(batch, context), context)
        }
    }

    /// Moves the trained values away from where they begin.
    static func shake(_ attached: AttachedAdapter) throws {
        for (index, parameter) in attached.parameters.enumerated() {
            guard let tensor = parameter.slot.tensor else { continue }
            let noise = try Tensor.zeros(tensor.shape)
            try noise.fillNormal(deviation: 0.2, generator: Generator(seed: UInt64(index + 1)))
            try withoutGradients { try tensor.add(noise.to(tensor.dtype)) }
        }
    }

    static let methods: [(tuner: String, options: JSONObject)] = [
        ("loha", ["loha_r": 2]), ("loha", ["loha_r": 7]), ("lokr", ["lokr_r": 2, "lokr_decompose_both": true]),
        ("lokr", ["lokr_r": 2, "lokr_init_weights": "lycoris"]), ("oft", ["oft_block_size": 8]),
        ("oft", ["oft_block_size": 8, "oft_use_cayley_neumann": false, "oft_coft": true, "oft_eps": 0.5]),
        ("boft", ["boft_n_butterfly_factor": 2]), ("hra", ["hra_r": 4]), ("miss", ["miss_r": 5]),
        ("miss", ["miss_r": 4, "miss_init_weights": "bat"]),
        ("miss", ["miss_r": 4, "miss_init_weights": "mini", "miss_mini_r": 8]), ("ln_tuning", [:]),
        ("road", ["road_group_size": 8]), ("hira", ["hira_r": 3]), ("delora", ["delora_r": 3]),
    ]

    /// The adapted model begins as the base model, and does not stay there.
    @Test(arguments: methods.indices) func theBeginningIsTheBaseModel(index: Int) throws {
        let (tuner, options) = Self.methods[index]
        let model = try Self.model()
        let plain = try Self.logits(model)
        let attached = try Self.method(tuner, options, on: tuner == "ln_tuning" ? [] : ["q_proj", "down_proj"])
            .attach(to: model)
        try attached.materialize(dtype: .float64, device: .cpu, seed: 3)
        #expect(try relativeDifference(Self.logits(model), plain) <= 1e-12)
        try Self.shake(attached)
        #expect(try relativeDifference(Self.logits(model), plain) > 1e-3)
    }

    /// Over LoRA, and merged one after the other; what reads the base matrix itself sees another one after merging.
    @Test(
        arguments: methods.indices.filter {
            methods[$0].tuner != "hira" && methods[$0].options["miss_init_weights"] != "bat"
        })
    func severalAreWhatTheyMergeTo(index: Int) throws {
        let (tuner, options) = Self.methods[index]
        let model = try Self.model()
        var below = LoRAConfiguration()
        below.selection = LayerSelection(.names(["q_proj", "up_proj"]))
        let targets = tuner == "ln_tuning" ? ["input_layernorm", "norm"] : ["q_proj", "down_proj"]
        let all = try [("first", below as any AdapterMethod), ("second", Self.method(tuner, options, on: targets))].map
        {
            let attached = try $0.1.attach(to: model, named: $0.0)
            try attached.materialize(dtype: .float64, device: .cpu, seed: 5)
            try Self.shake(attached)
            return attached
        }
        let both = try Self.logits(model)
        for attached in all { try attached.merge() }
        #expect(try relativeDifference(Self.logits(model), both) <= 1e-10)
        #expect(model.modules().allSatisfy { !($0.module is Adapter) })
    }

    /// In 16 bits, where solving and decomposing is done in float32.
    @Test(arguments: methods.indices) func sixteenBitsAreEnough(index: Int) throws {
        let (tuner, options) = Self.methods[index]
        let model = try Fixture.model("qwen2-tied-gqa", dtype: .bfloat16)
        let plain = try Self.logits(model)
        for dtype in [DType.bfloat16, .float32] {
            let attached = try Self.method(tuner, options, on: tuner == "ln_tuning" ? [] : ["q_proj", "down_proj"])
                .attach(to: model, named: "\(dtype)")
            try attached.materialize(dtype: dtype, device: .cpu, seed: 3)
            try attached.setTrainable(true)
            let batch = TokenBatch([(ids: [5, 9, 200, 3] as [Int32], isTarget: [true, true, true, true])])
            let context = try model.context(for: batch, adapters: .only(["\(dtype)"]))
            let logits = try model.logits(model.hiddenStates(batch, context), context)
            #expect(try relativeDifference(logits, plain.narrowed(0, start: 0, length: 4)) < 0.05)
            try logits.to(.float32).power(2).mean().backward()
            for (name, slot) in attached.parameters {
                let gradient = try #require(slot.tensor?.gradient, "\(name)")
                #expect(try gradient.isFinite().to(.float32).mean().item() == 1, "\(name)")
            }
        }
    }

    static let dropouts: [(tuner: String, options: JSONObject)] = [
        ("loha", ["loha_r": 2, "loha_rank_dropout": 0.5]), ("loha", ["loha_r": 2, "loha_module_dropout": 0.5]),
        ("lokr", ["lokr_r": 2, "lokr_rank_dropout": 0.5, "lokr_rank_dropout_scale": true]),
        ("lokr", ["lokr_r": 2, "lokr_module_dropout": 0.5]), ("oft", ["oft_block_size": 8, "oft_module_dropout": 0.5]),
        ("boft", ["boft_dropout": 0.5]), ("miss", ["miss_r": 5, "miss_dropout": 0.5]),
        ("hira", ["hira_r": 3, "hira_dropout": 0.5]), ("delora", ["delora_r": 3, "delora_module_dropout": 0.5]),
    ]

    /// Only training drops, and what it drops follows from the key of the pass.
    @Test(arguments: dropouts.indices) func dropoutsFollowTheKey(index: Int) throws {
        let (tuner, options) = Self.dropouts[index]
        let model = try Self.model()
        let attached = try Self.method(tuner, options).attach(to: model)
        try attached.materialize(dtype: .float64, device: .cpu, seed: 3)
        try Self.shake(attached)
        let still = try Self.logits(model)
        #expect(try still.equals(Self.logits(model, key: 4)))
        let dropped = try (0..<4).map { try Self.logits(model, isTraining: true, key: UInt64($0)) }
        #expect(try dropped[0].equals(Self.logits(model, isTraining: true, key: 0)))
        #expect(try dropped.dropFirst().contains { try !$0.equals(dropped[0]) })
        #expect(try dropped.contains { try relativeDifference($0, still) > 1e-4 })
    }

    @Test func partsAreLeftOutAsOftenAsTheyShould() {
        let hits = (0..<4000).filter { AdapterChance.happens(0.3, key: streamKey(7, UInt64($0))) }.count
        #expect(Swift.abs(Double(hits) / 4000 - 0.3) < 0.03)
        var counts = [Int](repeating: 0, count: 6)
        for key in 0..<3000 {
            let chosen = AdapterChance.chosen(2, of: 6, key: streamKey(1, UInt64(key)))
            #expect(Set(chosen).count == 2)
            for number in chosen { counts[number] += 1 }
        }
        #expect(counts.allSatisfy { Swift.abs(Double($0) / 1000 - 1) < 0.15 })
    }

    /// Ranks and alphas of single layers, from a file; PEFT 0.20 gives all layers of HiRA the rank r, whatever a pattern says.
    @Test(arguments: [("LOHA", "hada_w1_b"), ("LOKR", "lokr_w2_b"), ("HIRA", "hira_A")])
    func patternsChooseRanks(peftType: String, tensor: String) throws {
        let method = try Self.read(
            peftType,
            [
                "r": 2, "target_modules": ["q_proj", "v_proj"], "rank_pattern": ["layers.1.self_attn.q_proj": 3],
                "alpha_pattern": ["v_proj": 5],
            ])
        let attached = try method.attach(to: Self.model())
        let chosen = peftType == "HIRA" ? 2 : 3
        for (name, slot) in attached.parameters where name.hasSuffix(tensor) {
            #expect(slot.shape?[0] == (name.contains("layers.1.self_attn.q_proj") ? chosen : 2), "\(name)")
        }
        let written = try JSONValue(parsing: Data(attached.configurationText().utf8))
        #expect(written["rank_pattern"] == ["layers.1.self_attn.q_proj": 3])
        if peftType != "HIRA" { #expect(written["alpha_pattern"] == ["v_proj": 5]) }
    }

    /// PEFT takes the nearest divisor in place of a block size that does not divide.
    @Test func blocksOfOFTAreFitted() {
        #expect(OFTConfiguration.divisor(of: 48, near: 5) == 4)
        #expect(OFTConfiguration.divisor(of: 48, near: 7) == 6)
        #expect(OFTConfiguration.divisor(of: 48, near: 15) == 16)
        #expect(OFTConfiguration.divisor(of: 48, near: 64) == 48)
    }

    @Test(
        arguments: [
            ("boft", ["boft_block_size": 5], "boft_block_size 5"),
            ("boft", ["boft_block_size": 0, "boft_block_num": 7], "boft_block_num 7"),
            ("boft", ["boft_block_size": 4, "boft_block_num": 2], "one of the two must be 0"),
            ("boft", ["boft_block_size": 3, "boft_n_butterfly_factor": 2], "butterfly"),
            ("boft", ["boft_n_butterfly_factor": 40], "butterfly"),
            ("oft", ["oft_block_size": 8, "oft_r": 2], "one of the two must be 0"),
            ("oft", ["oft_block_size": 0], "one of the two must be 0"),
            ("hra", ["hra_r": 90, "hra_apply_GS": true], "orthogonal"),
            ("miss", ["miss_r": 5, "miss_init_weights": "bat"], "squares of 5"),
            ("miss", ["miss_r": 4, "miss_init_weights": "bat", "miss_dropout": 0.1], "--miss_dropout"),
            ("miss", ["miss_init_weights": "mini", "miss_mini_r": 7], "miss_mini_r"),
            ("road", ["road_group_size": 7], "odd"), ("road", ["road_group_size": 32], "groups of 32"),
            ("lokr", ["lokr_decompose_factor": 0], "--lokr_decompose_factor"),
        ] as [(String, JSONObject, String)])
    func sizesThatDoNotFitAreRefused(tuner: String, options: JSONObject, words: String) {
        let error = #expect(throws: AdapterError.self) {
            try Self.method(tuner, options).attach(to: Self.model())
        }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test(
        arguments: [
            ("OFT", ["bias": "some", "oft_block_size": 8], "\"bias\""),
            ("OFT", [:], "\"oft_block_size\" is missing"),
            ("OFT", ["oft_block_size": 8, "r": 2], "one of the two must be 0"),
            ("OFT", ["oft_block_size": 8, "use_cayley_neumann": true, "peft_version": "0.17.1"], "before 0.18"),
            ("OFT", ["oft_block_size": 8, "use_cayley_neumann": true], "before 0.18"),
            ("BOFT", ["bias": "boft_only"], "\"bias\""), ("DELORA", ["bias": "some"], "\"bias\""),
            ("MISS", ["init_weights": "olora"], "\"init_weights\""),
            ("LOKR", ["init_weights": "gaussian"], "\"init_weights\""),
            ("LOKR", ["decompose_factor": -2], "\"decompose_factor\""),
            ("LOHA", ["rank_dropout": 1], "\"rank_dropout\""),
            ("LOHA", ["rank_pattern": ["q_proj": 0.5]], "rank_pattern"),
            ("ROAD", ["variant": "road_3"], "\"variant\""), ("ROAD", ["group_size": 9], "odd"),
            ("BONE", ["r": 8], "bone_block"),
        ] as [(String, JSONObject, String)])
    func filesThatMeanOtherThingsAreRefused(peftType: String, keys: JSONObject, words: String) {
        let error = #expect(throws: AdapterError.self) { try Self.read(peftType, keys) }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    /// PEFT trains the biases of these methods and leaves them out of the file, so that its own reader has the model's.
    @Test(
        arguments: [
            ("OFT", ["bias": "all", "oft_block_size": 8, "r": 0]), ("HRA", ["bias": "hra_only"]),
            ("MISS", ["bias": "all"]),
            ("DELORA", ["bias": "delora_only"]),
        ] as [(String, JSONObject)])
    func biasesThatAreNotStored(peftType: String, keys: JSONObject) throws {
        let method = try Self.read(peftType, keys)
        #expect(method.base.notice?.contains("stores no trained biases") == true)
        #expect(method.base.biases == .none)
    }

    /// What PEFT could not read again is not made.
    @Test(arguments: ["loha", "lokr", "oft", "boft", "hra", "miss", "road", "delora"])
    func layersThatPEFTCannotAdaptAreRefused(tuner: String) throws {
        let error = #expect(throws: AdapterError.self) {
            try Self.method(tuner, on: ["c_attn"]).attach(to: Fixture.model("gpt2"))
        }
        #expect(error?.description.contains("Conv1D") == true)
        let table = #expect(throws: AdapterError.self) {
            try Self.method(tuner, on: ["embed_tokens"]).attach(to: Self.model())
        }
        #expect(table?.description.contains("table of words") == true)
    }

    @Test func normsAreNamedAndTakenOnce() throws {
        let error = #expect(throws: AdapterError.self) {
            try Self.method("ln_tuning", on: ["q_proj"]).attach(to: Self.model())
        }
        #expect(error?.description.contains("post_attention_layernorm") == true)
        #expect(throws: AdapterError.self) {
            try Self.read("LN_TUNING", ["target_modules": ["norm", "q_proj"]]).attach(to: Self.model())
        }
        let model = try Self.model()
        let plain = try Self.logits(model)
        for name in ["first", "second"] {
            let attached = try Self.method("ln_tuning", on: ["norm"]).attach(to: model, named: name)
            try attached.materialize(dtype: .float64, device: .cpu, seed: 1)
            if name == "first" { try Self.shake(attached) }
        }
        #expect(throws: TorchError.self) { try Self.logits(model) }
        let batch = TokenBatch([(ids: [5, 9] as [Int32], isTarget: [true, true])])
        for (selection, isPlain) in [
            (AdapterSelection.base, true), (.only(["second"]), true), (.only(["first"]), false),
        ] {
            let difference = try withoutGradients {
                let context = try model.context(for: batch, adapters: selection)
                let logits = try model.logits(model.hiddenStates(batch, context), context)
                return try relativeDifference(logits, plain.narrowed(0, start: 0, length: 2))
            }
            #expect((difference <= 1e-12) == isPlain)
        }
    }
}
