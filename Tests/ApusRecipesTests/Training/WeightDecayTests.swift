import ApusJSON
import ApusModels
import ApusTorch
import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusOptimizers
@testable import ApusRecipes

/// Which weights are not decayed: those for which `Trainer.get_decay_parameter_names` of transformers leaves them out.
struct WeightDecayTests {
    private func model(_ name: String) throws -> (model: any TextModel, config: JSONValue) {
        let text = try String(contentsOfFile: "\(TinyRun.fixtures)/\(name)/config.json", encoding: .utf8)
        let config = try JSONValue(parsing: text)
        return (try Models.registry.model(config), config)
    }

    private func tuner(_ type: String, _ name: String, modules: [String] = []) throws -> (Tuner, any TextModel) {
        let (model, config) = try model(name)
        var settings = SFTSettings(model: name, dataset: ["d"])
        settings.model.tunerType = try #require(TunerType(rawValue: type))
        settings.tuner.modulesToSave = modules
        return (try Tuner(settings, model: model, config: config, sourceName: name), model)
    }

    /// Biases, and every norm: those that are a LayerNorm whatever they are called.
    @Test(arguments: [
        ("gpt2", ["ln_1", "ln_2", "ln_f"]), ("gpt-neo", ["ln_1", "ln_2", "ln_f"]), ("gptj", ["ln_1", "ln_f"]),
        ("bloom", ["word_embeddings_layernorm", "input_layernorm", "post_attention_layernorm", "ln_f"]),
        ("falcon-40b-kind", ["ln_attn", "ln_mlp", "ln_f"]),
        ("llama-tied-gqa", ["input_layernorm", "post_attention_layernorm", "norm"]),
    ])
    func normsAndBiasesAreNotDecayed(name: String, norms: [String]) throws {
        let (tuner, model) = try tuner("full", name)
        let generator = try Generator(seed: 1)
        for (_, slot) in model.parameters() {
            try slot.materialize(dtype: .float32, device: .cpu, generator: generator)
        }
        let trained = tuner.trained(rate: 1e-5, of: model)
        let groups = ParameterGroup.decaying(trained, 0.1)
        let exempt = Set(groups.filter { $0.decay == 0 }.flatMap(\.parameters).map(\.name))
        let expected = trained.map(\.name).filter { name in
            let parts = name.split(separator: ".").map(String.init)
            return parts.last == "bias" || parts.dropLast().last.map(norms.contains) == true
        }
        #expect(exempt == Set(expected))
        #expect(norms.allSatisfy { norm in exempt.contains { $0.hasSuffix("\(norm).weight") } })
    }

    /// A copy of a LayerNorm is one, in an adapter as well as beside it; matrices and RMS norms are none.
    @Test func copiesOfLayerNormsAreNotDecayed() throws {
        let (tuned, gpt2) = try tuner("ln_tuning", "gpt2")
        let copies = try #require(tuned.attached)
        #expect(copies.layerNormParameters(of: gpt2) == Set(copies.parameters.map(\.name)))
        let (beside, other) = try tuner("lora", "gpt2", modules: ["ln_f"])
        #expect(
            beside.attached?.layerNormParameters(of: other) == [
                "base_model.model.transformer.ln_f.weight", "base_model.model.transformer.ln_f.bias",
            ])
        let (ofLlama, llama) = try tuner("ln_tuning", "llama-tied-gqa")
        #expect(ofLlama.attached?.layerNormParameters(of: llama) == [])
    }
}
