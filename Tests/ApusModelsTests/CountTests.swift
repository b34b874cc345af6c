import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN

/// How many parameters published models have, from their configurations alone, against `transformers` and PEFT
/// (Scripts/fixtures/make_counts.py).
struct CountTests {
    static let published: [String: JSONValue] = {
        let all = (try? Fixture.json("counts/models.json"))?.objectValue
        return Dictionary(uniqueKeysWithValues: (all?.keys ?? []).map { ($0, all?[$0] ?? .null) })
    }()

    @Test(arguments: published.keys.sorted()) func parametersOfAPublishedModel(name: String) throws {
        let entry = try #require(Self.published[name])
        let config = try #require(entry["config"])
        let task: ModelTask =
            switch entry["task"]?.stringValue {
            case "mlm": .maskedLanguageModel
            case "embedding": .hiddenStates
            case "seq2seq_lm": .sequenceToSequence
            default: .causalLanguageModel
            }
        let model = try Models.registry.model(config, for: task)
        let total = model.parameterCount
        print("count \(name): \(total)")
        #expect(total == entry["total"]?.intValue)
        for adapter in entry["adapters"]?.arrayValue ?? [] {
            var settings = AdapterSettings()
            settings.modelType = config["model_type"]?.stringValue
            settings.targets = .names((adapter["targets"]?.arrayValue ?? []).compactMap(\.stringValue))
            for option in LoRAConfiguration.options where option.name == "lora_rank" {
                settings[option] = adapter["rank"] ?? .null
            }
            let model = try Models.registry.model(config, for: task)
            let attached = try LoRAConfiguration(settings).attach(
                to: model, heads: model.headNames, trunk: model.trunk.name)
            let trained = attached.parameters.reduce(0) { $0 + $1.slot.count }
            #expect(trained == adapter["trainable"]?.intValue)
            #expect(total + trained == adapter["all"]?.intValue)
        }
    }
}
