package import ApusDatasets
package import ApusLanguageModel
import ApusTorch

/// Texts of which some tokens are hidden, to be predicted from the others.
///
/// Of each text `max(1, round(share · maskable))` tokens are chosen; 80 % of them become the mask, 10 % another token,
/// 10 % stay. Which, is a function of the draw; an evaluation always hides the same.
///
/// Devlin et al. 2018, <https://arxiv.org/abs/1810.04805>, and the published code that makes its data.
package struct MaskedTokens: TrainingSource {
    private let data: ScoredDataset
    private let mask: Int32
    private let special: Set<Int32>
    private let vocabulary: Int
    private let share: Double

    /// - Parameters:
    ///   - special: Ids that are never hidden.
    ///   - share: The share of tokens to hide, in (0, 1).
    package init(_ data: ScoredDataset, mask: Int32, special: Set<Int32>, vocabulary: Int, share: Double) {
        self.data = data
        self.mask = mask
        self.special = special
        self.vocabulary = vocabulary
        self.share = share
    }

    package var count: Int { data.count }

    package func length(of index: Int) -> Int { data.length(of: index) }

    package func targetCount(_ samples: [Int]) -> Int {
        samples.reduce(0) { $0 + hiddenCount(maskable(data.sample($1).ids).count) }
    }

    private func maskable(_ ids: [Int32]) -> [Int] { ids.indices.filter { !special.contains(ids[$0]) } }

    private func hiddenCount(_ maskable: Int) -> Int {
        maskable == 0 ? 0 : max(1, Int((share * Double(maskable)).rounded()))
    }

    package func batch(_ samples: [Int], draw: UInt64?) -> TokenBatch {
        var (rows, labels): ([Int32], [Int32]) = ([], [])
        var sequences: [[Int32]] = []
        var segments: [[Int32]?] = []
        var start = 0
        for index in samples {
            let sample = data.sample(index)
            var ids = sample.ids
            var random = SplitMix64(streamKey(draw ?? 0, 0x6D_61_73_6B), UInt64(index))
            var places = maskable(ids)
            let count = hiddenCount(places.count)
            for chosen in 0..<count {
                // The first `count` of a shuffle, drawn one by one.
                places.swapAt(chosen, chosen + Int(random.next(below: UInt64(places.count - chosen))))
            }
            for place in places.prefix(count).sorted() {
                rows.append(Int32(start + place))
                labels.append(ids[place])
                switch random.next(below: 10) {
                case 0: break
                case 1: ids[place] = Int32(random.next(below: UInt64(vocabulary)))
                default: ids[place] = mask
                }
            }
            start += ids.count
            sequences.append(ids)
            segments.append(sample.segments)
        }
        return TokenBatch(sequences, segments: segments, targets: TokenTargets(rows: rows, labels: labels))
    }
}
