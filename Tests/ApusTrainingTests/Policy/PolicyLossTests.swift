import ApusJSON
import ApusTorch
import Foundation
import Testing

@testable import ApusTraining

/// Losses of answers with advantages, and advantages, by plain formulas in float64 (Scripts/fixtures/make_policy.py).
struct PolicyLossTests {
    fileprivate static func fixture() throws -> JSONValue {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Fixtures/policy/losses.json")
        return try JSONValue(parsing: Data(contentsOf: file))
    }

    fileprivate static func rows(_ value: JSONValue?) -> [[Double]] {
        (value?.arrayValue ?? []).map { ($0.arrayValue ?? []).map { $0.doubleValue ?? .nan } }
    }

    fileprivate static func numbers(_ value: JSONValue?) -> [Double] {
        (value?.arrayValue ?? []).map { $0.doubleValue ?? .nan }
    }

    private static func loss(_ options: JSONValue, longest: Int) throws -> PolicyLoss {
        var loss = PolicyLoss()
        loss.form = try #require(PolicyLossForm(rawValue: options["form"]?.stringValue ?? ""))
        loss.level = try #require(RatioLevel(rawValue: options["level"]?.stringValue ?? "token"))
        loss.clipLow = options["low"]?.doubleValue ?? 0.2
        loss.clipHigh = options["high"]?.doubleValue ?? 0.2
        loss.cap = options["cap"]?.doubleValue
        loss.divergenceWeight = options["beta"]?.doubleValue ?? 0
        loss.longest = longest
        loss.staleness = options["staleness"]?.doubleValue
        loss.future.halfLife = options["half_life"]?.doubleValue ?? 32
        loss.future.safety = options["safety"]?.doubleValue ?? 4
        if let form = options["correction"]?.stringValue.flatMap(SamplerCorrection.init) {
            loss.correction = (form, options["limit"]?.doubleValue ?? 2)
        }
        return loss
    }

    @Test func valuesAndDerivatives() throws {
        let fixture = try Self.fixture()
        let (logs, old) = (Self.rows(fixture["logs"]), Self.rows(fixture["old"]))
        let (reference, sampled) = (Self.rows(fixture["reference"]), Self.rows(fixture["sampled"]))
        let advantages = Self.numbers(fixture["advantages"])
        var forms: Set<PolicyLossForm> = []
        for options in fixture["cases"]?.arrayValue ?? [] {
            let loss = try Self.loss(options, longest: fixture["longest"]?.intValue ?? 0)
            forms.insert(loss.form)
            let (sums, slopes) = (Self.numbers(options["sums"]), Self.rows(options["slopes"]))
            for index in logs.indices {
                var answer = PolicyLoss.Answer(logs: logs[index], old: old[index], advantage: advantages[index])
                answer.reference = loss.divergenceWeight > 0 ? reference[index] : nil
                answer.sampled = sampled[index]
                let value = loss(answer)
                #expect(abs(value.sum - sums[index]) <= 1e-12, "\(options.serialized())")
                for (slope, wanted) in zip(value.slopes, slopes[index]) {
                    #expect(abs(slope - wanted) <= 1e-12, "\(options.serialized())")
                }
            }
        }
        #expect(forms == Set(PolicyLossForm.allCases))
    }

