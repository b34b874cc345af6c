import Foundation
import Testing

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusRewards
@testable import ApusTorch
@testable import ApusTraining

/// Every number of a collection of vectors for preferences, rewards and policies, which was made by plain formulas in float64
/// and compared with ms-swift 4.6 and TRL 0.29.1 and 1.16 where it was made.
///
/// What nothing reads fails the test.
struct PreferenceVectorTests {
    /// What is left out, and why.
    private static let excluded = [
        "made_with/": "where the numbers come from",
        "note/": "words",
        "largest_distance/": "how far the peers were from these numbers when they were made",
        "ms_swift_max_abs_diff": "the same of one case",
        "ms_swift_diff": "the same",
        "trl1_abs_diff": "the same",
        "trl1_diff": "the same",
        "ms_swift": "what ms-swift says of a loss that it does not have",
        "trl1": "what TRL says of a level that it does not have",
    ]

    @Test func everyVector() throws {
        let file = VectorFile(try Fixture.json("preferences/vectors.json"))
        let root = file.root
        dpo(root["dpo"])
        kto(root["kto"], root["dpo"])
        cpo(root["cpo"], root["dpo"])
        orpo(root["orpo"], root["dpo"])
        reward(root["reward"])
        ppo(root["ppo"])
        advantages(root["advantages"])
        policy(root["grpo"])
        try distillation(root["gkd"])
        try rewards(root["rewards"])
        try scores(root["logps"])
        let unread = file.unread(without: Array(Self.excluded.keys))
        #expect(unread.isEmpty, "\(unread.joined(separator: "\n"))")
        // A rule that leaves nothing out says something wrong.
        for (rule, _) in Self.excluded {
            #expect(file.unread(without: Self.excluded.keys.filter { $0 != rule }) != unread, "\(rule)")
        }
    }

