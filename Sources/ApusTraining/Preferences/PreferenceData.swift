package import ApusDatasets
package import ApusLanguageModel

/// Pairs of answers: a sample is a pair, whose chosen side comes first in a batch.
package struct PairSamples: TrainingSource {
    private let data: PairDataset
    /// Whether it is held out: its samples have numbers of their own.
    private let isHeldOut: Bool

    package init(_ data: PairDataset = PairDataset(), isHeldOut: Bool = false) {
        self.data = data
        self.isHeldOut = isHeldOut
    }

    package var count: Int { data.count }
    package func length(of index: Int) -> Int { data.length(of: index) }
    package func targetCount(_ samples: [Int]) -> Int { samples.count }

    package func batch(_ samples: [Int], draw: UInt64?) -> TokenBatch {
        let pairs = samples.map { data.sample($0) }
        return TokenBatch(
            answers: pairs.flatMap { [$0.chosen, $0.rejected] },
            groups: zip(samples, pairs).map { index, pair in
                SequenceGroup(
                    hasAnchor: false, positives: 1, negatives: 1, label: pair.margin,
                    question: isHeldOut ? ~Int32(index) : Int32(index))
            })
    }
}

/// Answers that were judged, with those to other questions behind them.
package struct JudgedSamples: TrainingSource {
    private let data: JudgedDataset
    /// Samples that exchange answers, in the order of the data set; nil where none does.
    private let groupSize: Int?
    /// Whether it is held out: its samples have numbers of their own.
    private let isHeldOut: Bool

    package init(_ data: JudgedDataset = JudgedDataset(), groupSize: Int? = nil, isHeldOut: Bool = false) {
        self.data = data
        self.groupSize = groupSize
        self.isHeldOut = isHeldOut
    }

    package var count: Int { data.count }
    package func length(of index: Int) -> Int { data.length(of: index) }
    package func targetCount(_ samples: [Int]) -> Int { samples.count }

    package func batch(_ samples: [Int], draw: UInt64?) -> TokenBatch {
        let answers = samples.map { data.sample($0) }
        let others = groupSize.map { size in samples.map { data.mismatched($0, groupSize: size) } } ?? []
        return TokenBatch(
            answers: answers.map(\.answer) + others,
            groups: zip(samples, answers).map { index, answer in
                SequenceGroup(
                    hasAnchor: false, positives: answer.isGood ? 1 : 0, negatives: answer.isGood ? 0 : 1,
                    question: isHeldOut ? ~Int32(index) : Int32(index))
            })
    }
}

extension TokenBatch {
    /// Conversations end to end, with what is known of them in groups.
    fileprivate init(answers: [TokenizedDataset.Sample], groups: [SequenceGroup]) {
        let targets = TokenBatch(answers.map { ($0.ids, $0.isTrained) }).targets
        self.init(answers.map(\.ids), targets: targets, labels: .groups(groups))
    }
}
