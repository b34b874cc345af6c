import ApusJSON
import ApusOptimizers
import Foundation
import Testing

@testable import ApusRecipes

/// When a run evaluates, saves, logs and ends.
struct RecurrenceRunTests {
    /// Steps with a value of that name in the log.
    private func steps(_ name: String, of run: TinyRun) throws -> [Int] {
        try String(contentsOfFile: "\(run.output)/logging.jsonl", encoding: .utf8).split(separator: "\n").compactMap {
            let row = try JSONValue(parsing: String($0))
            guard row[name] != nil, let step = row["global_step/max_steps"]?.stringValue else { return nil }
            return Int(step.prefix { $0 != "/" })
        }
    }

    /// Ten epochs of three steps.
    private func epochs() throws -> TinyRun {
        var run = try TinyRun()
        run.settings.optimization.maxSteps = -1
        run.settings.optimization.numTrainEpochs = 10
        run.settings.data.valDataset = run.settings.data.dataset
        run.settings.evaluation.saveStrategy = .epoch
        return run
    }

    @Test func everyFewEpochs() throws {
        var run = try epochs()
        run.settings.evaluation.saveEpochs = 5
        run.settings.evaluation.evalEpochs = 3
        run.settings.output.loggingStrategy = .epoch
        run.settings.output.loggingFirstStep = false
        try run()
        #expect(Set(try run.checkpoints()) == ["checkpoint-15", "checkpoint-30"])
        // The last step is one for everything.
        #expect(try steps("eval_loss", of: run) == [9, 18, 27, 30])
        #expect(try steps("loss", of: run) == (1...10).map { $0 * 3 })
    }

    private func rates(of run: TinyRun) throws -> [Double] {
        try String(contentsOfFile: "\(run.output)/logging.jsonl", encoding: .utf8).split(separator: "\n").compactMap {
            try JSONValue(parsing: String($0))["learning_rate"]?.doubleValue
        }
    }

    /// `max_epochs` cuts a run off: what was before is that of the whole run, and the end is one for everything.
    @Test func cutOffBehindEpochs() throws {
        var run = try epochs()
        run.settings.evaluation.saveStrategy = .steps
        run.settings.evaluation.saveSteps = 100
        run.settings.optimization.maxEpochs = 2
        run.settings.optimization.lrSchedulerType = .linear
        try run()
        #expect(try run.checkpoints() == ["checkpoint-6"])
        #expect(try steps("eval_loss", of: run) == [6])
        // 0.01 (1 - step / 30)
        let expected = (0..<6).map { 0.01 * (1 - Double($0) / 30) }
        let first = try rates(of: run)
        #expect(first.count == 6 && zip(first, expected).allSatisfy { abs($0 - $1) <= 1e-8 })
        // Goes on as the whole run would have.
        try run.with {
            $0.optimization.maxEpochs = 3
            $0.evaluation.resumeFromCheckpoint = "last"
        }()
        #expect(Set(try run.checkpoints()) == ["checkpoint-6", "checkpoint-9"])
        run.settings.optimization.maxEpochs = 1
        run.settings.optimization.maxSteps = 20
        run.settings.output.outputDirectory = "\(run.folder.path)/steps"
        try run()
        #expect(try run.checkpoints() == ["checkpoint-3"])
        #expect(try abs((rates(of: run).last ?? 0) - 0.01 * (1 - 2.0 / 20)) <= 1e-8)
    }

    /// Twelve rows, four a step: a stream was read once in three steps.
    @Test func cutOffBehindPassesOverAStream() throws {
        var run = try TinyRun()
        run.settings.batches.streaming = true
        run.settings.optimization.maxSteps = 20
        run.settings.evaluation.saveSteps = 100
        for epochs in [1, 2] {
            run.settings.optimization.maxEpochs = epochs
            run.settings.output.outputDirectory = "\(run.folder.path)/\(epochs)"
            try run()
            #expect(try run.checkpoints() == ["checkpoint-\(3 * epochs)"])
        }
        try run.with { $0.evaluation.resumeFromCheckpoint = "last" }()
        #expect(try run.checkpoints() == ["checkpoint-6"])
    }

