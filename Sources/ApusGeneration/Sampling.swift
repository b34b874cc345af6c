import ApusLanguageModel
package import ApusTorch
import Foundation

/// How the next token is chosen: the processors of `transformers` in its order, then the likeliest token or a draw.
package struct Sampling: Sendable, Equatable {
    /// 0 takes the most probable token always, and so does what is 0 in float32, by which scores would be divided.
    package var temperature = 1.0 {
        didSet { if Float(temperature) == 0 { temperature = 0 } }
    }
    /// Only the most probable tokens that together have this share of the entropy; nil takes all.
    ///
    /// Top-H, <https://arxiv.org/abs/2509.02510>.
    package var topH: Double?
    /// Only this many of the most probable tokens; nil takes all.
    package var topK: Int?
    /// Only the most probable tokens that together reach this probability; nil takes all.
    package var topP: Double?
    /// Only tokens with this share of the best one's probability; nil takes all.
    package var minP: Double?
    /// Only tokens whose information is nearest to the entropy, up to this probability; nil takes all.
    ///
    /// Meister et al. 2022, <https://arxiv.org/abs/2202.00666>.
    package var typicalP: Double?
    /// Only tokens with at least this probability; nil takes all.
    ///
    /// Hewitt et al. 2022, <https://arxiv.org/abs/2210.15191>.
    package var epsilonCutoff: Double?
    /// As `epsilonCutoff`, less strict where the entropy is high (same paper); nil takes all.
    package var etaCutoff: Double?
    /// What is done to the scores before.
    package var processors = LogitsProcessors()
    package var seed: UInt64 = 42

    package init() {}

    package var isGreedy: Bool { temperature == 0 || topK == 1 }

    /// The next token, from the scores of all.
    ///
    /// - Parameters:
    ///   - logits: [V].
    ///   - place: What stands before the token.
    ///   - draw: Names this draw among all; the same seed and name give the same token.
    ///   - allowed: The only tokens to choose from; nil allows all.
    /// - Throws: `ModelError` where the best score is no number, and where no token may come.
    package func token(
        _ logits: Tensor, at place: SamplingPlace, draw: UInt64, among allowed: [Int32]? = nil
    ) throws -> Int32 {
        let scores = try processed(logits, at: place, among: allowed)
        // NaN counts as the largest.
        let likeliest = Int(try scores.argmax(-1).item())
        let best: Double = try scores.selected(0, likeliest).item()
        guard best > -.infinity || best.isNaN else { throw ModelError.nothingAllowed }
        guard best.isFinite else { throw ModelError.notNumbers }
        // Where a quotient has no room in float32, the likeliest is all that would be left.
        let isPossible = Float(1 / temperature).isFinite && Float(best / temperature).isFinite
        if isGreedy || !isPossible { return Int32(likeliest) }
        if takesAll { return try drawn(scores, uniform(draw)) }
        return try candidates(scores).chosen(uniform(draw))
    }

    /// Whether every token may come.
    private var takesAll: Bool {
        func isShare(_ x: Double?) -> Bool { x.map { (0..<1).contains($0) } ?? false }
        return topH == nil && (topK ?? 0) <= 0 && (topP ?? 1) >= 1 && minP == nil && (typicalP ?? 1) >= 1
            && !isShare(epsilonCutoff) && !isShare(etaCutoff)
    }

    /// The token at a place in [0, 1) of the probabilities of all tokens laid end to end by their ids.
    private func drawn(_ scores: Tensor, _ place: Double) throws -> Int32 {
        let shares: [Float] = try softmax(temperature == 1 ? scores : scores / temperature).values()
        var rest = shares.reduce(0) { $0 + Double($1) } * place
        var last: Int32 = 0
        for (id, share) in shares.enumerated() where share > 0 {
            rest -= Double(share)
            last = Int32(id)
            if rest < 0 { return last }
        }
        return last
    }

    /// The scores of all tokens [V] behind the processors, on the CPU; of those that are not allowed −∞.
    func processed(_ logits: Tensor, at place: SamplingPlace, among allowed: [Int32]? = nil) throws -> Tensor {
        let scores = try logits.to(.float32).to(.cpu)
        guard !processors.areIdle || allowed != nil else { return scores }
        let given: [Float] = try scores.values()
        var values = given
        processors.process(&values, at: place)
        guard let allowed else { return try Tensor(values) }
        let ids = allowed.map(Int.init).filter(values.indices.contains)
        // What an answer is held to comes before what would forbid all of it.
        let source = ids.contains { values[$0] > -.infinity } ? values : given
        var kept = [Float](repeating: -.infinity, count: values.count)
        for id in ids { kept[id] = source[id] }
        return try Tensor(kept)
    }

    /// What is left of [V] scores to draw from.
    func candidates(_ scores: Tensor) throws -> Candidates {
        var candidates = try best(temperature == 1 ? scores : scores / temperature)
        if let topH { candidates.keepTopH(topH) }
        if topH != nil, let topK { candidates.keepTopK(topK) }
        if let topP, topP < 1 { candidates.keepTopP(topP) }
        if let minP { candidates.keepMinP(minP) }
        if let typicalP, typicalP < 1 { candidates.keepTypical(typicalP) }
        if let epsilonCutoff, (0..<1).contains(epsilonCutoff) { candidates.keepAbove(epsilonCutoff) }
        if let etaCutoff, (0..<1).contains(etaCutoff) { candidates.keepAboveEta(etaCutoff) }
        return candidates
    }

    /// The tokens by their scores, best first: the `topK` best with all that equal the last of them, or all.
    private func best(_ scores: Tensor) throws -> Candidates {
        let count = scores.count
        guard topH == nil, let topK, topK > 0, topK < count else {
            let (values, indices) = try scores.sorted(descending: true)
            return Candidates(ids: try indices.values(), scores: try values.values())
        }
        // Some more than wanted, to see whether the last one has equals.
        var wanted = min(topK + 16, count)
        while true {
            let (values, indices) = try scores.top(wanted)
            var candidates = Candidates(ids: try indices.values(), scores: try values.values())
            // Fewer than were asked for: the others cannot come next.
            guard candidates.scores.count == wanted, candidates.scores.last == candidates.scores[topK - 1],
                wanted < count
            else {
                candidates.keepTopK(topK)
                return candidates
            }
            wanted = min(wanted * 4, count)
        }
    }

    /// A number in [0, 1) that depends on seed and name only.
    private func uniform(_ draw: UInt64) -> Double {
        Double(streamKey(seed, 0x5341_4D50, draw) >> 11) * 0x1p-53
    }
}

/// What stands before the token that is chosen.
package struct SamplingPlace: Sendable {
    package let prompt: [Int32]
    /// What an encoder read; nil in models that go on from the prompt itself.
    package let source: [Int32]?
    package let answer: [Int32]
    /// The most tokens of the answer.
    package let limit: Int
    package let endTokens: Set<Int32>

    package init(
        prompt: [Int32], source: [Int32]? = nil, answer: [Int32], limit: Int = .max, endTokens: Set<Int32> = []
    ) {
        self.prompt = prompt
        self.source = source
        self.answer = answer
        self.limit = limit
        self.endTokens = endTokens
    }

    var count: Int { prompt.count + answer.count }
    /// The text that is answered.
    var question: [Int32] { source ?? prompt }
}