    @Test func whatIsNotReadIsTold() throws {
        let file = VectorFile(try JSONValue(parsing: #"{"a": {"b": [1, 2], "c": 2}, "d": {"e": 3}}"#))
        file.root["a"]["b"].expects([1, 2])
        #expect(file.unread(without: []) == ["a › c", "d › e"])
        #expect(file.unread(without: ["d/", "c"]) == [])
    }

    // MARK: - Pairs

    /// The scores of four pairs as a loss has them.
    private func pairs(
        _ dpo: VectorFile.Node, _ terms: PairTerms = PairTerms([], PairLossOptions(beta: 0.1)), referenced: Bool = true
    ) -> [PairScore] {
        let tokens = dpo["per_token_logps"]
        let rows = ["chosen", "rejected", "ref_chosen", "ref_rejected"].map { tokens[$0].rows }
        return (0..<4).map { index in
            let shorter = min(rows[0][index].count, rows[1][index].count)
            func sum(_ side: Int, weighs: Bool) -> Double {
                rows[side][index].enumerated().reduce(0) {
                    $0 + $1.element * (weighs ? terms.tokenWeight(at: $1.offset, shorter: shorter) : 1)
                }
            }
            return PairScore(
                chosen: sum(0, weighs: true), rejected: sum(1, weighs: true),
                chosenReference: referenced ? sum(2, weighs: terms.weighsReferenceTails) : 0,
                rejectedReference: referenced ? sum(3, weighs: terms.weighsReferenceTails) : 0,
                chosenCount: rows[0][index].count, rejectedCount: rows[1][index].count)
        }
    }

    private func mean(_ numbers: [Double]) -> Double { numbers.reduce(0, +) / Double(numbers.count) }

    /// The mean `−log p` of the tokens of chosen answers.
    private func likelihood(_ dpo: VectorFile.Node) -> Double {
        let all = dpo["per_token_logps"]["chosen"].rows.flatMap { $0 }
        return -mean(all)
    }

    private func dpo(_ dpo: VectorFile.Node) {
        let plain = pairs(dpo)
        dpo["sums"]["chosen"].expects(plain.map(\.chosen))
        dpo["sums"]["rejected"].expects(plain.map(\.rejected))
        dpo["sums"]["ref_chosen"].expects(plain.map(\.chosenReference))
        dpo["sums"]["ref_rejected"].expects(plain.map(\.rejectedReference))
        dpo["lengths"]["chosen"].expects(plain.map { Double($0.chosenCount) })
        dpo["lengths"]["rejected"].expects(plain.map { Double($0.rejectedCount) })
        dpo["nll_chosen_mean_over_tokens"].expects(likelihood(dpo))
        dpo["rewards"]["chosen"].expects(plain.map { 0.1 * $0.chosenGain })
        dpo["rewards"]["rejected"].expects(plain.map { 0.1 * $0.rejectedGain })
        dpo["rewards"]["accuracy"].expects(mean(plain.map { $0.chosenGain > $0.rejectedGain ? 1 : 0 }))
        #expect(dpo["cases"].keys.count == 25)
        for name in dpo["cases"].keys { pairCase(name, dpo["cases"][name], dpo) }
    }

    private func pairCase(_ name: String, _ one: VectorFile.Node, _ dpo: VectorFile.Node) {
        var options = PairLossOptions(
            beta: one["beta"].optionalNumber ?? 0.1, labelSmoothing: one["eps"].optionalNumber ?? 0)
        if one.has("divergence") {
            let alpha = one["alpha"].optionalNumber ?? 0.5
            let shapes: [String: ScoreShape] = [
                "forward_kl": .forwardKL, "js_divergence": .jensenShannon, "alpha_divergence": .alpha(alpha),
            ]
            options.shape = shapes[one["divergence"].text] ?? .plain
            #expect(options.shape != .plain)
        }
        var terms = PairTerms([], options, tailWeight: one["ld_alpha"].optionalNumber)
        terms.weighsReferenceTails = !name.contains("reference whole")
        let (words, weights) = (one["loss_types"].texts, one["loss_weights"].numbers)
        #expect(words.count == weights.count && !words.isEmpty)
        /// Values and derivatives of the mix.
        func losses(_ terms: PairTerms) -> PairLosses {
            let points = pairs(dpo, terms)
            let zeros = points.map { _ in 0.0 }
            var sums = PairLosses(values: zeros, chosen: zeros, rejected: zeros)
            for (word, weight) in zip(words, weights) {
                if word == "sft" {
                    sums.values = sums.values.map { $0 + weight * likelihood(dpo) }
                    continue
                }
                let camel = word.split(separator: "_").enumerated().map { $0 == 0 ? String($1) : $1.capitalized }
                guard let loss = PairLoss.allCases.first(where: { "\($0)" == camel.joined() }) else {
                    Issue.record("no loss \(word)")
                    continue
                }
                let made = loss.losses(points, terms.options)
                sums.values = zip(sums.values, made.values).map { $0 + weight * $1 }
                sums.chosen = zip(sums.chosen, made.chosen).map { $0 + weight * $1 }
                sums.rejected = zip(sums.rejected, made.rejected).map { $0 + weight * $1 }
            }
            return sums
        }
        let made = losses(terms)
        one["losses"].expects(made.values)
        one["mean"].expects(mean(made.values))
        if words == ["sft"] {
            #expect(one["grad_chosen"].isNothing && one["grad_rejected"].isNothing)
        } else {
            one["grad_chosen"].expects(made.chosen.map { $0 / 4 })
            one["grad_rejected"].expects(made.rejected.map { $0 / 4 })
        }

        // TRL 1.16 in float32: it smooths no sigmoid, and weighs the reference's tokens too.
        var theirs = terms
        theirs.weighsReferenceTails = true
        if words == ["sigmoid"] { theirs.options.labelSmoothing = 0 }
        one["trl1_mean"].expects(mean(losses(theirs).values), within: 1e-6)
        guard one.has("trl1_metrics") else { return }
        let (points, told) = (pairs(dpo, theirs), one["trl1_metrics"])
        let beta = options.beta
        let (chosen, rejected) = (points.map { beta * $0.chosenGain }, points.map { beta * $0.rejectedGain })
        told["rewards/chosen"].expects(mean(chosen), within: 1e-6)
        told["rewards/rejected"].expects(mean(rejected), within: 1e-6)
        told["rewards/margins"].expects(mean(chosen) - mean(rejected), within: 1e-6)
        told["rewards/accuracies"].expects(mean(zip(chosen, rejected).map { $0 > $1 ? 1 : 0 }))
        told["logps/chosen"].expects(mean(points.map(\.chosen)), within: 1e-6)
        told["logps/rejected"].expects(mean(points.map(\.rejected)), within: 1e-6)
    }

    private func kto(_ kto: VectorFile.Node, _ dpo: VectorFile.Node) {
        let (gaps, points) = (kto["kl_per_sequence"].numbers, pairs(dpo))
        #expect(kto["cases"].keys.count == 4)
        for name in kto["cases"].keys {
            let one = kto["cases"][name]
            let loss = JudgedLoss(
                beta: one["beta"].number, desirableWeight: one["desirable_weight"].number,
                undesirableWeight: one["undesirable_weight"].number, comparesWithOthers: name.hasPrefix("kto"))
            let sum = gaps.reduce(0, +) * (name.hasSuffix("-1") ? -1 : 1)
            let zero = loss.comparesWithOthers ? JudgedLoss.zero(ofGains: sum, count: gaps.count) : 0
            one["kl_used"].expects(zero)
            let good = points.map { loss.loss(gain: $0.chosenGain, isGood: true, zero: zero) }
            let bad = points.map { loss.loss(gain: $0.rejectedGain, isGood: false, zero: zero) }
            let values = (good + bad).map(\.value)
            one["losses_desirable_then_undesirable"].expects(values)
            one["mean"].expects(mean(values))
            one["grad_chosen"].expects(good.map { $0.slope / 8 })
            one["grad_rejected"].expects(bad.map { $0.slope / 8 })
        }
    }

    private func cpo(_ cpo: VectorFile.Node, _ dpo: VectorFile.Node) {
        let points = pairs(dpo, referenced: false)
        #expect(cpo.keys.count == 6)
        for name in cpo.keys {
            let one = cpo[name]
            let word = one["loss_type"].text
            let losses: [String: PairLoss] = ["sigmoid": .sigmoid, "hinge": .hinge, "ipo": .ipo, "simpo": .sigmoidNorm]
            guard let loss = losses[word] else {
                Issue.record("no loss \(word)")
                continue
            }
            let isOfMeans = one["logps_are"].text == "mean over tokens"
            #expect(loss.comparesMeans == isOfMeans)
            let options = PairLossOptions(
                beta: one["beta"].number, labelSmoothing: one["eps"].optionalNumber ?? 0,
                margin: one["gamma"].optionalNumber ?? 0,
                shape: one["alpha"].optionalNumber.map { .power($0) } ?? .plain)
            let made = loss.losses(points, options)
            one["losses"].expects(made.values)
            one["mean_preference"].expects(mean(made.values))
            one["with_cpo_alpha_1"].expects(mean(made.values) + likelihood(dpo))
            // Theirs are by what the loss compares.
            func slopes(_ given: [Double], _ counts: [Int]) -> [Double] {
                zip(given, counts).map { $0 / 4 * (isOfMeans ? Double($1) : 1) }
            }
            one["grad_chosen"].expects(slopes(made.chosen, points.map(\.chosenCount)))
            one["grad_rejected"].expects(slopes(made.rejected, points.map(\.rejectedCount)))
        }
    }

    private func orpo(_ orpo: VectorFile.Node, _ dpo: VectorFile.Node) {
        let points = pairs(dpo, referenced: false)
        #expect(orpo["logps_are"].text == "mean over tokens")
        let made = PairLoss.oddsRatio.losses(points, PairLossOptions(beta: orpo["beta"].number))
        orpo["or_losses"].expects(made.values)
        let odds = points.map(PairLoss.odds)
        orpo["log_odds"].expects(odds)
        orpo["log_odds_chosen"].expects(mean(odds))
        orpo["log_odds_ratio"].expects(mean(odds.map(logLogistic)))
        orpo["total_with_nll_over_completion"].expects(mean(made.values) + likelihood(dpo))
        orpo["grad_chosen"].expects(zip(made.chosen, points).map { $0 / 4 * Double($1.chosenCount) })
        orpo["grad_rejected"].expects(zip(made.rejected, points).map { $0 / 4 * Double($1.rejectedCount) })
    }

    private func reward(_ reward: VectorFile.Node) {
        let (chosen, rejected) = (reward["chosen"].numbers, reward["rejected"].numbers)
        // Under the name of the margins lies the case with them too.
        for (name, loss) in [
            ("plain", RewardLoss()), ("margin", RewardLoss()), ("center .01", RewardLoss(centerCoefficient: 0.01)),
        ] {
            let margins = name == "margin" ? [0.0, 0.5, 1.0, 0.25] : [0, 0, 0, 0]
            let made = (0..<4).map { loss.loss(chosen: chosen[$0], rejected: rejected[$0], margin: margins[$0]) }
            reward[name]["loss"].expects(mean(made.map(\.value)))
            reward[name]["grad_chosen"].expects(made.map { $0.chosen / 4 })
            reward[name]["grad_rejected"].expects(made.map { $0.rejected / 4 })
        }
    }
}
