import ApusGeneration
import ApusRewards
import ApusRunLog
import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusDatasets
@testable import ApusFiles
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusOptimizers
@testable import ApusQuantization
@testable import ApusTorch
@testable import ApusTraining

/// Answers that are sampled, rewarded and learned from as the loop does it, against TRL's GRPO trainer
/// (Scripts/fixtures/make_policy.py): given its answers and rewards, twelve steps with everything that is logged.
struct PolicyParityTests {
    static let runs = [
        "grpo", "grpo-again", "dapo", "bnpo", "dr-grpo", "cispo", "sapo", "gspo", "capped", "masked", "entropy",
        "moving",
    ]

    /// Rewards that somebody else gave.
    private final class RecordedRewards: RewardFunction, @unchecked Sendable {
        let name = "height"
        var rounds: [[Double]]
        init(_ rounds: [[Double]]) { self.rounds = rounds }
        func rewards(of completions: [Completion]) -> [Double?] { rounds.removeFirst() }
    }

    private struct Recorded {
        let json: JSONValue

        init(_ name: String) throws { json = try Fixture.json("policy/\(name).json") }

        func number(_ key: String) -> Double? { json["settings"]?[key]?.doubleValue }
        func count(_ key: String, _ usual: Int) -> Int { number(key).map { Int($0) } ?? usual }
        func word(_ key: String) -> String? { json["settings"]?[key]?.stringValue }
        func steps(_ key: String) -> [Double?] { (json["steps"]?[key]?.arrayValue ?? []).map(\.doubleValue) }

        var isFull: Bool { json["settings"]?["full"]?.boolValue == true }

        var rounds: [JSONValue] { json["rounds"]?.arrayValue ?? [] }

        static func rows(_ value: JSONValue?) -> [[Int32]] {
            (value?.arrayValue ?? []).map { ($0.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) } }
        }

