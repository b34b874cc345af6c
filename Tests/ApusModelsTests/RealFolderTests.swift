import Foundation
import Testing

@testable import ApusGeneration
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Real models in folders of Hugging Face against what `transformers` computes with them, whole tensors
/// (Scripts/parity/real_folders.py).
///
/// Runs when APUS_REAL_MODELS names a folder with the models and APUS_PARITY one with the expectations (`make parity`
/// prepares both); is skipped otherwise.
struct RealFolderTests {
    private static let places: (models: String, expected: String)? = {
        let environment = ProcessInfo.processInfo.environment
        guard let models = environment["APUS_REAL_MODELS"], let parity = environment["APUS_PARITY"] else { return nil }
        return (models, "\(parity)/folders")
    }()

    @Test(
        .enabled(if: places != nil, "APUS_REAL_MODELS and APUS_PARITY are not set"),
        arguments: ["mgm-gpt2", "bert-tiny-mlm", "m3e-small-zh", "minilm-l6-v2", "stories260K"])
    func answersEqualThoseOfTransformers(name: String) throws {
        let places = try #require(Self.places)
        let folder = name == "stories260K" ? "\(places.expected)/\(name)" : "\(places.models)/\(name)"
        let expected = try SafetensorsFile(path: "\(places.expected)/\(name).safetensors")
        let config = try Fixture.parse("\(folder)/config.json")
        let isHidden = expected.tensorNames.contains("hidden.0")
        let task: ModelTask =
            isHidden ? .hiddenStates : name.hasSuffix("mlm") ? .maskedLanguageModel : .causalLanguageModel
        let model = try Models.registry.model(config, for: task)
        try model.loadWeights(WeightsFolder(folder).open(), dtype: .float32, device: .cpu)
        func ids(_ key: String) throws -> [Int32] {
            try expected.tensor(key, dtype: .int32, device: .cpu).tensor.values()
        }
        let batch = TokenBatch(try (0..<3).map { try ids("ids.\($0)") })
        let worst = try withoutGradients {
            let context = try model.context(for: batch)
            let hidden = try model.hiddenStates(batch, context)
            let answers =
                switch model {
                case let model as CausalLanguageModel: try model.logits(hidden, context)
                case let model as MaskedLanguageModel: try model.logits(hidden, context)
                default: hidden
                }
            return try (0..<3).map { index in
                let (start, end) = (Int(batch.boundaries[index]), Int(batch.boundaries[index + 1]))
                let key = (isHidden ? "hidden." : "logits.") + String(index)
                let wanted = try expected.tensor(key, dtype: .float32, device: .cpu).tensor
                return try relativeDifference(answers.narrowed(0, start: start, length: end - start), wanted)
            }.max() ?? .nan
        }
        print("real \(name): \(worst) of the largest")
        #expect(worst <= 1e-5)
        guard expected.tensorNames.contains("greedy"), let model = model as? CausalLanguageModel else { return }
        let text = try ids("greedy")
        var sampling = Sampling()
        sampling.temperature = 0
        let answer = try TokenGenerator(model, sampling: sampling, endTokens: []).answers(
            to: [Array(text.prefix(1))], limit: text.count - 1)
        #expect(answer == [Array(text.dropFirst())])
    }
}
