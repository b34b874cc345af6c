/// Punishes runs of words that come again: `(1 − distinct / all) · penalty` over runs of n words in lower case; 0 for an answer
/// of fewer words.
struct RepetitionPenalty: RewardFunction {
    let name = "RepetitionPenalty"
    private let size: Int
    private let penalty: Double

    init(_ options: RewardOptions) throws {
        guard options.repetitionNGrams > 0 else {
            throw RewardError("repetition: got --repetition_n_grams \(options.repetitionNGrams); wanted at least 1.")
        }
        guard options.repetitionMaxPenalty <= 0 else {
            throw RewardError(
                "repetition: --repetition_max_penalty \(options.repetitionMaxPenalty) would reward repetition; wanted at most 0."
            )
        }
        size = options.repetitionNGrams
        penalty = options.repetitionMaxPenalty
    }

    func rewards(of completions: [Completion]) -> [Double?] {
        completions.map { completion in
            let words = completion.text.lowercased().split(whereSeparator: \.isWhitespace).map { Array($0.utf8) }
            guard words.count >= size else { return 0 }
            let count = words.count - size + 1
            let distinct = Set((0..<count).map { Array(words[$0..<$0 + size]) })
            return (1 - Double(distinct.count) / Double(count)) * penalty
        }
    }
}
