import ApusGeneration
import ApusOptimizers
import ApusRewards
import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusDatasets
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusTraining
@testable import ApusWeights

/// One step of GRPO and of PPO in float64 against TRL's own code (Scripts/fixtures/make_policy_steps.py): given answers and
/// rewards, the advantages, the loss and the gradient of every trained weight.
struct PolicyStepTests {
    /// Rewards that somebody else gave.
    private struct Given: RewardFunction {
        let name = "given"
        let values: [Double]
        func rewards(of completions: [Completion]) -> [Double?] { values }
    }

    /// A step of the fixture, on a model of one's own.
    private struct Recorded {
        let name: String
        let json: JSONValue
        let moved: Double

        init(_ name: String) throws {
            let file = try Fixture.json("policy-steps/steps.json")
            self.name = name
            json = try #require(file["steps"]?[name])
            moved = try #require(file["moved"]?.doubleValue)
        }

        private var settings: JSONValue? { json["settings"] }
        func number(_ key: String) -> Double? { settings?[key]?.doubleValue }
        func word(_ key: String) -> String? { settings?[key]?.stringValue }
        func flag(_ key: String) -> Bool { settings?[key]?.boolValue == true }
        func numbers(_ key: String) -> [Double] { (json[key]?.arrayValue ?? []).compactMap(\.doubleValue) }
        func ids(_ key: String) -> [[Int32]] {
            (json[key]?.arrayValue ?? []).map { ($0.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) } }
        }
        func rows(_ key: String) -> [[Double]] {
            (json[key]?.arrayValue ?? []).map { ($0.arrayValue ?? []).compactMap(\.doubleValue) }
        }

        var loss: PolicyLoss {
            var loss = PolicyLoss()
            loss.form = word("loss_type").flatMap(PolicyLossForm.init) ?? .grpo
            loss.level = word("importance_sampling_level").flatMap(RatioLevel.init) ?? .token
            loss.clipLow = number("epsilon") ?? 0.2
            loss.clipHigh = number("epsilon_high") ?? loss.clipLow
            loss.cap = number("delta")
            loss.divergenceWeight = number("beta") ?? 0
            loss.weighsDivergence = flag("use_bias_correction_kl")
            loss.longest = number("max_completion_length").map { Int($0) } ?? 1
            return loss
        }

