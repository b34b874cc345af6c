import ApusJSON
import ApusOptimizers
import Foundation
import Testing

@testable import ApusRecipes

/// Runs with each optimizer and each course of the learning rate, stopped and gone on with.
struct OptimizerRunTests {
    /// A run of six steps, and one that goes on from its second checkpoint: the same bits.
    private func checkResumed(_ run: TinyRun) throws {
        try run()
        let (whole, log) = (try run.numbers(6), try run.losses())
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-4" }()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == log)
    }

    @Test(
        arguments: OptimizerName.allCases.filter { !$0.followsInPass && $0 != .fusedAdamW }, [TunerType.lora, .full])
    func optimizers(name: OptimizerName, tuner: TunerType) throws {
        var run = try TinyRun()
        run.settings.model.tunerType = tuner
        run.settings.optimization.optim = name
        run.settings.optimization.learningRate = 1e-3
        try checkResumed(run)
    }

    @Test(arguments: [TunerType.lora, .full]) func muon(tuner: TunerType) throws {
        var run = try TinyRun()
        run.settings.model.tunerType = tuner
        run.settings.optimization.optimizer = .muon
        try checkResumed(run)
    }

    @Test(
        arguments: [
            (.cosineWithRestarts, #"{"num_cycles": 2}"#), (.polynomial, #"{"power": 2}"#), (.inverseSquareRoot, "{}"),
            (.cosineWithMinimum, #"{"min_lr": 1e-4}"#), (.cosineWarmupWithMinimum, #"{"min_lr_rate": 0.1}"#),
            (.warmupStableDecay, #"{"num_decay_steps": 2, "decay_type": "1-sqrt"}"#),
        ] as [(ScheduleKind, String)])
    func schedules(kind: ScheduleKind, options: String) throws {
        var run = try TinyRun()
        run.settings.optimization.lrSchedulerType = kind
        run.settings.optimization.lrSchedulerKwargs = options
        run.settings.optimization.warmupSteps = 2
        try checkResumed(run)
        // Another course is another run.
        let other = run.with {
            $0.optimization.lrSchedulerType = .linear
            $0.optimization.lrSchedulerKwargs = nil
            $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-4"
        }
        #expect(other.refusal().contains("lr_scheduler_type"))
    }

    /// The learning rate falls where the evaluations bring nothing, and goes on falling after a resumption.
    @Test func plateau() throws {
        var run = try TinyRun()
        run.settings.data.valDataset = run.settings.data.dataset
        run.settings.evaluation.evalStrategy = .steps
        run.settings.evaluation.evalSteps = 1
        run.settings.optimization.lrSchedulerType = .reduceOnPlateau
        run.settings.optimization.lrSchedulerKwargs =
            #"{"patience": 1, "factor": 0.5, "threshold": 100, "threshold_mode": "abs"}"#
        try run()
        let text = try String(contentsOfFile: "\(run.output)/logging.jsonl", encoding: .utf8)
        let rates = try text.split(separator: "\n").compactMap {
            try JSONValue(parsing: String($0))["learning_rate"]?.doubleValue
        }
        // The first evaluation is the best there is; the third is the second without progress.
        #expect(rates == [1e-2, 1e-2, 1e-2, 5e-3, 5e-3, 2.5e-3])
        try checkResumed(run.with { $0.output.outputDirectory = "\(run.folder.path)/stopped" })
    }

    /// What is saved and evaluated are the averaged weights, and the training weights are others.
    @Test func scheduleFreeSavesTheAverage() throws {
        var run = try TinyRun()
        run.settings.model.tunerType = .full
        run.settings.optimization.optim = .scheduleFreeAdamW
        run.settings.optimization.lrSchedulerType = .constant
        run.settings.optimization.learningRate = 1e-3
        run.settings.data.valDataset = run.settings.data.dataset
        run.settings.evaluation.evalStrategy = .steps
        try run()
        func loss(_ run: TinyRun) throws -> Double {
            let text = try String(contentsOfFile: "\(run.output)/logging.jsonl", encoding: .utf8)
            let rows = try text.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
            let losses = rows.compactMap { $0["eval_loss"]?.doubleValue }
            return try #require(losses.last)
        }
        // The saved model, evaluated by a run that moves nothing to speak of.
        let again = run.with {
            $0.model.name = "\(run.output)/checkpoint-6"
            $0.optimization.optim = .sgd
            $0.optimization.learningRate = 1e-30
            $0.optimization.maxSteps = 1
            $0.output.outputDirectory = "\(run.folder.path)/again"
        }
        try again()
        #expect(try abs(loss(again) - loss(run)) <= 1e-6)
    }
}
