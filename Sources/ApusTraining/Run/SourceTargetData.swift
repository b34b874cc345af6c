package import ApusDatasets
package import ApusLanguageModel

/// Texts with answers; a stored sample is one behind the other, and what is trained of it is the answer.
package struct SourceTargetSamples: TrainingSource {
    private let data: TokenizedDataset
    private let start: Int32

    /// - Parameter start: What a decoder sees before the first token of an answer.
    package init(_ data: TokenizedDataset = TokenizedDataset(), start: Int32) {
        self.data = data
        self.start = start
    }

    package var count: Int { data.count }
    package func length(of index: Int) -> Int { data.length(of: index) }
    package func targetCount(_ samples: [Int]) -> Int { data.targetCount(samples) }

    package func batch(_ samples: [Int], draw: UInt64?) -> TokenBatch {
        let parts = samples.map { index in
            let sample = data.sample(index)
            let cut = sample.isTrained.firstIndex(of: true) ?? sample.ids.count
            return (
                source: Array(sample.ids[..<cut]), ids: Array(sample.ids[cut...]),
                weights: sample.weights.map { Array($0[cut...]) }, channel: sample.channel
            )
        }
        var batch = TokenBatch(
            sources: parts.map(\.source), answers: parts.map { ($0.ids, $0.weights) }, start: start)
        batch.channels = parts.map(\.channel)
        return batch
    }
}
