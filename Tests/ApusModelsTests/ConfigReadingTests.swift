import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Which keys of configurations count, and which are named (Scripts/fixtures/make_config_reading.py).
struct ConfigReadingTests {
    private static let folder = Fixture.root.appendingPathComponent("config-reading")

    /// A configuration with a table of rotary positions.
    private static func notices(
        _ table: JSONValue, _ key: String = "rope_scaling", of name: String = "llama-tied-gqa", _ more: JSONObject = [:]
    ) throws -> String {
        var config = try Fixture.json("models/\(name)/config.json").objectValue ?? [:]
        config["rope_parameters"] = nil
        config[key] = table
        for (name, value) in more { config[name] = value }
        return try Models.registry.model(.object(config)).trunk.notices.joined(separator: "\n")
    }

    private static let yarn: JSONObject = [
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16,
    ]
    private static let llama3: JSONObject = [
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    ]

    // MARK: - Numbers

    /// `roberta` takes its first position from the token behind that of padding.
    @Test(arguments: [Int.max, Int.min, 1 << 40]) func whatOverflowsIsRefused(id: Int) throws {
        var config = try #require(Fixture.json("classifiers/roberta-single/config.json").objectValue)
        config["pad_token_id"] = .int(id)
        let error = try #require(throws: ModelError.self) {
            try Models.registry.model(.object(config), for: .sequenceClassification(labels: 3))
        }
        #expect("\(error)".contains("\"pad_token_id\" is \(id); it must be between -2^31 and 2^31"))
    }

    // MARK: - Heads of other tasks

    /// A model without a head takes its trunk from a file that has one, as `AutoModel` does.
    @Test(arguments: ["roberta-single", "bert-single", "qwen2-regression"])
    func headsOfOtherTasksAreLeftOut(name: String) throws {
        let model = try Models.registry.model(Fixture.json("classifiers/\(name)/config.json"), for: .hiddenStates)
        let weights = try ModelWeights(folder: Fixture.root.appendingPathComponent("classifiers/\(name)").path)
        let new = try model.loadWeights(weights, dtype: .float32, device: .cpu, newHeadSeed: 0)
        #expect(new.allSatisfy { $0.hasPrefix("pooler.") })
    }

    // MARK: - Rotary positions

    /// Both spellings in one file, and tables of kinds of layers with a stretch beside them.
    @Test(arguments: [
        "llama", "llama-theta", "llama-inside", "gemma3", "gemma3-older", "gemma3-part", "modernbert",
    ])
    func positionsTurnAsInTransformers(name: String) throws {
        let config = try Fixture.json("config-reading/\(name)/config.json")
        let task: ModelTask = name == "modernbert" ? .hiddenStates : .causalLanguageModel
        let model = try Models.registry.model(config, for: task)
        let file = try SafetensorsFile(path: Self.folder.appendingPathComponent("rotary.safetensors").path)
        let positions = (0..<40).map(Int32.init)
        #expect(model.trunk.rotary.count == (name.hasPrefix("llama") ? 1 : 2))
        for (index, rotary) in model.trunk.rotary.enumerated() {
            let angles = try rotary.tables(
                positions: positions, lengths: positions.map { _ in 40 }, device: .cpu)
            for (part, ours) in [("cos", angles.cosines), ("sin", angles.sines)] {
                let theirs = try file.tensor("\(name).\(index).\(part)", dtype: .float32, device: .cpu).tensor
                #expect(try difference(ours, theirs) <= 1e-5, "\(name) \(index) \(part)")
            }
        }
    }

    /// What `rope_parameters` says and `rope_scaling` beside it does not is left out, and named.
    @Test func whatASecondTableSaysIsNamed() throws {
        let model = try Models.registry.model(Fixture.json("config-reading/llama/config.json"))
        #expect(model.trunk.notices.contains { $0.contains("\"rope_parameters.rope_theta\": 500") })
        #expect(try Models.registry.model(Fixture.json("config-reading/gemma3/config.json")).trunk.notices == [])
    }

    /// Layers of Mistral with and without a window, and a cap that transformers gives to no layer of Gemma 3.
    @Test(arguments: ["mistral-kinds", "gemma3-capped"]) func keysBesideCountAsInTransformers(name: String) throws {
        let changed = try #require(try Fixture.json("config-reading/changed.json")[name])
        let base = try #require(changed["model"]?.stringValue)
        var config = try Fixture.json("models/\(base)/config.json").objectValue ?? [:]
        for (key, value) in changed["keys"]?.objectValue ?? [:] { config[key] = value }
        let model = try Models.registry.model(.object(config))
        try model.loadWeights(
            ModelWeights(folder: Fixture.root.appendingPathComponent("models/\(base)").path), dtype: .float64,
            device: .cpu)
        #expect(model.trunk.notices.contains { $0.contains("attn_logit_softcapping") } == (name == "gemma3-capped"))
        let row = (changed["row"]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
        let batch = TokenBatch([(ids: row, isTarget: row.map { _ in true })])
        let file = try SafetensorsFile(path: Self.folder.appendingPathComponent("changed.safetensors").path)
        let wanted = try file.tensor(name, dtype: .float64, device: .cpu).tensor
        #expect(try relativeDifference(model.outputs(batch).logits, wanted) <= 1e-6)
    }

    @Test func layersWithAWindowNeedOne() throws {
        var config = try Fixture.json("models/mistral-window/config.json").objectValue ?? [:]
        config["layer_types"] = ["full_attention", "sliding_attention"]
        config["sliding_window"] = .null
        #expect(throws: ModelError.self) { try Models.registry.model(.object(config)) }
    }

    /// What `_check_received_keys` of transformers warns of.
    @Test func keysOfTablesThatNobodyReadsAreNamed() throws {
        for (base, key) in [
            (Self.yarn, "attn_factor"), (Self.yarn, "short_mscale"), (Self.yarn, "low_freq_factor"),
            (Self.llama3, "beta_fast"), (Self.llama3, "attention_factor"),
            (["type": "linear", "factor": 2.0], "mscale"),
            (["rope_type": "default"], "factor"), (["type": "dynamic", "factor": 2.0], "beta_fast"),
        ] as [(JSONObject, String)] {
            var table = base
            table[key] = 1.25
            let named = "\"rope_scaling.\(key)\": 1.25"
            #expect(try Self.notices(.object(table)).contains(named), "\(key)")
            #expect(try Self.notices(.object(table), "rope_parameters").contains("\"rope_parameters.\(key)\": 1.25"))
            #expect(try Self.notices(.object(base)) == "")
        }
        var table = Self.yarn
        for (key, value) in [
            ("type", "yarn"), ("rope_theta", 1000.0), ("partial_rotary_factor", 1.0), ("beta_fast", 32),
            ("beta_slow", 1), ("mscale", 1.0), ("mscale_all_dim", 1.0), ("attention_factor", nil), ("truncate", false),
            ("finetuned", true),
        ] as [(String, JSONValue)] { table[key] = value }
        #expect(try Self.notices(.object(table)) == "")
        let kinds: JSONValue = [
            "full_attention": ["rope_type": "default", "rope_theta": 1e6, "fator": 2.0],
            "sliding_attention": ["rope_type": "default"],
        ]
        let named = "\"rope_parameters.full_attention.fator\": 2"
        #expect(try Self.notices(kinds, "rope_parameters", of: "gemma3").contains(named))
    }

    @Test func valuesOfAnotherTypeAreNotTakenForAbsent() throws {
        for (key, value) in [
            ("beta_fast", "32"), ("beta_slow", "1"), ("mscale", "1"), ("mscale_all_dim", [1]),
            ("attention_factor", "1.2"), ("truncate", "no"), ("rope_theta", "1e6"), ("partial_rotary_factor", "1"),
            ("original_max_position_embeddings", "16"), ("factor", "4"), ("rope_type", 3), ("type", true),
        ] as [(String, JSONValue)] {
            var table = Self.yarn
            table[key] = value
            let error = #expect(throws: ModelError.self, "\(key)") { try Self.notices(.object(table)) }
            #expect(error?.description.contains("\"rope_scaling.\(key)\" is \(value.serialized())") == true)
        }
        for value in ["yarn", ["yarn", 4], 4.0] as [JSONValue] {
            let error = #expect(throws: ModelError.self) { try Self.notices(value) }
            #expect(error?.description.contains("\"rope_scaling\" is") == true)
            #expect(error?.description.contains("it must be an object") == true)
        }
        #expect(try Self.notices([:]) == "" && Self.notices(.null) == "")
    }

    // MARK: - Other keys

    @Test func keysThatNobodyReadsAreNamed() throws {
        for (key, value) in [
            ("use_qk_norm", false), ("hiden_act", "gelu"), ("window_layers", []), ("mixture", [:]), ("_scale", 2),
        ] as [(String, JSONValue)] {
            let text = try Self.notices(.null, [key: value])
            #expect(text.contains("not understood") && text.contains("\"\(key)\": \(value.serialized())"), "\(text)")
        }
        for (key, value) in [
            ("is_decoder", false), ("pruned_heads", [:]), ("add_cross_attention", false), ("fp16", false),
            ("_name_or_path", "here"), ("use_qk_norm", nil),
        ] as [(String, JSONValue)] {
            #expect(try Self.notices(.null, [key: value]) == "", "\(key)")
        }
        let attention: JSONValue = ["alibi": true, "window": 3]
        var config = try Fixture.json("models/mpt/config.json").objectValue ?? [:]
        config["attn_config"] = attention
        let notices = try Models.registry.model(.object(config)).trunk.notices
        #expect(notices.count == 1 && notices[0].contains("\"attn_config.window\": 3"))
    }

    private static func notices(_ table: JSONValue, _ more: JSONObject) throws -> String {
        try notices(table, "rope_scaling", of: "llama-tied-gqa", more)
    }

    /// Nothing of what transformers or the makers of models write is called unknown.
    @Test func configurationsOfModelsAreUnderstood() throws {
        let files = try #require(FileManager.default.enumerator(atPath: Fixture.root.path))
        var count = 0
        for case let path as String in files where path.hasSuffix("config.json") {
            let config = try Fixture.json(path)
            guard let type = config["model_type"]?.stringValue, Models.registry.types.contains(type),
                !path.hasPrefix("config-reading/llama")
            else { continue }
            let tasks: [ModelTask] = [
                .causalLanguageModel, .sequenceToSequence, .maskedLanguageModel, .hiddenStates,
            ]
            guard let model = tasks.lazy.compactMap({ try? Models.registry.model(config, for: $0) }).first else {
                continue
            }
            count += 1
            #expect(model.trunk.notices.filter { $0.contains("not understood") } == [], "\(path)")
        }
        #expect(count > 100)
    }

    /// Layers of several kinds that no list names, of which a method cannot make copies.
    @Test(
        arguments: [
            ("gemma2", ["layer_types"]), ("gemma3", ["layer_types"]), ("smollm3", ["no_rope_layers"]),
            ("smollm3-window", ["layer_types"]), ("qwen2-window", ["layer_types"]),
            ("qwen3-layer-types", []), ("qwen2-tied-gqa", []), ("mistral-window", []), ("llama-tied-gqa", []),
        ] as [(String, [String])])
    func kindsThatOnlyNumbersTell(name: String, keys: [String]) throws {
        var config = try Fixture.json("models/\(name)/config.json").objectValue ?? [:]
        func unlisted() throws -> [String] {
            try Models.registry.model(.object(config), for: .hiddenStates).trunk.unlistedKinds
        }
        #expect(try unlisted() == keys)
        let layers = try #require(config["num_hidden_layers"]?.intValue)
        if name.hasPrefix("gemma") {
            config["layer_types"] = .array(Array(repeating: "full_attention", count: layers))
            #expect(try unlisted() == [])
        }
        if name == "smollm3" {
            config["no_rope_layers"] = .array(Array(repeating: 1, count: layers))
            #expect(try unlisted() == [])
        }
    }

    // MARK: - Adapters

    @Test func keysOfAdaptersThatNobodyReadsAreNamed() throws {
        let files = try #require(FileManager.default.enumerator(atPath: Fixture.root.path))
        var count = 0
        for case let path as String in files where path.hasSuffix("/adapter_config.json") {
            let json = try Fixture.json(path)
            guard let method = try? AdapterMethods.read(json, file: path) else { continue }
            count += 1
            #expect(method.base.notice == nil, "\(path)")
            guard var object = json.objectValue else { continue }
            object["use_newer_trick"] = true
            object["trick_config"] = ["depth": 2]
            for (key, idle) in [("a", .null), ("b", false), ("c", []), ("d", [:])] as [(String, JSONValue)] {
                object["idle_\(key)"] = idle
            }
            let notice = try AdapterMethods.read(.object(object), file: path).base.notice
            #expect(notice?.hasSuffix("\"trick_config\", \"use_newer_trick\"") == true, "\(notice ?? "none") \(path)")
        }
        #expect(count > 150)
    }

    // MARK: - Heads that are tied

    /// A file whose head is not the table, though the configuration says so: twice the table, so twice the logits.
    @Test func anotherHeadThanTheTableIsUsed() throws {
        let fixture = try Fixture("models/qwen2-tied-gqa")
        let plain = try Fixture.model("qwen2-tied-gqa")
        let logits = try withoutGradients { try plain.outputs(fixture.batch()).logits }
        let file = try SafetensorsFile(path: fixture.folder.appendingPathComponent("model.safetensors").path)
        for (factor, isOther) in [(2.0, true), (1.0, false)] {
            var sources = try file.tensorNames.map { name in
                WeightSource(name, try file.tensor(name, dtype: .float32, device: .cpu).tensor.cloned())
            }
            let table = try file.tensor("model.embed_tokens.weight", dtype: .float32, device: .cpu).tensor
            sources.append(WeightSource("lm_head.weight", try table * factor))
            let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
            defer { try? FileManager.default.removeItem(atPath: path) }
            try SafetensorsWriter.write(sources, to: path)
            let model = try Models.registry.model(Fixture.json("models/qwen2-tied-gqa/config.json"))
            try model.checkWeights(SafetensorsFile(path: path))
            try model.loadWeights(SafetensorsFile(path: path), dtype: .float32, device: .cpu)
            let answer = try withoutGradients { try model.outputs(fixture.batch()).logits }
            #expect(try relativeDifference(answer, logits * factor) <= 1e-6)
            #expect(model.trunk.notices.contains { $0.contains("lm_head.weight of the file differs") } == isOther)
            #expect((model.head.formerTie != nil) == isOther)
        }
    }

    /// `save_model` of safetensors writes a tensor of two names once, under the head's.
    @Test func aTableUnderTheHeadsNameAloneIsRead() throws {
        let folder = Self.folder.appendingPathComponent("tied-alone")
        let file = try SafetensorsFile(path: folder.appendingPathComponent("model.safetensors").path)
        #expect(file.tensorNames.contains("lm_head.weight") && !file.tensorNames.contains("model.embed_tokens.weight"))
        let fixture = try Fixture("config-reading/tied-alone")
        let model = try Models.registry.model(Fixture.json("config-reading/tied-alone/config.json"))
        let weights = try ModelWeights(folder: folder.path)
        try model.checkWeights(weights)
        try model.loadWeights(weights, dtype: .float64, device: .cpu)
        #expect(model.head.isTied && model.head.formerTie == nil && model.trunk.notices == [])
        let ids = (fixture.expected["ids"]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
        let batch = TokenBatch(continuing: [(ids, 0)])
        let logits = try withoutGradients {
            let context = try model.context(for: batch)
            return try model.logits(model.hiddenStates(batch, context), context)
        }
        let wanted = try fixture.tensors.tensor("logits", dtype: .float64, device: .cpu).tensor
        #expect(try relativeDifference(logits, wanted) <= 1e-6)
    }

    // MARK: - Scores

    /// Texts that end in tokens with the padding's id, or have no other.
    @Test(arguments: ["qwen2-regression", "llama-single"]) func textsThatEndInPadding(name: String) throws {
        let expected = try Fixture.json("config-reading/padded.json")
        let rows = (expected["rows"]?.arrayValue ?? []).map { row in
            (row.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) }
        }
        let test = try ClassifierParityTests.Case(name)
        let model = try test.classifier(dtype: .float64)
        let batch = TokenBatch(rows)
        let scores: [Double] = try withoutGradients { try model.scores(batch, model.context(for: batch)).values() }
        let wanted = (expected[name]?.arrayValue ?? []).flatMap { ($0.arrayValue ?? []).compactMap(\.doubleValue) }
        #expect(rows.count == 5 && scores.count == wanted.count)
        let largest = wanted.map(abs).max() ?? 0
        #expect(zip(scores, wanted).allSatisfy { abs($0 - $1) <= 1e-6 * largest }, "\(scores) \(wanted)")
    }

    // MARK: - Weights that do not fit

    /// Names and shapes alone, before any tensor is read; of the trunk alone where the head's size is not known.
    @Test func namesAndShapesAreComparedWithoutReading() throws {
        let fixture = try Fixture("classifiers/llama-single")
        let weights = try ModelWeights(folder: fixture.folder.path)
        let config = try Fixture.json("classifiers/llama-single/config.json")
        func model(_ labels: Int, _ change: JSONObject = [:]) throws -> any TextModel {
            var object = config.objectValue ?? [:]
            for (key, value) in change { object[key] = value }
            return try Models.registry.model(.object(object), for: .sequenceClassification(labels: labels))
        }
        try model(3).checkWeights(weights)
        let error = #expect(throws: ModelError.self) { try model(2).checkWeights(weights) }
        #expect(error?.description.contains("score.weight has the shape") == true)
        try model(2).checkWeights(weights, scope: .trunk)
        let width = try #require(config["intermediate_size"]?.intValue)
        let wide = #expect(throws: ModelError.self) {
            try model(2, ["intermediate_size": .int(2 * width)]).checkWeights(weights, scope: .trunk)
        }
        #expect(wide?.description.contains("up_proj.weight has the shape") == true)
    }
}
