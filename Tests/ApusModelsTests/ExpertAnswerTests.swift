import ApusGeneration
import ApusRewards
import Foundation
import Testing

@testable import ApusDatasets
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusTorch
@testable import ApusTraining

/// Answers of experts that are learned beside those of the model's own (CHORD).
struct ExpertAnswerTests {
    private struct Given: RewardFunction {
        let name = "given"
        func rewards(of completions: [Completion]) -> [Double?] { [1, 0, 0.25, 0.5].map { $0 } }
    }

    private static let constant = ImitationSchedule(warmupSteps: 0, decaySteps: 0, peak: 0.3, valley: 0.3)

    /// A round of four answers, in micro-batches of a size, with experts beside them.
    private func task(
        size: Int, experts: ExpertAnswers?, form: PolicyLossForm = .grpo
    ) throws -> (model: CausalLanguageModel, source: RolloutSource, objective: PolicyObjective) {
        let model = try Fixture.model("qwen2-tied-gqa", dtype: .float64)
        try model.setTrainable(true)
        var options = RolloutMaker.Options()
        (options.groupSize, options.batchSize, options.form) = (4, size, form)
        let maker = RolloutMaker(
            model, questions: [[5, 9, 11]], rewards: [Given()], options,
            sample: { _, _ in
                ([[20, 21, 22], [30], [40, 41, 42, 43, 44], [50, 51]] as [[Int32]]).map { ids in
                    var answer = SampledAnswer()
                    answer.tokens = ids
                    return Episode(answer, Completion(messages: [], text: "", tokens: ids))
                }
            })
        let plan = RoundPlan(groupSize: 4, batchSize: size, batches: 4 / size, iterations: 1, questions: 1)
        let source = try RolloutSource(
            maker, plan, order: EpochOrder(method: .sequential, seed: 0), seed: 0, accumulation: 4 / size, longest: 5)
        var loss = PolicyLoss()
        loss.form = form
        let objective = PolicyObjective(
            model, loss, maker, source, HeldOutRollouts(maker, seed: 0, longest: 5), PolicyObjective.Options())
        objective.experts = experts
        return (model, source, objective)
    }

    /// The loss of a step, its gradients, and what it tells.
    private func step(
        _ number: Int, size: Int = 4, experts: ExpertAnswers?, form: PolicyLossForm = .grpo
    ) throws -> (loss: Double, gradients: [String: Tensor], told: [String: Double]) {
        let (model, source, objective) = try task(size: size, experts: experts, form: form)
        // An epoch is one round, so that every step samples the same.
        _ = try source.prepare(Array(0..<4), step: number)
        let batches = stride(from: 0, to: 4, by: size).map { source.batch(Array($0..<$0 + size), draw: 0) }
        try objective.begin(batches)
        let targets = source.targetCount(Array(0..<4))
        var (loss, tallies) = (0.0, Tallies())
        for (index, batch) in batches.enumerated() {
            let context = try model.context(for: batch, isTraining: true, randomKey: UInt64(index))
            let part = try objective.loss(batch, context)
            try (part.sum / Double(targets)).backward()
            loss += try part.sum.item() / Double(targets)
            tallies.add(part.tallies)
        }
        return (
            loss, gradients(of: model),
            Dictionary(uniqueKeysWithValues: try tallies.means().map { ($0.name, $0.value) })
        )
    }

    private func gradients(of model: CausalLanguageModel) -> [String: Tensor] {
        model.parameters().reduce(into: [:]) { found, slot in found[slot.name] = slot.slot.tensor?.gradient }
    }

    /// The mean over all targets of `−log p`, or of that times `p (1 − p)`, by plain operations.
    private func imitation(
        _ data: TokenizedDataset, _ rows: [Int], weighsDoubt: Bool
    ) throws -> (loss: Double, gradients: [String: Tensor]) {
        let model = try Fixture.model("qwen2-tied-gqa", dtype: .float64)
        try model.setTrainable(true)
        let batch = data.batch(rows, draw: nil)
        let context = try model.context(for: batch)
        let hidden = try model.hiddenStates(batch, context).indexed(0, Tensor(batch.targets.rows))
        let labels = try Tensor(batch.targets.labels).to(.int64).unsqueezed(1)
        let logs = try logSoftmax(model.head.logits(hidden, context)).gathered(1, labels).squeezed(1)
        let chances = try ApusTorch.exp(logs).detached()
        let weighed = try weighsDoubt ? logs * (chances * (-chances + 1)) : logs
        let loss = try weighed.sum() * (-1 / Double(batch.targets.count))
        try loss.backward()
        return (try loss.item(), gradients(of: model))
    }

