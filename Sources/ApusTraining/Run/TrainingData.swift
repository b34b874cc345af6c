package import ApusDatasets
package import ApusLanguageModel

/// The samples of a run, whatever they teach.
package protocol TrainingSource {
    var count: Int { get }

    /// Tokens of a sample.
    func length(of index: Int) -> Int

    /// What the loss of a step over these samples is divided by.
    func targetCount(_ samples: [Int]) -> Int

    /// Some samples end to end, as one micro-batch.
    ///
    /// - Parameter draw: Names the micro-batch among all of a run, for sources that draw by chance; nil in evaluation.
    func batch(_ samples: [Int], draw: UInt64?) -> TokenBatch
}

extension TrainingSource {
    package var isEmpty: Bool { count == 0 }
}

extension TokenizedDataset: TrainingSource {
    package func batch(_ samples: [Int], draw: UInt64?) -> TokenBatch {
        TokenBatch(
            samples.map { index in
                let sample = sample(index)
                return (sample.ids, sample.isTrained)
            })
    }

    /// How many tokens of these samples are predicted; the first of a sample never is.
    package func targetCount(_ samples: [Int]) -> Int { samples.reduce(0) { $0 + trainedCount(of: $1) } }
}
