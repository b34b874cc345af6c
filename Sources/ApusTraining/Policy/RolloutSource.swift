package import ApusDatasets
package import ApusLanguageModel
import ApusNN
package import ApusTorch

/// Answers of the model in training to the questions of a data set, sampled before the steps that learn from them.
///
/// A sample is one use of one answer, so that those of an epoch are counted by `RoundPlan`.
package final class RolloutSource: TrainingSource, StepParticipant {
    private let maker: RolloutMaker
    private let plan: RoundPlan
    private let order: EpochOrder
    private let seed: UInt64
    /// The steps of the run, which say what epoch a step belongs to.
    private let steps: BatchPlan
    /// The most tokens of an answer, and of a question.
    private let longest: (answer: Int, question: Int)
    private var epoch = 0
    /// The rounds of the present step, by their numbers among all.
    private var rounds: [Int: [Rollout]] = [:]
    /// The questions in the order of an epoch.
    private var ordered: (epoch: Int, questions: [Int]) = (-1, [])
    /// Sees every round, with the steps that are done before it.
    package var onRound: ((Int, RolloutMaker.Report) throws -> Void)?
    /// The last round, where a run that goes on between its uses must have it.
    private var buffer: Tensor?

    /// - Parameters:
    ///   - order: In which the questions are asked.
    ///   - accumulation: Micro-batches of a step.
    package init(
        _ maker: RolloutMaker, _ plan: RoundPlan, order: EpochOrder, seed: UInt64, accumulation: Int, longest: Int
    ) throws {
        self.maker = maker
        self.plan = plan
        self.order = order
        self.seed = seed
        // Steps are asked about beyond any number of them.
        steps = try BatchPlan(
            sampleCount: plan.uses, batchSize: plan.batchSize, accumulation: accumulation, maximumSteps: 1,
            order: EpochOrder(method: .sequential, seed: 0))
        self.longest = (longest, (0..<maker.questionCount).map(maker.length).max() ?? 0)
        if movesBetweenUses {
            let width = RolloutRow.width(question: self.longest.question, answer: longest)
            buffer = try Tensor.full([plan.size + 1, width], -1, dtype: .float64)
        }
    }

    /// Whether the model moves while a round is in use.
    private var movesBetweenUses: Bool { steps.accumulation % (plan.batches * plan.iterations) != 0 }

    // MARK: - As a source

    package var count: Int { plan.uses }

    package func length(of use: Int) -> Int {
        known(use).map(\.ids.count) ?? maker.length(of: question(of: use)) + longest.answer
    }

    package func targetCount(_ uses: [Int]) -> Int { maker.targets(uses.compactMap(known)) }

    package func batch(_ uses: [Int], draw: UInt64?) -> TokenBatch {
        TokenBatch(uses.compactMap(known), numbers: uses.map(Int32.init))
    }

    package func prepare(_ uses: [Int], step: Int?) throws -> [Tally] {
        guard let step else { return [] }
        epoch = steps.epoch(ofStep: step)
        let wanted = Set(uses.map { number(of: plan.place(of: $0).round) }).sorted()
        rounds = rounds.filter { wanted.contains($0.key) }
        var tallies: [Tally] = []
        for number in wanted where rounds[number] == nil {
            let own = number % plan.roundsPerEpoch * plan.questionsPerRound
            let questions = questions()
            let round = try maker.round(
                Array(questions[own..<own + plan.questionsPerRound]),
                draw: { self.seed(number, $0, $1) },
                others: { [self] attempt in
                    let other = EpochOrder(method: .splitMix, seed: streamKey(seed, UInt64(number), UInt64(attempt)))
                    return other.permutation(epoch: epoch, count: plan.questions).prefix(plan.questionsPerRound)
                        .map(Int.init)
                },
                keepsOld: movesBetweenUses)
            rounds[number] = round.rollouts
            tallies += round.tallies
            try remember(round.rollouts, number: number)
            try onRound?(step, round.report)
        }
        return tallies
    }

    private func questions() -> [Int] {
        if ordered.epoch != epoch {
            ordered = (epoch, order.permutation(epoch: epoch, count: plan.questions).map(Int.init))
        }
        return ordered.questions
    }

    private func seed(_ round: Int, _ attempt: Int, _ answer: Int) -> UInt64 {
        streamKey(streamKey(seed, 0x524F_4C4C, UInt64(round)), UInt64(attempt), UInt64(answer))
    }

    /// The number of a round of the present epoch among all.
    private func number(of round: Int) -> Int { epoch * plan.roundsPerEpoch + round }

    private func known(_ use: Int) -> Rollout? {
        let (round, answer) = plan.place(of: use)
        return rounds[number(of: round)]?[answer]
    }

    /// The number of the question behind a use in the present epoch.
    package func question(of use: Int) -> Int {
        if let rollout = known(use) { return rollout.question }
        let (round, answer) = plan.place(of: use)
        return questions()[round * plan.questionsPerRound + answer / plan.groupSize]
    }

    /// - Throws: `ModelError` for an answer that was not sampled.
    func rollout(_ use: Int) throws -> Rollout {
        guard let rollout = known(use) else { throw ModelError("an answer was not sampled before its step") }
        return rollout
    }

    // MARK: - As a part of steps

    package var state: [(name: String, tensor: Tensor)] { buffer.map { [("policy.rollouts", $0)] } ?? [] }

    package func starting(at step: Int) throws {
        // What was sampled before the first step, for a start that asks the data, came from another model.
        rounds = [:]
        guard step > 0, let buffer else { return }
        let rows: [Double] = try buffer.values()
        let width = buffer.shape[1]
        guard rows[0] >= 0 else { return }
        rounds = [
            Int(rows[0]): (1...plan.size).map {
                RolloutRow.rollout(
                    rows[$0 * width..<($0 + 1) * width], question: longest.question, answer: longest.answer)
            }
        ]
    }

    private func remember(_ round: [Rollout], number: Int) throws {
        guard let buffer else { return }
        let width = buffer.shape[1]
        var values = [Double(number)] + Array(repeating: 0.0, count: width - 1)
        for rollout in round {
            values += RolloutRow.values(of: rollout, question: longest.question, answer: longest.answer)
        }
        try withoutGradients { try buffer.copy(from: Tensor(values, shape: buffer.shape)) }
    }
}

