import Testing

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch

/// What configurations mean that lack keys, by the numbers of parameters of the same models in `transformers`
/// (Scripts/fixtures/make_config_reading.py).
struct ConfigDefaultsTests {
    static let cases: [String: JSONValue] = {
        let all = (try? Fixture.json("config-reading/defaults.json"))?.objectValue
        return Dictionary(uniqueKeysWithValues: (all?.keys ?? []).map { ($0, all?[$0] ?? .null) })
    }()

    @Test func everyTypeOfTransformersIsThere() {
        // The others are described by code that their makers publish beside the weights.
        let own: Set = ["RefinedWeb", "RefinedWebModel", "baichuan", "chatglm", "internlm2", "minicpm", "yuan"]
        #expect(Set(Models.registry.types).subtracting(own).isSubset(of: Self.cases.keys))
        #expect(Set(ClassDefaults.all.keys) == Set(Models.registry.types).subtracting(own))
    }

    @Test(arguments: cases.keys.sorted()) func whatAMissingKeyMeans(name: String) throws {
        let entry = try #require(Self.cases[name])
        let task: ModelTask =
            switch entry["task"]?.stringValue {
            case "mlm": .maskedLanguageModel
            case "seq2seq_lm": .sequenceToSequence
            default: .causalLanguageModel
            }
        let model = try Models.registry.model(#require(entry["config"]), for: task)
        #expect(model.parameterCount == entry["total"]?.intValue)
        #expect(model.trunk.notices == [])
    }

    /// A missing number of heads of keys and values is the class's, whatever the number of heads of queries.
    @Test(
        arguments: [
            ("mistral", 8, "num_attention_heads (4) is not a multiple of num_key_value_heads (8)"),
            ("gemma", 16, "num_attention_heads (4) is not a multiple of num_key_value_heads (16)"),
            ("qwen2", 32, "num_attention_heads (4) is not a multiple of num_key_value_heads (32)"),
            ("stablelm", 32, "num_attention_heads (4) is not a multiple of the heads of keys and values (32)"),
        ])
    func headsOfKeysAreTheClasss(type: String, count: Int, refusal: String) throws {
        let sizes: JSONObject = [
            "model_type": .string(type), "hidden_size": 1024, "intermediate_size": 16, "num_hidden_layers": 1,
            "vocab_size": 16,
        ]
        var config = sizes
        config["num_attention_heads"] = 32
        #expect(try Models.registry.model(.object(config)).trunk.sizes.keyValueHeads == count)
        config["num_attention_heads"] = 4
        let error = #expect(throws: ModelError.self) { try Models.registry.model(.object(config)) }
        #expect(error?.description.contains(refusal) == true, "\(error?.description ?? "")")
        config["num_key_value_heads"] = .null
        #expect(try Models.registry.model(.object(config)).trunk.sizes.keyValueHeads == 4)
    }

    /// Up to 4096 tokens the short factors, whatever the table itself has for the length.
    @Test func phi3WasMadeForTheLengthOfItsClass() throws {
        let config: JSONValue = [
            "model_type": "phi3", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "vocab_size": 16,
            "num_attention_heads": 2, "max_position_embeddings": 8192,
            "rope_scaling": [
                "type": "longrope", "short_factor": [1, 1, 1, 1], "long_factor": [2, 2, 2, 2],
                "original_max_position_embeddings": 16,
            ],
        ]
        let rotary = try #require(Models.registry.model(config).trunk.rotary.first)
        func sines(length: Int32) throws -> Tensor {
            try rotary.tables(positions: [1], lengths: [length], device: .cpu).sines
        }
        #expect(try difference(sines(length: 17), sines(length: 4096)) == 0)
        #expect(try difference(sines(length: 4096), sines(length: 4097)) > 0.1)
    }

    /// Null is what a file says, and the class's own number is not asked for.
    @Test func nullIsNotAMissingKey() throws {
        let config: JSONValue = ["model_type": "llama", "hidden_size": .null]
        let error = #expect(throws: ModelError.self) { try Models.registry.model(config) }
        #expect(error?.description.contains("config.json has no \"hidden_size\"") == true)
    }
}
