import ApusJSON
import ApusTorch
import Foundation
import Testing

@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusWeights

/// What is said of weights that do not fit beside the list of names.
struct MisfitHintTests {
    private static let held: Set = [
        "model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.up_proj.weight", "model.norm.weight",
        "model.layers.0.input_layernorm.weight",
    ]

    @Test(arguments: [
        (["not part of the model: model.layers.0.self_attn.q_proj.bias"], "\"attention_bias\": true"),
        (["not part of the model: model.layers.0.mlp.up_proj.bias"], "\"mlp_bias\": true"),
        (["not part of the model: model.layers.0.input_layernorm.bias"], "\"model_type\""),
        (["missing: model.layers.0.self_attn.q_proj.bias"], "config.json describes 1 biases (q_proj.bias)"),
        (["missing: a.weight", "not part of the model: a.qweight"], "GPTQ or AWQ"),
        (["missing: a.weight", "not part of the model: a.base_layer.weight"], "merge_and_unload"),
        (["missing: a.weight", "not part of the model: a.lora_A.weight"], "--adapters"),
        (
            ["not part of the model: model.layers.3.a.weight", "not part of the model: model.layers.2.a.weight"],
            "describes 2"
        ),
        (
            ["missing: model.layers.2.a.weight", "missing: model.layers.3.a.weight"],
            "describes 4 layers, the weights have 2"
        ),
        (["a has the shape [1], the model wants [2]", "missing: b.bias"], "come from the same model"),
        (["missing: x.weight"], "come from the same model"),
        (
            [
                "classifier.bias has the shape [3], the model wants [1]",
                "classifier.weight has the shape [3, 8], the model wants [1, 8]",
            ],
            "a classifier of 3 labels: give --num_labels 3"
        ),
        (
            ["score.weight has the shape [1, 8], the model wants [2, 8]"],
            "of 1 label: give --num_labels 1"
        ),
        (
            ["score.weight has the shape [3, 8], the model wants [3, 9]", "missing: x.weight"],
            "come from the same model"
        ),
        // Of layer 0 there is more.
        (["missing: model.layers.0.mlp.down_proj.weight"], "come from the same model"),
    ])
    func namesShowWhatIsWrong(faults: [String], words: String) {
        let text = MisfitHint(faults: faults, held: Self.held).text
        #expect(text.contains(words), "\(text)")
    }

    /// One tensor of the last layer is not a layer, on either side; all of them are.
    @Test func theNumberOfLayersIsNamedWhereAllOfALayerIsAmiss() {
        let parts = ["self_attn.q_proj.weight", "mlp.up_proj.weight", "input_layernorm.weight"]
        let first = Set(parts.map { "model.layers.0.\($0)" })
        let second = parts.map { "model.layers.1.\($0)" }
        func text(_ kind: String, _ faults: [String], _ held: Set<String>) -> String {
            MisfitHint(faults: faults.map { kind + $0 }, held: held).text
        }
        for count in 1...3 {
            let (amiss, rest) = (Array(second.prefix(count)), Set(second.dropFirst(count)))
            let missing = text("missing: ", amiss, first.union(rest))
            #expect(missing.contains("describes 2 layers, the weights have 1") == (count == 3), "\(missing)")
            let unexpected = text("not part of the model: ", amiss, first.union(second))
            #expect(unexpected.contains("config.json describes 1") == (count == 3), "\(unexpected)")
        }
        // A layer in the middle, with another behind it.
        let middle = text("missing: ", second, first.union(["model.layers.2.mlp.up_proj.weight"]))
        #expect(middle.contains("come from the same model"), "\(middle)")
    }

    /// A Llama whose weights have the biases that its configuration leaves out.
    @Test func biasesThatTheConfigurationLeavesOut() throws {
        var config = try Fixture.json("models/llama-bias/config.json").objectValue ?? [:]
        config["attention_bias"] = false
        config["mlp_bias"] = false
        let model = try Models.registry.model(.object(config))
        let weights = try ModelWeights(folder: Fixture("models/llama-bias").folder.path)
        let error = #expect(throws: ModelError.self) { try model.loadWeights(weights, dtype: .float32, device: .cpu) }
        #expect(error?.description.contains("biases (") == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("\"attention_bias\": true") == true)
    }
}
