import Foundation
import Testing

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusTraining
@testable import ApusWeights

/// The loss that spreads tokens over experts, against `transformers` (Scripts/fixtures/make_router_loss.py).
struct RouterLossTests {
    static let models = ["mixtral", "qwen2-moe", "qwen3-moe", "qwen3-next", "qwen3.5-moe", "gpt-oss"]

    private static func model(_ name: String, weight: Double?) throws -> CausalLanguageModel {
        var config = try #require(Fixture.json("models/\(name)/config.json").objectValue)
        if let weight {
            config["output_router_logits"] = true
            config["router_aux_loss_coef"] = .double(weight)
        }
        let model = try Models.registry.model(.object(config))
        let folder = Fixture.root.appendingPathComponent("models/\(name)").path
        try model.loadWeights(ModelWeights(folder: folder), dtype: .float32, device: .cpu)
        try model.setTrainable(true)
        return model
    }

    @Test(arguments: models, [false, true])
    func lossAndGradientsEqualTransformers(name: String, checkpoints: Bool) throws {
        let expected = try #require(Fixture.json("router-loss/expected.json")[name])
        func number(_ key: String) throws -> Double { try #require(expected[key]?.doubleValue) }
        let gradients = try SafetensorsFile(
            path: Fixture.root.appendingPathComponent("router-loss/\(name).safetensors").path)
        let model = try Self.model(name, weight: number("weight"))
        #expect(model.trunk.notices == [])
        let batch = try Fixture("models/\(name)").batch()
        let context = try model.context(for: batch, isTraining: true, checkpointsLayers: checkpoints)
        let part = try NextToken(model).loss(batch, context)
        let loss = try part.sum / Double(part.targets)
        let routers = try #require(part.tallies.first { $0.name == "aux_loss" })
        #expect(try abs(loss.item() - number("loss")) <= 1e-6 * number("loss"))
        #expect(try abs(routers.sum.item() / Double(routers.count) - number("routers")) <= 1e-6 * number("routers"))
        try loss.backward()
        var worst = 0.0
        for (parameter, slot) in model.parameters() {
            guard gradients[parameter] != nil else { continue }
            let wanted = try gradients.tensor(parameter, dtype: .float32, device: .cpu).tensor
            worst = try max(worst, relativeDifference(#require(slot.tensor?.gradient), wanted))
        }
        print("router loss \(name), checkpoints \(checkpoints): gradients \(worst)")
        #expect(worst <= 1e-5 && gradients.entries.count > 4)
    }

    @Test func withoutItTheLossIsThatOfTheNextToken() throws {
        let expected = try #require(Fixture.json("router-loss/expected.json")["mixtral"])
        let model = try Self.model("mixtral", weight: nil)
        let batch = try Fixture("models/mixtral").batch()
        let context = try model.context(for: batch, isTraining: true)
        #expect(context.balance == nil)
        let part = try NextToken(model).loss(batch, context)
        let plain = try #require(expected["plain"]?.doubleValue)
        #expect(part.tallies.map(\.name) == ["token_acc"])
        #expect(try abs(part.sum.item() / Double(part.targets) - plain) <= 1e-6 * plain)
    }
}
