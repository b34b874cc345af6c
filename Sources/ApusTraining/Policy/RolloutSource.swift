package import ApusDatasets
package import ApusLanguageModel
import ApusNN
package import ApusTorch
import Foundation

/// Answers of the model in training to the questions of a data set, sampled before the steps that learn from them.
///
/// A sample is one use of one answer, so that those of an epoch are counted by `RoundPlan`.
package final class RolloutSource: TrainingSource, StepParticipant, GrowingState {
    private let maker: RolloutMaker
    private let plan: RoundPlan
    private let order: EpochOrder
    private let seed: UInt64
    /// The steps of the run, which say what epoch a step belongs to.
    private let steps: BatchPlan
    /// The most tokens behind a question.
    private let longest: Int
    private var epoch = 0
    /// The steps that are done before the one that samples were last made ready for.
    private(set) var step = 0
    /// The rounds of the present step, by their numbers among all.
    private var rounds: [Int: [Rollout]] = [:]
    /// The questions in the order of an epoch.
    private var ordered: (epoch: Int, questions: [Int]) = (-1, [])
    /// Sees every round, with the steps that are done before it.
    package var onRound: ((Int, RolloutMaker.Report) throws -> Void)?
    /// When the first round of this run was asked for, and the answers of the rounds before it.
    private(set) var started: (time: Double, episodes: Int)?
    /// The round that a checkpoint had in use.
    private var restored: (number: Int, round: [Rollout])?

    /// - Parameters:
    ///   - order: In which the questions are asked.
    ///   - accumulation: Micro-batches of a step.
    ///   - longest: The most tokens behind a question.
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
        self.longest = longest
    }

    /// Whether the model moves while a round is in use.
    private var movesBetweenUses: Bool { steps.accumulation % (plan.batches * plan.iterations) != 0 }

    // MARK: - As a source

    package var count: Int { plan.uses }

    package func length(of use: Int) -> Int {
        known(use).map(\.ids.count) ?? maker.length(of: question(of: use)) + longest
    }

    package func targetCount(_ uses: [Int]) -> Int { maker.targets(uses.compactMap(known)) }

    package func batch(_ uses: [Int], draw: UInt64?) -> TokenBatch {
        TokenBatch(uses.compactMap(known), numbers: uses.map(Int32.init))
    }

    package func prepare(_ uses: [Int], step: Int?) throws -> [Tally] {
        guard let step else { return [] }
        self.step = step
        let before = (epoch, rounds)
        do {
            return try prepared(uses, step: step)
        } catch {
            // What is saved before the run ends is the round of the steps that were made.
            (epoch, rounds) = before
            throw error
        }
    }

    private func prepared(_ uses: [Int], step: Int) throws -> [Tally] {
        epoch = steps.epoch(ofStep: step)
        let wanted = Set(uses.map { number(of: plan.place(of: $0).round) }).sorted()
        rounds = rounds.filter { wanted.contains($0.key) }
        var tallies: [Tally] = []
        for number in wanted where rounds[number] == nil {
            if started == nil { started = (ProcessInfo.processInfo.systemUptime, number * plan.size) }
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

    /// The answers of all rounds up to the last.
    var episodes: Int { (rounds.keys.max().map { $0 + 1 } ?? 0) * plan.size }

    /// - Throws: `ModelError` for an answer that was not sampled.
    func rollout(_ use: Int) throws -> Rollout {
        guard let rollout = known(use) else { throw ModelError("an answer was not sampled before its step") }
        return rollout
    }

    // MARK: - As a part of steps

    /// The last round, where a run that goes on between its uses must have it.
    package var state: [(name: String, tensor: Tensor)] {
        get throws {
            guard movesBetweenUses else { return [] }
            let last = rounds.max { $0.key < $1.key }
            let numbers = last.map { [Double($0.key)] + $0.value.flatMap(\.numbers) } ?? [-1]
            return [("policy.rollouts", try Tensor(numbers))]
        }
    }

    package func restore(_ stored: [String: Tensor]) throws {
        guard let numbers: [Double] = try stored["policy.rollouts"]?.values(), numbers[0] >= 0 else { return }
        var rest = numbers.dropFirst()
        let round = (0..<plan.size).compactMap { _ in Rollout(takenFrom: &rest) }
        guard round.count == plan.size, rest.isEmpty else {
            throw TrainingError(.resume, "the round of answers in the checkpoint is of another size")
        }
        restored = (Int(numbers[0]), round)
    }

    package func starting(at step: Int) throws {
        // What was sampled before the first step, for a start that asks the data, came from another model.
        rounds = [:]
        started = nil
        if step > 0, let restored { rounds[restored.number] = restored.round }
        restored = nil
    }
}

// MARK: - In checkpoints

extension Rollout {
    private var lists: [[Double]?] { [sampled, old, reference, tokens?.advantages, tokens?.values, tokens?.returns] }

    /// Everything: the question, the tokens, whether it was cut, the advantage, and by bits which lists
    /// there are; then the ids, which are the model's, and the lists.
    fileprivate var numbers: [Double] {
        let present = lists.enumerated().reduce(0) { $0 + ($1.element == nil ? 0 : 1 << $1.offset) }
        return [Double(question), Double(ids.count), isCut ? 1 : 0, advantage, Double(present)] + ids.map(Double.init)
            + isTrained.map { $0 ? 1 : 0 } + lists.flatMap { $0 ?? [] }
    }

    /// - Returns: nil where the numbers are none of an answer.
    fileprivate init?(takenFrom numbers: inout ArraySlice<Double>) {
        func take(_ count: Int) -> [Double]? {
            guard count >= 0, numbers.count >= count else { return nil }
            defer { numbers = numbers.dropFirst(count) }
            return Array(numbers.prefix(count))
        }
        guard let head = take(5), let length = Int(exactly: head[1]), let present = Int(exactly: head[4]),
            let question = Int(exactly: head[0]), let ids = take(length), let marks = take(length)
        else { return nil }
        self.init(
            question: question, ids: ids.compactMap { Int32(exactly: $0) }, isOwn: marks.map { $0 == 1 },
            isCut: head[2] == 1)
        advantage = head[3]
        let own = answerLength
        let lists = (0..<6).map { present >> $0 & 1 == 1 ? take(own) : nil }
        (sampled, old, reference) = (lists[0], lists[1], lists[2])
        if let advantages = lists[3], let values = lists[4], let returns = lists[5] {
            tokens = Tokens(advantages: advantages, values: values, returns: returns)
        }
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
    /// What is told of the answers of the present evaluation so far.
    private var figures: RoundFigures?

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
        if uses.first == 0 { (groups, figures) = ([:], nil) }
        let asked = Set(uses.map { $0 / groupSize }).sorted()
        groups = groups.filter { asked.contains($0.key) }
        let missing = asked.filter { groups[$0] == nil }
        if !missing.isEmpty {
            let round = try maker.round(missing) { _, answer in
                let use = missing[answer / self.groupSize] * self.groupSize + answer % self.groupSize
                return streamKey(self.seed, 0x4556_414C, UInt64(use))
            }
            for (group, range) in zip(missing, Advantages.groups(round.rollouts.count, groupSize)) {
                groups[group] = Array(round.rollouts[range])
            }
            if figures == nil { figures = round.figures } else { figures?.add(round.figures) }
        }
        // It is told of all answers at the end, whatever their batches.
        guard uses.last == count - 1, let figures else { return [] }
        return try maker.tallies(figures)
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
