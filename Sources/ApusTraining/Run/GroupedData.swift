package import ApusDatasets
package import ApusLanguageModel

/// Texts with others that lie near or far, as the losses of embeddings want them: a sample is one group.
package struct SentenceGroups: TrainingSource {
    private let data: GroupedDataset

    package init(_ data: GroupedDataset = GroupedDataset()) { self.data = data }

    package var count: Int { data.count }
    package func length(of index: Int) -> Int { data.length(of: index) }
    package func targetCount(_ samples: [Int]) -> Int { samples.count }

    package func batch(_ samples: [Int], draw: UInt64?) -> TokenBatch {
        TokenBatch(groups: samples.map { data.sample($0) }, questions: samples.map(Int32.init))
    }
}

/// Questions with documents; a sample is a question with one positive and up to seven negatives, drawn anew each time.
///
/// In evaluation it is the question with all its documents. What is drawn is what ms-swift draws by default
/// (`MAX_POSITIVE_SAMPLES`, `MAX_NEGATIVE_SAMPLES`).
package struct DocumentGroups: TrainingSource {
    private static let mostPositives = 1
    private static let mostNegatives = 7

    private let data: GroupedDataset
    private let isListwise: Bool
    /// Of each sample; rows with the same question have the same number.
    private let questions: [Int32]

    package init(_ data: GroupedDataset = GroupedDataset(), questions: [Int32] = [], isListwise: Bool = false) {
        precondition(questions.count == data.count, "every sample has a question")
        self.data = data
        self.questions = questions
        self.isListwise = isListwise
    }

    package var count: Int { data.count }

    package func length(of index: Int) -> Int {
        let all = data.counts(of: index)
        let drawn = self.drawn(index)
        return data.length(of: index) * (drawn.positives + drawn.negatives) / max(1, all.positives + all.negatives)
    }

    /// Documents, or, listwise, questions that have a document to prefer.
    package func targetCount(_ samples: [Int]) -> Int {
        samples.reduce(0) { count, index in
            let (positives, negatives) = drawn(index)
            return count + (isListwise ? (negatives > 0 ? positives : 0) : positives + negatives)
        }
    }

    package func batch(_ samples: [Int], draw: UInt64?) -> TokenBatch {
        guard let draw else {
            return TokenBatch(groups: samples.map { data.sample($0) }, questions: samples.map { questions[$0] })
        }
        var groups: [GroupedDataset.Group] = []
        var numbers: [Int32] = []
        for index in samples {
            let drawn = data.groups(
                of: index, positives: Self.mostPositives, negatives: Self.mostNegatives, seed: draw, epoch: 0)
            groups += drawn
            numbers += drawn.map { _ in questions[index] }
        }
        return TokenBatch(groups: groups, questions: numbers)
    }

    /// The questions, and those of them that have both documents that answer them and others: only there an order is wrong.
    package var questionCounts: (all: Int, measured: Int) {
        var counts: [Int32: (positives: Int, negatives: Int)] = [:]
        for (index, question) in zip(data.indices, questions) {
            let (positives, negatives) = data.counts(of: index)
            counts[question, default: (0, 0)].positives += positives
            counts[question, default: (0, 0)].negatives += negatives
        }
        return (counts.count, counts.values.count { $0.positives > 0 && $0.negatives > 0 })
    }

    private func drawn(_ index: Int) -> (positives: Int, negatives: Int) {
        let all = data.counts(of: index)
        return (min(Self.mostPositives, all.positives), min(Self.mostNegatives, all.negatives))
    }
}

extension TokenBatch {
    /// Groups of texts end to end.
    package init(groups: [GroupedDataset.Group], questions: [Int32]) {
        let texts = groups.flatMap(\.texts)
        self.init(
            texts.map(\.ids), segments: texts.map(\.segments),
            labels: .groups(
                zip(groups, questions).map { group, question in
                    SequenceGroup(
                        hasAnchor: group.anchor != nil, positives: group.positives.count,
                        negatives: group.negatives.count, label: group.label, question: question)
                }))
    }
}
