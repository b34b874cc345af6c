import ApusTraining
import Foundation
import Testing

@testable import ApusRecipes

/// `apus rlhf --rlhf_type grpo --log_rollout_offpolicy_metrics true`: what is told of model and sampler.
@Suite(.serialized) struct SamplerGapRunTests {
    /// What is told of model and sampler changes nothing, and says that they agree.
    @Test func gapsToTheSamplerAreTold() throws {
        let plain = try TinyRun(sampling: 8).with {
            $0.optimization.maxSteps = 2
            $0.tuner.loraDropout = 0
        }
        try plain()
        let told = plain.with {
            $0.outputDirectoryName("told")
            $0.preferences?.policy.logRolloutOffpolicyMetrics = true
        }
        try told()
        #expect(try told.losses() == plain.losses())
        func logged(_ name: String) throws -> [Double] { try told.logged("rollout_correction/\(name)") }
        for name in ["kl", "k3_kl", "chi2_token", "chi2_seq", "log_ppl_diff", "log_ppl_abs_diff"] {
            #expect(try logged(name).count == 2 && logged(name).allSatisfy { abs($0) <= 1e-4 }, "\(name)")
        }
        #expect(try zip(logged("training_ppl"), logged("rollout_ppl")).allSatisfy { abs($0 - $1) <= 1e-3 * $1 })
        #expect(try logged("is_weight_mean").isEmpty && plain.logged("rollout_correction/kl").isEmpty)
    }

    /// A step that drops has the same model as the sampler: nothing is weighed, and no answer is taken for stale.
    @Test func droppingIsNoGap() throws {
        let plain = try TinyRun(sampling: 8).with {
            $0.optimization.maxSteps = 3
            $0.tuner.loraDropout = 0.5
        }
        // An adapter that has learned much, so that what is dropped tells.
        try plain()
        let on = plain.with {
            $0.model.adapters = ["\(plain.output)/checkpoint-2"]
            $0.outputDirectoryName("on")
        }
        try on()
        let stale = on.with {
            $0.outputDirectoryName("stale")
            $0.preferences?.policy.offPolicySequenceMaskDelta = 1e-3
        }
        try stale()
        #expect(try stale.losses() == on.losses())
        let weighed = on.with {
            $0.outputDirectoryName("weighed")
            $0.preferences?.policy.rolloutImportanceSamplingMode = .sequenceMask
            $0.preferences?.policy.rolloutImportanceSamplingThreshold = 1.001
        }
        try weighed()
        let ratios = try weighed.logged("rollout_correction/max")
        #expect(ratios.count == 3 && ratios.allSatisfy { abs($0 - 1) <= 1e-4 }, "\(ratios)")
        #expect(try weighed.logged("rollout_correction/clipped_frac") == [0, 0, 0])
        #expect(try abs(weighed.logged("loss")[0] - on.logged("loss")[0]) <= 1e-4)
    }
}
