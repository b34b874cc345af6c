import ApusRunLog
import ApusWeights
import Foundation
import Testing

@testable import ApusRecipes

/// `apus rlhf --sync_ref_model true`: a reference that follows the model.
@Suite(.serialized) struct MovingReferenceRunTests {
    private static let methods: [PreferenceMethod] = [.dpo, .kto, .grpo]

    private func run(_ method: PreferenceMethod, _ change: (inout SFTSettings) -> Void) throws -> TinyRun {
        let run = try method == .grpo ? TinyRun(sampling: 8) : TinyRun(preferring: method)
        return run.with {
            $0.preferences?.moving.syncRefModel = true
            $0.preferences?.moving.refModelSyncSteps = 3
            // In its steps GRPO drops, and the reference never does.
            $0.tuner.loraDropout = 0
            change(&$0)
        }
    }

    /// A run that was stopped goes on with the reference as it was, and ends in the same bits.
    @Test(arguments: methods, [TunerType.full, .lora]) func interruptedIsUninterrupted(
        method: PreferenceMethod, tuner: TunerType
    ) throws {
        let run = try run(method) {
            $0.model.tunerType = tuner
            // Beside an adapter a second model follows.
            if tuner == .lora { $0.preferences?.refModel = $0.model.name }
        }
        try run()
        let (whole, log) = (try run.numbers(6), try run.losses())
        let names = try SafetensorsFile(path: "\(run.output)/checkpoint-4/optimizer.safetensors").tensorNames
        #expect(names.contains("reference.model.layers.0.self_attn.q_proj.weight"), "\(names)")
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-4" }()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == log)
        let refusal = run.with {
            $0.preferences?.moving.refModelMixupAlpha = 0.5
            $0.evaluation.resumeFromCheckpoint = "last"
        }.refusal()
        #expect(refusal.contains("ref_model_mixup_alpha: 0.6 there, 0.5 here"), "\(refusal)")
    }

    /// A model that its reference has just become is its own: DPO's loss is ln 2, KTO's a half, and GRPO has no distance.
    @Test(arguments: methods, [TunerType.full, .lora]) func afterACopy(method: PreferenceMethod, tuner: TunerType)
        throws
    {
        let run = try run(method) {
            $0.model.tunerType = tuner
            if tuner == .lora { $0.preferences?.refModel = $0.model.name }
            $0.preferences?.moving.refModelSyncSteps = 2
            $0.preferences?.moving.refModelMixupAlpha = 1
            $0.optimization.maxSteps = 5
        }
        try run()
        let known = [PreferenceMethod.dpo: log(2.0), .kto: 0.5, .grpo: 0][method] ?? .nan
        let values = try run.logged(method == .grpo ? "kl" : "loss").map { abs($0 - known) }
        #expect(values.count == 5)
        // Before the first step, and behind the second and the fourth.
        for step in [0, 2, 4] { #expect(values[step] <= 1e-5, "\(values)") }
        // Answers that are all rewarded alike move nothing.
        for step in [1, 3] where method != .grpo { #expect(values[step] > 1e-5, "\(values)") }
    }

    /// An adapter that goes on is followed by the one that it was.
    @Test(arguments: methods) func adaptersFollow(method: PreferenceMethod) throws {
        let first = try run(method) {
            $0.preferences?.moving.syncRefModel = false
            $0.optimization.maxSteps = 2
        }
        try first()
        let adapter = "\(first.output)/checkpoint-2"
        let second = first.with {
            $0.outputDirectoryName("second")
            $0.model.adapters = [adapter]
            $0.preferences?.refAdapters = [adapter]
            $0.preferences?.moving.syncRefModel = true
            $0.preferences?.moving.refModelSyncSteps = 2
            $0.preferences?.moving.refModelMixupAlpha = 1
            $0.optimization.maxSteps = 6
        }
        try second()
        let known = [PreferenceMethod.dpo: log(2.0), .kto: 0.5, .grpo: 0][method] ?? .nan
        let values = try second.logged(method == .grpo ? "kl" : "loss").map { abs($0 - known) }
        for step in [0, 2, 4] { #expect(values[step] <= 1e-6, "\(values)") }
        let (whole, log) = (try second.numbers(6), try second.losses())
        try FileManager.default.removeItem(atPath: "\(second.output)/checkpoint-6")
        try second.with { $0.evaluation.resumeFromCheckpoint = "\(second.output)/checkpoint-4" }()
        #expect(try second.numbers(6) == whole)
        #expect(try second.losses() == log)
        // Another rank or scale is another adapter.
        let other = second.with {
            $0.outputDirectoryName("third")
            $0.model.adapters = []
            $0.tuner.loraAlpha *= 2
        }.refusal()
        #expect(other.contains("lora_alpha of \(adapter) is another"), "\(other)")
        // All weights follow a model with the adapter in it.
        let full = second.with {
            $0.outputDirectoryName("fourth")
            $0.model.adapters = []
            $0.model.tunerType = .full
            $0.optimization.maxSteps = 3
        }
        try full()
        #expect(try abs((full.logged(method == .grpo ? "kl" : "loss").last ?? .nan) - known) <= 1e-6)
    }

    /// What cannot move says so, and what to give.
    @Test func refusals() throws {
        let bare = try run(.dpo) { _ in }
        let plain = bare.refusal()
        #expect(plain.contains("the model without its adapter") && plain.contains("--ref_adapters"), "\(plain)")
        let bits = bare.with {
            $0.preferences?.refModel = $0.model.name
            $0.model.quantization.method = .bitsAndBytes
            $0.model.quantization.bits = 4
        }.refusal()
        #expect(bits.contains("kept in fewer bits"), "\(bits)")
        // A model of another shape with the same words.
        let other = "\(bare.folder.path)/other"
        try FileManager.default.copyItem(atPath: "\(bare.folder.path)/model", toPath: other)
        let config = try String(contentsOfFile: "\(other)/config.json", encoding: .utf8)
        let layers = try #require(config.firstMatch(of: /"num_hidden_layers": (\d+)/))
        try config.replacing(layers.0, with: "\"num_hidden_layers\": 1")
            .write(toFile: "\(other)/config.json", atomically: true, encoding: .utf8)
        let shape = bare.with { $0.preferences?.refModel = other }.refusal()
        #expect(shape.contains("--sync_ref_model true with --ref_model") && shape.contains("alone"), "\(shape)")
    }
}