/// An answer as a row of numbers, of one width for all: six that count and name, its ids, and what is known of its tokens.
private enum RolloutRow {
    static func width(question: Int, answer: Int) -> Int { 6 + question + answer + 6 * answer }

    static func values(of rollout: Rollout, question: Int, answer: Int) -> [Double] {
        func padded(_ numbers: [Double], _ count: Int) -> [Double] {
            numbers + Array(repeating: 0, count: max(0, count - numbers.count))
        }
        let lists = [
            rollout.sampled, rollout.old, rollout.reference, rollout.tokens?.advantages, rollout.tokens?.values,
            rollout.tokens?.returns,
        ]
        let present = lists.enumerated().reduce(0) { $0 + ($1.element == nil ? 0 : 1 << $1.offset) }
        let head: [Double] = [
            Double(rollout.question), Double(rollout.questionLength), Double(rollout.ids.count), rollout.isCut ? 1 : 0,
            rollout.advantage, Double(present),
        ]
        return head + padded(rollout.ids.map(Double.init), question + answer)
            + lists.flatMap { padded($0 ?? [], answer) }
    }

    static func rollout(_ row: ArraySlice<Double>, question: Int, answer: Int) -> Rollout {
        let row = Array(row)
        let (questionLength, count, present) = (Int(row[1]), Int(row[2]), Int(row[5]))
        func list(_ number: Int) -> [Double]? {
            guard present >> number & 1 == 1 else { return nil }
            let start = 6 + question + answer + number * answer
            return Array(row[start..<start + count - questionLength])
        }
        var rollout = Rollout(
            question: Int(row[0]), ids: row[6..<6 + count].map { Int32($0) }, questionLength: questionLength,
            isCut: row[3] == 1, sampled: list(0))
        rollout.advantage = row[4]
        rollout.old = list(1)
        rollout.reference = list(2)
        if let advantages = list(3), let values = list(4), let returns = list(5) {
            rollout.tokens = Rollout.Tokens(advantages: advantages, values: values, returns: returns)
        }
        return rollout
    }
}

/// Answers of the model in training to questions that it does not learn from.
///
/// The same draws in every evaluation, so that evaluations differ by the model alone.
package final class HeldOutRollouts: TrainingSource {
    private let maker: RolloutMaker
    private let seed: UInt64
    private let longest: Int
    private var groups: [Int: [Rollout]] = [:]

    package init(_ maker: RolloutMaker, seed: UInt64, longest: Int) {
        self.maker = maker
        self.seed = seed
        self.longest = longest
    }

    private var groupSize: Int { maker.options.groupSize }

    package var count: Int { maker.questionCount * groupSize }

    private func known(_ use: Int) -> Rollout? { groups[use / groupSize]?[use % groupSize] }

    package func length(of use: Int) -> Int { known(use)?.ids.count ?? maker.length(of: use / groupSize) + longest }

    package func targetCount(_ uses: [Int]) -> Int { maker.targets(uses.compactMap(known)) }

    package func batch(_ uses: [Int], draw: UInt64?) -> TokenBatch {
        TokenBatch(uses.compactMap(known), numbers: uses.map { ~Int32($0) })
    }

    package func prepare(_ uses: [Int], step: Int?) throws -> [Tally] {
        // A new evaluation asks anew.
        if uses.first == 0 { groups = [:] }
        let asked = Set(uses.map { $0 / groupSize }).sorted()
        groups = groups.filter { asked.contains($0.key) }
        let missing = asked.filter { groups[$0] == nil }
        guard !missing.isEmpty else { return [] }
        let round = try maker.round(missing) { _, answer in
            let use = missing[answer / self.groupSize] * self.groupSize + answer % self.groupSize
            return streamKey(self.seed, 0x4556_414C, UInt64(use))
        }
        for (group, range) in zip(missing, Advantages.groups(round.rollouts.count, groupSize)) {
            groups[group] = Array(round.rollouts[range])
        }
        return round.tallies
    }

    func rollout(_ use: Int) throws -> Rollout {
        guard let rollout = known(use) else { throw ModelError("an answer was not sampled before it was measured") }
        return rollout
    }
}

extension RolloutMaker {
    /// What a loss over some answers is divided by.
    func targets(_ rollouts: [Rollout]) -> Int {
        guard options.form.countsTokens || options.proximal != nil else { return rollouts.count }
        let counted = options.form == .bnpo ? rollouts.filter { !isMasked($0) } : rollouts
        return counted.reduce(0) { $0 + $1.answerLength }
    }

    /// Whether an answer is left out of the loss.
    func isMasked(_ rollout: Rollout) -> Bool { options.masksCut && rollout.isCut }
}