    @Test func delayed() throws {
        var run = try epochs()
        run.settings.evaluation.evalDelay = 8
        try run()
        #expect(try steps("eval_loss", of: run) == [24, 27, 30])
        // Beyond the run, the last step is still evaluated.
        run.settings.output.outputDirectory = "\(run.folder.path)/beyond"
        run.settings.evaluation.evalDelay = 100
        try run()
        #expect(try steps("eval_loss", of: run) == [30])
        run.settings.evaluation.evalDelay = 8
        run.settings.output.outputDirectory = "\(run.folder.path)/steps"
        run.settings.evaluation.evalStrategy = .steps
        run.settings.evaluation.evalSteps = 0.2
        try run()
        #expect(try steps("eval_loss", of: run) == [12, 18, 24, 30])
        run.settings.output.outputDirectory = "\(run.folder.path)/first"
        run.settings.evaluation.evalOnStart = true
        run.settings.output.loggingStrategy = .no
        try run()
        #expect(try steps("eval_loss", of: run) == [0, 12, 18, 24, 30])
        #expect(try steps("loss", of: run) == [1])
    }

    /// A share of the run between lines: ⌈0.3 · 6⌉ = 2 steps.
    @Test func sharesOfTheRunAreLogged() throws {
        var run = try TinyRun()
        run.settings.output.loggingSteps = 0.3
        run.settings.output.loggingFirstStep = false
        try run()
        #expect(try steps("loss", of: run) == [2, 4, 6])
    }

    /// The Trainer's record: epochs as they are begun, steps counted.
    @Test func recordOfThePlan() throws {
        func record(_ run: TinyRun, _ step: Int) throws -> [Int?] {
            let path = "\(run.output)/checkpoint-\(step)/trainer_state.json"
            let state = try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: path)))
            return ["num_train_epochs", "train_batch_size", "eval_steps", "save_steps", "logging_steps", "max_steps"]
                .map {
                    state[$0]?.intValue
                }
        }
        // Three steps an epoch.
        var run = try TinyRun()
        run.settings.optimization.maxSteps = 4
        run.settings.evaluation.saveSteps = 0.4
        run.settings.output.loggingSteps = 0.2
        try run()
        #expect(try record(run, 2) == [2, 2, 500, 2, 1, 4])
        run.settings.optimization.maxSteps = -1
        run.settings.optimization.numTrainEpochs = 1.5
        run.settings.data.valDataset = run.settings.data.dataset
        run.settings.evaluation.evalSteps = 3
        run.settings.output.outputDirectory = "\(run.folder.path)/epochs"
        try run()
        // ⌈1.5 · 3⌉ = 5 steps.
        #expect(try record(run, 5) == [2, 2, 3, 2, 1, 5])
        run.settings.batches.streaming = true
        run.settings.optimization.maxSteps = 2
        run.settings.output.outputDirectory = "\(run.folder.path)/stream"
        try run()
        #expect(try record(run, 2) == [Int.max, 2, 3, 1, 1, 2])
    }

    /// A run ends when its checkpoints bring nothing, goes on no further, and one that was cut off ends at the same step.
    @Test func endsEarly() throws {
        var run = try TinyRun()
        run.settings.data.valDataset = run.settings.data.dataset
        run.settings.optimization.maxSteps = 20
        run.settings.optimization.lrSchedulerType = .constant
        run.settings.evaluation.earlyStopInterval = 2
        run.settings.evaluation.metricForBestModel = "loss"
        run.settings.evaluation.greaterIsBetter = true
        run.settings.evaluation.saveSteps = 2
        run.settings.optimization.learningRate = 1e-3
        // The loss falls, and more of it is said to be better: the first evaluation stays the best.
        let outcome = try run()
        #expect(try steps("eval_loss", of: run) == [2, 4, 6])
        #expect(outcome.bestCheckpoint?.hasSuffix("checkpoint-2") == true)
        #expect(outcome.finalCheckpoint?.hasSuffix("checkpoint-6") == true)
        let whole = try run.numbers(6)
        let again = run.with {
            $0.evaluation.resumeFromCheckpoint = "last"
            $0.evaluation.loadBestModelAtEnd = true
        }
        try again()
        #expect(Set(try run.checkpoints()) == ["checkpoint-2", "checkpoint-4", "checkpoint-6"])
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        let resumed = try again()
        #expect(try run.numbers(6) == whole)
        #expect(Set(try run.checkpoints()) == ["checkpoint-2", "checkpoint-4", "checkpoint-6"])
        #expect(resumed.finalCheckpoint?.hasSuffix("checkpoint-2") == true)
    }
}