    /// Two answers whose probabilities are ½, ¼ and ⅒ by the model, ¼, ¼ and ⅕ by the sampler, so that u is ln 2, 0, −ln 2.
    @Test func gapsToTheSampler() throws {
        let (a, b) = ([0.5, 0.25].map { log($0) }, [0.1].map { log($0) })
        let (sampledA, sampledB) = ([0.25, 0.25].map { log($0) }, [0.2].map { log($0) })
        func figures(_ correction: (form: SamplerCorrection, limit: Double)?) -> [String: Double] {
            var loss = PolicyLoss()
            loss.correction = correction
            var gap = SamplerGap()
            for (old, sampled) in [(a, sampledA), (b, sampledB), ([], [])] {
                var answer = PolicyLoss.Answer(logs: old, old: old, advantage: 1)
                answer.sampled = sampled
                gap.add(old: old, sampled: sampled, weights: loss(answer).correction)
            }
            return gap.figures(correction).reduce(into: [:]) { $0[$1.name] = $1.sum / Double($1.count) }
        }
        func check(_ made: [String: Double], _ wanted: [String: Double]) {
            for (name, value) in wanted { #expect(abs((made[name] ?? .nan) - value) <= 1e-12, "\(name)") }
        }
        let two = log(2.0)
        let plain = figures(nil)
        check(
            plain,
            [
                "kl": 0, "k3_kl": (2 - two - 1 + 0.5 + two - 1) / 3,
                "training_ppl": (8.0.squareRoot() + 10) / 2, "training_log_ppl": (1.5 * two + log(10)) / 2,
                "rollout_ppl": 4.5, "rollout_log_ppl": (2 * two + log(5)) / 2,
                // The logarithms of perplexities differ by −½ ln 2 and ln 2.
                "log_ppl_diff": 0.25 * two, "log_ppl_abs_diff": 0.75 * two, "log_ppl_diff_max": two,
                "log_ppl_diff_min": -0.5 * two, "ppl_ratio": (0.5.squareRoot() + 2) / 2,
                "chi2_token": (4 + 1 + 0.25) / 3 - 1, "chi2_seq": (2 + 0.25) / 2 - 1,
            ])
        #expect(plain.count == 13)
        // Weights 1.5, 1 and ½, of which the last counts as 1/1.5.
        let held = [1.5, 1, 1 / 1.5]
        let mean = held.reduce(0, +) / 3
        check(
            figures((.tokenTruncate, 1.5)),
            [
                "is_weight_mean": 1, "clipped_frac": 1.0 / 3,
                "ess": mean * mean / (held.reduce(0) { $0 + $1 * $1 } / 3),
            ])
        check(figures((.tokenMask, 1.5)), ["is_weight_mean": 0.5, "clipped_frac": 1.0 / 3])
        // The first answer as a whole is √2 times as probable.
        check(figures((.sequenceMask, 1.2)), ["is_weight_mean": 0.5 / 3, "clipped_frac": 0.5])
        check(figures((.sequenceTruncate, 1.2)), ["is_weight_mean": (1.2 + 1.2 + 0.5) / 3, "clipped_frac": 0.5])
        #expect(SamplerGap().figures(nil).isEmpty)
    }

    /// The sampler is compared with a pass that drops nothing.
    ///
    /// One that drops finds the answer less probable; what has moved since is stale, and weighed by what it was.
    @Test func samplersDropNothing() {
        let (half, quarter) = (log(0.5), log(0.25))
        var loss = PolicyLoss()
        loss.correction = (.tokenTruncate, 2)
        loss.staleness = 0.5
        var answer = PolicyLoss.Answer(logs: [quarter, quarter], old: [quarter, quarter], advantage: -1)
        answer.sampled = [half, half]
        // ln 2 from the sampler, and half as probable.
        #expect(loss(answer).tokens == 0 && loss(answer).largestCorrection == 0.5)
        (answer.undropped, answer.undroppedOld) = ([half, half], [half, half])
        let same = loss(answer)
        #expect(same.tokens == 2 && same.correction == [1, 1] && same.largestCorrection == 1)
        // ρ is that of the pass itself, 1: the loss is −A.
        #expect(same.sum == 1 && same.slopes == [0.5, 0.5])
        answer.undropped = [quarter, quarter]
        #expect(loss(answer).tokens == 0 && loss(answer).correction == [1, 1])
    }

    /// Two groups of two answers, of which the first round is one and the second the other.
    @Test func figuresOfSeveralRounds() throws {
        var options = RolloutMaker.Options()
        options.groupSize = 2
        var figures = RoundFigures(
            lengths: [2, 4], isCut: [false, true], scores: [[0, 1], [.nan, 3]], rewards: [0, 4], turns: [1, 1])
        figures.add(
            RoundFigures(
                lengths: [9, 5], isCut: [true, true], scores: [[1, 1], [.nan, .nan]], rewards: [1, 1], turns: [2, 4]))
        func told(_ options: RolloutMaker.Options) throws -> [String: Double] {
            try figures.tallies(["a", "b"], options).reduce(into: [:]) {
                $0[$1.name] = try $1.sum.item() / Double($1.count)
            }
        }
        // Groups spread by √8 and 0, and all rewards, whose mean is 1½, by √(9/3).
        let made = try told(options)
        #expect(
            made == [
                "completions/mean_length": 5, "completions/min_length": 2, "completions/max_length": 9,
                "completions/clipped_ratio": 0.75, "reward": 1.5, "reward_std": 8.0.squareRoot() / 2,
                "frac_reward_zero_std": 0.5, "rewards/a/mean": 0.75, "rewards/a/std": 0.5, "rewards/b/unjudged": 3,
                "rewards/b/mean": 3, "rewards/b/std": 0,
            ])
        options.scale = .batch
        options.tellsTurns = true
        let other = try told(options)
        #expect(other["reward_std"] == 3.0.squareRoot() && other["num_turns"] == 2)
    }

