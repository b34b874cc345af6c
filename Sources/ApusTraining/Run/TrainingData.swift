import ApusDatasets
import ApusLanguageModel

extension TokenizedDataset {
    /// Some samples end to end, as one micro-batch.
    func batch(_ samples: [Int]) -> TokenBatch {
        TokenBatch(
            samples.map { index in
                let sample = sample(index)
                return (sample.ids, sample.isTrained)
            })
    }

    /// How many tokens of these samples are predicted; the first of a sample never is.
    func targetCount(_ samples: [Int]) -> Int { samples.reduce(0) { $0 + trainedCount(of: $1) } }
}
