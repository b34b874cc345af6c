package import ApusDatasets
package import ApusLanguageModel
import ApusTorch

/// Answers of the model in training, in the place of those of the data in some steps.
package struct OwnAnswers {
    /// Tokens behind prompts, each with the token that ended it, where one did; `draws` names the random numbers of each.
    package typealias Answering = (_ prompts: [[Int32]], _ draws: [UInt64]) throws -> [[Int32]]

    /// The share of steps, λ.
    private let share: Double
    private let seed: Int
    /// The most tokens of an answer.
    fileprivate let limit: Int
    private let answer: Answering

    package init(share: Double, seed: Int, limit: Int, answer: @escaping Answering) {
        self.share = share
        self.seed = seed
        self.limit = limit
        self.answer = answer
    }

    /// Whether a step learns from them, by ms-swift's coin: `random.Random(seed + step).random() <= λ`.
    package func takesStep(_ step: Int) -> Bool {
        guard share > 0 else { return false }
        var random = PythonRandom(seed: seed &+ step)
        return random.uniform() <= share
    }

    /// Answers to the prompts of a step, which depend on the weights, the seed, the step and the samples alone.
    fileprivate func answers(to prompts: [[Int32]], samples: [Int], step: Int) throws -> [[Int32]] {
        try answer(prompts, samples.map { streamKey(UInt64(step), UInt64($0)) })
    }
}

/// Conversations that a model learns from a teacher.
package final class DistilledSamples: TrainingSource {
    private let data: DistilledDataset
    /// Where some steps learn from answers of the model's own.
    package var own: OwnAnswers?
    /// Those of the present step, by sample; nil where it learns from the data.
    private var answers: [Int: [Int32]]?

    package init(_ data: DistilledDataset = DistilledDataset()) { self.data = data }

    package var count: Int { data.count }
    package func length(of index: Int) -> Int { answers?[index] == nil ? data.length(of: index) : answered(index) }

    package func longestLength(of index: Int) -> Int {
        let (student, teacher) = data.sample(index)
        let ownLimit = own.map { max(student.answerStart, teacher?.answerStart ?? 0) + $0.limit } ?? 0
        return max(data.length(of: index), ownLimit)
    }
    package func targetCount(_ samples: [Int]) -> Int {
        samples.reduce(0) { $0 + (answers?[$1]?.count ?? data.trainedCount(of: $1)) }
    }

    package func prepare(_ samples: [Int], step: Int?) throws -> [Tally] {
        answers = nil
        guard let own, let step, own.takesStep(step) else { return [] }
        let distinct = Set(samples).sorted()
        let prompts = distinct.map { index in
            let sample = data.sample(index).student
            return Array(sample.ids[..<sample.answerStart])
        }
        let found = try own.answers(to: prompts, samples: distinct, step: step)
        answers = Dictionary(uniqueKeysWithValues: zip(distinct, found))
        let lengths = found.map { Double($0.count) }
        return try [
            Tally("completions/mean_length", Tensor([lengths.reduce(0, +)]), count: lengths.count),
            Tally("completions/max_length", Tensor([lengths.max() ?? 0]), count: 1),
        ]
    }

    package func batch(_ samples: [Int], draw: UInt64?) -> TokenBatch {
        let read = samples.map { sides(of: $0) }
        let hasOther = read.contains { $0.teacher != nil }
        let sequences = read.map(\.student) + (hasOther ? read.map { $0.teacher ?? $0.student } : [])
        let targets = TokenBatch(sequences.map { ($0.ids, $0.isTrained) }).targets
        let group = SequenceGroup(hasAnchor: false, positives: hasOther ? 2 : 1, negatives: 0)
        var batch = TokenBatch(
            sequences.map(\.ids), targets: targets, labels: .groups(samples.map { _ in group }))
        batch.isSampled = samples.contains { answers?[$0] != nil }
        return batch
    }

    /// What model and teacher read of a sample in the present step.
    private func sides(of index: Int) -> (student: DistilledDataset.Sample, teacher: DistilledDataset.Sample?) {
        let sample = data.sample(index)
        guard let answer = answers?[index] else { return sample }
        return (sample.student.answered(answer), sample.teacher?.answered(answer))
    }

    /// The tokens that model and teacher read of it, the longer of the two.
    private func answered(_ index: Int) -> Int {
        let (student, teacher) = sides(of: index)
        return max(student.ids.count, teacher?.ids.count ?? 0)
    }
}