    /// Rewards whose spread is no number are refused by name, and so are sums of them.
    @Test func rewardsWithoutASpread() {
        func refusal(_ scores: [[Double]], _ rewards: [Double], _ advantages: [Double] = []) -> String {
            let figures = RoundFigures(
                lengths: [1, 1], isCut: [false, false], scores: scores, rewards: rewards, turns: [1, 1])
            let error = #expect(throws: TrainingError.self) { try figures.check(["a", "b"], advantages) }
            return error?.description ?? ""
        }
        #expect(refusal([[1, 2], [1e300, -1e300]], [1, 2]).contains("the reward b said -1e+300 to 1e+300"))
        #expect(refusal([[.infinity, .nan], [1, 2]], [1, 2]).contains("the reward a said inf to inf"))
        #expect(refusal([[1, 2], [1, 2]], [1e200, 0]).contains("the rewards a, b"))
        #expect(refusal([[1, 2], [1, 2]], [1, 2], [.nan, 0]).contains("the rewards a, b"))
    }

    /// Questions that fill no round: 9 in rounds of 2.
    @Test func questionsLeftOver() {
        let plan = RoundPlan(groupSize: 4, batchSize: 4, batches: 2, iterations: 1, questions: 9)
        #expect(plan.questionsLeft == 1)
        #expect(RoundPlan(groupSize: 4, batchSize: 4, batches: 2, iterations: 3, questions: 8).questionsLeft == 0)
    }

