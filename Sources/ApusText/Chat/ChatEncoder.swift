package import ApusJSON

/// Turns conversations into token ids and says which of them are trained.
///
/// An assistant's turn is trained from the end of its prompt, where a model would start to write, to the end of what
/// the template writes for the turn: the end-of-turn token belongs to it. Text of different kind is tokenised
/// separately, so that the boundary of prompt and answer is always a boundary of tokens.
///
/// The boundaries come from the template itself: from its `generation` blocks where it has them, else from rendering
/// the beginnings of the conversation (`ChatBoundaryFinder`). Conversations that open with an answer or with an empty
/// system text are prepared first (`ChatPreparation`).
package struct ChatEncoder: Sendable {
    /// A run of text that is trained or not as a whole.
    package struct Piece: Sendable, Equatable {
        package let text: String
        /// What the loss of its tokens is multiplied by; 0 where it is not trained.
        package let weight: Float

        package var isTrained: Bool { weight != 0 }

        fileprivate func names(oneOf tools: [JSONValue]) -> Bool {
            tools.contains { ($0["function"] ?? $0)["name"]?.stringValue.map(text.contains) ?? true }
        }
    }

    private let template: ChatTemplate
    private let tokenize: @Sendable (String) throws -> [Int32]

    /// - Parameter tokenize: Text to ids: special tokens in the text become their ids, and none are added.
    package init(template: ChatTemplate, tokenize: @escaping @Sendable (String) throws -> [Int32]) {
        self.template = template
        self.tokenize = tokenize
    }

    /// The text that a model continues with its answer.
    package func prompt(
        _ messages: [Message], tools: [JSONValue]? = nil, variables: [String: JSONValue] = [:],
        addGenerationPrompt: Bool = true
    ) throws -> String {
        let prepared = try ChatPreparation(messages, tools: tools, variables: variables, template: template)
        let rendering = try template.rendering(
            of: prepared.context, prepared.context.messages, addGenerationPrompt: addGenerationPrompt)
        return String(decoding: rendering.bytes, as: UTF8.self)
    }

    /// The ids of the text that a model continues with its answer.
    package func generationPrompt(
        _ messages: [Message], tools: [JSONValue]? = nil, variables: [String: JSONValue] = [:]
    ) throws -> [Int32] {
        try tokenize(prompt(messages, tools: tools, variables: variables))
    }

    /// The ids of a whole conversation, each marked as trained or not.
    ///
    /// - Throws: `JinjaError`, `ChatBoundaryError` naming the message whose answer cannot be delimited, or
    ///   `ChatTrainingError` for what the template cannot write.
    package func encoded(
        _ messages: [Message], tools: [JSONValue]? = nil, variables: [String: JSONValue] = [:],
        training: LossScale = .everyAnswer
    ) throws -> EncodedConversation {
        var result = EncodedConversation(ids: [], weights: [])
        let pieces = try pieces(messages, tools: tools, variables: variables, training: training)
        for piece in pieces {
            let ids = try tokenize(piece.text)
            result.ids += ids
            result.weights += repeatElement(piece.weight, count: ids.count)
        }
        if !result.weights.isEmpty { result.weights[0] = 0 }
        if let tools, !tools.isEmpty, !pieces.contains(where: { $0.names(oneOf: tools) }) {
            result.notes.append("tools left out (the chat template writes none)")
        }
        return result
    }

    /// The text of a conversation, cut where training begins and ends.
    ///
    /// The pieces joined are the rendered text.
    package func pieces(
        _ messages: [Message], tools: [JSONValue]? = nil, variables: [String: JSONValue] = [:],
        training: LossScale = .everyAnswer
    ) throws -> [Piece] {
        let prepared = try ChatPreparation(messages, tools: tools, variables: variables, template: template)
        let otherText: Float = training.base == .all ? 1 : 0
        let weights = try weights(of: prepared.messages, training: training.base)
        // Where parts of answers have weights of their own, every answer is looked for.
        let outside = training.modifiers.isEmpty ? otherText : -1
        let (bytes, spans) = try prepared.naming {
            let finder = try ChatBoundaryFinder(template: template, context: prepared.context, tokenize: tokenize)
            return (finder.text, try finder.spans(of: weights, otherText: outside))
        }
        try checkCalls(of: messages, areIn: bytes)
        var pieces: [Piece] = []
        func add(_ range: Range<Int>, _ weight: Float) { add(String(decoding: bytes[range], as: UTF8.self), weight) }
        func add(_ text: String, _ weight: Float) {
            if text.isEmpty { return }
            var text = text
            if let last = pieces.last, last.weight == weight {
                text = last.text + text
                pieces.removeLast()
            }
            pieces.append(Piece(text: text, weight: weight))
        }
        var position = 0
        let turns = weights.keys.sorted()
        for (number, (span, weight)) in spans.enumerated() {
            add(position..<span.lowerBound, otherText)
            position = span.upperBound
            // With a template that marks several places in a turn it is not known whose they are.
            let turn = spans.count == turns.count ? turns[number] : nil
            let message = turn.map { prepared.messages[$0] }
            // A message that says its own weight has it everywhere.
            guard weight != 0, message?.weight ?? 1 == 1, !training.modifiers.isEmpty else {
                add(span, weight)
                continue
            }
            let query = turn.flatMap { $0 > 0 ? prepared.messages[$0 - 1].text : nil }
            let text = String(decoding: bytes[span], as: UTF8.self)
            for part in training.modifiers.parts(of: text, content: message?.text, query: query) {
                add(part.text, part.weight * weight)
            }
        }
        add(position..<bytes.count, otherText)
        return pieces
    }

    /// What the loss of each assistant's turn is multiplied by, by the position of its message.
    private func weights(of messages: [Message], training: TrainedTurns) throws -> [Int: Float] {
        let lastUser = messages.lastIndex { $0.role == "user" } ?? -1
        var weights: [Int: Float] = [:]
        for (turn, message) in messages.enumerated() {
            if message.role == "assistant" {
                let isTrained = message.isTrained ?? (training != .lastRound || turn > lastUser)
                weights[turn] = isTrained ? message.weight : 0
            } else if message.weight != 1 || message.isTrained.map({ $0 != (training == .all) }) ?? false {
                throw ChatTrainingError(
                    description: "a message of role \"\(message.role)\" says how it is trained (\"loss\", \"train\" or "
                        + "\"weight\"), which only the assistant's can; leave the key out there")
            }
        }
        return weights
    }

    /// A call that the text does not hold would be learned as an empty answer.
    private func checkCalls(of messages: [Message], areIn bytes: [UInt8]) throws {
        let calls = messages.flatMap(\.toolCalls)
        guard !calls.isEmpty else { return }
        let text = JinjaText(bytes)
        for call in calls {
            guard let name = (call["function"] ?? call)["name"]?.stringValue,
                text.firstOffset(of: Array(name.utf8), in: 0..<bytes.count) == nil
            else { continue }
            throw ChatTrainingError(
                description: "the chat template writes no tool calls, and \"\(name)\" is called; "
                    + "take a model whose template does, or leave such rows out")
        }
    }
}
