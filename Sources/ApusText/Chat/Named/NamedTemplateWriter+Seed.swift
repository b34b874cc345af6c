import Foundation

/// Seed-OSS says in the system text how many tokens thoughts may have.
extension NamedTemplateWriter {
    /// How an answer without thoughts begins.
    static let seedOpening = "<seed:think><seed:cot_budget_reflect>"
    private static let seedSkips =
        seedOpening
        + "The current thinking budget is 0, so I will directly start answering the question.</seed:cot_budget_reflect>\n"
        + "</seed:think>"
    private static let seedMark = "<seed:eos><seed:bos>system\n"

    /// The tokens of the longest thoughts of an answer, rounded up to a power of two from 512 to 16384 where they are fewer;
    /// 0 where there are none.
    func thinkingBudget(_ turns: NamedTemplateTurns) -> Int {
        let counts = turns.turns.map { turn in
            guard case .answer(let segments) = turn,
                let thoughts = Self.thoughts(segments.map(\.text).joined())?.thoughts,
                !thoughts.trimmingCharacters(in: .whitespacesAndNewlines).isEmpty
            else { return 0 }
            return tokens.count(String(thoughts))
        }
        guard let longest = counts.max(), longest > 0 else { return 0 }
        return [512, 1024, 2048, 4096, 8192, 16384].first { longest <= $0 } ?? longest
    }

    /// A text in the parts before, inside and behind its first marks of thoughts; nil without both marks.
    private static func thoughts(_ text: String) -> (before: Substring, thoughts: Substring, behind: Substring)? {
        guard let opening = text.range(of: "<think>"),
            let closing = text.range(of: "</think>", range: opening.upperBound..<text.endIndex)
        else { return nil }
        return (
            text[..<opening.lowerBound], text[opening.upperBound..<closing.lowerBound], text[closing.upperBound...]
        )
    }

    /// Writes the budget into the system text, and marks of thoughts as the model has them.
    func prepareSeed(_ turns: inout NamedTemplateTurns) {
        let budget = thinkingBudget(turns)
        let notice: String
        if budget == 0 {
            notice =
                "You are an intelligent assistant that can answer questions in one step without the need for reasoning and "
                + "thinking, that is, your thinking budget is 0. Next, please skip the thinking process and directly start "
                + "answering the user's questions.\n"
        } else {
            let interval = [512: 128, 1024: 256, 2048: 512, 4096: 512][budget] ?? 1024
            notice =
                "You are an intelligent assistant with reflective ability. In the process of thinking and reasoning, you "
                + "need to strictly follow the thinking budget, which is \(budget). That is, you need to complete your "
                + "thinking within \(budget) tokens and start answering the user's questions. You will reflect on your "
                + "thinking process every \(interval) tokens, stating how many tokens have been used and how many are "
                + "left.\n"
        }
        let system = turns.system ?? ""
        turns.system = system.isEmpty ? notice : system + Self.seedMark + notice
        for (position, turn) in turns.turns.enumerated() {
            guard case .answer(var segments) = turn, !segments.isEmpty else { continue }
            let thinking = segments.indices.filter { Self.thoughts(segments[$0].text) != nil }
            for index in thinking {
                guard let parts = Self.thoughts(segments[index].text) else { continue }
                segments[index].text =
                    parts.before + "<seed:think>" + parts.thoughts + "</seed:think>" + parts.behind
            }
            if thinking.isEmpty {
                let said = segments[0].text.replacing("<think>", with: "").replacing("</think>", with: "")
                segments[0].text = (budget > 0 ? "<seed:think></seed:think>" : Self.seedSkips) + said
            }
            turns.turns[position] = .answer(segments)
        }
    }
}
