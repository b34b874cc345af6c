import ApusJSON
import Foundation

/// The tokens that named templates write beside their text.
package struct NamedTemplateTokens: Sendable {
    /// The token that begins a sequence, and the one that ends it.
    let beginning: Int32?
    let end: Int32?
    /// What the tokenizer puts around every text.
    let before: [Int32]
    let behind: [Int32]
    private let decode: @Sendable ([Int32]) -> String
    /// How many tokens a text has, those around it included.
    let count: @Sendable (String) -> Int

    /// Tokens of a tokenizer, which is asked what it puts around a text.
    package init(_ tokenizer: Tokenizer) {
        let bare = tokenizer.encode("a", addSpecialTokens: false)
        let whole = tokenizer.encode("a")
        let place = bare.first.flatMap { whole.firstIndex(of: $0) } ?? 0
        self.init(
            beginning: tokenizer.bosTokenID, end: tokenizer.eosTokenID, before: Array(whole.prefix(place)),
            behind: Array(whole.dropFirst(place + bare.count)), decode: { tokenizer.decode($0) },
            count: { tokenizer.encode($0).count })
    }

    init(
        beginning: Int32?, end: Int32?, before: [Int32] = [], behind: [Int32] = [],
        decode: @escaping @Sendable ([Int32]) -> String, count: @escaping @Sendable (String) -> Int
    ) {
        (self.beginning, self.end, self.before, self.behind) = (beginning, end, before, behind)
        (self.decode, self.count) = (decode, count)
    }

    /// A piece as text.
    func text(of piece: NamedTemplateWriter.Piece) -> String {
        switch piece.content {
        case .text(let text): text
        case .ids(let ids): decode(ids)
        }
    }

    /// - Throws: `ChatTrainingError` for a token that the tokenizer lacks.
    func ids(of part: NamedTemplate.Part, _ template: String) throws -> [Int32] {
        if case .ids(let ids) = part { return ids }
        let isBeginning = part == .beginning
        guard let id = isBeginning ? beginning : end else {
            throw ChatTrainingError(
                description:
                    "the template \(template) writes the token that \(isBeginning ? "begins" : "ends") a sequence, and the tokenizer has none; "
                    + "take the template of the model's family")
        }
        return [id]
    }
}

/// Writes conversations with a named template.
///
/// The order of what happens is ms-swift's: calls and results become text, marks of thoughts are put in or taken out, then the
/// pieces are laid end to end. Text of one weight is tokenised together.
struct NamedTemplateWriter: Sendable {
    /// A piece of the conversation, as text or as tokens.
    struct Piece: Equatable {
        var content: Content
        var weight: Float

        enum Content: Equatable {
            case text(String)
            case ids([Int32])
        }

        var text: String? {
            if case .text(let text) = content { text } else { nil }
        }
    }

    let template: NamedTemplate
    let tokens: NamedTemplateTokens
    var clock: TemplateClock
    private(set) var options: NamedTemplateOptions
    let agent: AgentTemplate?

    /// - Throws: `ChatTrainingError` for an agent template that is not known.
    init(
        _ template: NamedTemplate, _ options: NamedTemplateOptions, tokens: NamedTemplateTokens, clock: TemplateClock
    ) throws {
        (self.template, self.options, self.tokens, self.clock) = (template, options, tokens, clock)
        let name = options.agent ?? template.agent
        agent = name.flatMap { AgentTemplate.named[$0] }
        if let given = options.agent, agent == nil {
            throw ChatTrainingError(
                description: "--agent_template: \"\(given)\" is not known; known are "
                    + NamedTemplate.agentNames.joined(separator: ", "))
        }
    }

    init(bareTextsBetween tokens: NamedTemplateTokens) {
        (template, options) = (.bareTexts(ends: tokens.end != nil), NamedTemplateOptions())
        (self.tokens, clock, agent) = (tokens, .system, nil)
    }

    /// The writer of a conversation that says itself how its template thinks, in the words of Jinja templates.
    func told(_ variables: [String: JSONValue]) -> NamedTemplateWriter {
        var writer = self
        if let value = variables["enable_thinking"]?.boolValue { writer.options.enablesThinking = value }
        if let value = variables["preserve_thinking"]?.boolValue { writer.options.preservesThinking = value }
        return writer
    }

