import Foundation
import Testing

@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusRewards
@testable import ApusTorch
@testable import ApusTraining

extension PreferenceVectorTests {
    /// The numbers of rows that a mask keeps.
    private func kept(_ rows: [[Double]], _ mask: [[Double]]) -> [[Double]] {
        zip(rows, mask).map { zip($0, $1).filter { $0.1 != 0 }.map(\.0) }
    }

    /// Numbers of answers with zeros where the mask keeps nothing.
    private func padded(_ rows: [[Double]], _ mask: [[Double]]) -> [Double] {
        zip(rows, mask).flatMap { row, mask in row + Array(repeating: 0, count: mask.count - row.count) }
    }

    func ppo(_ ppo: VectorFile.Node) {
        let mask = ppo["mask"].rows
        let (old, reference) = (kept(ppo["old_logp"].rows, mask), kept(ppo["ref_logp"].rows, mask))
        let (logs, values) = (kept(ppo["new_logp"].rows, mask), kept(ppo["values"].rows, mask))
        let newValues = kept(ppo["new_values"].rows, mask)
        let scores = ppo["score"].numbers
        ppo["score_at"].expects(old.map { Double($0.count - 1) })
        var options = ProximalOptions()
        options.divergenceCost = ppo["kl_coef"].number
        (options.discount, options.trace) = (ppo["gamma"].number, ppo["lam"].number)
        (options.clip, options.valueClip) = (ppo["cliprange"].number, ppo["cliprange_value"].number)
        options.valueWeight = ppo["vf_coef"].number
        func returns(_ options: ProximalOptions) -> ProximalReturns {
            ProximalReturns(
                old.indices.map {
                    ProximalReturns.Answer(
                        old: old[$0], reference: reference[$0], values: values[$0], score: scores[$0])
                }, options)
        }
        for (name, estimator) in [("k1", DivergenceEstimator.k1), ("k3", .k3)] {
            let one = ppo[name]
            options.estimator = estimator
            let made = returns(options)
            one["rewards"].expects(padded(made.rewards, mask))
            one["returns"].expects(padded(made.returns, mask))
            one["advantages_raw"].expects(
                padded(zip(made.returns, values).map { zip($0, $1).map { $0 - $1 } }, mask))
            one["advantages_whitened"].expects(padded(made.advantages, mask))
            let losses = old.indices.map {
                ProximalLoss(options)(
                    logs: logs[$0], old: old[$0], advantages: made.advantages[$0], values: newValues[$0],
                    before: values[$0], returns: made.returns[$0])
            }
            func overTokens(_ value: (ProximalLoss.Value) -> Double) -> Double {
                losses.reduce(0) { $0 + value($1) } / Double(logs.reduce(0) { $0 + $1.count })
            }
            let (policy, value) = (overTokens(\.policy), overTokens(\.value))
            one["policy_loss"].expects(policy)
            one["value_loss"].expects(value)
            one["loss"].expects(policy + options.valueWeight * value)
            // Theirs is the mean over the padding too, which has not moved.
            one["approxkl"].expects(overTokens(\.moved) * 7 / 8)
        }
        options.estimator = .k1
        options.whitensRewards = true
        ppo["rewards_whitened_k1_keep_mean"].expects(padded(returns(options).rewards, mask))
    }

    func advantages(_ given: VectorFile.Node) {
        let rewards = given["rewards_per_func"].rows
        let scores = [0, 1].map { function in rewards.map { $0[function] } }
        let (weights, size) = (given["weights"].numbers, Int(given["num_generations"].number))
        #expect(given["cases"].keys.count == 10)
        for name in given["cases"].keys {
            let words = name.split(separator: " ").map(String.init)
            guard let estimator = AdvantageEstimator(rawValue: words.count == 2 ? words[0] : "grpo"),
                let scale = RewardScale(rawValue: words[words.count - 1])
            else {
                Issue.record("no advantages \(name)")
                continue
            }
            let made = Advantages(
                scores: scores, weights: weights, groupSize: size, estimator: estimator, scale: scale)
            given["cases"][name].expects(made.values)
        }
    }

