import Foundation
import Testing

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// Files in which `transformers` 5 keeps the experts of a layer in one tensor, gate above up, by its own names.
struct ExpertFileTests {
    /// A fixture's weights with the experts of each layer in one tensor.
    ///
    /// - Parameters:
    ///   - part: What the part with the experts is called in the fixture's file; in the new one it is `mlp`.
    ///   - matrices: What gate, up and down are called there.
    private static func stackedExperts(
        _ store: any TensorStore, of part: String, matrices: [String]
    ) throws -> [WeightSource] {
        func weight(_ name: String) throws -> Tensor {
            try store.tensor(name, dtype: .float32, device: .cpu).tensor
        }
        var sources: [WeightSource] = []
        for name in store.tensorNames where !name.contains(".experts.") {
            sources.append(WeightSource(name.replacingOccurrences(of: part, with: "mlp"), try weight(name)))
        }
        for layer in 0..<2 {
            let own = "model.layers.\(layer).\(part).experts"
            let new = "model.layers.\(layer).mlp.experts"
            let both = try (0..<4).map { expert in
                try concatenated(matrices.dropLast().map { try weight("\(own).\(expert).\($0).weight") })
            }
            sources.append(WeightSource("\(new).gate_up_proj", try stacked(both)))
            let down = try (0..<4).map { try weight("\(own).\($0).\(matrices[2]).weight") }
            sources.append(WeightSource("\(new).down_proj", try stacked(down)))
        }
        return sources
    }

    @Test(
        arguments: [
            ("qwen3-moe", "mlp", ["gate_proj", "up_proj", "down_proj"]),
            ("mixtral", "block_sparse_moe", ["w1", "w3", "w2"]),
        ])
    func expertsInOneTensorAnswerAsExpertsOfTheirOwn(name: String, part: String, matrices: [String]) throws {
        let fixture = try Fixture("models/\(name)")
        let store = try ModelWeights(folder: fixture.folder.path)
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try SafetensorsWriter.write(Self.stackedExperts(store, of: part, matrices: matrices), to: path)
        let fused = try SafetensorsFile(path: path)
        #expect(!fused.tensorNames.contains { $0.contains("block_sparse_moe") })
        let model = try Models.registry.model(Fixture.json("models/\(name)/config.json"))
        let split = try #require(try SplitExperts(fused))
        try model.checkWeights(split)
        try model.loadWeights(split, dtype: .float32, device: .cpu)
        try withoutGradients {
            let wanted = try Fixture.model(name).outputs(fixture.batch()).logits
            #expect(try relativeDifference(model.outputs(fixture.batch()).logits, wanted) <= 1e-6)
        }
        #expect(try SplitExperts(store) == nil)
    }

    /// GLM-4.5 is published with a layer behind the last one, which predicts a further token.
    @Test(arguments: [1, nil]) func aLayerForFurtherTokensIsLeftOut(said: Int?) throws {
        let fixture = try Fixture("models/glm4-moe")
        let store = try ModelWeights(folder: fixture.folder.path)
        var sources = try store.tensorNames.map {
            WeightSource($0, try store.tensor($0, dtype: .float32, device: .cpu).tensor)
        }
        for name in ["eh_proj.weight", "mlp.gate.weight"] {
            sources.append(WeightSource("model.layers.3." + name, try Tensor.zeros([3])))
        }
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try SafetensorsWriter.write(sources, to: path)
        var config = try #require(Fixture.json("models/glm4-moe/config.json").objectValue)
        config["num_nextn_predict_layers"] = said.map { .int($0) }
        let model = try Models.registry.model(.object(config))
        try model.loadWeights(SafetensorsFile(path: path), dtype: .float32, device: .cpu)
        #expect(model.trunk.notices.count == 1 && model.trunk.notices[0].contains("2 tensors under model.layers.3.*"))
        try withoutGradients {
            let logits = try model.outputs(fixture.batch()).logits
            #expect(try logits.equals(Fixture.model("glm4-moe").outputs(fixture.batch()).logits))
        }
    }
}