    var enablesThinking: Bool {
        switch template.variant {
        case .glm53: true
        case .xing, .ling3: options.enablesThinking ?? true
        case .deepSeek4, .deepSeek4Flash: options.enablesThinking ?? false
        default: options.enablesThinking ?? (template.isThinking && template.nonThinkingPrefix.isEmpty)
        }
    }

    /// What the answer of a prompt begins with where nothing else is given.
    var answerStart: String { enablesThinking ? template.thinkingPrefix : template.nonThinkingPrefix }

    /// The pieces of a conversation.
    ///
    /// - Parameters:
    ///   - training: Which text is learned; nil for a prompt, which ends where an answer begins.
    ///   - answerStart: What the answer of a prompt begins with, instead of the template's own.
    func pieces(
        _ messages: [Message], tools: [JSONValue], training: LossScale?, answerStart: String? = nil
    ) throws -> [Piece] {
        if !tools.isEmpty, agent == nil {
            let known = NamedTemplate.agentNames.joined(separator: ", ")
            throw ChatTrainingError(
                description: "the template \(template.name) "
                    + (template.agent.map { "writes tools as \($0), which is not supported" }
                        ?? "has no way to write tools")
                    + "; give --agent_template (\(known))")
        }
        var turns = try NamedTemplateTurns(messages, tools: tools, agent: agent, template: template)
        prepare(&turns)
        if options.addsNonThinkingPrefix { addNonThinkingPrefix(&turns, training) }
        if !preservesThinking(training) { removeHistory(&turns, hasTools: !tools.isEmpty) }
        let system = try system(&turns, tools: tools.map(Self.wrapped))
        if case .answer? = turns.turns.first { turns.turns.insert(.question(""), at: 0) }
        return try layOut(turns, system: system, training: training, answerStart: answerStart)
    }

    static func isAnswer(_ message: Message) -> Bool { ["assistant", "tool_call"].contains(message.role) }

    /// Whether a conversation has rounds before the last of a template that writes only that.
    func leavesOut(roundsOf messages: [Message]) -> Bool {
        guard template.separator == nil, let first = messages.firstIndex(where: Self.isAnswer) else { return false }
        return !messages[first...].allSatisfy(Self.isAnswer)
    }

    /// The pieces that a model continues with its answer; a conversation that ends with an answer is left open.
    func prompt(_ messages: [Message], _ tools: [JSONValue]?, answerStart: String? = nil) throws -> [Piece] {
        try pieces(messages, tools: tools ?? [], training: nil, answerStart: answerStart)
    }

    /// What ends the last answer.
    var suffix: [Piece] {
        get throws {
            try template.suffix.map { part in
                Piece(content: try part.text.map { .text($0) } ?? .ids(tokens.ids(of: part, template.name)), weight: 1)
            }
        }
    }

    private static func wrapped(_ tool: JSONValue) -> JSONValue {
        let tool = tool.stringValue.flatMap { try? JSONValue(parsing: $0) } ?? tool
        if tool["type"] == nil, tool["function"] == nil { return .object(["type": "function", "function": tool]) }
        return tool
    }

    private func preservesThinking(_ training: LossScale?) -> Bool {
        if let given = options.preservesThinking ?? template.preservesThinking { return given }
        guard template.isThinking || enablesThinking else { return true }
        return training != nil && training?.base != .lastRound
    }

    // MARK: The layout

