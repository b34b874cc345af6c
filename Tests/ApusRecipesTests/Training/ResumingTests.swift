import ApusJSON
import ApusOptimizers
import ApusTraining
import Foundation
import Testing

@testable import ApusRecipes
@testable import ApusRunLog

/// A run that was stopped goes on as if nothing had happened, and nothing else goes on.
@Suite(.serialized) struct ResumingTests {
    /// Weights, moments and log are those of the run that was not stopped, with dropout on.
    @Test(arguments: ["last", "checkpoint-4", "", "link", "checkpoint-4/"])
    func interruptedIsUninterrupted(name: String) throws {
        let run = try TinyRun()
        try run()
        let (whole, log) = (try run.numbers(6), try run.losses())
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        let link = "\(run.output)/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "checkpoint-4")
        try run.with { $0.evaluation.resumeFromCheckpoint = name == "last" ? name : "\(run.output)/\(name)" }()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == log)
    }

    /// A run that had ended has the checkpoint that it ended with, whichever folder it is asked to go on in.
    @Test func whatHadEndedHasItsCheckpoint() throws {
        let run = try TinyRun()
        try run()
        let checkpoint = "\(run.output)/checkpoint-6"
        let again = run.with { $0.evaluation.resumeFromCheckpoint = checkpoint }
        #expect(try again().finalCheckpoint == checkpoint)
        let elsewhere = again.with { $0.output.outputDirectory = "\(run.folder.path)/other" }
        #expect(try elsewhere().finalCheckpoint == checkpoint)
        // With more steps that are not saved it is not theirs.
        let unsaved = again.with {
            $0.optimization.maxSteps = 7
            $0.evaluation.saveStrategy = .no
        }
        #expect(try unsaved().finalCheckpoint == nil)
    }

    /// Where a run takes up, by each name that a place can have.
    @Test func placesByName() throws {
        let run = try TinyRun()
        try run()
        let link = "\(run.output)/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "checkpoint-2")
        let console = Console(style: ConsoleStyle(environment: [:]))
        func point(_ name: String?, _ change: (inout SFTSettings) -> Void = { _ in }) throws -> ResumePoint {
            try ResumePoint(
                run.with {
                    $0.evaluation.resumeFromCheckpoint = name
                    change(&$0)
                }.settings, console: console)
        }
        for name in [nil, "", "none", "None", "false"] {
            let none = try point(name)
            #expect(none.checkpoint == nil && none.folder == nil && none.saved == nil, "\(name ?? "nil")")
        }
        for (name, step) in [
            ("last", 6), ("auto", 6), ("true", 6), (run.output, 6), ("\(run.output)/checkpoint-4", 4),
            ("\(run.output)/checkpoint-4/", 4), (link, 2),
        ] {
            let found = try point(name)
            #expect(found.checkpoint == "\(run.output)/checkpoint-\(step)", "\(name)")
            #expect(found.folder == run.output && found.saved?.step == step, "\(name)")
        }
        // Another folder than the run's, or the one that holds it, is written into.
        let checkpoint = "\(run.output)/checkpoint-4"
        for (output, folder) in [
            ("\(run.output)/", run.output), (run.folder.path, run.output), ("\(run.folder.path)/other", nil),
            (checkpoint + "-other", nil),
        ] {
            let found = try point(checkpoint) { $0.output.outputDirectory = output }
            #expect(found.folder == folder && found.origin == run.output && found.saved?.step == 4, "\(output)")
        }
        let model = try point("last") { $0.evaluation.resumeOnlyModel = true }
        #expect(model.checkpoint == "\(run.output)/checkpoint-6" && model.folder == nil && model.saved == nil)
        let empty = try point("last") { $0.output.outputDirectory = $0.outputDirectory + "-empty" }
        #expect(empty.checkpoint == nil)
        let error = #expect(throws: TrainingError.self) { try point("\(run.folder.path)/model-without") }
        #expect(error.map { "\($0)".contains("there is no such folder") } == true)
        try FileManager.default.createDirectory(atPath: "\(run.folder.path)/bare", withIntermediateDirectories: true)
        let bare = #expect(throws: TrainingError.self) { try point("\(run.folder.path)/bare") }
        #expect(bare.map { "\($0)".contains("there is no checkpoint in this folder") } == true)
    }

    /// `--disable_tqdm true` draws no bar; what is printed stays.
    @Test(arguments: [nil, false, true]) func progressOnlyWhereItIsWanted(disabled: Bool?) throws {
        let run = try TinyRun().with { $0.output.disableTQDM = disabled }
        #expect(try FineTuning(run.settings).console.style.showsProgress == (disabled != true))
    }

    /// A run of six steps that goes on to ten is the run of ten, where the schedule does not look at the end.
    @Test func moreSteps() throws {
        let short = try TinyRun().with { $0.optimization.lrSchedulerType = .constant }
        try short()
        try short.with {
            $0.optimization.maxSteps = 10
            $0.evaluation.resumeFromCheckpoint = "last"
        }()
        let long = short.with {
            $0.optimization.maxSteps = 10
            $0.output.outputDirectory = $0.outputDirectory + "-long"
        }
        try long()
        #expect(try short.numbers(10) == long.numbers(10))
        #expect(try short.losses() == long.losses())
    }

    @Test func fewerStepsThanDone() throws {
        let run = try TinyRun()
        try run()
        let refusal = run.with {
            $0.optimization.maxSteps = 3
            $0.evaluation.resumeFromCheckpoint = "last"
        }.refusal()
        #expect(refusal.contains("is at step 6, and the run would end at step 3"), "\(refusal)")
    }

    /// Twelve samples in steps of four, cut into other micro-batches: the same steps, rounded otherwise.
    @Test(arguments: [(4, 1), (1, 4)])
    func otherMicroBatches(size: Int, count: Int) throws {
        let run = try TinyRun().with { $0.tuner.loraDropout = 0 }
        try run()
        let log = try run.losses()
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with {
            $0.optimization.perDeviceTrainBatchSize = size
            $0.optimization.gradientAccumulationSteps = count
            $0.evaluation.resumeFromCheckpoint = "last"
        }()
        let losses = { (log: [String]) in log.map { Double($0.split(separator: " ")[1]) ?? .nan } }
        for (resumed, whole) in zip(try losses(run.losses()), losses(log)) { #expect(abs(resumed - whole) < 1e-5) }
        #expect(try run.losses().count == log.count)
    }

    @Test(
        arguments: [
            Case("learning_rate: 0.01 there, 0.02 here") { $0.optimization.learningRate = 2e-2 },
            Case("seed: 42 there, 7 here") { $0.model.seed = 7 },
            Case("lora_rank: 8 there, 4 here") { $0.tuner.loraRank = 4 },
            Case("a step must keep its 4 samples") { $0.optimization.gradientAccumulationSteps = 4 },
            Case("12 samples there, 11 here") { $0.data.dataset = ["\($0.data.dataset[0])#11"] },
            Case("the samples differ") { $0.data.datasetShuffle = false },
        ] as [Case])
    func anotherRunIsRefused(_ it: Case) throws {
        let run = try TinyRun().with { $0.optimization.maxSteps = 2 }
        try run()
        let refusal = run.with {
            $0.evaluation.resumeFromCheckpoint = "last"
            it.change(&$0)
        }.refusal()
        #expect(refusal.contains("belongs to another run") && refusal.contains(it.reason), "\(refusal)")
        #expect(refusal.contains("--resume_only_model true"))
    }

    /// Settings that change no number may be others.
    @Test func whatDoesNotMatter() throws {
        let run = try TinyRun().with { $0.optimization.maxSteps = 4 }
        try run()
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-4")
        try run.with {
            $0.evaluation.resumeFromCheckpoint = "last"
            $0.evaluation.saveSteps = 1
            $0.output.loggingSteps = 2
            $0.evaluation.saveTotalLimit = 3
            $0.output.reportTo = [.none]
            $0.data.splitDatasetRatio = 0
            $0.optimization.nanPolicy = .skip
        }()
        #expect(try run.checkpoints() == ["checkpoint-2", "checkpoint-3", "checkpoint-4"])
    }

    @Test func nothingToResume() throws {
        let run = try TinyRun().with { $0.optimization.maxSteps = 2 }
        #expect(
            run.with { $0.evaluation.resumeFromCheckpoint = "\(run.folder.path)/nowhere" }.refusal().contains(
                "no such folder"))
        #expect(
            run.with { $0.evaluation.resumeFromCheckpoint = "\(run.folder.path)" }.refusal().contains(
                "no checkpoint in this folder"))
        // Nothing was made for a run that could not begin.
        #expect(!FileManager.default.fileExists(atPath: run.output))
        try run.with { $0.evaluation.resumeFromCheckpoint = "auto" }()
        #expect(try run.checkpoints() == ["checkpoint-2"])
    }

    /// What follows a checkpoint in another folder leaves the run of the checkpoint as it is.
    @Test func intoAnotherFolder() throws {
        let run = try TinyRun().with { $0.data.splitDatasetRatio = 0.2 }
        try run()
        let (whole, log) = (try run.numbers(6), try run.losses())
        let manifest = URL(fileURLWithPath: "\(run.output)/checkpoint-6/MANIFEST.json")
        let before = try Data(contentsOf: manifest)
        let other = run.with {
            $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-4"
            $0.output.outputDirectory = $0.outputDirectory + "-other"
        }
        let outcome = try other()
        #expect(try other.numbers(6) == whole)
        #expect(try other.losses() == log.suffix(2))
        #expect(try other.checkpoints() == ["checkpoint-6"])
        #expect(outcome.bestCheckpoint == "\(other.output)/checkpoint-6")
        #expect(try run.checkpoints() == ["checkpoint-2", "checkpoint-4", "checkpoint-6"])
        #expect(try Data(contentsOf: manifest) == before && run.losses() == log)
        // The checkpoints of two schedules are not mixed in one folder.
        #expect(other.refusal().contains("holds checkpoints of an earlier run"))
        try other.with {
            $0.evaluation.resumeFromCheckpoint = "last"
            $0.optimization.maxSteps = 8
        }()
        #expect(try other.checkpoints() == ["checkpoint-6", "checkpoint-8"])
    }

    /// Weights alone, into a run of their own.
    @Test func onlyTheModel() throws {
        let run = try TinyRun().with { $0.optimization.maxSteps = 2 }
        try run()
        let other = run.with {
            $0.evaluation.resumeFromCheckpoint = "\(run.output)"
            $0.evaluation.resumeOnlyModel = true
            $0.output.outputDirectory = $0.outputDirectory + "-other"
            $0.optimization.learningRate = 1e-3
        }
        try other()
        #expect(try other.losses().count == 2)
        #expect(try other.losses() != run.losses())
    }
}
