package import ApusJSON

/// Turns conversations into token ids and says which of them are trained.
///
/// An assistant's turn is trained from the end of its prompt, where a model would start to write, to the end of what
/// the template writes for the turn: the end-of-turn token belongs to it. Text of different kind is tokenised
/// separately, so that the boundary of prompt and answer is always a boundary of tokens.
///
/// The boundaries come from the template itself: from its `generation` blocks where it has them, else from rendering
/// the beginnings of the conversation (`ChatBoundaryFinder`).
package struct ChatEncoder: Sendable {
    /// A run of text that is trained or not as a whole.
    package struct Piece: Sendable, Equatable {
        package let text: String
        package let isTrained: Bool
    }

    private let template: ChatTemplate
    private let tokenize: @Sendable (String) throws -> [Int32]

    /// - Parameter tokenize: Text to ids: special tokens in the text become their ids, and none are added.
    package init(template: ChatTemplate, tokenize: @escaping @Sendable (String) throws -> [Int32]) {
        self.template = template
        self.tokenize = tokenize
    }

    /// The ids of the text that a model continues with its answer.
    package func generationPrompt(
        _ messages: [Message], tools: [JSONValue]? = nil, variables: [String: JSONValue] = [:]
    ) throws -> [Int32] {
        try tokenize(template.rendered(messages, tools: tools, addGenerationPrompt: true, variables: variables))
    }

    /// The ids of a whole conversation, each marked as trained or not.
    ///
    /// - Throws: `JinjaError`, or `ChatBoundaryError` naming the message whose answer cannot be delimited.
    package func encoded(
        _ messages: [Message], tools: [JSONValue]? = nil, variables: [String: JSONValue] = [:],
        training: TrainedTurns = .everyAnswer
    ) throws -> EncodedConversation {
        var result = EncodedConversation(ids: [], isTrained: [])
        for piece in try pieces(messages, tools: tools, variables: variables, training: training) {
            let ids = try tokenize(piece.text)
            result.ids += ids
            result.isTrained += repeatElement(piece.isTrained, count: ids.count)
        }
        if !result.isTrained.isEmpty { result.isTrained[0] = false }
        return result
    }

    /// The text of a conversation, cut where training begins and ends.
    ///
    /// The pieces joined are the rendered text.
    package func pieces(
        _ messages: [Message], tools: [JSONValue]? = nil, variables: [String: JSONValue] = [:],
        training: TrainedTurns = .everyAnswer
    ) throws -> [Piece] {
        let weights = try weights(of: messages, training: training)
        let context = try ChatContext(messages: messages, tools: tools, variables: variables)
        let finder = try ChatBoundaryFinder(template: template, context: context, tokenize: tokenize)
        let spans = try finder.spans(of: weights, otherText: training == .all)
        let bytes = finder.text
        var pieces: [Piece] = []
        func add(_ range: Range<Int>, _ isTrained: Bool) {
            if range.isEmpty { return }
            var text = String(decoding: bytes[range], as: UTF8.self)
            if let last = pieces.last, last.isTrained == isTrained {
                text = last.text + text
                pieces.removeLast()
            }
            pieces.append(Piece(text: text, isTrained: isTrained))
        }
        var position = 0
        for (span, isTrained) in spans {
            add(position..<span.lowerBound, training == .all)
            add(span, isTrained)
            position = span.upperBound
        }
        add(position..<bytes.count, training == .all)
        return pieces
    }

    /// Whether each assistant's turn is trained, by the position of its message.
    private func weights(of messages: [Message], training: TrainedTurns) throws -> [Int: Bool] {
        let lastUser = messages.lastIndex { $0.role == "user" } ?? -1
        var weights: [Int: Bool] = [:]
        for (turn, message) in messages.enumerated() {
            if message.role == "assistant" {
                weights[turn] = message.isTrained ?? (training != .lastRound || turn > lastUser)
            } else if let isTrained = message.isTrained, isTrained != (training == .all) {
                throw ChatBoundaryError(
                    turn: turn, reason: "\"loss\" is set on a message of role \"\(message.role)\", not \"assistant\"")
            }
        }
        return weights
    }
}
