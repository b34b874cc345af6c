import ApusJSON
import ApusTraining
import Foundation
import Testing

@testable import ApusRecipes

/// What an evaluation says does not depend on how its data are cut into batches.
@Suite(.serialized) struct EvaluationBatchTests {
    /// What the last evaluation of a run measured, by name.
    private func measured(_ run: TinyRun, batch: Int) throws -> [String: Double] {
        let cut = run.with {
            $0.outputDirectoryName("by-\(batch)")
            $0.evaluation.perDeviceEvalBatchSize = batch
        }
        try cut()
        let text = try String(contentsOfFile: "\(cut.output)/logging.jsonl", encoding: .utf8)
        let rows = try text.split(separator: "\n").compactMap { try JSONValue(parsing: String($0)).objectValue }
        let last = try #require(rows.last { $0["eval_loss"] != nil })
        let timing: Set = ["eval_runtime", "eval_samples_per_second", "eval_steps_per_second"]
        return last.reduce(into: [:]) { measured, entry in
            guard entry.key.hasPrefix("eval_"), !timing.contains(entry.key) else { return }
            measured[String(entry.key.dropFirst(5))] = entry.value.doubleValue
        }
    }

    /// One evaluation behind two steps, of seven rows whose answers have unequal lengths.
    private func run(
        _ method: PreferenceMethod, _ change: (inout SFTSettings) -> Void = { _ in }
    ) throws -> TinyRun {
        let run = try TinyRun(preferring: method).with {
            $0.optimization.maxSteps = 2
            $0.evaluation.saveSteps = 2
            $0.optimization.learningRate = 1e-2
            $0.data.valDataset = [$0.data.dataset[0].replacing("rows.jsonl", with: "held.jsonl")]
            change(&$0)
        }
        let rows = (0..<7).map { row in
            let words = String(repeating: "ab ", count: 1 + row * row % 5)
            return TinyRun.row(row, method).replacing(#""content": ""#, with: #""content": "\#(words)"#)
        }
        try run.folder.write(rows.joined(separator: "\n"), to: "held.jsonl")
        return run
    }

    @Test(
        arguments: [
            Case("orpo") { _ in }, Case("cpo") { _ in }, Case("simpo") { _ in }, Case("kto") { _ in },
            Case("rm") { _ in }, Case("dpo") { $0.preferences?.rpoAlpha = 0.5 },
            Case("dpo") { $0.preferences?.lossType = [.sigmoid, .sft] },
        ])
    func lossesOfPreferences(_ it: Case) throws {
        let method = try #require(PreferenceMethod(rawValue: it.reason))
        let run = try run(method, it.change)
        let whole = try measured(run, batch: 7)
        #expect(whole["loss"] != nil)
        // The mean of −log p of chosen tokens, less β times the mean of ln σ of the odds.
        if method == .orpo {
            let wanted = (whole["nll_loss"] ?? .nan) - 0.1 * (whole["log_odds_ratio"] ?? .nan)
            #expect(abs((whole["loss"] ?? .nan) - wanted) <= 1e-6, "\(whole)")
        }
        for batch in [1, 2, 3] {
            let cut = try measured(run, batch: batch)
            #expect(Set(cut.keys) == Set(whole.keys))
            for (name, value) in whole {
                #expect(abs((cut[name] ?? .nan) - value) <= 1e-5 * max(1, abs(value)), "\(name) by \(batch)")
            }
        }
    }

    /// Spreads and extremes are of all answers of an evaluation; what a method says that an evaluation has, it has.
    @Test(
        arguments: [
            { _ in }, { $0.preferences?.policy.scaleRewards = .batch },
            {
                $0.preferences?.lossType = [.cispo]
                $0.preferences?.policy.epsilonHigh = 5
                $0.preferences?.policy.klInReward = true
            },
            {
                $0.preferences?.lossType = [.sapo]
                $0.preferences?.beta = 0
                $0.preferences?.policy.numGenerationsEval = 1
            },
            {
                $0.preferences?.policy.logEntropy = true
                $0.preferences?.policy.topEntropyQuantile = 0.5
                $0.preferences?.policy.rolloutImportanceSamplingMode = .tokenTruncate
            },
            { $0.preferences?.policy.logRolloutOffpolicyMetrics = true }, { $0.preferences?.method = .ppo },
        ] as [@Sendable (inout SFTSettings) -> Void])
    func figuresOfAnswers(_ change: @Sendable (inout SFTSettings) -> Void) throws {
        let run = try TinyRun(sampling: 12).with {
            $0.data.splitDatasetRatio = 0.34
            $0.optimization.maxSteps = 2
            $0.evaluation.saveSteps = 2
            $0.preferences?.proximal.numPPOEpochs = 1
            change(&$0)
        }
        let whole = try measured(run, batch: 16)
        let names = run.settings.task.metrics(loss: nil, problem: nil)
        let ofRewards: Set = ["rewards/SoftOverlong/mean", "rewards/SoftOverlong/std"]
        #expect(Set(whole.keys) == Set(names).union(ofRewards), "\(whole.keys.sorted())")
        // Of the loss, PPO whitens what it learns from by the batch, and others tell the extremes of batches.
        func isOfAll(_ name: String) -> Bool {
            name.hasPrefix("reward") || name.hasPrefix("completions/") || name.hasPrefix("objective/")
                || ["frac_reward_zero_std", "val/num_eos_tokens"].contains(name)
        }
        for batch in [1, 3] {
            let cut = try measured(run, batch: batch)
            for (name, value) in whole where isOfAll(name) {
                #expect(abs((cut[name] ?? .nan) - value) <= 1e-4 * max(1, abs(value)), "\(name) by \(batch)")
            }
        }
    }
}
