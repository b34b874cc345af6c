import ApusTorch
import Foundation
import Testing

@testable import ApusJSON
@testable import ApusRecipes
@testable import ApusWeights

/// What a run finds in its folder and leaves there.
@Suite(.serialized) struct RunFolderUseTests {
    @Test func twoRunsDoNotMix() throws {
        let run = try TinyRun().with { $0.optimization.maxSteps = 2 }
        try run()
        let before = try run.numbers(2)
        let second = run.with { $0.optimization.learningRate = 1e-3 }
        let refusal = second.refusal()
        #expect(refusal.contains("holds checkpoints of an earlier run (checkpoint-2)"), "\(refusal)")
        #expect(refusal.contains("--overwrite_output_dir true") && refusal.contains("--resume_from_checkpoint last"))
        #expect(try run.numbers(2) == before)
        try second.with { $0.output.overwriteOutputDirectory = true }()
        #expect(try run.numbers(2) != before)
        #expect(try run.losses().count == 2)
    }

    /// The log of a run that left no checkpoint is set aside, not continued.
    @Test func recordsOfARunWithoutCheckpoints() throws {
        let run = try TinyRun().with {
            $0.optimization.maxSteps = 2
            $0.evaluation.saveStrategy = .no
        }
        try run()
        try run()
        #expect(try run.losses().count == 2)
        #expect(FileManager.default.fileExists(atPath: "\(run.output)/earlier-1/logging.jsonl"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(run.output)/runs").count == 1)
    }

    /// Another run's checkpoints are neither counted nor removed.
    @Test func theLimitIsForOwnCheckpoints() throws {
        let run = try TinyRun()
        try run()
        let foreign = "\(run.output)/checkpoint-1"
        try FileManager.default.createDirectory(atPath: foreign, withIntermediateDirectories: true)
        try run.with {
            $0.optimization.maxSteps = 10
            $0.evaluation.saveTotalLimit = 2
            $0.evaluation.resumeFromCheckpoint = "last"
        }()
        #expect(try run.checkpoints() == ["checkpoint-1", "checkpoint-10", "checkpoint-8"])
    }

    /// The best checkpoint outlives the limit, also when the run folder was moved in between.
    @Test func theBestStays() throws {
        let run = try TinyRun().with {
            $0.optimization.maxSteps = 4
            $0.evaluation.saveSteps = 1
            $0.evaluation.saveTotalLimit = 1
            $0.output.createCheckpointSymlink = true
            $0.data.splitDatasetRatio = 0.25
            // The first step has the highest loss.
            $0.evaluation.greaterIsBetter = true
        }
        let outcome = try run()
        let best = try #require(outcome.bestCheckpoint.map { URL(fileURLWithPath: $0).lastPathComponent })
        #expect(best == "checkpoint-1")
        #expect(try Set(run.checkpoints()) == [best, "checkpoint-4"])
        let moved = run.with { $0.output.outputDirectory = $0.outputDirectory + "-moved" }
        try FileManager.default.moveItem(atPath: run.output, toPath: moved.output)
        let resumed = try moved.with {
            $0.optimization.maxSteps = 6
            $0.evaluation.resumeFromCheckpoint = "last"
        }()
        #expect(resumed.bestCheckpoint == "\(moved.output)/\(best)")
        #expect(try Set(moved.checkpoints()) == [best, "checkpoint-6"])
        let link = try FileManager.default.destinationOfSymbolicLink(atPath: "\(moved.output)/best")
        #expect(link == best)
    }

    /// `--bf16 true` beside a float32 model is what it says: computing in bfloat16.
    @Test func precisionBesideAFloat32Model() throws {
        let run = try TinyRun().with {
            $0.optimization.maxSteps = 1
            $0.model.torchDType = nil
            $0.optimization.bf16 = true
        }
        try run()
        let arguments = try String(contentsOfFile: "\(run.output)/args.json", encoding: .utf8)
        #expect(arguments.contains(#""torch_dtype": "bfloat16""#))
    }

    /// A base model that was written down as a relative path is found from the adapter's folder.
    @Test func relativeBaseModels() throws {
        let run = try TinyRun()
        let checkpoint = "\(run.folder.path)/run/v0/checkpoint-2"
        try FileManager.default.createDirectory(atPath: checkpoint, withIntermediateDirectories: true)
        let model = URL(fileURLWithPath: run.settings.model.name ?? "").standardizedFileURL.path
        for name in ["model", "./model", "../../../model"] {
            #expect(AdaptedModel.located(name, near: checkpoint) == model, "\(name)")
        }
        for name in ["Qwen/Qwen2.5-0.5B", "nowhere", "/nowhere"] {
            #expect(AdaptedModel.located(name, near: checkpoint) == name)
        }
        #expect(AdaptedModel.located("model", near: nil) == "model")
    }

