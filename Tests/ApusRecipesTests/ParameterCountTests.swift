import ApusJSON
import ApusWeights
import Foundation
import Testing

@testable import ApusRecipes

struct ParameterCountTests {
    private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../Fixtures/classifiers").standardizedFileURL

    /// As many as PEFT stores, and all of them on top of the model, as PEFT counts.
    @Test(arguments: [("qwen2-regression", 1), ("bert-single", nil), ("qwen3-multi", 4)])
    func adaptersOfClassifiersAreCountedAsStored(name: String, labels: Int?) throws {
        let folder = root.appendingPathComponent(name).path
        let stored = try SafetensorsFile(path: "\(folder)/lora/adapter_model.safetensors")
        let sizes = try stored.tensorNames.map { ($0, try stored.shape(of: $0).reduce(1, *)) }
        var settings = ParamsSettings(model: folder)
        settings.model.numLabels = labels
        let file = URL(fileURLWithPath: "\(folder)/lora/adapter_config.json")
        let adapter = try JSONValue(parsing: Data(contentsOf: file))
        settings.tuner.loraRank = try #require(adapter["r"]?.intValue)
        settings.tuner.targetModules = adapter["target_modules"]?.arrayValue?.compactMap(\.stringValue) ?? []
        let count = try ParameterCount(settings)
        #expect(count.trainable == sizes.reduce(0) { $0 + $1.1 })
        settings.model.tunerType = .full
        let base = try ParameterCount(settings)
        #expect(base.total == base.trainable)
        #expect(count.total - base.total == count.trainable)
    }
}
