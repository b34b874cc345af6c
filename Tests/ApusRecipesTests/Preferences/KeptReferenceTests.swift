import ApusJSON
import ApusRunLog
import Foundation
import Testing

@testable import ApusRecipes
@testable import ApusTraining

/// What a reference says, asked once and kept in the folder of the run.
@Suite(.serialized) struct KeptReferenceTests {
    private func said(_ run: TinyRun) throws -> String {
        let output = Recorder()
        var training = try FineTuning(run.settings)
        training.console = output.console
        _ = try training()
        return output.text
    }

    /// A run that goes on reads what was said, loads no second model, and ends in the same bits.
    @Test(arguments: [PreferenceMethod.dpo, .kto], [TunerType.lora, .full])
    func runsThatGoOnReadIt(method: PreferenceMethod, tuner: TunerType) throws {
        let run = try TinyRun(preferring: method).with {
            $0.model.tunerType = tuner
            $0.preferences?.precomputesReference = true
            $0.data.splitDatasetRatio = 0.34
        }
        let first = try said(run)
        let model = tuner == .full ? "reference: a second model" : "reference: the model without its adapter"
        #expect(first.contains(model) && !first.contains("is read from"), "\(first)")
        let path = "\(run.output)/reference.safetensors"
        let (whole, kept) = (try run.numbers(6), try Data(contentsOf: URL(filePath: path)))
        let logged = try run.logged("loss") + run.logged("eval_loss")
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        let again = run.with { $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-4" }
        let second = try said(again)
        #expect(second.contains("reference: what it said before is read from \(path)"), "\(second)")
        #expect(!second.contains(model), "\(second)")
        #expect(try run.numbers(6) == whole)
        #expect(try run.logged("loss") + run.logged("eval_loss") == logged)
        #expect(try Data(contentsOf: URL(filePath: path)) == kept)
    }

    /// What was said of other weights or of other tokens counts for nothing, and neither does half a file.
    @Test func othersAreAskedAnew() throws {
        let run = try TinyRun(preferring: .dpo).with {
            $0.preferences?.precomputesReference = true
            $0.preferences?.refModel = "\($0.model.name ?? "")/../other"
        }
        let other = "\(run.folder.path)/other"
        try FileManager.default.copyItem(atPath: run.settings.model.name ?? "", toPath: other)
        _ = try said(run)
        let path = "\(run.output)/reference.safetensors"
        let kept = try Data(contentsOf: URL(filePath: path))
        func again() throws -> String {
            try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
            return try said(run.with { $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-4" })
        }
        // Another model under the same name, of the same shape: one weight has another sign.
        let weights = "\(other)/model.safetensors"
        var bytes = try Data(contentsOf: URL(filePath: weights))
        bytes[bytes.count - 1] ^= 0x80
        try bytes.write(to: URL(filePath: weights))
        let changed = try again()
        #expect(changed.contains("another reference or of other samples; it is asked anew"), "\(changed)")
        #expect(changed.contains("reference: a second model"), "\(changed)")
        let anew = try Data(contentsOf: URL(filePath: path))
        #expect(anew != kept)
        try kept.prefix(kept.count / 2).write(to: URL(filePath: path))
        let damaged = try again()
        #expect(damaged.contains("it is asked anew") && damaged.contains("reference.safetensors"), "\(damaged)")
        #expect(try Data(contentsOf: URL(filePath: path)) == anew)
        // It is there, and the next run finds it.
        #expect(try again().contains("is read from"))
    }

    @Test func filesKeepEveryBit() throws {
        let folder = try TemporaryFolder()
        var scores = ReferenceScores()
        scores.sums = [0: [-1.5, .nan], ~0: [-0.1, 2], 7: [.leastNonzeroMagnitude, -1e300]]
        let file = ReferenceFile(in: folder.path)
        try file.write(scores, digest: "abc")
        let read = try #require(try file.scores(digest: "abc"))
        #expect(Set(read.sums.keys) == [0, -1, 7])
        for (sample, sums) in scores.sums { #expect(read.sums[sample]?.map(\.bitPattern) == sums.map(\.bitPattern)) }
        #expect(try file.scores(digest: "abd") == nil)
    }
}
