import ApusGeneration
import ApusRewards
import Foundation
import Testing

@testable import ApusDatasets
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusTraining

/// What TRL's PPO trainer logs beside losses, against the scores of all tokens.
struct ProximalMetricTests {
    private struct Lengths: RewardFunction {
        let name = "length"
        func rewards(of completions: [Completion]) -> [Double?] { completions.map { Double($0.tokens.count) } }
    }

    private static let questions: [[Int32]] = [[5, 9, 11], [7, 8]]
    private static let answers: [[Int32]] = [[20, 21, 22], [30]]
    private static let temperature = 0.8

    /// Of the tokens of an answer: `log p`, and the entropy of what may stand in their places.
    private func measured(_ model: CausalLanguageModel, _ use: Int) throws -> [(log: Double, entropy: Double)] {
        let (question, answer) = (Self.questions[use], Self.answers[use])
        let batch = TokenBatch([question + answer])
        let context = try model.context(for: batch)
        return try withoutGradients {
            let logits = try model.logits(model.hiddenStates(batch, context), context)  // [T, V]
            let width = logits.shape[1]
            let scores: [Double] = try logits.to(.float64).values()
            return answer.enumerated().map { index, token in
                let row = question.count - 1 + index
                let own = scores[row * width..<(row + 1) * width].map { $0 / Self.temperature }
                let largest = own.max() ?? 0
                let total = log(own.reduce(0) { $0 + exp($1 - largest) }) + largest
                return (own[Int(token)] - total, own.reduce(0) { $0 - exp($1 - total) * ($1 - total) })
            }
        }
    }

    @Test func entropiesRatiosAndEpisodes() throws {
        let model = try Fixture.model("qwen2-tied-gqa", dtype: .float64)
        var options = RolloutMaker.Options()
        (options.groupSize, options.batchSize, options.temperature) = (1, 1, Self.temperature)
        (options.proximal, options.scale) = (ProximalOptions(), .none)
        let maker = RolloutMaker(model, questions: Self.questions, rewards: [Lengths()], options) { asked, _ in
            asked.map { question in
                var answer = SampledAnswer()
                answer.tokens = Self.answers[question]
                answer.isCut = true
                return Episode(answer, Completion(messages: [], text: "", tokens: answer.tokens))
            }
        }
        let head = try ValueHead(width: model.sizes.width, device: .cpu)
        maker.head = head
        // Two answers a round, each learned from twice.
        let plan = RoundPlan(groupSize: 1, batchSize: 1, batches: 2, iterations: 2, questions: 2)
        let source = try RolloutSource(
            maker, plan, order: EpochOrder(method: .sequential, seed: 0), seed: 0, accumulation: 2, longest: 3)
        let objective = ProximalObjective(
            model, ProximalLoss(ProximalOptions()), head, maker, source,
            HeldOutRollouts(maker, seed: 0, longest: 3))
        _ = try source.prepare([0, 1], step: 0)
        let before = try (0..<2).map { try measured(model, $0) }
        // The model moves.
        try withoutGradients {
            for (name, slot) in model.parameters() where name.contains("layers.0") {
                if let tensor = slot.tensor { try tensor.copy(from: tensor * 1.1) }
            }
        }
        var means: [Double] = []
        for use in 0..<2 {
            let batch = source.batch([use], draw: 0)
            let part = try objective.loss(batch, model.context(for: batch, isTraining: true))
            let after = try measured(model, use)
            let ratios = zip(after, before[use]).map { exp($0.log - $1.log) }
            func told(_ name: String) throws -> Double {
                let tally = try #require(part.tallies.first { $0.name == name }, "\(name)")
                return try tally.sum.item() / Double(tally.count)
            }
            let count = Double(ratios.count)
            #expect(try abs(told("val/ratio") - ratios.reduce(0, +) / count) <= 1e-8)
            // Entropies are taken in float32.
            #expect(try abs(told("policy/entropy_avg") - after.reduce(0) { $0 + $1.entropy } / count) <= 1e-5)
            means.append(ratios.reduce(0, +) / count)
        }
        #expect(means[0] != means[1])
        let logged = Dictionary(uniqueKeysWithValues: objective.logged())
        // Of two numbers the variance with n − 1 is half the square of their difference.
        let variance = (means[0] - means[1]) * (means[0] - means[1]) / 2
        #expect(abs((logged["val/ratio_var"] ?? -1) - variance) <= 1e-9)
        #expect(logged["episode"] == 2 && logged["eps"] ?? 0 > 0)
        // The next line begins anew; one micro-batch has no variance.
        let batch = source.batch([0], draw: 0)
        _ = try objective.loss(batch, model.context(for: batch, isTraining: true))
        let next = Dictionary(uniqueKeysWithValues: objective.logged())
        #expect(next["val/ratio_var"] == nil && next["episode"] == 2)
        // An evaluation is none of the run's.
        _ = try objective.loss(batch, model.context(for: batch))
        _ = try objective.loss(batch, model.context(for: batch))
        #expect(!objective.logged().contains { $0.name == "val/ratio_var" })
    }
}
