import ApusAdapters
import ApusJSON
import ApusTorch
import ApusWeights
import Foundation
import Testing

@testable import ApusRecipes

/// Whole runs of LoRA's starts, of methods that PEFT does not have, and of optimizers that keep no gradients.
@Suite(.serialized) struct MethodStartRunTests {
    struct Setup: Sendable, CustomTestStringConvertible {
        let name: String
        let change: @Sendable (inout SFTSettings) -> Void
        var testDescription: String { name }

        init(_ name: String, _ change: @escaping @Sendable (inout SFTSettings) -> Void) {
            (self.name, self.change) = (name, change)
        }

        /// LoRA with some options on two kinds of layers.
        static func lora(_ name: String, _ options: [String: OptionValue]) -> Setup {
            Setup(name) { settings in
                settings.tuner.targetModules = ["q_proj", "v_proj"]
                settings.tuner.loraRank = 4
                for (option, value) in options { settings.tuner.methodOptions[option] = value }
            }
        }

        static func tuner(_ name: String, _ options: [String: OptionValue]) -> Setup {
            Setup(name) { settings in
                settings.model.tunerType = TunerType(rawValue: name) ?? .full
                for (option, value) in options { settings.tuner.methodOptions[option] = value }
            }
        }
    }

    static let setups = [
        Setup.lora("loftq", ["init_weights": .text("loftq"), "loftq_iter": .integer(2)]),
        Setup.lora(
            "eva",
            ["init_weights": .text("eva"), "eva_tau": .number(0.9), "eva_use_label_mask": .boolean(false)]),
        Setup.lora("corda", ["init_weights": .text("corda"), "corda_samples": .integer(3)]),
        Setup.lora("lora-ga", ["init_weights": .text("lora-ga"), "lora_ga_iters": .integer(1)]),
        Setup.lora("replicated", ["layer_replication": .text("[[0, 2], [1, 3]]")]),
        Setup.lora("biases", ["lora_bias": .text("lora_only")]),
        Setup.tuner("llamapro", ["llamapro_num_new_blocks": .integer(3)]),
        Setup.tuner("reft", ["reft_layers": .list(["1"])]),
        Setup.tuner("longlora", [:]),
        Setup("lomo") {
            $0.model.tunerType = .full
            $0.optimization.optim = .lomo
            $0.optimization.gradientAccumulationSteps = 1
            $0.optimization.learningRate = 1e-2
        },
        Setup("adalomo") {
            $0.model.tunerType = .full
            $0.optimization.optim = .adaLOMO
            $0.optimization.gradientAccumulationSteps = 1
            $0.optimization.maxGradNorm = 0
            $0.optimization.learningRate = 1e-3
        },
        Setup("q-galore") {
            $0.model.tunerType = .full
            $0.galore.isOn = true
            $0.galore.rank = 4
            $0.galore.updateGap = 2
            $0.galore.isQuantized = true
            $0.galore.quantizesProjection = true
            $0.galore.projectionGroup = 16
            $0.galore.likenessMemory = 1
        },
    ]

    /// A run that was stopped goes on as if nothing had happened; it learns, and what it left can be used.
    @Test(arguments: setups) func interruptedIsUninterrupted(setup: Setup) throws {
        let run = try TinyRun().with(setup.change)
        try run()
        let (whole, log) = (try run.numbers(6), try run.losses())
        #expect(Set(log).count == 6)
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-4" }()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == log)
        guard run.settings.model.tunerType.isAdapter else { return }
        var export = ExportSettings(adapters: ["\(run.output)/checkpoint-6"])
        export.outputDirectory = "\(run.output)-merged"
        if setup.name == "reft" {
            #expect(throws: (any Error).self) { try ModelExport(export)() }
        } else {
            let merged = try ModelExport(export)()
            // A merged model is a model, with as many layers as it has now.
            let config = try JSONValue(
                parsing: Data(contentsOf: URL(fileURLWithPath: "\(merged)/config.json")))
            let layers = ["llamapro": 6, "replicated": 4][setup.name] ?? 3
            #expect(config["num_hidden_layers"] == .int(layers))
            _ = try AdaptedModel(ModelSettings(merged), device: .cpu, surroundings: Surroundings())
        }
    }

    /// What PiSSA has changed, written as a plain adapter, merges to the same weights.
    @Test func pissaBecomesPlainLoRA() throws {
        let run = try TinyRun().with {
            $0.tuner.targetModules = ["q_proj", "v_proj"]
            $0.tuner.methodOptions["init_weights"] = .text("pissa")
        }
        try run()
        func merged(_ adapter: String, _ name: String) throws -> SafetensorsFile {
            var export = ExportSettings(adapters: [adapter])
            export.outputDirectory = "\(run.output)-\(name)"
            return try SafetensorsFile(path: "\(ModelExport(export)())/model.safetensors")
        }
        var convert = ExportSettings(adapters: ["\(run.output)/checkpoint-6"], mergeLoRA: false)
        convert.convertsToLoRA = true
        #expect(convert.outputDirectory.hasSuffix("checkpoint-6-lora"))
        let plain = try ModelExport(convert)()
        let method = try AdapterFiles.method(in: plain)
        #expect(method.summary == "Rank 16, alpha 64")
        let (one, other) = (
            try merged("\(run.output)/checkpoint-6", "raw"), try merged(plain, "plain")
        )
        for name in one.tensorNames {
            let pair = try [one, other].map { try $0.tensor(name, dtype: .float64, device: .cpu).tensor }
            let distance = try withoutGradients { try abs(pair[0] - pair[1]).max().item() }
            #expect(distance <= 1e-6, "\(name)")
        }
        // Others need none.
        let lora = try TinyRun()
        try lora()
        convert.model.adapters = ["\(lora.output)/checkpoint-6"]
        convert.outputDirectory = "\(lora.output)-lora"
        let refusal = #expect(throws: (any Error).self) { try ModelExport(convert)() }
        #expect(refusal.map { "\($0)".contains("needs no conversion") } == true)
    }

    /// New layers are counted with the model.
    @Test func countsOfNewLayersAreTheModels() throws {
        let run = try TinyRun()
        var settings = ParamsSettings(model: run.settings.model.name ?? "")
        settings.model.tunerType = TunerType(rawValue: "llamapro") ?? .full
        settings.tuner.methodOptions["llamapro_num_new_blocks"] = .integer(3)
        let with = try ParameterCount(settings)
        settings.model.tunerType = .full
        let without = try ParameterCount(settings)
        #expect(with.total == without.total + with.trainable && with.trainable > 0)
    }
}
