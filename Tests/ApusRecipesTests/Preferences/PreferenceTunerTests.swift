import ApusText
import ApusTorch
import Foundation
import Testing

@testable import ApusRecipes

/// What trains where preferences are learned: every method begins at the model that it is compared with, or as far from it as
/// it says itself.
@Suite(.serialized) struct PreferenceTunerTests {
    /// What a method needs on a tiny model.
    struct Setup: Sendable, CustomTestStringConvertible {
        let tuner: String
        let options: [String: OptionValue]
        /// Ends of names of layers, where all are too many or too small.
        let layers: [String]?
        /// Whether its first values change nothing.
        let startsAsBase: Bool
        var testDescription: String { tuner }

        init(
            _ tuner: String, _ options: [String: OptionValue] = [:], layers: [String]? = nil, startsAsBase: Bool = true
        ) {
            (self.tuner, self.options, self.layers, self.startsAsBase) = (tuner, options, layers, startsAsBase)
        }
    }

    private static let two = ["q_proj", "v_proj"]

    static let setups = [
        Setup("lora"), Setup("full"), Setup("bitfit"), Setup("ia3"), Setup("adalora"), Setup("longlora"),
        Setup("llamapro", ["llamapro_num_new_blocks": .integer(3)]),
        Setup("vera", ["vera_rank": .integer(4)], layers: two),
        Setup("trainable_tokens", ["token_indices": .list(["110"])]),
        Setup("randlora", ["randlora_rank": .integer(8)], layers: two),
        Setup("shira", ["shira_rank": .integer(2)], layers: two),
        Setup("waveft", ["waveft_n_frequency": .integer(60)], layers: two),
        Setup("loha"), Setup("lokr"), Setup("oft"), Setup("boft", ["boft_n_butterfly_factor": .integer(2)]),
        Setup("hra"),
        Setup("miss", ["miss_r": .integer(6)]), Setup("ln_tuning"), Setup("road", ["road_group_size": .integer(8)]),
        Setup("hira"), Setup("delora"),
        // Their first values are drawn, or are words in front of the question.
        Setup("adapter", startsAsBase: false),
        Setup("c3a", ["c3a_block_size": .integer(8)], layers: two, startsAsBase: false),
        Setup("fourierft", ["fourier_n_frequency": .integer(50)], layers: two, startsAsBase: false),
        Setup(
            "vblora", ["vector_length": .integer(8), "num_vectors": .integer(16)], layers: two, startsAsBase: false),
        Setup("reft", ["reft_layers": .list(["1"])], startsAsBase: false),
        Setup("prompt_tuning", ["num_virtual_tokens": .integer(3)], startsAsBase: false),
        Setup("prefix_tuning", ["num_virtual_tokens": .integer(3)], startsAsBase: false),
        Setup("p_tuning", ["num_virtual_tokens": .integer(3)], startsAsBase: false),
        Setup("multitask_prompt_tuning", ["num_virtual_tokens": .integer(3)], startsAsBase: false),
    ]
    /// What a saved adapter cannot be trained on from alone, and how that is said.
    static let endings = [
        "adalora": "the ranks of an AdaLoRA adapter have fallen", "longlora": "is an adapter of the method lora",
        "p_tuning": "holds the prompt and not the network that makes it",
    ]
    /// What is refused where nothing else is given.
    static let refused = ["xlora"]

    /// None is left out.
    @Test func everyTunerIsThere() {
        #expect(Set(Self.setups.map(\.tuner) + Self.refused) == Set(TunerType.allCases.map(\.rawValue)))
    }

    private func run(_ setup: Setup, _ method: PreferenceMethod = .dpo) throws -> TinyRun {
        try TinyRun(preferring: method).with { settings in
            settings.model.tunerType = TunerType(rawValue: setup.tuner) ?? .lora
            if let layers = setup.layers { settings.tuner.targetModules = layers }
            for (name, value) in setup.options { settings.tuner.methodOptions[name] = value }
            settings.optimization.perDeviceTrainBatchSize = 1
            settings.optimization.gradientAccumulationSteps = 1
            settings.optimization.maxSteps = 2
            settings.evaluation.saveSteps = 2
        }
    }

    /// The loss of the first pair is ln 2 where nothing is changed yet, and −ln σ of its margin wherever.
    @Test(arguments: setups) func firstLoss(setup: Setup) throws {
        let run = try run(setup)
        try run()
        let (losses, margins) = (try run.logged("loss"), try run.logged("rewards/margins"))
        #expect(losses.count == 2 && margins.count == 2 && losses.allSatisfy(\.isFinite))
        // What AdaLoRA adds to the loss keeps its vectors orthogonal.
        if setup.tuner != "adalora" {
            #expect(abs(losses[0] - log1p(exp(-margins[0]))) <= 1e-5, "\(losses) \(margins)")
        }
        #expect(setup.startsAsBase == (abs(margins[0]) <= 1e-5), "\(margins)")
        #expect(abs(margins[1]) > 1e-6, "\(margins)")
        // What is saved of it is read again.
        if setup.tuner != "full", setup.tuner != "bitfit" {
            let on = run.with {
                $0.model.adapters = ["\(run.output)/checkpoint-2"]
                $0.outputDirectoryName("on")
                $0.optimization.maxSteps = 1
            }
            if let reason = Self.endings[setup.tuner] {
                #expect(on.refusal().contains(reason))
            } else {
                try on()
                #expect(try on.logged("loss").allSatisfy(\.isFinite))
            }
        }
    }

    /// Others of the family learn with every method too.
    @Test(arguments: setups) func otherMethodsLearn(setup: Setup) throws {
        for method in [PreferenceMethod.orpo, .rewardModel] {
            let run = try run(setup, method).with { $0.evaluation.saveStrategy = .no }
            let refusal = run.refusal()
            guard refusal.isEmpty else {
                // A head of scores does not go with everything; what does not is named.
                #expect(refusal.contains(setup.tuner), "\(method): \(refusal)")
                continue
            }
            #expect(try run.logged("loss").allSatisfy(\.isFinite), "\(method)")
        }
    }

    @Test(arguments: refused) func whatNeedsMoreIsRefused(tuner: String) throws {
        let refusal = try run(Setup(tuner)).refusal()
        #expect(refusal.contains(tuner), "\(refusal)")
    }
}