    /// What can be known before the data are read is said before.
    @Test(
        arguments: [
            Case("no layer") { $0.tuner.targetModules = ["q_porj"] },
            Case("is a file, not a folder") { $0.output.outputDirectory = "\($0.data.dataset[0])/run" },
            Case("nothing can be written in") { $0.output.outputDirectory = "/proc/apus" },
            Case("--logging_dir") { $0.output.loggingDirectory = "/proc/apus" },
            Case("no such folder") { $0.evaluation.resumeFromCheckpoint = "nowhere" },
            Case("--device cuda") { $0.hardware.device = .cuda(0) },
            Case("--device mps: this machine has none") { $0.hardware.device = .mps },
            Case("not there yet") {
                let path = "\($0.model.name ?? "")/config.json"
                let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
                try? text.replacing("\"qwen2\"", with: "\"mamba9\"").write(
                    toFile: path, atomically: true, encoding: .utf8)
            },
            Case("model.safetensors") {
                let path = "\($0.model.name ?? "")/model.safetensors"
                let data = FileManager.default.contents(atPath: path) ?? Data()
                try? data.dropLast(1000).write(to: URL(fileURLWithPath: path))
            },
            Case("weights") { try? FileManager.default.removeItem(atPath: "\($0.model.name ?? "")/model.safetensors") },
            Case("missing: model.norm.weight") { Self.take("model.norm.weight", from: $0.model.name ?? "") },
            Case("missing: model.norm.weight") {
                $0.model.tunerType = .full
                Self.take("model.norm.weight", from: $0.model.name ?? "")
            },
            Case("up_proj.weight has the shape") {
                Self.widen($0.model.name ?? "", "intermediate_size")
                $0.model.taskType = .sequenceClassification
                $0.model.numLabels = 2
            },
            Case("embed_tokens.weight has the shape") { Self.widen($0.model.name ?? "", "hidden_size") },
        ] as [Case])
    func beforeTheDataAreRead(_ it: Case) throws {
        try Self.saysBeforeTheDataAreRead(it, TinyRun())
    }

    /// The same of a model that another is compared with, or learns from.
    @Test(
        arguments: [
            (.dpo, Case("weights") { Self.second(&$0) { "\($0)/model.safetensors" } }),
            (.dpo, Case("model.safetensors") { Self.second(&$0, cut: 1000) { "\($0)/model.safetensors" } }),
            (.dpo, Case("missing: model.norm.weight") { Self.take("model.norm.weight", from: Self.second(&$0)) }),
            (.gkd, Case("up_proj.weight has the shape") { Self.widen(Self.second(&$0), "intermediate_size") }),
            (.gkd, Case("weights") { Self.second(&$0) { "\($0)/model.safetensors" } }),
        ] as [(PreferenceMethod, Case)])
    func beforeTheDataAreRead(_ method: PreferenceMethod, _ it: Case) throws {
        try Self.saysBeforeTheDataAreRead(it, TinyRun(preferring: method))
    }

    /// A run that its checkpoint's weights do not fit.
    @Test func aCheckpointThatLacksATensor() throws {
        let run = try TinyRun().with {
            $0.model.tunerType = .full
            $0.optimization.maxSteps = 2
        }
        try run()
        Self.take("model.norm.weight", from: "\(run.output)/checkpoint-2")
        let refusal = run.with {
            $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-2"
            $0.evaluation.resumeOnlyModel = true
            $0.output.outputDirectory = $0.outputDirectory + "-2"
            $0.data.dataset = ["\($0.data.dataset[0]).missing"]
        }.refusal()
        #expect(refusal.contains("missing: model.norm.weight"), "\(refusal)")
    }

    private static func saysBeforeTheDataAreRead(_ it: Case, _ run: TinyRun) throws {
        let run = run.with {
            it.change(&$0)
            // The data are wrong too; whoever reads them first says that.
            $0.data.dataset = ["\($0.data.dataset[0]).missing"]
        }
        let refusal = run.refusal()
        #expect(!refusal.isEmpty && !refusal.contains(".missing") && refusal.contains(it.reason), "\(refusal)")
    }

    /// Takes a tensor out of a model's file.
    private static func take(_ tensor: String, from folder: String) {
        let path = "\(folder)/model.safetensors"
        guard let file = try? SafetensorsFile(path: path) else { return }
        let others = file.tensorNames.filter { $0 != tensor }.compactMap { name in
            (try? file.tensor(name, dtype: .float32, device: .cpu).tensor.cloned()).map { WeightSource(name, $0) }
        }
        try? SafetensorsWriter.write(others, to: path)
    }

    /// Doubles a size of a model's configuration, which the weights then do not have.
    private static func widen(_ folder: String, _ key: String) {
        let path = "\(folder)/config.json"
        guard let data = FileManager.default.contents(atPath: path),
            var config = (try? JSONValue(parsing: data))?.objectValue, let size = config[key]?.intValue
        else { return }
        config[key] = .int(2 * size)
        try? JSONValue.object(config).serialized().write(toFile: path, atomically: true, encoding: .utf8)
    }

    /// Has a copy of the model as the one that is compared with or learned from, of which a file is missing or cut.
    @discardableResult
    private static func second(
        _ settings: inout SFTSettings, cut: Int? = nil, _ damaged: (String) -> String? = { _ in nil }
    ) -> String {
        let model = settings.model.name ?? ""
        let copy = "\(model)-second"
        try? FileManager.default.copyItem(atPath: model, toPath: copy)
        if settings.preferences?.method == .gkd {
            settings.preferences?.distillation.teacherModel = copy
        } else {
            settings.preferences?.refModel = copy
        }
        if let path = damaged(copy) {
            let data = FileManager.default.contents(atPath: path) ?? Data()
            try? FileManager.default.removeItem(atPath: path)
            if let cut { try? data.dropLast(cut).write(to: URL(fileURLWithPath: path)) }
        }
        return copy
    }
}