        var loss: PolicyLoss {
            var loss = PolicyLoss()
            loss.form = word("loss_type").flatMap(PolicyLossForm.init) ?? .grpo
            loss.level = word("importance_sampling_level").flatMap(RatioLevel.init) ?? .token
            loss.clipLow = number("epsilon") ?? 0.2
            loss.clipHigh = number("epsilon_high") ?? loss.clipLow
            loss.cap = number("delta")
            loss.divergenceWeight = number("beta") ?? 0
            loss.longest = count("max_completion_length", 1)
            return loss
        }
    }

    @Test(arguments: runs) func everyStepEqualsTRLs(name: String) throws {
        let recorded = try Recorded(name)
        let dtype = recorded.isFull ? DType.float64 : .float32
        let model = try Fixture.model("qwen2-tied-gqa", dtype: dtype)
        let folder = Fixture.root.appendingPathComponent("preferences/initial").path
        var slots = model.parameters()
        if recorded.isFull {
            try model.setTrainable(true)
        } else {
            let attached = try AdapterFiles.method(in: folder).attach(to: model)
            try attached.load(from: folder, dtype: .float32, device: .cpu)
            try attached.setTrainable(true)
            slots = attached.parameters
        }
        let trained = slots.compactMap { name, slot in
            slot.tensor.map { TrainedParameter(name: name, tensor: $0) }
        }

        // Questions in the order in which they were asked, each once.
        var questions: [[Int32]] = []
        for round in recorded.rounds {
            for ids in Recorded.rows(round["questions"]) where !questions.contains(ids) { questions.append(ids) }
        }
        let loss = recorded.loss
        let limit = recorded.count("max_completion_length", 1)
        var options = RolloutMaker.Options()
        options.groupSize = recorded.count("num_generations", 1)
        options.batchSize = 8
        options.form = loss.form
        options.scale = recorded.word("scale_rewards").flatMap(RewardScale.init) ?? .group
        options.temperature = recorded.number("temperature") ?? 1
        options.masksCut = recorded.json["settings"]?["mask_truncated_completions"]?.boolValue == true
        var rounds = recorded.rounds[...]
        let rewards = RecordedRewards(
            rounds.map { ($0["rewards"]?.arrayValue ?? []).compactMap(\.doubleValue) })
        let maker = RolloutMaker(
            model, questions: questions, rewards: [rewards], options,
            sample: { asked, _ in
                let round = rounds.removeFirst()
                #expect(asked.map { questions[$0] } == Recorded.rows(round["questions"]))
                return Recorded.rows(round["answers"]).map { ids in
                    var answer = SampledAnswer()
                    answer.isCut = ids.count == limit && ids.last != 2
                    answer.end = answer.isCut ? nil : 2
                    answer.tokens = answer.isCut ? ids : Array(ids.dropLast())
                    answer.logProbabilities = ids.map { _ in -1 }
                    return Episode(answer, Completion(messages: [], text: "", tokens: answer.tokens))
                }
            })
        var moving: MovingReference?
        if recorded.isFull {
            let other = try Fixture.model("qwen2-tied-gqa", dtype: dtype)
            maker.reference = .model(other)
            moving = try recorded.number("ref_model_sync_steps").map {
                try MovingReference(
                    other, follows: model, every: Int($0), share: recorded.number("ref_model_mixup_alpha") ?? .nan)
            }
        } else if loss.divergenceWeight > 0 {
            // As TRL does it: the adapter as it was.
            let before = try AdapterFiles.method(in: folder).attach(to: model, named: "ref_adapter")
            try before.load(from: folder, device: .cpu)
            try before.setTrainable(false)
            model.trunk.activeAdapters = .only(["default"])
            maker.reference = .adapters(.only(["ref_adapter"]))
        }
        let accumulation = recorded.count("gradient_accumulation_steps", 1)
        let plan = RoundPlan(
            groupSize: options.groupSize, batchSize: 8, batches: recorded.count("steps_per_generation", accumulation),
            iterations: recorded.count("num_iterations", 1), questions: recorded.count("questions", 0))
        let source = try RolloutSource(
            maker, plan, order: EpochOrder(method: .sequential, seed: 0), seed: 0, accumulation: accumulation,
            longest: limit)
        var objectiveOptions = PolicyObjective.Options()
        objectiveOptions.entropyShare = recorded.number("top_entropy_quantile") ?? 1
        let objective = PolicyObjective(
            model, loss, maker, source, HeldOutRollouts(maker, seed: 0, longest: limit), objectiveOptions)
        objective.moving = moving

        let total = recorded.steps("loss").count
        let training = TrainingPlan(
            batches: try BatchPlan(
                sampleCount: source.count, batchSize: 8, accumulation: accumulation, maximumSteps: total,
                order: EpochOrder(method: .sequential, seed: 0)),
            schedule: Schedule(
                .constant, peak: recorded.number("learning_rate") ?? 0, warmupSteps: 0, totalSteps: total),
            maximumGradientNorm: 1, loggingSteps: 1)
        let output = FileManager.default.temporaryDirectory.appendingPathComponent("apus-policy-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: output) }
        let log = try RunLog(
            RunFolder(outputDirectory: output, addVersion: false), RunLog.Options(maxSteps: total),
            console: Console(output: Silence(), style: ConsoleStyle()))
        let run = TrainingRun(
            model: model, trained: trained, optimizer: try AdamW(ParameterGroup.decaying(trained, 0.1)),
            participants: objective.participants, objective: objective, data: source, validation: TokenizedDataset(),
            plan: training, checkpoints: nil, log: log)
        #expect(try run() == .finished)

        #expect(log.history.count >= total)
        // Of what both log. TRL tells a round again where it is used again, and takes means of means where a step has
        // several micro-batches; the spread of groups is the mean of theirs, as in ms-swift.
        let told = (recorded.json["steps"]?.objectValue ?? [:]).keys
        let left = told.filter {
            $0 == "learning_rate" || $0.contains("terminated")
                || accumulation > 1 && ($0.hasPrefix("clip_ratio") && $0.hasSuffix("_mean") || $0 == "kl")
                // Ours is the mean over answers of their means.
                || $0 == "entropy"
                || $0 == "reward_std" && options.scale != .batch
        }
        let ofRounds: Set = [
            "reward", "reward_std", "frac_reward_zero_std", "rewards/height/mean", "rewards/height/std",
            "completions/mean_length", "completions/min_length", "completions/max_length", "completions/clipped_ratio",
        ]
        #expect(Set(told).isSuperset(of: ofRounds) && told.contains("grad_norm"))
        var worst = ("", 0.0)
        for name in told where !left.contains(name) {
            for (step, wanted) in recorded.steps(name).enumerated() {
                guard let wanted else { continue }
                let made = log.history[step][name]?.doubleValue
                if made == nil, ofRounds.contains(name), step % plan.iterations * plan.batches != 0 { continue }
                let value = try #require(made, "\(name) of step \(step + 1)")
                let gap = abs(value - wanted) / max(0.1, abs(wanted))
                if !(gap <= worst.1) { worst = ("\(name) of step \(step + 1), \(value) for \(wanted)", gap) }
            }
        }
        print("policy \(name): largest difference \(worst.1) of \(worst.0)")
        #expect(worst.1 <= 1e-5)
    }

    /// A step is the same however its answers are cut into micro-batches.
    @Test(arguments: PolicyLossForm.allCases, RatioLevel.allCases)
    func accumulationIsExact(form: PolicyLossForm, level: RatioLevel) throws {
        let folder = Fixture.root.appendingPathComponent("preferences/initial").path
        let recorded = try Recorded("grpo")
        let round = try #require(recorded.rounds.first)
        let (questions, answers) = (Recorded.rows(round["questions"]), Recorded.rows(round["answers"]))
        func gradients(_ size: Int) throws -> (loss: Double, gradients: [Tensor]) {
            let model = try Fixture.model("qwen2-tied-gqa", dtype: .float64)
            let attached = try AdapterFiles.method(in: folder).attach(to: model)
            try attached.load(from: folder, dtype: .float64, device: .cpu)
            try attached.setTrainable(true)
            var loss = PolicyLoss()
            (loss.form, loss.level, loss.divergenceWeight) = (form, level, 0.04)
            (loss.clipHigh, loss.longest) = (form == .cispo ? 5 : 0.2, 9)
            var options = RolloutMaker.Options()
            (options.groupSize, options.batchSize, options.form) = (4, size, form)
            let maker = RolloutMaker(
                model, questions: [questions[0], questions[4]],
                rewards: [RecordedRewards([(0..<8).map { Double($0 * 5 % 7) }])], options,
                sample: { _, _ in
                    answers.map { ids in
                        var answer = SampledAnswer()
                        answer.tokens = ids
                        return Episode(answer, Completion(messages: [], text: "", tokens: ids))
                    }
                })
            maker.reference = .adapters(.base)
            // Used twice, so that it is remembered how probable the answers were.
            let plan = RoundPlan(groupSize: 4, batchSize: size, batches: 8 / size, iterations: 2, questions: 2)
            let source = try RolloutSource(
                maker, plan, order: EpochOrder(method: .sequential, seed: 0), seed: 0, accumulation: 8 / size,
                longest: 9)
            let objective = PolicyObjective(
                model, loss, maker, source, HeldOutRollouts(maker, seed: 0, longest: 9), PolicyObjective.Options())
            let uses = Array(0..<8)
            _ = try source.prepare(uses, step: 0)
            try withoutGradients {
                for (_, slot) in attached.parameters {
                    if let tensor = slot.tensor { try tensor.copy(from: tensor * 1.3) }
                }
            }
            let targets = source.targetCount(uses)
            var total = 0.0
            for start in stride(from: 0, to: 8, by: size) {
                let batch = source.batch(Array(uses[start..<start + size]), draw: 0)
                let sum = try objective.loss(batch, model.context(for: batch, isTraining: true)).sum / Double(targets)
                try sum.backward()
                total += try sum.item()
            }
            return (total, attached.parameters.compactMap { $0.slot.tensor?.gradient })
        }
        let (whole, parts) = (try gradients(8), try gradients(2))
        #expect(abs(whole.loss - parts.loss) <= 1e-12)
        #expect(!whole.gradients.isEmpty && whole.gradients.count == parts.gradients.count)
        for (a, b) in zip(whole.gradients, parts.gradients) { #expect(try relativeDifference(a, b) <= 1e-9) }
    }

    /// Questions whose answers are all rewarded alike are replaced by others, some times.
    @Test func roundsThatVary() throws {
        let model = try Fixture.model("qwen2-tied-gqa", dtype: .float32)
        var options = RolloutMaker.Options()
        (options.groupSize, options.resampling) = (8, 2)
        // Answers to even questions are all worth 0.1, whose mean in floating point is another number.
        struct Parity: RewardFunction {
            let name = "parity"
            func rewards(of completions: [Completion]) -> [Double?] {
                completions.enumerated().map { $1.text == "even" ? 0.1 : Double($0 % 3) }
            }
        }
        let maker = RolloutMaker(
            model, questions: (0..<6).map { [5, Int32($0 + 6)] }, rewards: [Parity()], options,
            sample: { asked, _ in
                asked.map { question in
                    var answer = SampledAnswer()
                    answer.tokens = [9]
                    let text = question % 2 == 0 ? "even" : "odd"
                    return Episode(answer, Completion(messages: [], text: text, tokens: answer.tokens))
                }
            })
        func questions(_ others: @escaping (Int) -> [Int]) throws -> [Int] {
            let round = try maker.round([0, 1], draw: { UInt64($0 * 100 + $1) }, others: others)
            #expect(round.rollouts.count == 16)
            return stride(from: 0, to: 16, by: 8).map { round.rollouts[$0].question }
        }
        #expect(try questions { [$0 * 2, 3] } == [1, 3])
        // There is none that varies: the round stays as it is.
        #expect(try questions { _ in [2, 4] } == [0, 1])
    }

    /// What answers are sampled from.
    enum Sampler: String, CaseIterable {
        case qwen2 = "qwen2-tied-gqa"
        case gemma2, gpt2
        /// With an adapter that changes the model.
        case adapted
        /// With a base in four bits, and an adapter on it.
        case fourBits, fourBitsAdapted
        /// Answers that a text ends.
        case stopped

        fileprivate func model() throws -> CausalLanguageModel {
            let base = "qwen2-tied-gqa"
            let model: CausalLanguageModel =
                switch self {
                case .qwen2, .gemma2, .gpt2: try Fixture.model(rawValue, dtype: .float32)
                case .adapted, .stopped: try Fixture.model(base, dtype: .float32)
                case .fourBits, .fourBitsAdapted:
                    try QuantizedModelTests.quantized(base, .fourBits(.nf4, block: 64, isDouble: true))
                }
            guard self == .adapted || self == .fourBitsAdapted else { return model }
            let folder = Fixture.root.appendingPathComponent("preferences/initial").path
            let attached = try AdapterFiles.method(in: folder).attach(to: model)
            try attached.load(from: folder, device: .cpu)
            try withoutGradients {
                for (_, slot) in attached.parameters {
                    if let tensor = slot.tensor { try tensor.copy(from: tensor * 2) }
                }
            }
            return model
        }
    }

    /// The sampler's own log-probabilities are those of a pass over the whole answer, and a seed gives the same answers,
    /// whatever the company.
    @Test(arguments: Sampler.allCases) func samplerAndTrainerAgree(sampler: Sampler) throws {
        let model = try sampler.model()
        var sampling = Sampling()
        sampling.temperature = 0.8
        let prompts: [[Int32]] = [[5, 9, 11], [5, 9, 11], [7, 8], [5, 9, 11]]
        let generator = TokenGenerator(model, sampling: sampling, endTokens: [2, 17, 40, 99])
        // A text that ends an answer stays, and nothing is drawn behind it.
        let answers = try generator.sampled(
            prompts, limit: 12, draws: [1, 2, 3, 4], isMeasured: true,
            onToken: { sampler != .stopped || $1 % 6 != 0 })
        #expect(Set(answers.map(\.tokens)).count > 1)
        if sampler == .stopped { #expect(answers.contains { $0.end == nil && $0.tokens.count < 12 }) }
        let alone = try generator.sampled(
            [prompts[3]], limit: 12, draws: [4], isMeasured: true, onToken: { sampler != .stopped || $1 % 6 != 0 })
        #expect(alone[0].tokens == answers[3].tokens)
        if sampler == .adapted {
            let bare = TokenGenerator(
                try Fixture.model("qwen2-tied-gqa"), sampling: sampling, endTokens: [2, 17, 40, 99])
            let others = try bare.sampled(prompts, limit: 12, draws: [1, 2, 3, 4], isMeasured: true)
            #expect(others.map(\.logProbabilities) != answers.map(\.logProbabilities))
        }
        let rollouts = zip(prompts, answers).map { prompt, answer in
            Rollout(
                question: 0, ids: prompt + answer.learned, isOwn: answer.learned.map { _ in true },
                isCut: answer.isCut, sampled: answer.logProbabilities)
        }
        let batch = TokenBatch(rollouts, numbers: [0, 1, 2, 3])
        let scores = try withoutGradients {
            try TokenScores(model, batch, model.context(for: batch), temperature: 0.8, asksEntropy: true)
        }
        for (rollout, range) in zip(rollouts, batch.targetRanges) {
            let drawn = try #require(rollout.sampled)
            #expect(range.count == rollout.answerLength && drawn.count == rollout.answerLength)
            for (sampled, place) in zip(drawn, range) {
                #expect(abs(sampled + scores.values[place]) <= 1e-5)
                #expect(scores.entropies[place] > 0)
            }
        }
    }
}
