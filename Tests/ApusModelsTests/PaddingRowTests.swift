import Foundation
import Testing

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch

/// The vector of padding, which no text trains in the families whose classes give `padding_idx` to their table of words.
struct PaddingRowTests {
    private static let decoders = [
        "stablelm", "starcoder2", "opt", "olmo2", "glm4", "smollm3", "phi3", "gemma", "qwen3-tied",
    ]
    private static let encoders = [
        "xlm-roberta-single", "distilbert-single", "electra-regression", "albert-single", "deberta-single",
        "modernbert-single",
    ]
    /// Of these `transformers` trains every row.
    private static let others = ["gpt2", "gpt-neo", "gpt-neox", "gptj", "bloom", "falcon-7b-kind", "mpt"]

    /// How large the gradients of some rows of the table are, where a text has each of them.
    ///
    /// - Parameter padding: The id of padding that the configuration names; nil takes the key out.
    private static func gradients(
        _ path: String, _ task: ModelTask, padding: Int?, rows: [Int32]
    ) throws -> [Double] {
        var config = try #require(Fixture.json("\(path)/config.json").objectValue)
        config["pad_token_id"] = padding.map { JSONValue.int($0) }
        let model = try Models.registry.model(.object(config), for: task)
        try model.materialize(dtype: .float32, device: .cpu, seed: 3)
        try model.setTrainable(true)
        let batch = TokenBatch([rows + rows.reversed()])
        let hidden = try model.hiddenStates(batch, model.context(for: batch))
        let count = hidden.shape.reduce(1, *)
        let direction = try Tensor((0..<count).map { sin(Float($0)) }, shape: hidden.shape)
        try hidden.backward(direction)
        let gradient = try #require(model.embedding.weight.gradient)
        return try rows.map { try abs(gradient.selected(0, Int($0))).max().item() }
    }

    @Test(
        arguments: decoders.map { ("models/\($0)", ModelTask.causalLanguageModel) }
            + encoders.map { ("encoders-near-bert/\($0)", ModelTask.hiddenStates) })
    func noTextTrainsIt(path: String, task: ModelTask) throws {
        let made = try Self.gradients(path, task, padding: 5, rows: [7, 5, 9])
        #expect(made[0] > 0 && made[1] == 0 && made[2] > 0, "\(made)")
    }

    @Test(arguments: others) func otherFamiliesTrainIt(name: String) throws {
        let made = try Self.gradients("models/\(name)", .causalLanguageModel, padding: 5, rows: [7, 5, 9])
        #expect(made.allSatisfy { $0 > 0 }, "\(made)")
    }

    /// What a configuration without the key means.
    @Test(arguments: [
        ("models/opt", ModelTask.causalLanguageModel, 1), ("models/olmo2", .causalLanguageModel, 1),
        ("models/gemma", .causalLanguageModel, 0), ("encoders-near-bert/xlm-roberta-single", .hiddenStates, 1),
        ("encoders-near-bert/distilbert-single", .hiddenStates, 0),
    ])
    func aMissingKeyIsTheDefaultOfTheFamily(path: String, task: ModelTask, padding: Int32) throws {
        let made = try Self.gradients(path, task, padding: nil, rows: [7, padding, 9])
        #expect(made[0] > 0 && made[1] == 0 && made[2] > 0, "\(made)")
        let none = try Self.gradients("models/stablelm", .causalLanguageModel, padding: nil, rows: [7, padding, 9])
        #expect(none.allSatisfy { $0 > 0 }, "\(none)")
    }
}
