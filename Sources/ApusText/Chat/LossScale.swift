/// Which tokens train, and how much (`--loss_scale`): a base and what changes the weights of parts of answers, as in
/// `last_round+hermes+ignore_empty_think`.
package struct LossScale: Sendable, Hashable, RawRepresentable {
    /// Which text is trained.
    package var base: TrainedTurns
    /// What changes the weights inside of answers, one after the other; weights multiply.
    package var modifiers: [LossModifier]

    package init(_ base: TrainedTurns, modifiers: [LossModifier] = []) {
        self.base = base
        self.modifiers = modifiers
    }

    /// - Parameter rawValue: A base, modifiers (then of every answer), or both, with `+` between them.
    package init?(rawValue: String) {
        var words = rawValue.split(separator: "+", omittingEmptySubsequences: false).map(String.init)
        if let first = words.first, let base = TrainedTurns(rawValue: first) {
            self.base = base
            words.removeFirst()
        } else {
            base = .everyAnswer
            guard !words.isEmpty else { return nil }
        }
        modifiers = words.compactMap(LossModifier.init(rawValue:))
        guard modifiers.count == words.count else { return nil }
    }

    package var rawValue: String {
        ([base.rawValue] + modifiers.map(\.rawValue)).joined(separator: "+")
    }

    /// The same, and empty thoughts are not trained.
    package var leavingEmptyThoughtsOut: LossScale {
        modifiers.contains(.ignoreEmptyThink) ? self : LossScale(base, modifiers: modifiers + [.ignoreEmptyThink])
    }

    /// Every answer of the assistant.
    package static let everyAnswer = LossScale(.everyAnswer)
    /// The assistant's turns after the last user message.
    package static let lastRound = LossScale(.lastRound)
    /// Every token.
    package static let all = LossScale(.all)
}

/// What changes the weights of parts of an answer, with the rules of ms-swift 4.6.
package enum LossModifier: String, Sendable, CaseIterable {
    /// A thought without content is not trained.
    case ignoreEmptyThink = "ignore_empty_think"
    /// What opens a thought is not trained.
    case ignoreThinkPrefix = "ignore_think_prefix"
    /// Calls of tools count twice.
    case hermes
    /// Actions and their inputs count twice, observations not at all.
    case react
    /// The names and arguments of functions count twice, results not at all.
    case qwen
    /// What is called and its arguments count three times, observations not at all.
    case agentFlan = "agentflan"
    /// As `react`, with the choice of the next step.
    case alphaUmi = "alpha_umi"
}

extension LossModifier {
    /// A part of an answer and what its weight is multiplied by.
    typealias Part = (text: Substring, weight: Float)

    /// The answer in parts, whose texts joined are the answer.
    ///
    /// - Parameter query: The message before it.
    func parts(of answer: Substring, query: String?) -> [Part] {
        switch self {
        case .ignoreEmptyThink: Self.withoutStart(answer, length: Self.emptyThought)
        case .ignoreThinkPrefix: Self.withoutStart(answer, length: Self.openedThought)
        case .hermes: Self.calls(answer)
        case .react: Self.behind(Self.reactKeys, answer)
        case .qwen: Self.behind(Self.qwenKeys, answer)
        case .alphaUmi: Self.behind(Self.reactKeys + [("Next:", 2, 2)], answer)
        case .agentFlan:
            Self.agentFlanQuestions.contains { query?.contains($0) ?? false }
                ? [(text: answer, weight: Float(3))] : Self.behind(Self.agentFlanKeys, answer)
        }
    }

    // MARK: - Thoughts

    private static func withoutStart(_ answer: Substring, length: (Substring) -> Substring.Index) -> [Part] {
        let end = length(answer)
        return [(answer[..<end], 0), (answer[end...], 1)].filter { !$0.text.isEmpty }
    }

    private static let emptySeedThought =
        "<seed:think><seed:cot_budget_reflect>The current thinking budget is 0, so I will directly start answering the "
        + "question.</seed:cot_budget_reflect>\n</seed:think>"

    /// Where an answer goes on behind an empty thought.
    private static func emptyThought(_ answer: Substring) -> Substring.Index {
        if answer.hasPrefix("<think>") {
            let inside = afterSpaces(answer.dropFirst("<think>".count))
            if inside.hasPrefix("</think>") { return afterSpaces(inside.dropFirst("</think>".count)).startIndex }
        }
        for mark in [emptySeedThought, "</think>", "</mm:think>"] where answer.hasPrefix(mark) {
            return afterSpaces(answer.dropFirst(mark.count)).startIndex
        }
        let channel = "<|channel>thought\n<channel|>"
        return answer.hasPrefix(channel) ? answer.dropFirst(channel.count).startIndex : answer.startIndex
    }