        var tensors: SafetensorsFile {
            get throws {
                try SafetensorsFile(
                    path: Fixture.root.appendingPathComponent("policy-steps/\(name).safetensors").path)
            }
        }
    }

    /// The model with the adapter of the fixture, and a maker of rounds of the answers that were given.
    private func made(
        _ recorded: Recorded, _ options: RolloutMaker.Options, rewards: [Double], questions: [[Int32]]
    ) throws -> (model: CausalLanguageModel, adapter: AttachedAdapter, maker: RolloutMaker) {
        let model = try Fixture.model("qwen2-tied-gqa", dtype: .float64)
        let folder = Fixture.root.appendingPathComponent("policy-steps/initial").path
        let attached = try AdapterFiles.method(in: folder).attach(to: model)
        try attached.load(from: folder, dtype: .float64, device: .cpu)
        try attached.setTrainable(true)
        let limit = recorded.number("max_completion_length").map { Int($0) }
        let maker = RolloutMaker(
            model, questions: questions, rewards: [Given(values: rewards)], options,
            sample: { _, _ in
                recorded.ids("answers").map { ids in
                    var answer = SampledAnswer()
                    answer.isCut = ids.count == limit && ids.last != 2
                    answer.tokens = ids
                    return Episode(answer, Completion(messages: [], text: "", tokens: ids))
                }
            })
        return (model, attached, maker)
    }

    /// Every weight of what trains, as the fixture moved it.
    private func move(_ tensors: [Tensor], by factor: Double) throws {
        try withoutGradients { for tensor in tensors { try tensor.copy(from: tensor * factor) } }
    }

    /// The loss of a whole round as one micro-batch, with its gradients left behind.
    private func step(
        _ objective: any Objective, _ source: RolloutSource, _ model: CausalLanguageModel, _ count: Int
    ) throws -> MicroLoss {
        let batch = source.batch(Array(0..<count), draw: 0)
        let made = try objective.loss(batch, model.context(for: batch, isTraining: true))
        try (made.sum / Double(source.targetCount(Array(0..<count)))).backward()
        return made
    }

    /// The largest difference of a gradient, relative to the largest of its tensor.
    private func worstGradient(_ adapter: AttachedAdapter, _ expected: SafetensorsFile) throws -> Double {
        let slots = adapter.parameters
        let stored = expected.tensorNames.filter { !$0.hasPrefix("head.") && !$0.hasPrefix("first.") }
        #expect(Set(stored) == Set(slots.map(\.name)))
        return try slots.reduce(0) { worst, slot in
            let gradient = try #require(slot.slot.tensor?.gradient, "\(slot.name)")
            return max(
                worst,
                try relativeDifference(gradient, expected.tensor(slot.name, dtype: .float64, device: .cpu).tensor))
        }
    }

    @Test(arguments: [
        "grpo", "bnpo", "dapo", "dr-grpo", "cispo", "sapo", "gspo", "capped", "masked", "entropy", "weighed",
        "weighed-gspo",
    ])
    func groupedStep(name: String) throws {
        let recorded = try Recorded(name)
        let (loss, asked) = (recorded.loss, recorded.ids("questions"))
        let size = try #require(recorded.number("num_generations").map { Int($0) })
        var options = RolloutMaker.Options()
        (options.groupSize, options.batchSize, options.form) = (size, 8, loss.form)
        options.scale = recorded.word("scale_rewards").flatMap(RewardScale.init) ?? .group
        options.temperature = recorded.number("temperature") ?? 1
        options.masksCut = recorded.flag("mask_truncated_completions")
        let questions = stride(from: 0, to: 8, by: size).map { asked[$0] }
        let (model, adapter, maker) = try made(
            recorded, options, rewards: recorded.numbers("rewards"), questions: questions)
        if loss.divergenceWeight > 0 {
            // The adapter as it was.
            let folder = Fixture.root.appendingPathComponent("policy-steps/initial").path
            let before = try AdapterFiles.method(in: folder).attach(to: model, named: "ref_adapter")
            try before.load(from: folder, dtype: .float64, device: .cpu)
            try before.setTrainable(false)
            model.trunk.activeAdapters = .only(["default"])
            maker.reference = .adapters(.only(["ref_adapter"]))
        }
        let plan = RoundPlan(groupSize: size, batchSize: 8, batches: 1, iterations: 2, questions: questions.count)
        let source = try RolloutSource(
            maker, plan, order: EpochOrder(method: .sequential, seed: 0), seed: 0, accumulation: 1,
            longest: loss.longest)
        _ = try source.prepare(Array(0..<8), step: 0)
        let advantages = try (0..<8).map { try source.rollout($0).advantage }
        let gap = zip(advantages, recorded.numbers("advantages")).map { abs($0 - $1) }.max() ?? .nan
        #expect(gap <= 1e-12, "\(advantages)")

        try move(adapter.parameters.compactMap(\.slot.tensor), by: recorded.moved)
        var objectiveOptions = PolicyObjective.Options()
        objectiveOptions.entropyShare = recorded.number("top_entropy_quantile") ?? 1
        let objective = PolicyObjective(
            model, loss, maker, source, HeldOutRollouts(maker, seed: 0, longest: loss.longest), objectiveOptions)
        let made = try step(objective, source, model, 8)
        let value = try made.sum.item() / Double(source.targetCount(Array(0..<8)))
        let wanted = try #require(recorded.json["loss"]?.doubleValue)
        let worst = try worstGradient(adapter, recorded.tensors)
        print("policy step \(name): advantages \(gap), loss \(abs(value - wanted)), gradient \(worst)")
        #expect(abs(value - wanted) <= 1e-6 * max(1, abs(wanted)))
        #expect(worst <= 1e-6)
        for (key, clipped) in recorded.json["clipped"]?.objectValue ?? [:] where key.hasSuffix("_mean") {
            let tally = try #require(made.tallies.first { $0.name == key })
            #expect(try abs(tally.sum.item() / Double(tally.count) - (clipped.doubleValue ?? .nan)) <= 1e-12, "\(key)")
        }
    }

    @Test(arguments: ["ppo", "ppo-whitened"]) func proximalStep(name: String) throws {
        let recorded = try Recorded(name)
        let (questions, expected) = (recorded.ids("questions"), try recorded.tensors)
        func number(_ key: String) throws -> Double { try #require(recorded.number(key)) }
        var options = ProximalOptions()
        options.divergenceCost = try number("kl_coef")
        options.estimator = try #require(recorded.word("kl_estimator").flatMap(DivergenceEstimator.init))
        (options.discount, options.trace) = (try number("gamma"), try number("lam"))
        (options.clip, options.valueClip) = (try number("cliprange"), try number("cliprange_value"))
        (options.valueWeight, options.whitensRewards) = (try number("vf_coef"), recorded.flag("whiten_rewards"))
        var making = RolloutMaker.Options()
        (making.groupSize, making.batchSize, making.scale) = (1, questions.count, .none)
        (making.temperature, making.proximal) = (try number("temperature"), options)
        let (model, adapter, maker) = try made(
            recorded, making, rewards: recorded.numbers("scores"), questions: questions)
        let head = try ValueHead(width: model.sizes.width, dtype: .float64, device: .cpu)
        let parts = ["weight", "bias"]
        try withoutGradients {
            for (part, parameter) in zip(parts, head.trained) {
                try parameter.tensor.copy(
                    from: expected.tensor("first.head.\(part)", dtype: .float64, device: .cpu).tensor)
            }
        }
        maker.head = head
        maker.reference = .adapters(.base)
        let count = questions.count
        let plan = RoundPlan(groupSize: 1, batchSize: count, batches: 1, iterations: 2, questions: count)
        let source = try RolloutSource(
            maker, plan, order: EpochOrder(method: .sequential, seed: 0), seed: 0, accumulation: 1, longest: 9)
        _ = try source.prepare(Array(0..<count), step: 0)
        var gap = 0.0
        for index in 0..<count {
            let tokens = try #require(try source.rollout(index).tokens)
            for (made, wanted) in [
                (tokens.advantages, recorded.rows("advantages")[index]),
                (tokens.returns, recorded.rows("returns")[index]),
            ] {
                #expect(made.count == wanted.count)
                for (made, wanted) in zip(made, wanted) { gap = max(gap, abs(made - wanted)) }
            }
        }
        #expect(gap <= 1e-6)

        try move(adapter.parameters.compactMap(\.slot.tensor) + head.trained.map(\.tensor), by: recorded.moved)
        let objective = ProximalObjective(
            model, ProximalLoss(options), head, maker, source, HeldOutRollouts(maker, seed: 0, longest: 9))
        let made = try step(objective, source, model, count)
        let value = try made.sum.item() / Double(source.targetCount(Array(0..<count)))
        let wanted = try #require(recorded.json["loss"]?.doubleValue)
        var worst = try worstGradient(adapter, expected)
        for (part, parameter) in zip(parts, head.trained) {
            worst = max(
                worst,
                try relativeDifference(
                    #require(parameter.tensor.gradient),
                    expected.tensor("head.\(part)", dtype: .float64, device: .cpu).tensor))
        }
        print("policy step \(name): advantages \(gap), loss \(abs(value - wanted)), gradient \(worst)")
        #expect(abs(value - wanted) <= 1e-6 * max(1, abs(wanted)))
        #expect(worst <= 1e-6)
        for (key, wanted) in [("loss/policy_avg", "policyLoss"), ("loss/value_avg", "valueLoss")] {
            let tally = try #require(made.tallies.first { $0.name == key })
            let wanted = recorded.json[wanted]?.doubleValue ?? .nan
            #expect(try abs(tally.sum.item() / Double(tally.count) - wanted) <= 1e-6)
        }
    }
}