    private func layOut(
        _ conversation: NamedTemplateTurns, system: String?, training: LossScale?, answerStart: String?
    ) throws -> [Piece] {
        var turns = conversation.turns
        if turns.isEmpty { throw ChatTrainingError(description: "there is no question and no answer") }
        var rounds: [(question: NamedTemplateTurns.Turn, answer: [NamedTemplateTurns.Segment]?)] = []
        while let question = turns.first {
            turns.removeFirst()
            if case .answer(let segments)? = turns.first {
                turns.removeFirst()
                rounds.append((question, segments))
            } else {
                rounds.append((question, nil))
            }
        }
        // Rounds that have no answer, but the last, would be read as answered by the next question.
        if rounds.dropLast().contains(where: { $0.answer == nil }) {
            throw ChatTrainingError(
                description: "a question stands where an answer must; questions and answers take turns")
        }
        if template.separator == nil, rounds.count > 1 { rounds.removeFirst(rounds.count - 1) }
        let other: Float = training?.base == .all ? 1 : 0
        var pieces: [Piece] = []
        func add(_ text: String, _ weight: Float) {
            if !text.isEmpty { pieces.append(Piece(content: .text(text), weight: weight)) }
        }
        func add(_ parts: [NamedTemplate.Part], _ weight: Float, _ values: [(String, String?)] = []) throws {
            for part in parts {
                guard case .text(let pattern) = part else {
                    pieces.append(Piece(content: .ids(try tokens.ids(of: part, template.name)), weight: weight))
                    continue
                }
                // What is put in is not looked through for marks again.
                add(Self.filled(dated(pattern), values), weight)
            }
        }
        let (before, behind) = template.addsTokens ? (tokens.before, tokens.behind) : ([], [])
        if !before.isEmpty { pieces.append(Piece(content: .ids(before), weight: other)) }
        let hasSystem = template.systemPrompt == nil && !(system ?? "").isEmpty
        try add(hasSystem ? template.systemPrefix ?? [] : template.prefix, other, [("{{SYSTEM}}", system)])
        // Every round whose place is that of the last question or behind it counts as the last.
        let lastQuestion = rounds.count * 2 - 2
        for (index, round) in rounds.enumerated() {
            let isLast = index == rounds.count - 1
            let numbers = [("{{ROUND0}}", String(index)), ("{{ROUND1}}", String(index + 1))]
            switch round.question {
            case .results(let parts): try add(parts, other)
            case .question(let text):
                let prompt = isLast ? template.systemPrompt ?? template.prompt : template.prompt
                try add(prompt, other, [("{{SYSTEM}}", system), ("{{QUERY}}", text)] + numbers)
            case .answer: break
            }
            guard let answer = round.answer else {
                add(answerStart ?? self.answerStart, other)
                continue
            }
            let isCounted = training?.base != .lastRound || 2 * index >= lastQuestion
            for segment in answer {
                let isTrained = segment.isTrained ?? (training != nil && isCounted)
                guard isTrained, segment.weight == nil, let modifiers = training?.modifiers, !modifiers.isEmpty else {
                    add(segment.text, isTrained ? segment.weight ?? 1 : 0)
                    continue
                }
                for part in modifiers.parts(of: segment.text, content: nil, query: round.question.text) {
                    add(part.text, part.weight)
                }
            }
            if !isLast {
                if case .results = rounds[index + 1].question { continue }
                try add(template.separator ?? [], other)
            } else if training != nil, behind.isEmpty, !endsWithStopWord(answer.last?.text ?? "") {
                // The end is learned whatever is said of the answer's training.
                try add(template.suffix, 1)
            }
        }
        if !behind.isEmpty { pieces.append(Piece(content: .ids(behind), weight: 1)) }
        stripLines(&pieces)
        if template.variant == .seed, let last = pieces.last?.text, last.hasSuffix("assistant\n"),
            thinkingBudget(conversation) == 0
        {
            add(Self.seedOpening, pieces.last?.weight ?? 0)
        }
        return pieces
    }

    /// A text with values in the places of marks.
    private static func filled(_ pattern: String, _ values: [(String, String?)]) -> String {
        guard pattern.contains("{{") else { return pattern }
        var (result, rest) = ("", pattern[...])
        while let opening = rest.range(of: "{{") {
            result += rest[..<opening.lowerBound]
            rest = rest[opening.lowerBound...]
            if let found = values.first(where: { rest.hasPrefix($0.0) }), let value = found.1 {
                result += value
                rest = rest.dropFirst(found.0.count)
            } else {
                result += "{{"
                rest = rest.dropFirst(2)
            }
        }
        return result + rest
    }

    private func endsWithStopWord(_ text: String) -> Bool {
        let last = template.suffix.last?.text?.trimmingCharacters(in: .whitespacesAndNewlines)
        let end = tokens.end.map { tokens.text(of: Piece(content: .ids([$0]), weight: 1)) }
        return (template.stopWords + [last, end].compactMap { $0 }).contains { !$0.isEmpty && text.hasSuffix($0) }
    }

    /// GLM-4 has no line break before calls and before what it is to write.
    private func stripLines(_ pieces: inout [Piece]) {
        guard [.glm4, .glm45, .glm52, .glm53].contains(template.variant) else { return }
        for index in pieces.indices {
            guard let text = pieces[index].text,
                text.hasSuffix("<|assistant|>\n") || text.hasSuffix("<think></think>\n")
            else { continue }
            let next = index + 1 < pieces.count ? pieces[index + 1].text : nil
            if index + 1 == pieces.count || next?.contains("<|observation|>") == true {
                pieces[index].content = .text(String(text.dropLast()))
            }
        }
    }
}