    func policy(_ given: VectorFile.Node) {
        let mask = given["mask"].rows
        let (logs, old) = (kept(given["logp"].rows, mask), kept(given["old"].rows, mask))
        let (reference, advantages) = (kept(given["ref"].rows, mask), given["adv"].numbers)
        let (longest, window) = (Int(given["max_len"].number), given["window_tokens"].number)
        /// The loss as it is divided, its derivatives, and what was clipped.
        func made(_ loss: PolicyLoss) -> (loss: Double, slopes: [Double], clipped: (low: Double, high: Double)) {
            let values = logs.indices.map { index in
                var answer = PolicyLoss.Answer(logs: logs[index], old: old[index], advantage: advantages[index])
                answer.reference = loss.divergenceWeight > 0 ? reference[index] : nil
                return loss(answer)
            }
            let divisor: Double =
                switch loss.form {
                case .grpo, .sapo, .drGRPO: 4
                case .bnpo: Double(values.reduce(0) { $0 + $1.tokens })
                case .dapo, .cispo, .fipo: window
                }
            let of = Double(values.reduce(0) { $0 + $1.clipped.of })
            return (
                values.reduce(0) { $0 + $1.sum } / divisor, padded(values.map(\.slopes), mask).map { $0 / divisor },
                (
                    Double(values.reduce(0) { $0 + $1.clipped.low }) / of,
                    Double(values.reduce(0) { $0 + $1.clipped.high }) / of
                )
            )
        }
        #expect(given["cases"].keys.count == 11)
        for name in given["cases"].keys {
            let one = given["cases"][name]
            var loss = PolicyLoss()
            loss.longest = longest
            guard one.has("kind") else {
                // TRL 1.16 in float32, which multiplies by the ratio unless told otherwise.
                loss.divergenceWeight = 0.04
                loss.weighsDivergence = true
                #expect(name == "grpo token, kl times ratio (trl 1.x default)")
                let made = made(loss)
                one["trl1_loss"].expects(made.loss, within: 1e-6)
                one["trl1_grad"].expects(made.slopes, within: 1e-6)
                continue
            }
            loss.form = PolicyLossForm(rawValue: one["kind"].text) ?? .fipo
            loss.level = RatioLevel(rawValue: one["level"].text) ?? .token
            if let cap = one["delta"].optionalNumber { loss.cap = cap } else { #expect(one["delta"].isNothing) }
            loss.divergenceWeight = one["beta"].number
            loss.clipHigh = one["high"].number
            let made = made(loss)
            one["loss"].expects(made.loss)
            one["grad_logp"].expects(made.slopes)
            if one.has("trl1_loss") { one["trl1_loss"].expects(made.loss, within: 1e-6) }
            let clipping = one["clipping"]
            switch loss.form {
            case .sapo: #expect(clipping.isNothing)
            case .cispo: clipping["cispo_clip_ratio"].expects(made.clipped.high, within: 1e-6)
            default:
                // One process has one mean.
                clipping["low_clip_mean"].expects(made.clipped.low, within: 1e-6)
                clipping["low_clip_min"].expects(made.clipped.low, within: 1e-6)
                clipping["high_clip_mean"].expects(made.clipped.high, within: 1e-6)
                clipping["high_clip_max"].expects(made.clipped.high, within: 1e-6)
                clipping["region_clip_mean"].expects(made.clipped.low + made.clipped.high, within: 1e-6)
            }
        }
    }

    /// A head whose scores are its input.
    private func mirror(_ width: Int) throws -> VocabularyHead {
        let head = VocabularyHead(width: width, vocabulary: width, initializer: .zeros)
        var unit = Array(repeating: 0.0, count: width * width)
        for index in 0..<width { unit[index * (width + 1)] = 1 }
        try head.setMatrix(Tensor(unit, shape: [width, width]))
        return head
    }

    func distillation(_ given: VectorFile.Node) throws {
        let (student, teacher) = (given["student_logits"].rows, given["teacher_logits"].rows)
        let head = try mirror(4)
        /// The divergence of some rows, and its derivatives.
        func made(_ rows: Range<Int>, _ form: DivergenceForm) throws -> (value: Double, slopes: [Double]) {
            let context = ForwardContext(bounds: [0, Int32(rows.count)])
            let x = try Tensor(student[rows].flatMap { $0 }, shape: [rows.count, 4])
            try x.setRequiresGradient(true)
            let theirs = TeacherRows(
                try mirror(4), rows: try Tensor(teacher[rows].flatMap { $0 }, shape: [rows.count, 4]), context)
            let sums = try head.divergence(
                x, from: theirs, labels: Tensor(rows.map { _ in Int32(0) }), form, context)
            try sums.loss.backward()
            return (try sums.divergence.item(), try #require(x.gradient).values())
        }
        func each(_ form: DivergenceForm) throws -> [Double] { try (0..<3).map { try made($0..<$0 + 1, form).value } }
        #expect(given["cases"].keys.count == 10)
        for name in given["cases"].keys {
            let one = given["cases"][name]
            let words = name.split(separator: " ")
            let form = DivergenceForm(beta: Double(words[1]) ?? .nan, temperature: Double(words[3]) ?? .nan)
            one["per_token"].expects(try each(form))
            let all = try made(0..<3, form)
            one["mean"].expects(all.value / 3)
            one["grad_student"].expects(all.slopes.map { $0 / 3 })
        }
        given["top2 beta .5 temperature 1 (renormalised over the two)"].expects(try each(DivergenceForm(topK: 2)))
    }

    func rewards(_ given: VectorFile.Node) throws {
        let settings = given["settings"]
        var options = RewardOptions()
        options.cosineMinLenValueWrong = settings["cosine_min_len_value_wrong"].number
        options.cosineMaxLenValueWrong = settings["cosine_max_len_value_wrong"].number
        options.cosineMinLenValueCorrect = settings["cosine_min_len_value_correct"].number
        options.cosineMaxLenValueCorrect = settings["cosine_max_len_value_correct"].number
        options.cosineMaxLen = Int(settings["cosine_max_len"].number)
        options.repetitionNGrams = Int(settings["repetition_n_grams"].number)
        options.repetitionMaxPenalty = settings["repetition_max_penalty"].number
        options.softMaxLength = Int(settings["soft_max_length"].number)
        options.softCacheLength = Int(settings["soft_cache_length"].number)
        func rewards(_ name: String, _ texts: [String], lengths: [Int]? = nil) throws -> [Double] {
            try RewardFunctions.named([name], options: options)[0].rewards(
                of: texts.enumerated().map {
                    Completion(
                        messages: [], text: $1, tokens: Array(repeating: 5, count: lengths?[$0] ?? 0),
                        columns: ["solution": .string("4")])
                }
            ).map { $0 ?? .nan }
        }
        for name in ["format", "repetition"] {
            #expect(given[name].keys.count == 4)
            for text in given[name].keys { given[name][text].expects(try rewards(name, [text])) }
        }
        let lengths = given["lengths"].numbers.map { Int($0) }
        for (name, reward, text) in [
            ("cosine_right", "cosine", #"\boxed{4}"#), ("cosine_wrong", "cosine", #"\boxed{5}"#),
            ("soft_overlong 100/20", "soft_overlong", ""),
        ] { given[name].expects(try rewards(reward, lengths.map { _ in text }, lengths: lengths)) }
    }

    func scores(_ given: VectorFile.Node) throws {
        let rows = try Tensor(given["logits"].rows.flatMap { $0 }, shape: [3, 5])
        let labels = try Tensor(given["labels"].numbers.map { Int32($0) })
        let (head, context) = (try mirror(5), ForwardContext(bounds: [0, 3]))
        for (name, temperature) in [("temperature 1.0", 1.0), ("temperature 0.9", 0.9)] {
            let one = given[name]
            let losses: [Double] = try head.tokenLosses(rows, labels: labels, temperature: temperature, context)
                .losses.values()
            one["logp"].expects(losses.map(-))
            one["entropy"].expects(try head.entropies(rows, temperature: temperature, context).values())
        }
    }
}
