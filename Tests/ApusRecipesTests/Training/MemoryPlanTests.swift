import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusNN
import ApusTorch
import Foundation
import Testing

@testable import ApusRecipes

/// Runs that are fitted into memory.
@Suite(.serialized) struct MemoryPlanTests {
    @Test(
        arguments: [
            ("6GB", 6_000_000_000, 6_000_000_000), ("1.5GiB", 3 << 29, 3 << 29),
            (#"{"cpu": "6GB"}"#, 6_000_000_000, nil), (#"{"0": "20GiB", "1": "2GiB"}"#, nil, 20 << 30),
            (#"{"cuda:0": 5000000, "cpu": "1GiB"}"#, 1 << 30, 5_000_000),
        ] as [(String, Int?, Int?)])
    func sizesByDevice(text: String, cpu: Int?, cuda: Int?) throws {
        var settings = OptimizationSettings()
        settings.maxMemory = text
        #expect(try settings.memoryLimit(on: .cpu) == cpu)
        #expect(try settings.memoryLimit(on: .cuda(0)) == cuda)
    }

    @Test(arguments: [
        "6", "six", "-1GB", "100B", #"{"cpu": "six"}"#, #"{"cpu": 6"#, #"{0: "20GB"}"#, #"{"cpu": null}"#,
    ])
    func whatIsNoSizeIsRefused(text: String) {
        var settings = OptimizationSettings()
        settings.maxMemory = text
        #expect {
            try settings.check()
        } throws: {
            "\($0)".hasPrefix("--max_memory: ") && "\($0)".contains("6GB")
        }
    }

    /// Parts before a second forward pass, and no smaller parts than needed.
    @Test(arguments: [(100, 0, false), (99, 1, false), (55, 2, false), (44, 0, true), (29, 1, true), (24, -1, false)])
    func theCheapestChoiceThatFits(limit: Int, halvings: Int, checkpoints: Bool) {
        let choice = MemoryPlan.choice(within: limit, halvings: 2, checkpoints: [false, true]) {
            halvings, checkpoints in
            checkpoints ? [40, 27, 25][halvings] : [100, 60, 50][halvings]
        }
        #expect(choice?.halvings == (halvings < 0 ? nil : halvings))
        #expect(choice == nil || choice?.checkpointsLayers == checkpoints)
    }

    /// What methods make of the sizes of layers, here three with 48 × 48 and 48 × 88 numbers, is there beside the tokens.
    @Test(
        arguments: [
            ("lora", [:], 0), ("fourierft", ["fourier_n_frequency": "20"], 2304 + 4224),
            ("waveft", ["waveft_n_frequency": "20"], 2304 + 4224), ("shira", ["shira_rank": "2"], 2304 + 4224),
            ("hira", ["hira_r": "4"], 2304 + 4224),
            // 7 bases of rank 7 for 48 rows.
            ("randlora", ["randlora_rank": "7"], 49 * (48 + 48 + 48) + 49 * (88 + 48 + 48)),
            ("loha", ["loha_r": "4"], 16 * (48 + 48) + 16 * (88 + 48)),
            ("loha", ["loha_r": "8"], 3 * (2304 + 4224)),
            ("miss", ["miss_r": "8", "miss_init_weights": "bat"], 2 * (2304 + 4224)), ("miss", ["miss_r": "8"], 0),
        ] as [(String, [String: String], Int)])
    func matricesThatMethodsMakeAreCounted(tuner: String, options: [String: String], ofLayer: Int) throws {
        let (tuner, model) = try tuned(tuner, options)
        let kept = tuner.keptCounts(of: model)
        #expect((kept.all.fixed, kept.atOnce.fixed) == (3 * ofLayer, ofLayer))
    }

    /// And what they keep of each token: DoRA what it scales and what it dropped from, IA³ what it scales, in float32.
    @Test(
        arguments: [
            ("lora", [:], 0), ("lora", ["use_dora": "true"], 48 + 48 + 48 + 88),
            ("lora", ["use_dora": "true", "lora_dropout": "0"], 48 + 48), ("ia3", [:], 2 * 48 + 2 * 88),
        ] as [(String, [String: String], Int)])
    func whatMethodsKeepOfTokensIsCounted(tuner: String, options: [String: String], ofLayer: Int) throws {
        let (tuner, model) = try tuned(tuner, options)
        let kept = tuner.keptCounts(of: model)
        #expect((kept.all.ofToken, kept.atOnce.ofToken) == (3 * ofLayer, ofLayer))
    }

    /// A tuner on two kinds of parts in three layers.
    private func tuned(_ tuner: String, _ options: [String: String]) throws -> (Tuner, any TextModel) {
        var settings = SFTSettings(model: "m", dataset: ["d"])
        try settings.chooseTuner(tuner, options)
        settings.tuner.targetModules = ["q_proj", "down_proj"]
        let config = try JSONValue(
            parsing: Data(contentsOf: URL(fileURLWithPath: "\(TinyRun.fixtures)/qwen2-tied-gqa/config.json")))
        let model = try Models.registry.model(config)
        for (_, slot) in model.parameters() { try slot.fill(Tensor.zeros(slot.shape ?? [])) }
        return (try Tuner(settings, model: model, config: config, sourceName: "m"), model)
    }

    /// The same steps in parts, and the same bits with a stop between them.
    @Test func aRunWithinALimit() throws {
        let rows = 128
        var run = try TinyRun(rows: rows)
        run.settings.tuner.loraDropout = 0
        run.settings.optimization.perDeviceTrainBatchSize = rows
        run.settings.optimization.gradientAccumulationSteps = 1
        try run()
        let limited = run.with {
            $0.optimization.maxMemory = "360MB"
            $0.output.outputDirectory = "\(run.folder.path)/limited"
        }
        try limited()
        let (whole, parts) = (try run.losses(), try limited.losses())
        #expect(whole.count == 6 && parts.count == 6)
        for (a, b) in zip(whole, parts) {
            let (a, b) = (Double(a.split(separator: " ")[1]) ?? 0, Double(b.split(separator: " ")[1]) ?? 1)
            #expect((a - b).magnitude <= 2e-5 * a.magnitude)
        }
        // Sums in another order, so parts were computed.
        #expect(try run.numbers(6) != limited.numbers(6))
        let straight = try limited.numbers(6)
        try FileManager.default.removeItem(atPath: "\(limited.output)/checkpoint-6")
        try limited.with { $0.evaluation.resumeFromCheckpoint = "\(limited.output)/checkpoint-4" }()
        #expect(try limited.numbers(6) == straight)
        // Without the limit the sums are others, and that is said.
        func said(_ limit: String?) throws -> String {
            try FileManager.default.removeItem(atPath: "\(limited.output)/checkpoint-6")
            let output = Recorder()
            var training = try FineTuning(
                limited.with {
                    $0.optimization.maxMemory = limit
                    $0.evaluation.resumeFromCheckpoint = "\(limited.output)/checkpoint-4"
                }.settings)
            training.console = output.console
            _ = try training()
            return output.text
        }
        #expect(try !said("360MB").contains("resuming: micro-batches are halved"))
        #expect(try said(nil).contains("resuming: micro-batches are halved 0× for --max_memory, not "))
        let refused = run.with {
            $0.optimization.maxMemory = "340MB"
            $0.output.outputDirectory = "\(run.folder.path)/refused"
        }.refusal()
        #expect(refused.hasPrefix("--max_memory 340MB: the run needs ") && refused.contains("1 sample at once"))
        #expect(refused.contains("gradient checkpointing"))
        // What is said of another device limits nothing, and a limit above what is there nothing either.
        for sizes in [#"{"0": "1MB"}"#, "900TB"] {
            let free = run.with {
                $0.optimization.maxMemory = sizes
                $0.output.outputDirectory = "\(run.folder.path)/free-\(sizes.count)"
            }
            try free()
            #expect(try free.numbers(6) == run.numbers(6))
        }
    }
}
