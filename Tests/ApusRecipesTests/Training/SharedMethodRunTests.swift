import Foundation
import Testing

@testable import ApusRecipes

/// Whole runs of methods with shared, sparse or spectral parts.
@Suite(.serialized) struct SharedMethodRunTests {
    struct Setup: Sendable, CustomTestStringConvertible {
        let tuner: String
        let options: [String: OptionValue]
        var testDescription: String { tuner }
    }

    static let setups = [
        Setup(tuner: "vera", options: ["vera_rank": .integer(4), "vera_dropout": .number(0.2)]),
        Setup(tuner: "vera", options: ["vera_rank": .integer(4), "save_projection": .boolean(false)]),
        Setup(tuner: "randlora", options: ["randlora_rank": .integer(8), "randlora_dropout": .number(0.1)]),
        Setup(tuner: "shira", options: ["shira_rank": .integer(2)]),
        Setup(tuner: "c3a", options: ["c3a_block_size": .integer(8)]),
        Setup(tuner: "fourierft", options: ["fourier_n_frequency": .integer(50)]),
        Setup(
            tuner: "vblora",
            options: [
                "vector_length": .integer(8), "num_vectors": .integer(16), "vblora_dropout": .number(0.1),
                "save_only_topk_weights": .boolean(true),
            ]),
        Setup(tuner: "waveft", options: ["waveft_n_frequency": .integer(60), "wavelet_family": .text("sym4")]),
        Setup(tuner: "trainable_tokens", options: ["token_indices": .list(["110", "257", "33"])]),
        Setup(tuner: "lora", options: ["trainable_token_indices": .list([#"{"embed_tokens": [110, 33]}"#])]),
        Setup(tuner: "multitask_prompt_tuning", options: ["num_virtual_tokens": .integer(3)]),
    ]

    /// A run that was stopped goes on as if nothing had happened, with dropout on; and it learns.
    @Test(arguments: setups) func interruptedIsUninterrupted(setup: Setup) throws {
        let run = try TinyRun().with { settings in
            settings.model.tunerType = TunerType(rawValue: setup.tuner) ?? .full
            if !["trainable_tokens", "multitask_prompt_tuning"].contains(setup.tuner) {
                settings.tuner.targetModules = ["q_proj", "v_proj"]
            }
            for (name, value) in setup.options { settings.tuner.methodOptions[name] = value }
        }
        try run()
        let (whole, log) = (try run.numbers(6), try run.losses())
        #expect(Set(log).count == 6)
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-4" }()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == log)
    }
}