    /// Whether an empty thought is the last of a text.
    static func endsWithEmptyThought(_ text: String) -> Bool {
        text.indices.contains { text[$0] == "<" && emptyThought(text[$0...]) == text.endIndex }
    }

    private static func openedThought(_ answer: Substring) -> Substring.Index {
        guard answer.hasPrefix("<think>") else { return answer.startIndex }
        let rest = answer.dropFirst("<think>".count)
        return rest.first == "\n" ? rest.dropFirst().startIndex : rest.startIndex
    }

    private static func afterSpaces(_ text: Substring) -> Substring { text.drop(while: \.isWhitespace) }

    // MARK: - Calls

    /// Calls in tags, which hold one character at least.
    private static func calls(_ answer: Substring) -> [Part] {
        var parts: [Part] = []
        var rest = answer
        while let open = rest.firstRange(of: "<tool_call>"), !rest[open.upperBound...].isEmpty,
            let close = rest[rest.index(after: open.upperBound)...].firstRange(of: "</tool_call>")
        {
            parts += [(rest[..<open.lowerBound], 1), (rest[open.lowerBound..<close.upperBound], 2)]
            rest = rest[close.upperBound...]
        }
        return (parts + [(rest, 1)]).filter { !$0.text.isEmpty }
    }

    /// A word, its weight, and the weight of what follows it.
    private typealias Key = (word: String, weight: Float, following: Float)

    private static let reactKeys: [Key] = [
        ("Action:", 2, 2), ("Action Input:", 2, 2), ("Thought:", 1, 1), ("Final Answer:", 1, 1),
        ("Observation:", 2, 0),
    ]
    private static let qwenKeys: [Key] = [
        ("✿FUNCTION✿:", 2, 2), ("✿ARGS✿:", 2, 2), ("✿RETURN✿:", 1, 1), ("✿RESULT✿:", 2, 0),
    ]
    private static let agentFlanKeys: [Key] = [
        ("Name:", 1, 3), ("Action:", 1, 3), ("ACTION:", 1, 3), ("Tool:", 1, 3), ("Command", 1, 3),
        ("Arguments:", 1, 3), ("action input", 1, 3), ("ACTION_INPUT:", 1, 3), ("Action Input:", 1, 3),
        ("Thought:", 1, 1), ("Final Answer:", 1, 1), ("Observation:", 2, 0),
    ]
    private static let agentFlanQuestions = [
        "What is the tool you want to use", "What are the required parameter names", "What is the value of",
        "What are the required parameter names for this tool",
    ]

    /// The words, and what stands behind each up to the next; the first word of the list wins at a place.
    private static func behind(_ keys: [Key], _ answer: Substring) -> [Part] {
        var parts: [Part] = []
        var (start, weight) = (answer.startIndex, Float(1))
        var place = answer.startIndex
        while place < answer.endIndex {
            let rest = answer.unicodeScalars[place...]
            guard let key = keys.first(where: { rest.starts(with: $0.word.unicodeScalars) }) else {
                place = answer.unicodeScalars.index(after: place)
                continue
            }
            let end = answer.unicodeScalars.index(place, offsetBy: key.word.unicodeScalars.count)
            parts += [(answer[start..<place], weight), (answer[place..<end], key.weight)]
            (start, weight, place) = (end, key.following, end)
        }
        return (parts + [(answer[start...], weight)]).filter { !$0.text.isEmpty }
    }
}

extension [LossModifier] {
    /// The rendered text of an answer in parts, whose texts joined are that text.
    ///
    /// - Parameters:
    ///   - content: What the message says. What the template writes behind it, such as the end of the turn, keeps its
    ///     weight; without it the whole text is looked at.
    ///   - query: The message before it.
    package func parts(of text: String, content: String?, query: String?) -> [(text: String, weight: Float)] {
        // What stands at the beginning is found without the end, which is sought for long in a long text.
        let looksInside = contains { $0 != .ignoreEmptyThink && $0 != .ignoreThinkPrefix }
        let content = looksInside ? content.map { $0[...] } : nil
        let end = content.flatMap { content in
            content.isEmpty ? nil : text.ranges(of: content).last?.upperBound
        }
        let suffix = end.map { text[$0...] } ?? ""
        var parts: [LossModifier.Part] = [(text[..<(end ?? text.endIndex)], 1)]
        for modifier in self {
            parts = parts.flatMap { part in
                modifier.parts(of: part.text, query: query).map { ($0.text, $0.weight * part.weight) }
            }
        }
        if !suffix.isEmpty { parts.append((suffix, 1)) }
        return parts.map { (String($0.text), $0.weight) }
    }
}