    /// `(1 − μ) L_policy + μ L_sft`, in value and gradient, whatever the loss of answers is divided by.
    @Test(arguments: [PolicyLossForm.grpo, .dapo, .drGRPO], [false, true])
    func stepsAreMixed(form: PolicyLossForm, weighsDoubt: Bool) throws {
        let data = try TrainingParityTests().data(3)
        let experts = ExpertAnswers(data, rowsOfStep: 3, seed: 7, Self.constant, weighsDoubt: weighsDoubt)
        let mixed = try step(0, experts: experts, form: form)
        let own = try step(0, experts: nil, form: form)
        let other = try imitation(data, [0, 1, 2], weighsDoubt: weighsDoubt)
        #expect(Swift.abs(mixed.loss - (0.7 * own.loss + 0.3 * other.loss)) <= 1e-12)
        #expect(Swift.abs((mixed.told["chord/sft_loss"] ?? .nan) - other.loss) <= 1e-12)
        #expect(mixed.told["chord/mu"] == 0.3 && own.told["chord/mu"] == nil)
        #expect(mixed.gradients.count == own.gradients.count && !mixed.gradients.isEmpty)
        for (name, gradient) in mixed.gradients {
            let wanted = try #require(own.gradients[name]) * 0.7 + #require(other.gradients[name]) * 0.3
            #expect(try relativeDifference(gradient, wanted) <= 1e-9, "\(name)")
        }
    }

    /// A step is the same however it is cut into micro-batches, also where some of these have no row.
    @Test(arguments: [1, 2]) func accumulationIsExact(size: Int) throws {
        func experts() throws -> ExpertAnswers {
            ExpertAnswers(
                try TrainingParityTests().data(5), rowsOfStep: 3, seed: 1, Self.constant, weighsDoubt: true)
        }
        let (whole, parts) = (try step(4, experts: experts()), try step(4, size: size, experts: experts()))
        #expect(Swift.abs(whole.loss - parts.loss) <= 1e-12)
        for (name, gradient) in parts.gradients {
            #expect(try relativeDifference(gradient, #require(whole.gradients[name])) <= 1e-9, "\(name)")
        }
    }

    /// Where μ is 0 nothing is learned of experts, and evaluations never learn of them.
    @Test func nothingOfThem() throws {
        let data = try TrainingParityTests().data(3)
        let rising = ImitationSchedule(warmupSteps: 4, decaySteps: 0, peak: 1, valley: 1)
        let experts = ExpertAnswers(data, rowsOfStep: 2, seed: 0, rising, weighsDoubt: false)
        let (first, own) = (try step(0, experts: experts), try step(0, experts: nil))
        #expect(first.loss == own.loss && first.told["chord/mu"] == 0 && first.told["chord/sft_loss"] == nil)
        for (name, gradient) in first.gradients {
            #expect(try relativeDifference(gradient, #require(own.gradients[name])) == 0, "\(name)")
        }
        let (model, source, objective) = try task(size: 4, experts: experts)
        _ = try source.prepare(Array(0..<4), step: 4)
        let batch = source.batch(Array(0..<4), draw: 0)
        try objective.begin([batch])
        let part = try objective.loss(batch, model.context(for: batch))
        #expect(!part.tallies.contains { $0.name.hasPrefix("chord/") })
    }

    /// `s / W · peak`, then half a cosine, then the valley; a constant where both are the same.
    @Test func schedules() {
        let schedule = ImitationSchedule(warmupSteps: 4, decaySteps: 8, peak: 0.9, valley: 0.1)
        func share(_ step: Int) -> Double { schedule.share(behind: step) }
        // The cosine of π/4 is √½, and half of the way down is half of the way.
        for (step, wanted) in [
            (0, 0), (1, 0.225), (3, 0.675), (4, 0.9), (6, 0.1 + 0.4 * (1 + 0.5.squareRoot())), (8, 0.5),
            (10, 0.1 + 0.4 * (1 - 0.5.squareRoot())), (12, 0.1), (99, 0.1),
        ] { #expect(Swift.abs(share(step) - wanted) <= 1e-15, "\(step)") }
        #expect([0, 1, 50].allSatisfy { Self.constant.share(behind: $0) == 0.3 })
        let sudden = ImitationSchedule(warmupSteps: 2, decaySteps: 0, peak: 0.5, valley: 0)
        #expect([0, 1, 2, 3].map { sudden.share(behind: $0) } == [0, 0.25, 0, 0])
    }

    /// Rows follow each other in passes, each of which has every row once in an order of its own; a step's are a matter of
    /// its number, so that a run that goes on learns the same.
    @Test func rowsOfSteps() throws {
        let data = try TrainingParityTests().data(5)
        func experts(_ seed: UInt64 = 3, warmup: Int = 0) -> ExpertAnswers {
            ExpertAnswers(
                data, rowsOfStep: 2, seed: seed,
                ImitationSchedule(warmupSteps: warmup, decaySteps: 0, peak: 0.5, valley: 0.5), weighsDoubt: false)
        }
        func rows(_ experts: ExpertAnswers, _ steps: Range<Int>) -> [Int] {
            steps.flatMap { experts.lesson(ofStep: $0, parts: 1).parts.joined() }
        }
        let all = rows(experts(), 0..<50)
        #expect(all.count == 100)
        let passes = stride(from: 0, to: 100, by: 5).map { Array(all[$0..<$0 + 5]) }
        #expect(passes.allSatisfy { $0.sorted() == [0, 1, 2, 3, 4] } && Set(passes).count > 10)
        #expect(rows(experts(), 20..<30) == Array(all[40..<60]))
        #expect(rows(experts(4), 0..<50) != all)
        // The first step of a warm-up takes no rows.
        #expect(rows(experts(warmup: 3), 0..<51) == all)
        let lesson = experts().lesson(ofStep: 0, parts: 3)
        #expect(lesson.parts.map(\.count) == [0, 1, 1] && Array(lesson.parts.joined()) == Array(all[..<2]))
    }
}
