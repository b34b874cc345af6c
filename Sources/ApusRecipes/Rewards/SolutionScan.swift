import ApusJSON
import ApusRewards

/// A look over the right answers of data, for those that rewards can do nothing with.
enum SolutionScan {
    /// The rewards that compare formulas and numbers.
    private static let comparing: Set<String> = ["accuracy", "cosine"]

    /// What a user should know before a run: that answers to some questions are wrong whatever they say.
    ///
    /// - Parameters:
    ///   - rewards: Names and programs, as `--reward_funcs` has them.
    ///   - count: Rows to look at.
    ///   - solution: What a row has in its column `solution`.
    ///   - place: Of a row, as in messages.
    /// - Returns: nil where there is nothing to say.
    static func note(
        of rewards: [String], count: Int, solution: (Int) throws -> JSONValue?, place: (Int) -> String
    ) rethrows -> String? {
        let asked = rewards.filter(comparing.contains)
        guard !asked.isEmpty else { return nil }
        var (known, unreadable): (Int, [Int]) = (0, [])
        for row in 0..<count {
            // Of what is no text, and no number, others speak.
            guard let text = try solution(row).flatMap(Solution.text) else { continue }
            known += 1
            if !MathAccuracy.canRead(text) { unreadable.append(row) }
        }
        guard let first = unreadable.first else { return nil }
        return
            "note: \(unreadable.count) of \(known) solutions hold no formula or number; every answer to them is wrong for "
            + "\(asked.joined(separator: " and ")) (first: \(place(first)))"
    }
}
