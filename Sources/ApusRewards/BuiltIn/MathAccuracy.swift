package import ApusJSON

/// 1 for an answer that says the same as the column `solution`, in mathematics; 0 for another, and where the solution cannot be
/// found.
///
/// Where the texts have an `<answer>…</answer>`, what stands in the first counts. An answer without one counts as far as it
/// marks its formula (`\boxed{…}`, or LaTeX behind the word "answer"). What is no formula that is known is compared as text,
/// so that a right answer may count as wrong, and never the other way round. ms-swift's `accuracy`, which asks math_verify.
package struct MathAccuracy: RewardFunction {
    package let name = "MathAccuracy"

    package func fault(of columns: JSONObject) -> ColumnFault? { Solution.fault(of: columns, for: "accuracy") }

    package func rewards(of completions: [Completion]) throws -> [Double?] {
        try completions.map { completion in
            guard let solution = try completion.solution(for: "accuracy") else { return nil }
            return Self.isRight(completion.text, solution: solution) ? 1 : 0
        }
    }

    static func isRight(_ answer: String, solution: String) -> Bool {
        guard let wanted = MathText.plain(tagged(solution) ?? solution) else { return false }
        let given =
            if let tagged = tagged(answer) { MathText.plain(tagged) } else { MathText.marked(answer) }
        return given.map { agree(wanted, $0) } ?? false
    }

    /// Whether an answer can be compared with a solution at all; with another, every one is wrong.
    package static func canRead(_ solution: String) -> Bool { MathText.isReadable(tagged(solution) ?? solution) }

    static func agree(_ wanted: MathText.Extract, _ given: MathText.Extract) -> Bool {
        // Who names a unit where one is wanted, names that one.
        if let wanted = wanted.unit, let given = given.unit, wanted != given { return false }
        if let wanted = wanted.value, let given = given.value, MathComparison.isEqual(wanted, given) { return true }
        return !wanted.text.isEmpty && wanted.text == given.text
    }

    /// What stands in the first `<answer>…</answer>`.
    private static func tagged(_ text: String) -> String? {
        guard let start = text.firstRange(of: "<answer>"),
            let end = text[start.upperBound...].firstRange(of: "</answer>")
        else { return nil }
        return String(text[start.upperBound..<end.lowerBound].trimmed)
    }
}

/// 1 for an answer whose first `\boxed{…}` is that of the column `solution`; ms-swift's `math`.
///
/// Without a box the whole texts are compared, but for what stands before `# Answer`.
struct BoxedMath: RewardFunction {
    let name = "MathORM"

    func fault(of columns: JSONObject) -> ColumnFault? { Solution.fault(of: columns, for: "math") }

    func rewards(of completions: [Completion]) throws -> [Double?] {
        try completions.map { completion in
            guard let solution = try completion.solution(for: "math") else { return nil }
            return MathAccuracy.agree(Self.extract(solution), Self.extract(completion.text)) ? 1 : 0
        }
    }

    private static func extract(_ text: String) -> MathText.Extract {
        let parts = text.split(separator: "# Answer", maxSplits: 2, omittingEmptySubsequences: false)
        let answer = String((parts.count > 1 ? parts[1] : text[...]).trimmed)
        return MathText.Extract(latex: MathBoxes.first(of: answer) ?? answer)
    }
}
