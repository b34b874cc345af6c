import Testing

@testable import ApusAdapters
@testable import ApusJSON
@testable import ApusModels
@testable import ApusNN

/// What files say of the chosen layers is such that PEFT chooses the same ones.
struct WrittenTargetsTests {
    private func file(
        _ tuner: String, _ targets: TargetModules, _ options: JSONObject = [:], on base: String = "qwen2-tied-gqa"
    ) throws -> JSONValue {
        let type = try #require(AdapterMethods.of(tunerType: tuner))
        var settings = AdapterSettings()
        settings.modelType = try Fixture.json("models/\(base)/config.json")["model_type"]?.stringValue
        settings.targets = targets
        for option in type.options { if let value = options[option.name] { settings[option] = value } }
        let method = try type.init(settings)
        return try method.json(method.attach(to: Fixture.model(base)).parts)
    }

    /// PEFT tries to hang on every module that an expression finds, and gives up at the first that is no layer.
    @Test func anExpressionThatFindsOtherModulesIsWrittenAsLayers() throws {
        let layers: [JSONValue] = ["gate_proj", "up_proj", "down_proj"].map { .string("model.layers.1.mlp.\($0)") }
        // The part itself, and the activation in it, which is no module here.
        for pattern in [#".*\.1\.mlp.*"#, #".*\.1\.mlp\..*"#] {
            #expect(try file("lora", .pattern(pattern))["target_modules"] == .array(layers), "\(pattern)")
            #expect(try file("hra", .pattern(pattern), ["hra_r": 2])["target_modules"] == .array(layers), "\(pattern)")
        }
        let kept = #".*\.1\.mlp\..*_proj"#
        #expect(try file("lora", .pattern(kept))["target_modules"] == .string(kept))
        #expect(try file("ia3", .pattern(#".*\.1\.mlp.*"#))["target_modules"] == .array(layers))
    }

    /// PEFT's own choice for Phi, which differs by method.
    @Test func theChoiceForPhiIsPEFTs() throws {
        let all: JSONValue = ["q_proj", "v_proj", "fc1", "fc2"]
        let attention: JSONValue = ["q_proj", "v_proj"]
        for (tuner, targets) in [
            ("lora", all), ("fourierft", all), ("vera", attention), ("shira", attention),
            ("ia3", ["q_proj", "v_proj", "fc2"]),
        ] {
            #expect(
                try file(tuner, .automatic, ["fourier_n_frequency": 20, "shira_rank": 4], on: "phi")["target_modules"]
                    == targets, "\(tuner)")
        }
        #expect(try file("ia3", .automatic, on: "phi")["feedforward_modules"] == ["fc2"])
    }

    /// PEFT wants the feed-forward layers of IA3 to be among its targets by the same letters.
    @Test func feedForwardLayersAreAmongTheTargets() throws {
        func check(
            _ file: JSONValue, _ targets: [String], _ feedForward: [String], _ comment: Comment? = nil
        ) {
            #expect(file["target_modules"] == .array(targets.map(JSONValue.string)), comment)
            #expect(file["feedforward_modules"] == .array(feedForward.map(JSONValue.string)), comment)
        }
        let one: JSONObject = ["feedforward_modules": ["down_proj"]]
        check(try file("ia3", .names(["k_proj", "down_proj"]), one), ["k_proj", "down_proj"], ["down_proj"])
        let layers = (0..<3).flatMap { ["transformer.h.\($0).attn.c_attn", "transformer.h.\($0).mlp.c_proj"] }
        check(
            try file("ia3", .automatic, ["feedforward_modules": ["c_proj"]], on: "gpt2"), layers,
            layers.filter { $0.hasSuffix("c_proj") })
        let own = ["model.layers.0.mlp.gate_proj", "model.layers.0.mlp.up_proj", "model.layers.0.mlp.down_proj"]
        check(try file("ia3", .pattern(#".*\.0\.mlp.*"#), one), own, [own[2]])
    }
}
