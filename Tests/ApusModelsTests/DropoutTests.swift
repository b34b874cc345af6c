import Foundation
import Testing

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// What the probabilities of dropout in a `config.json` do: the families of transformers have each under its own name.
struct DropoutTests {
    /// Fixtures, and the keys that their families honour.
    static let honoured: [(name: String, keys: [String])] = [
        ("models/qwen2-tied-gqa", ["attention_dropout"]), ("models/qwen3-tied", ["attention_dropout"]),
        ("models/llama-tied-gqa", ["attention_dropout"]), ("models/mistral-window", ["attention_dropout"]),
        ("models/mixtral", ["attention_dropout"]), ("models/qwen2-moe", ["attention_dropout"]),
        ("models/qwen3-next", ["attention_dropout"]), ("models/qwen3.5", ["attention_dropout"]),
        ("models/gemma", ["attention_dropout"]), ("models/gemma2", ["attention_dropout"]),
        ("models/gemma3", ["attention_dropout"]), ("models/phi3", ["attention_dropout"]),
        ("models/deepseek-v2", ["attention_dropout"]), ("models/deepseek-v3", ["attention_dropout"]),
        ("models/glm", ["attention_dropout"]), ("models/glm4", ["attention_dropout"]),
        ("models/olmo2", ["attention_dropout"]), ("models/olmoe", ["attention_dropout"]),
        ("models/granite", ["attention_dropout"]), ("models/hunyuan", ["attention_dropout"]),
        ("models/smollm3", ["attention_dropout"]), ("models/minicpm3", ["attention_dropout"]),
        ("models/seed-oss", ["attention_dropout", "residual_dropout"]),
        ("models/gpt2", ["embd_pdrop", "attn_pdrop", "resid_pdrop"]),
        ("models/gpt-neo", ["embed_dropout", "attention_dropout", "resid_dropout"]),
        ("models/gptj", ["embd_pdrop", "attn_pdrop", "resid_pdrop"]),
        ("models/gpt-neox", ["attention_dropout", "hidden_dropout"]),
        ("models/gpt-neox-sequential", ["attention_dropout", "hidden_dropout"]),
        ("models/opt", ["attention_dropout", "dropout"]), ("models/opt-350m-kind", ["dropout"]),
        ("models/bloom", ["attention_dropout", "hidden_dropout"]),
        ("models/falcon-rw-kind", ["attention_dropout", "hidden_dropout"]),
        ("models/falcon-7b-kind", ["hidden_dropout"]),
        ("models/falcon-11b-kind", ["hidden_dropout"]), ("models/mpt", ["attn_config.attn_pdrop"]),
        ("models/stablelm", ["attention_dropout", "hidden_dropout"]), ("models/stablelm-parallel", ["hidden_dropout"]),
        ("models/starcoder2", ["embedding_dropout", "attention_dropout", "residual_dropout"]),
        ("models/phi", ["embd_pdrop", "attention_dropout", "resid_pdrop"]),
    ]

    static func states(
        _ name: String, _ key: String, _ probability: Double, isTraining: Bool = true, randomKey: UInt64 = 1
    ) throws -> Tensor {
        var config = try #require(Fixture.json("\(name)/config.json").objectValue)
        for key in config.keys where key.contains("drop") { config[key] = 0.0 }
        let parts = key.split(separator: ".").map(String.init)
        if parts.count == 2 {
            var inner = try #require(config[parts[0]]?.objectValue)
            inner[parts[1]] = .double(probability)
            config[parts[0]] = .object(inner)
        } else {
            config[key] = .double(probability)
        }
        let model = try Models.registry.model(.object(config))
        try model.loadWeights(
            ModelWeights(folder: Fixture.root.appendingPathComponent(name).path), dtype: .float32, device: .cpu)
        let batch = try Fixture(name).batch()
        return try withoutGradients {
            try model.hiddenStates(
                batch, model.context(for: batch, isTraining: isTraining, randomKey: randomKey))
        }
    }

    @Test(arguments: honoured.indices) func everyKeyActsWhileTrainingAlone(index: Int) throws {
        let (name, keys) = Self.honoured[index]
        for key in keys {
            let plain = try Self.states(name, key, 0)
            let dropped = try Self.states(name, key, 0.5)
            #expect(try !dropped.equals(plain), "\(name) \(key)")
            #expect(try dropped.equals(Self.states(name, key, 0.5)), "\(name) \(key)")
            #expect(try !dropped.equals(Self.states(name, key, 0.5, randomKey: 2)), "\(name) \(key)")
            let (answered, wanted) = try (
                Self.states(name, key, 0.5, isTraining: false), Self.states(name, key, 0, isTraining: false)
            )
            #expect(try answered.equals(wanted), "\(name) \(key)")
        }
    }

    /// Falcon drops attention's weights beside ALiBi alone, and what attention gives where the feed-forward part follows it.
    @Test(arguments: ["models/falcon-7b-kind", "models/falcon-11b-kind"])
    func attentionOfFalconWithRotaryPositionsDropsNothing(name: String) throws {
        let (given, plain) = try (
            Self.states(name, "attention_dropout", 0.5), Self.states(name, "attention_dropout", 0)
        )
        #expect(try given.equals(plain))
    }
}
