package import ApusGeneration
import ApusLanguageModel
import ApusNN
package import ApusRewards
import ApusTorch

/// What stands behind a question: an answer, or several with what others said between them.
package struct Episode: Sendable {
    package var ids: [Int32]
    /// Which of them the model wrote.
    package var isOwn: [Bool]
    /// Whether the last answer was cut off.
    package var isCut: Bool
    /// `log π` of the model's tokens as they were drawn; empty where nobody asked.
    package var logProbabilities: [Double]
    /// The answers.
    package var turns: Int
    /// The last answer as rewards see it, with all before it in its messages.
    package var completion: Completion

    /// An answer alone.
    package init(_ answer: SampledAnswer, _ completion: Completion) {
        self.init(
            ids: answer.learned, isOwn: answer.learned.map { _ in true }, isCut: answer.isCut,
            logProbabilities: answer.logProbabilities, turns: 1, completion)
    }

    package init(
        ids: [Int32], isOwn: [Bool], isCut: Bool, logProbabilities: [Double], turns: Int, _ completion: Completion
    ) {
        self.ids = ids
        self.isOwn = isOwn
        self.isCut = isCut
        self.logProbabilities = logProbabilities
        self.turns = turns
        self.completion = completion
    }
}

/// An answer that the model in training gave, and what is known of it.
package struct Rollout: Sendable, Equatable {
    /// The number of the question in the data.
    package var question: Int
    /// The question and the answer, with the token that ended it; where there are several answers, with all between them.
    package var ids: [Int32]
    /// Which of them the model wrote, and learns from.
    package var isTrained: [Bool]
    /// Whether the answer was cut off.
    package var isCut: Bool
    /// `log π` of each token of the answer as it was drawn; nil where nobody asks.
    package var sampled: [Double]?
    /// The same by a pass over the whole answer before the first step with it; nil where that step is the only one.
    package var old: [Double]?
    /// The same of the reference; nil where nothing is compared.
    package var reference: [Double]?
    package var advantage = 0.0
    /// The same token by token, where that is told apart.
    package var tokens: Tokens?

    /// What is known of each token of an answer.
    package struct Tokens: Sendable, Equatable {
        package var advantages: [Double]
        /// What was expected before it when the answer was sampled.
        package var values: [Double]
        package var returns: [Double]
    }

    /// - Parameter isOwn: Which tokens at the end of the ids the model wrote.
    package init(question: Int, ids: [Int32], isOwn: [Bool], isCut: Bool, sampled: [Double]? = nil) {
        self.question = question
        self.ids = ids
        isTrained = Array(repeating: false, count: ids.count - isOwn.count) + isOwn
        self.isCut = isCut
        self.sampled = sampled
    }

    /// Tokens that the model wrote.
    package var answerLength: Int { isTrained.count { $0 } }
}

extension TokenBatch {
    /// Answers end to end.
    ///
    /// - Parameter numbers: What each is called, for those who look it up.
    init(_ rollouts: [Rollout], numbers: [Int32]) {
        let targets = TokenBatch(rollouts.map { ($0.ids, $0.isTrained) }).targets
        self.init(rollouts.map(\.ids), targets: targets, labels: .classes(numbers))
    }
}

// MARK: - Sizes

/// How many answers are sampled together and for how many steps.
///
/// Micro-batches of B answers; a round is sampled for P micro-batches and used μ times. G answers to a question lie one
/// behind the other, so that a round has `B · P / G` questions. What questions are left at the end of an epoch wait for
/// another order, as in TRL.
package struct RoundPlan: Sendable, Equatable {
    /// G.
    package let groupSize: Int
    /// B.
    package let batchSize: Int
    /// P.
    package let batches: Int
    /// μ.
    package let iterations: Int
    package let questions: Int

    package init(groupSize: Int, batchSize: Int, batches: Int, iterations: Int, questions: Int) {
        self.groupSize = groupSize
        self.batchSize = batchSize
        self.batches = batches
        self.iterations = iterations
        self.questions = questions
    }

    /// Answers of a round.
    package var size: Int { batchSize * batches }
    package var questionsPerRound: Int { size / max(1, groupSize) }
    package var roundsPerEpoch: Int { questions / max(1, questionsPerRound) }
    /// Those that fill no round of an epoch; each epoch leaves others.
    package var questionsLeft: Int { questions - roundsPerEpoch * questionsPerRound }
    /// What a run counts as its samples, each time that an answer is used.
    package var uses: Int { roundsPerEpoch * size * iterations }

    /// Where a use finds its answer.
    package func place(of use: Int) -> (round: Int, answer: Int) {
        let batch = use / batchSize
        return (batch / (batches * iterations), batch % batches * batchSize + use % batchSize)
    }
}
