package import ApusTorch
import Foundation

/// How the next token is chosen.
package struct Sampling: Sendable, Equatable {
    /// 0 takes the most probable token always.
    package var temperature = 1.0
    /// Only this many of the most probable tokens; nil takes all.
    package var topK: Int?
    /// Only the most probable tokens that together reach this probability; nil takes all.
    package var topP: Double?
    /// Divides the score of tokens that were seen (multiplies negative ones).
    ///
    /// Keskar et al. 2019, <https://arxiv.org/abs/1909.05858>.
    package var repetitionPenalty = 1.0
    package var seed: UInt64 = 42

    package init() {}

    package var isGreedy: Bool { temperature == 0 || topK == 1 }

    /// The next token, from the scores of all.
    ///
    /// The order of `transformers`: penalty, temperature, top-k, top-p, then a draw.
    ///
    /// - Parameters:
    ///   - logits: [V].
    ///   - seen: The ids of prompt and answer so far.
    ///   - draw: Names this draw among all; the same seed and name give the same token.
    package func token(_ logits: Tensor, seen: Set<Int32>, draw: UInt64) throws -> Int32 {
        var scores = try logits.to(.float32).to(.cpu)
        if repetitionPenalty != 1, !seen.isEmpty { scores = try penalized(scores, seen: seen) }
        if isGreedy { return Int32(try scores.argmax(-1).item()) }
        let candidates = try self.candidates(scores)
        return candidates.chosen(uniform(draw))
    }

    private func penalized(_ scores: Tensor, seen: Set<Int32>) throws -> Tensor {
        let index = try Tensor(seen.sorted().map { Int64($0) })
        let values: [Float] = try scores.gathered(0, index).values()
        let penalty = Float(repetitionPenalty)
        let changed = try Tensor(values.map { $0 < 0 ? $0 * penalty : $0 / penalty })
        return try scores.scattered(0, index, changed)
    }

    /// What is left after top-k and top-p, most probable first.
    func candidates(_ scores: Tensor) throws -> Candidates {
        let scaled = try scores / temperature
        let count = scores.count
        let (values, indices) =
            if let topK, topK > 0, topK < count { try scaled.top(topK) } else { try scaled.sorted(descending: true) }
        var probabilities: [Float] = try softmax(values).values()
        var ids: [Int32] = try indices.values()
        if let topP, topP < 1 {
            var (kept, total) = (0, Float(0))
            while kept < ids.count, kept == 0 || total < Float(topP) {
                total += probabilities[kept]
                kept += 1
            }
            probabilities.removeSubrange(kept...)
            ids.removeSubrange(kept...)
        }
        return Candidates(ids: ids, probabilities: probabilities)
    }

    /// A number in [0, 1) that depends on seed and name only.
    private func uniform(_ draw: UInt64) -> Double {
        Double(streamKey(seed, 0x5341_4D50, draw) >> 11) * 0x1p-53
    }
}

/// Tokens that may come next, with probabilities that need not sum to 1.
struct Candidates {
    let ids: [Int32]
    let probabilities: [Float]

    func chosen(_ uniform: Double) -> Int32 {
        var rest = Double(probabilities.reduce(0, +)) * uniform
        for (id, probability) in zip(ids, probabilities) {
            rest -= Double(probability)
            if rest < 0 { return id }
        }
        return ids[ids.count - 1]
    }
}
