/// 1 for an answer that is `<think>…</think>`, white space, `<answer>…</answer>`, and nothing else.
struct FormatReward: RewardFunction {
    let name = "Format"

    func rewards(of completions: [Completion]) -> [Double?] {
        completions.map { completion in
            Self.isFormatted(completion.text) ? 1 : 0
        }
    }

    private static func isFormatted(_ text: String) -> Bool {
        guard text.hasSuffix("</answer>") else { return false }
        let body = text.dropLast("</answer>".count)
        return Thought.ends(of: body).contains { $0.hasPrefix("<answer>") }
    }
}

/// 1 for an answer that is `<think>…</think>`, white space, `Action:…` and `Action Input:…`.
struct ReActFormat: RewardFunction {
    let name = "ReActFormat"

    func rewards(of completions: [Completion]) -> [Double?] {
        completions.map { completion in
            let inputs = completion.text.ranges(of: "Action Input:")
            let acts = Thought.ends(of: completion.text[...]).contains { rest in
                guard rest.hasPrefix("Action:"), let input = inputs.last else { return false }
                return input.lowerBound >= rest.index(rest.startIndex, offsetBy: "Action:".count)
            }
            return acts ? 1 : 0
        }
    }
}

private enum Thought {
    /// What follows each `</think>` and the white space behind it, in a text that begins with `<think>`.
    static func ends(of text: Substring) -> [Substring] {
        guard text.hasPrefix("<think>") else { return [] }
        var rest = text.dropFirst("<think>".count)
        var ends: [Substring] = []
        while let end = rest.firstRange(of: "</think>") {
            rest = rest[end.upperBound...]
            ends.append(rest.drop(while: \.isWhitespace))
        }
        return ends
    }
}