    @Test func advantages() throws {
        let fixture = try #require(try Self.fixture()["estimates"])
        let (scores, weights) = (Self.rows(fixture["scores"]), Self.numbers(fixture["weights"]))
        let cases = fixture["cases"]?.arrayValue ?? []
        #expect(cases.count == 21)
        for it in cases {
            let made = Advantages(
                scores: scores, weights: weights, costs: it["costs"]?.isNull == true ? nil : Self.numbers(it["costs"]),
                groupSize: fixture["groupSize"]?.intValue ?? 0,
                estimator: try #require(AdvantageEstimator(rawValue: it["estimator"]?.stringValue ?? "")),
                scale: try #require(RewardScale(rawValue: it["scale"]?.stringValue ?? "")))
            for (value, wanted) in zip(made.rewards, Self.numbers(it["rewards"])) {
                #expect(abs(value - wanted) <= 1e-12)
            }
            for (value, wanted) in zip(made.values, Self.numbers(it["values"])) {
                #expect(abs(value - wanted) <= 1e-12, "\(it.serialized())")
            }
        }
    }

    /// An answer that is left out adds nothing, and what it clips is counted as it is capped.
    @Test func answersThatDoNotCount() {
        var answer = PolicyLoss.Answer(logs: [-1, -2], old: [-2, -1], advantage: 1)
        let counted = PolicyLoss()(answer)
        #expect(counted.clipped == (low: 0, high: 1, of: 2) && counted.tokens == 2)
        answer.isMasked = true
        let masked = PolicyLoss()(answer)
        #expect(masked.sum == 0 && masked.slopes == [0, 0] && masked.tokens == 0 && masked.clipped.of == 0)
        answer.isMasked = false
        answer.counts = [false, true]
        let half = PolicyLoss()(answer)
        #expect(half.slopes[0] == 0 && half.slopes[1] != 0)
    }

    /// Clipping is told of tokens, but where the ratio is one of whole answers: there of answers, as in ms-swift.
    @Test(arguments: RatioLevel.allCases) func whatIsClipped(level: RatioLevel) {
        var loss = PolicyLoss()
        loss.level = level
        // Ratios e^1, e^1 and 1 of tokens, and e^(2/3) > 1.2 of the answer.
        let value = loss(PolicyLoss.Answer(logs: [-1, -1, -1], old: [-2, -2, -1], advantage: 1))
        switch level {
        case .token: #expect(value.clipped == (low: 0, high: 2, of: 3))
        case .sequence: #expect(value.clipped == (low: 0, high: 1, of: 1))
        case .sequenceToken: #expect(value.clipped == (low: 0, high: 3, of: 3))
        }
    }

    /// Rounds, and where the uses of their answers lie.
    @Test func rounds() {
        let plan = RoundPlan(groupSize: 4, batchSize: 2, batches: 4, iterations: 3, questions: 7)
        #expect(plan.size == 8 && plan.questionsPerRound == 2 && plan.roundsPerEpoch == 3 && plan.uses == 72)
        #expect((0..<4).map { plan.place(of: $0).answer } == [0, 1, 2, 3])
        #expect(plan.place(of: 8) == (round: 0, answer: 0) && plan.place(of: 23) == (round: 0, answer: 7))
        #expect(plan.place(of: 24) == (round: 1, answer: 0) && plan.place(of: 71) == (round: 2, answer: 7))
    }
}

extension PolicyLossTests {
    /// Rewards, advantages and losses of PPO as TRL computes them.
    @Test func proximal() throws {
        let fixture = try #require(try Self.fixture()["ppo"])
        let (logs, old) = (Self.rows(fixture["logs"]), Self.rows(fixture["old"]))
        let (reference, values) = (Self.rows(fixture["reference"]), Self.rows(fixture["values"]))
        let (scores, newValues) = (Self.numbers(fixture["scores"]), Self.rows(fixture["newValues"]))
        func number(_ name: String) -> Double { fixture[name]?.doubleValue ?? .nan }
        func expect(_ made: [Double], _ wanted: [Double], _ what: String) {
            #expect(made.count == wanted.count)
            for (made, wanted) in zip(made, wanted) { #expect(abs(made - wanted) <= 1e-12, "\(what)") }
        }
        let cases = fixture["cases"]?.arrayValue ?? []
        #expect(cases.count == 4)
        for it in cases {
            var options = ProximalOptions()
            options.estimator = try #require(DivergenceEstimator(rawValue: it["estimator"]?.stringValue ?? ""))
            options.whitensRewards = it["whitens"]?.boolValue == true
            options.divergenceCost = number("klCoefficient")
            (options.discount, options.trace) = (number("gamma"), number("lambda"))
            (options.clip, options.valueClip) = (number("clip"), number("valueClip"))
            options.valueWeight = number("valueWeight")
            let returns = ProximalReturns(
                logs.indices.map {
                    ProximalReturns.Answer(
                        old: old[$0], reference: reference[$0], values: values[$0], score: scores[$0])
                }, options)
            for index in logs.indices {
                expect(returns.rewards[index], Self.rows(it["rewards"])[index], "rewards")
                expect(returns.advantages[index], Self.rows(it["advantages"])[index], "advantages")
                expect(returns.returns[index], Self.rows(it["returns"])[index], "returns")
            }
            let made = logs.indices.map {
                ProximalLoss(options)(
                    logs: logs[$0], old: old[$0], advantages: returns.advantages[$0], values: newValues[$0],
                    before: values[$0], returns: returns.returns[$0])
            }
            expect([made.reduce(0) { $0 + $1.policy }], [it["policy"]?.doubleValue ?? .nan], "policy")
            expect([made.reduce(0) { $0 + $1.value }], [it["value"]?.doubleValue ?? .nan], "value")
            expect(made.flatMap(\.slopes), Self.numbers(it["slopes"]), "slopes")
            expect(made.flatMap(\.valueSlopes), Self.numbers(it["valueSlopes"]), "value slopes")
        }
    }
}
