import ApusRunLog
import ApusText
import ApusTraining
import Foundation
import Testing

@testable import ApusRecipes

/// `apus rlhf --rlhf_type grpo --chord_sft_dataset …`: answers of experts beside the model's own.
@Suite(.serialized) struct ExpertRunTests {
    private func run(_ change: (inout SFTSettings) -> Void = { _ in }) throws -> TinyRun {
        let run = try TinyRun(sampling: 12)
        try run.folder.write(TinyRun.conversations(20..<25), to: "experts.jsonl")
        return run.with {
            $0.preferences?.experts.chordSFTDataset = ["\(run.folder.path)/experts.jsonl"]
            $0.preferences?.experts.chordSFTPerDeviceTrainBatchSize = 2
            $0.preferences?.experts.chordMuWarmupSteps = 2
            $0.preferences?.experts.chordMuDecaySteps = 4
            $0.preferences?.experts.chordMuPeak = 0.8
            $0.preferences?.experts.chordMuValley = 0.2
            $0.encoding.lossScale = .lastRound
            change(&$0)
        }
    }

    /// A run that was stopped goes on with the same rows and ends in the same bits.
    @Test(arguments: [false, true], [TunerType.lora, .full])
    func interruptedIsUninterrupted(weighsDoubt: Bool, tuner: TunerType) throws {
        let run = try run {
            $0.preferences?.experts.chordEnablePhiFunction = weighsDoubt
            $0.model.tunerType = tuner
        }
        try run()
        let (whole, log) = (try run.numbers(6), try run.losses())
        // In the eight digits of the log: 0, half of the peak, the peak, and three steps of the cosine over four.
        let shares = try run.logged("chord/mu")
        let half = 0.5.squareRoot()
        let wanted = [0, 0.4, 0.8, 0.2 + 0.3 * (1 + half), 0.5, 0.2 + 0.3 * (1 - half)]
        #expect(shares.count == 6 && zip(shares, wanted).allSatisfy { abs($0 - $1) <= 5e-9 }, "\(shares)")
        #expect(try run.logged("chord/sft_loss").count == 5)
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-4" }()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == log)
    }

    /// Experts are learned, where nothing else is, and evaluations measure the model's own answers alone.
    @Test func expertsAreLearned() throws {
        let run = try run {
            $0.preferences?.experts.chordMuWarmupSteps = 0
            $0.preferences?.experts.chordMuPeak = 1
            $0.preferences?.experts.chordMuValley = 1
            $0.model.tunerType = .full
            $0.optimization.maxSteps = 20
            $0.data.splitDatasetRatio = 0.34
            $0.evaluation.saveSteps = 20
        }
        try run()
        let losses = try run.logged("chord/sft_loss")
        #expect(losses.count == 20 && (losses.last ?? 9) < 0.7 * (losses.first ?? 0), "\(losses)")
        let mixed = try run.logged("loss")
        #expect(zip(mixed, losses).allSatisfy { abs($0 - $1) <= 1e-9 }, "\(mixed)")
        #expect(try run.logged("eval_chord/mu").isEmpty && run.logged("eval_reward").count == 1)
    }

    /// Other experts, or other shares of them, are another run; so are other micro-batches, beside which they stand.
    @Test func anotherRunIsRefused() throws {
        let run = try run { $0.optimization.maxSteps = 2 }
        try run()
        for it in [
            Case("chord_mu_peak: 0.8 there, 0.7 here") { $0.preferences?.experts.chordMuPeak = 0.7 },
            Case("train_data") { $0.preferences?.experts.chordSFTDataset = [] },
            Case("--chord_sft_dataset are learned beside each micro-batch") {
                $0.optimization.perDeviceTrainBatchSize = 8
                $0.optimization.gradientAccumulationSteps = 1
            },
        ] {
            let refusal = run.with {
                $0.evaluation.resumeFromCheckpoint = "last"
                it.change(&$0)
            }.refusal()
            #expect(refusal.contains("belongs to another run") && refusal.contains(it.reason), "\(refusal)")
        }
        try run.folder.write(TinyRun.conversations(20..<26), to: "experts.jsonl")
        let refusal = run.with { $0.evaluation.resumeFromCheckpoint = "last" }.refusal()
        #expect(refusal.contains("train_data"), "\(refusal)")
    }

    /// Rows without an answer are left out by name; data without any are refused.
    @Test func rowsOfExperts() throws {
        let run = try run { $0.optimization.maxSteps = 1 }
        let rows = TinyRun.conversations(0..<3) + #"{"messages": [{"role": "user", "content": "unanswered"}]}"# + "\n"
        try run.folder.write(rows, to: "experts.jsonl")
        try run()
        let dropped = try String(contentsOfFile: "\(run.output)/dropped.jsonl", encoding: .utf8)
        #expect(dropped.contains("experts.jsonl") && dropped.split(separator: "\n").count == 1, "\(dropped)")
        let missing = try self.run().with {
            $0.preferences?.experts.chordSFTDataset = ["\(run.folder.path)/nowhere.jsonl"]
        }
        #expect(missing.refusal().contains("nowhere.jsonl"), "\(missing.refusal())")
    }
}
