import Foundation

/// Tokens that may come next, most probable first.
///
/// Each `keep` leaves out what the warper of the same name in `transformers` sets to −∞; the best token always stays.
/// Probabilities are those among the tokens that are left.
struct Candidates {
    private(set) var ids: [Int32]
    private(set) var scores: [Float]

    /// - Parameter scores: In falling order; tokens with a score of −∞ cannot come next.
    init(ids: [Int32], scores: [Float]) {
        let possible = max(1, scores.firstIndex(of: -.infinity) ?? scores.count)
        self.ids = Array(ids.prefix(possible))
        self.scores = Array(scores.prefix(possible))
    }

    /// The share of each token, rounded as fp32 is.
    var probabilities: [Float] {
        let best = Double(scores[0])
        let powers = scores.map { exp(Double($0) - best) }
        let sum = powers.reduce(0, +)
        return powers.map { Float($0 / sum) }
    }

    /// −∑ p ln p.
    private func entropy(_ probabilities: [Float]) -> Double {
        probabilities.reduce(0) { $0 - ($1 > 0 ? Double($1) * log(Double($1)) : 0) }
    }

    private mutating func keep(_ isKept: [Bool]) {
        ids = zip(ids, isKept).filter(\.1).map(\.0)
        scores = zip(scores, isKept).filter(\.1).map(\.0)
    }

    private mutating func keep(first count: Int) {
        ids.removeSubrange(max(1, count)...)
        scores.removeSubrange(max(1, count)...)
    }

    mutating func keepTopK(_ count: Int) {
        guard count > 0, count < scores.count else { return }
        let last = scores[count - 1]
        keep(first: scores.firstIndex { $0 < last } ?? scores.count)
    }

    mutating func keepTopP(_ share: Double) {
        // Summed from the least probable token on, as there: a token goes while the sum is at most 1 − p.
        let limit = Float(1 - share)
        let probabilities = probabilities
        var (sum, count) = (0.0, scores.count)
        while count > 1 {
            sum += Double(probabilities[count - 1])
            guard Float(sum) <= limit else { break }
            count -= 1
        }
        keep(first: count)
    }

    mutating func keepMinP(_ share: Double) {
        let probabilities = probabilities
        let limit = Float(share) * probabilities[0]
        keep(first: probabilities.firstIndex { $0 < limit } ?? scores.count)
    }

    mutating func keepTopH(_ share: Double) {
        var best = self
        best.keep(first: min(100, scores.count))
        let probabilities = best.probabilities
        let limit = Float(entropy(probabilities) * share)
        var (sum, count) = (0.0, 0)
        for probability in probabilities {
            if probability > 0 { sum -= Double(probability) * log(Double(probability)) }
            guard Float(sum) <= limit else { break }
            count += 1
        }
        keep(first: count)
    }

    mutating func keepTypical(_ mass: Double) {
        let probabilities = probabilities
        let entropy = entropy(probabilities)
        let distances = probabilities.map { abs(Float(-log(Double($0)) - entropy)) }
        let order = distances.indices.sorted { (distances[$0], $0) < (distances[$1], $1) }
        var (sum, last) = (0.0, 0)
        for index in order {
            sum += Double(probabilities[index])
            guard Float(sum) < Float(mass) else { break }
            last += 1
        }
        let limit = distances[order[min(last, order.count - 1)]]
        keep(distances.map { $0 <= limit })
    }

    mutating func keepAbove(_ limit: Double) {
        keep(probabilities.enumerated().map { $0.offset == 0 || $0.element >= Float(limit) })
    }

    mutating func keepAboveEta(_ epsilon: Double) {
        keepAbove(min(epsilon, epsilon.squareRoot() * exp(-entropy(probabilities))))
    }

    /// The token at a place in [0, 1) of the probabilities laid end to end.
    func chosen(_ uniform: Double) -> Int32 {
        let probabilities = probabilities
        var rest = probabilities.reduce(0) { $0 + Double($1) } * uniform
        for (id, probability) in zip(ids, probabilities) {
            rest -= Double(probability)
            if rest < 0 { return id }
        }
        return ids[ids.count - 1]
    }
}
