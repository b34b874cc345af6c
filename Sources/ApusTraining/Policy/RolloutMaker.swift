package import ApusLanguageModel
import ApusNN
package import ApusRewards
import ApusTorch

/// Makes rounds of answers: the model answers, the answers are rewarded, and what the loss needs of them is measured.
package final class RolloutMaker {
    package struct Options: Sendable {
        /// G, the answers to each question.
        package var groupSize = 8
        /// Micro-batches of so many answers are measured together.
        package var batchSize = 1
        package var estimator = AdvantageEstimator.grpo
        package var scale = RewardScale.group
        /// Of the reward functions; empty is 1 for each.
        package var weights: [Double] = []
        /// β, where what it costs to leave the reference is taken off the rewards; 0 takes nothing.
        package var divergenceCost = 0.0
        package var temperature = 1.0
        /// What is minimised, which says what is counted.
        package var form = PolicyLossForm.grpo
        /// How often questions whose answers are all rewarded alike are replaced by others; 0 keeps them.
        package var resampling = 0
        /// Whether answers that were cut off are left out of the loss.
        package var masksCut = false
        /// Whether it is told how many answers conversations have.
        package var tellsTurns = false
        /// Tells tokens apart by what is expected of them (PPO); nil does not.
        package var proximal: ProximalOptions?

        package init() {}
    }

    /// A round as it is told of: answers with their texts, rewards and advantages.
    package struct Report: Sendable {
        /// The ids of the question behind each answer.
        package let questions: [[Int32]]
        package let completions: [Completion]
        package let rewards: [(name: String, values: [Double])]
        /// Of answers that are told apart by tokens, the mean over these.
        package let advantages: [Double]
    }

    /// A round as it is learned from.
    struct Round {
        let rollouts: [Rollout]
        let figures: RoundFigures
        /// What is logged of it.
        let tallies: [Tally]
        let report: Report
    }

    private let model: CausalLanguageModel
    private let questions: [[Int32]]
    private let functions: [any RewardFunction]
    private let sample: ([Int], [UInt64]) throws -> [Episode]
    let options: Options
    /// What the model is compared with.
    package var reference = Reference.none
    /// Says what is expected of tokens.
    package var head: ValueHead?
    /// Sees once that nothing rewards the answers of a round.
    package var note: ((String) -> Void)?

    /// - Parameters:
    ///   - questions: The ids of each.
    ///   - sample: What the model answers to questions of some numbers; another number names the random stream of each.
    package init(
        _ model: CausalLanguageModel, questions: [[Int32]], rewards functions: [any RewardFunction], _ options: Options,
        sample: @escaping ([Int], [UInt64]) throws -> [Episode]
    ) {
        self.model = model
        self.questions = questions
        self.functions = functions
        self.options = options
        self.sample = sample
    }

    private var weights: [Double] { options.weights.isEmpty ? functions.map { _ in 1.0 } : options.weights }
    var questionCount: Int { questions.count }
    func length(of question: Int) -> Int { questions[question].count }

    /// Answers with what was said of them.
    private struct Scored {
        var rollouts: [Rollout] = []
        var completions: [Completion] = []
        /// The answers of each conversation.
        var turns: [Int] = []
        /// By function, NaN where it says nothing.
        var scores: [[Double]]

        mutating func add(_ other: Scored, _ range: Range<Int>) {
            rollouts += other.rollouts[range]
            completions += other.completions[range]
            turns += other.turns[range]
            for index in scores.indices { scores[index] += other.scores[index][range] }
        }
    }

    /// A round of answers.
    ///
    /// - Parameters:
    ///   - asked: The numbers of its questions.
    ///   - draw: Names the random stream of an answer of the round, by how often it was resampled.
    ///   - others: The questions of a resampling; nil in an evaluation, where nothing is resampled.
    ///   - keepsOld: Whether how probable the answers are is measured now, because the model moves between their uses.
    func round(
        _ asked: [Int], draw: (_ attempt: Int, _ answer: Int) -> UInt64, others: ((_ attempt: Int) -> [Int])? = nil,
        keepsOld: Bool = false
    ) throws -> Round {
        // Generate and score.
        var scored = try answered(asked) { draw(0, $0) }
        var resampled: (times: Int, isEnough: Bool)?
        if let others, options.resampling > 0 {
            let varied = try varied(scored, draw: draw, others: others)
            scored = varied.scored
            resampled = (varied.times, varied.isEnough)
        }
        var rollouts = scored.rollouts

        // Measure.
        let comparesInReward = options.divergenceCost > 0
        var costs: [Double]?
        var answers: [(old: [Double], values: [Double])] = []
        for start in stride(from: 0, to: rollouts.count, by: options.batchSize) {
            let range = start..<min(start + options.batchSize, rollouts.count)
            let all = try inHalves(range) { try measured($0, of: rollouts, keepsOld: keepsOld) }
            for (number, one) in zip(range, all) {
                rollouts[number].reference = one.reference ?? rollouts[number].reference
                guard let old = one.old else { continue }
                if keepsOld { rollouts[number].old = old }
                answers.append((old, one.values ?? old.map { _ in 0 }))
                if comparesInReward, let reference = one.reference {
                    let gap = zip(reference, old).reduce(0) { $0 - $1.0 + $1.1 }
                    costs = (costs ?? []) + [options.divergenceCost * gap]
                }
            }
        }

        // Judge.
        let advantages = Advantages(
            scores: scored.scores, weights: weights, costs: costs, groupSize: options.groupSize,
            estimator: options.estimator, scale: options.scale)
        for index in rollouts.indices { rollouts[index].advantage = advantages.values[index] }
        var figures = RoundFigures(
            lengths: rollouts.map(\.answerLength), isCut: rollouts.map(\.isCut), scores: scored.scores,
            rewards: advantages.rewards, costs: costs, turns: scored.turns)
        try figures.check(functions.map(\.name), advantages.values)
        noteSilence(scored.scores)
        if let proximal = options.proximal {
            figures.tokens = judgeTokens(&rollouts, answers, rewards: advantages.rewards, proximal)
        }
        var told = try tallies(figures)
        if let resampled {
            // Of the rounds of a log event, how many had too few questions that teach and were taken as they came.
            told.append(try Tally("dynamic_sample/times", Tensor([Double(resampled.times)]), count: 1))
            told.append(try Tally("dynamic_sample/given_up", Tensor([resampled.isEnough ? 0.0 : 1.0]), count: 1))
        }
        let report = Report(
            questions: rollouts.map { questions[$0.question] }, completions: scored.completions,
            rewards: zip(functions, scored.scores).map { ($0.name, $1) },
            advantages: rollouts.map { $0.tokens.map { $0.advantages[...].mean } ?? $0.advantage })
        return Round(rollouts: rollouts, figures: figures, tallies: told, report: report)
    }

    /// What is logged of answers.
    func tallies(_ figures: RoundFigures) throws -> [Tally] { try figures.tallies(functions.map(\.name), options) }

    /// Says once that no answer of a round has any reward.
    private func noteSilence(_ scores: [[Double]]) {
        guard let note, scores.joined().allSatisfy(\.isNaN), !scores.joined().isEmpty else { return }
        self.note = nil
        note(
            "note: no answer of a round got a reward: \(functions.map(\.name).joined(separator: ", ")) said nothing of any. "
                + "Each counts as 0, and nothing is learned of such a round but to stay near the reference.")
    }

    /// What the loss needs of an answer: `log p` of each token by the reference and by the model as it is, and what is expected.
    private struct Measured {
        var reference: [Double]?
        var old: [Double]?
        var values: [Double]?
    }

    /// Measures a micro-batch of answers.
    private func measured(_ range: Range<Int>, of rollouts: [Rollout], keepsOld: Bool) throws -> [Measured] {
        let batch = TokenBatch(Array(rollouts[range]), numbers: range.map(Int32.init))
        let reference = try reference.losses(batch, trained: model, isTraining: true, temperature: options.temperature)
        let isAsked = keepsOld || options.divergenceCost > 0 || options.proximal != nil
        let (old, values) = isAsked ? try own(batch) : (nil, nil)
        return batch.targetRanges.map { targets in
            Measured(
                reference: reference.map { losses in targets.map { -losses[$0] } },
                old: old.map { losses in targets.map { -losses[$0] } }, values: values.map { Array($0[targets]) })
        }
    }

    /// `−log p` of each target by the model as it is, and what is expected before it.
    private func own(_ batch: TokenBatch) throws -> (losses: [Double], values: [Double]?) {
        try withoutGradients {
            let context = try model.context(for: batch)
            let scores = try TokenScores(model, batch, context, temperature: options.temperature, head: head)
            return (scores.values, try scores.expected?.values())
        }
    }

    /// Tells the tokens of answers apart by what was expected of them (PPO).
    private func judgeTokens(
        _ rollouts: inout [Rollout], _ answers: [(old: [Double], values: [Double])], rewards: [Double],
        _ proximal: ProximalOptions
    ) -> [RoundFigures.Tokens] {
        let scores = zip(rollouts, rewards).map { $1 - ($0.isCut ? proximal.endlessCost ?? 0 : 0) }
        let returns = ProximalReturns(
            rollouts.indices.map {
                ProximalReturns.Answer(
                    old: answers[$0].old, reference: rollouts[$0].reference, values: answers[$0].values,
                    score: scores[$0])
            }, proximal)
        for index in rollouts.indices {
            rollouts[index].tokens = Rollout.Tokens(
                advantages: returns.advantages[index], values: answers[index].values, returns: returns.returns[index])
        }
        return rollouts.indices.map {
            RoundFigures.Tokens(
                divergence: returns.divergences[$0], entropy: -answers[$0].old.reduce(0, +), score: scores[$0])
        }
    }

    /// Asks each question G times and has the answers rewarded.
    private func answered(_ asked: [Int], draw: (Int) -> UInt64) throws -> Scored {
        let numbers = asked.flatMap { Array(repeating: $0, count: options.groupSize) }
        var scored = Scored(scores: [])
        for (number, episode) in zip(numbers, try sample(numbers, numbers.indices.map(draw))) {
            scored.completions.append(episode.completion)
            scored.turns.append(episode.turns)
            scored.rollouts.append(
                Rollout(
                    question: number, ids: questions[number] + episode.ids, isOwn: episode.isOwn, isCut: episode.isCut,
                    sampled: episode.logProbabilities.isEmpty ? nil : episode.logProbabilities))
        }
        scored.scores = try functions.map { function in
            let values = try function.rewards(of: scored.completions)
            guard values.count == scored.completions.count else {
                throw TrainingError(
                    .other,
                    "the reward \(function.name) gave \(values.count) numbers for \(scored.completions.count) answers")
            }
            return values.map { $0 ?? .nan }
        }
        return scored
    }

    /// A round without groups that teach nothing: they are replaced by answers to other questions, some times (DAPO).
    ///
    /// - Returns: With how often, and whether that was enough; where it was not, the round stays as it came.
    private func varied(
        _ first: Scored, draw: (Int, Int) -> UInt64, others: (Int) -> [Int]
    ) throws -> (scored: Scored, times: Int, isEnough: Bool) {
        var kept = Scored(scores: functions.map { _ in [] })
        var next = first
        for attempt in 0...options.resampling {
            if attempt > 0 { next = try answered(others(attempt)) { draw(attempt, $0) } }
            for group in Advantages.groups(next.rollouts.count, options.groupSize) where varies(next, group) {
                kept.add(next, group)
            }
            if kept.rollouts.count >= first.rollouts.count {
                var full = Scored(scores: functions.map { _ in [] })
                full.add(kept, 0..<first.rollouts.count)
                return (full, attempt, true)
            }
        }
        return (first, options.resampling, false)
    }

    private func varies(_ scored: Scored, _ group: Range<Int>) -> Bool {
        let rewards = Advantages(
            scores: scored.scores.map { Array($0[group]) }, weights: weights, groupSize: group.count,
            estimator: .grpo, scale: .none
        ).rewards
        return !rewards.isFlat
    }
}
