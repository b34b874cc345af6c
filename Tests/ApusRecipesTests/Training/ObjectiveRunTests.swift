import ApusJSON
import Foundation
import Testing

@testable import ApusRecipes

/// Runs with what changes the loss, and what is told of it.
struct ObjectiveRunTests {
    private func rows(of run: TinyRun) throws -> [JSONValue] {
        try String(contentsOfFile: "\(run.output)/logging.jsonl", encoding: .utf8).split(separator: "\n")
            .map { try JSONValue(parsing: String($0)) }
    }

    private func checkResumed(_ run: TinyRun) throws {
        try run()
        let (whole, log) = (try run.numbers(6), try run.losses())
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "last" }()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == log)
    }

    /// Noise changes training and not evaluation; it is the same again, and after a resumption.
    @Test func noiseOnWords() throws {
        var plain = try TinyRun()
        plain.settings.data.valDataset = plain.settings.data.dataset
        plain.settings.evaluation.evalOnStart = true
        let noisy = plain.with {
            $0.objective.neftuneNoiseAlpha = 5
            $0.output.outputDirectory = "\(plain.folder.path)/noisy"
        }
        try plain()
        try checkResumed(noisy)
        #expect(try plain.losses() != noisy.losses())
        // Before the first step the weights are the same, and an evaluation has no noise.
        let first = try (rows(of: plain).first, rows(of: noisy).first)
        #expect(first.0?["eval_loss"]?.doubleValue != nil && first.0?["eval_loss"] == first.1?["eval_loss"])
        let off = plain.with {
            $0.objective.neftuneNoiseAlpha = 0
            $0.output.outputDirectory = "\(plain.folder.path)/off"
        }
        try off()
        #expect(try off.losses() == plain.losses())
        let other = noisy.with {
            $0.objective.neftuneNoiseAlpha = 6
            $0.evaluation.resumeFromCheckpoint = "\(noisy.output)/checkpoint-2"
        }
        #expect(other.refusal().contains("neftune_noise_alpha"))
    }

    @Test(arguments: [0, 1]) func otherLosses(number: Int) throws {
        var run = try TinyRun()
        try run()
        let plain = try run.losses()
        run.settings.output.outputDirectory = "\(run.folder.path)/other"
        if number == 0 {
            run.settings.objective.labelSmoothingFactor = 0.2
        } else {
            run.settings.objective.enableDFTLoss = true
        }
        try checkResumed(run)
        func first(_ log: [String]) throws -> Double {
            try #require(log.first?.split(separator: " ").last.flatMap { Double($0) })
        }
        // Nothing is known yet: the labels' losses are those of all labels, and their probabilities small.
        let (ours, theirs) = (try first(run.losses()), try first(plain))
        #expect(number == 0 ? abs(ours - theirs) < 0.2 * theirs && ours != theirs : ours < 0.2 * theirs)
    }

    /// The losses of channels, weighed by their tokens, are the loss of the step; another name is `None`.
    @Test func channels() throws {
        var run = try TinyRun()
        let lines = (0..<12).map { number -> String in
            let channel = number % 3 == 0 ? "" : #", "channel": "\#(number % 3 == 1 ? "math" : "code")""#
            return #"{"query": "n \#(number)", "response": "\#(number % 10)!"\#(channel)}"# + "\n"
        }
        try run.folder.write(lines.joined(), to: "rows.jsonl")
        run.settings.data.valDataset = run.settings.data.dataset
        run.settings.objective.enableChannelLoss = true
        run.settings.optimization.perDeviceTrainBatchSize = 12
        run.settings.optimization.gradientAccumulationSteps = 1
        run.settings.evaluation.metricForBestModel = "loss_math"
        try run()
        for prefix in ["", "eval_"] {
            let row = try #require(try rows(of: run).first { $0["\(prefix)loss_math"] != nil })
            let parts = ["math", "code", "None"].map { row["\(prefix)loss_\($0)"]?.doubleValue ?? .nan }
            let loss = try #require(row["\(prefix)loss"]?.doubleValue)
            // All answers have as many tokens, and all channels as many answers.
            let whole = parts.reduce(0, +) / 3
            #expect(abs(whole - loss) < 1e-5, "\(prefix)\(parts) \(loss)")
        }
    }

    /// The accuracy of answers is at most that of their tokens, and is reported in its place.
    @Test func accuracyOfAnswers() throws {
        var run = try TinyRun()
        run.settings.model.tunerType = .full
        run.settings.optimization.maxSteps = 40
        run.settings.optimization.learningRate = 3e-3
        run.settings.evaluation.saveSteps = 40
        run.settings.data.valDataset = run.settings.data.dataset
        let tokens = run.with { $0.output.outputDirectory = "\(run.folder.path)/tokens" }
        run.settings.objective.accStrategy = .seq
        run.settings.evaluation.metricForBestModel = "seq_acc"
        try run()
        try tokens()
        let answers = try rows(of: run).compactMap { $0["eval_seq_acc"]?.doubleValue }
        let single = try rows(of: tokens).compactMap { $0["eval_token_acc"]?.doubleValue }
        #expect(answers.count == 1 && single.count == 1)
        #expect(answers[0] <= single[0] && abs((answers[0] * 12).rounded() - answers[0] * 12) < 1e-6)
        #expect(try rows(of: run).allSatisfy { $0["token_acc"] == nil })
        #expect(try run.losses() == tokens.losses())
    }

    /// Answers are made to the questions of the validation data, and right ones found right.
    @Test func generatedAnswers() throws {
        var run = try TinyRun(rows: 4)
        run.settings.model.tunerType = .full
        run.settings.optimization.maxSteps = 60
        run.settings.optimization.learningRate = 3e-3
        run.settings.evaluation.saveSteps = 60
        run.settings.data.valDataset = run.settings.data.dataset
        run.settings.evaluation.predictWithGenerate = true
        run.settings.evaluation.maxNewTokens = 8
        run.settings.evaluation.evalOnStart = true
        try run()
        let matches = try rows(of: run).compactMap { $0["eval_exact_match"]?.doubleValue }
        let token = try rows(of: run).compactMap { $0["eval_token_acc"]?.doubleValue }
        #expect(matches.first == 0 && matches.count == 2)
        // What is learned by heart is said; the best checkpoint is chosen by rouge-l, in percent.
        #expect(token.last == 1 && matches.last == 1, "\(token) \(matches)")
        #expect(try rows(of: run).last { $0["best_metric"] != nil }?["best_metric"]?.doubleValue == 100)
    }
}
