import ApusJSON
import Foundation

/// Favours short right answers and long wrong ones.
///
/// `high − (high − low) · (1 − cos(π · t / T)) / 2` for an answer of t tokens, where T is the full length: a right answer goes
/// from its value without tokens to that at full length, a wrong one likewise. Beyond T the wave goes on, as in ms-swift. From
/// "Demystifying Long Chain-of-Thought Reasoning in LLMs" (arXiv 2502.03373).
struct CosineReward: RewardFunction {
    let name = "CosineReward"
    private let options: RewardOptions
    private let length: Double
    private let accuracy = MathAccuracy()

    init(_ options: RewardOptions) throws {
        guard let length = options.cosineMaxLen, length > 0 else {
            throw RewardError(
                "cosine: needs the full length of an answer, \(options.cosineMaxLen.map { "not \($0)" } ?? "in tokens"). "
                    + "Give --cosine_max_len.")
        }
        self.options = options
        self.length = Double(length)
    }

    func fault(of columns: JSONObject) -> ColumnFault? { Solution.fault(of: columns, for: "cosine") }

    func rewards(of completions: [Completion]) throws -> [Double?] {
        try zip(completions, accuracy.rewards(of: completions)).map { completion, accuracy in
            guard let accuracy else { return nil }
            let (short, long) =
                accuracy >= 1
                ? (options.cosineMinLenValueCorrect, options.cosineMaxLenValueCorrect)
                : (options.cosineMinLenValueWrong, options.cosineMaxLenValueWrong)
            let angle = Double(completion.tokens.count) * Double.pi / length
            return short - (short - long) * (1 - cos(angle)) / 2
        }
    }
}
