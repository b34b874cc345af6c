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
    }

    /// What writes the text.
    private enum Writer: Sendable {
        case jinja(ChatTemplate)
        case named(NamedTemplateWriter)
    }

    private let writer: Writer
    private let tokenize: @Sendable (String) throws -> [Int32]

    /// - Parameter tokenize: Text to ids: special tokens in the text become their ids, and none are added.
    package init(template: ChatTemplate, tokenize: @escaping @Sendable (String) throws -> [Int32]) {
        writer = .jinja(template)
        self.tokenize = tokenize
    }

    /// An encoder that writes with one of ms-swift's templates.
    ///
    /// - Throws: `ChatTrainingError` for an agent template that is not known.
    package init(
        named template: NamedTemplate, options: NamedTemplateOptions = NamedTemplateOptions(),
        tokens: NamedTemplateTokens,
        clock: TemplateClock = .system, tokenize: @escaping @Sendable (String) throws -> [Int32]
    ) throws {
        writer = .named(try NamedTemplateWriter(template, options, tokens: tokens, clock: clock))
        self.tokenize = tokenize
    }

    /// An encoder of bare texts, as ms-swift writes them without a chat template: the last question, its answer, and the
    /// end of the sequence.
    package init(
        bareTextsBetween tokens: NamedTemplateTokens, tokenize: @escaping @Sendable (String) throws -> [Int32]
    ) {
        writer = .named(NamedTemplateWriter(bareTextsBetween: tokens))
        self.tokenize = tokenize
    }

    private init(_ writer: Writer, tokenize: @escaping @Sendable (String) throws -> [Int32]) {
        (self.writer, self.tokenize) = (writer, tokenize)
    }

    /// What ends an answer beside what stands behind it; of the model's own template nothing is known.
    package var stopWords: [String] {
        if case .named(let writer) = writer { writer.template.stopWords } else { [] }
    }

    /// Whether the model thinks where it is asked to, and else begins with an empty thought.
    package var thinksOnRequest: Bool {
        switch writer {
        case .jinja(let template): template.thinksOnRequest
        case .named(let writer): writer.template.thinksOnRequest
        }
    }

    /// Whether a text may show the date.
    package var showsDate: Bool {
        switch writer {
        case .jinja(let template): template.showsDate
        case .named(let writer): writer.template.variant == .gpt || "\(writer.template)".contains("{{DATE ")
        }
    }

    /// Whether a text may show the time of the day beside the date.
    package var showsTime: Bool { if case .jinja(let template) = writer { template.showsTime } else { false } }

    /// The same encoder at another date.
    package func with(_ clock: TemplateClock) -> ChatEncoder {
        switch writer {
        case .jinja(let template): return ChatEncoder(.jinja(template.with(clock)), tokenize: tokenize)
        case .named(var writer):
            writer.clock = clock
            return ChatEncoder(.named(writer), tokenize: tokenize)
        }
    }

    /// The text that a model continues with its answer.
    ///
    /// - Parameter answerStart: As in `generationPrompt`.
    package func prompt(
        _ messages: [Message], tools: [JSONValue]? = nil, variables: [String: JSONValue] = [:],
        addGenerationPrompt: Bool = true, answerStart: String? = nil
    ) throws -> String {
        switch writer {
        case .jinja(let template):
            let prepared = try ChatPreparation(messages, tools: tools, variables: variables, template: template)
            let rendering = try template.rendering(
                of: prepared.context, prepared.context.messages, addGenerationPrompt: addGenerationPrompt)
            return String(decoding: rendering.bytes, as: UTF8.self) + (answerStart ?? "")
        case .named(let writer):
            let start = answerStart ?? (addGenerationPrompt ? nil : "")
            return try writer.told(variables).prompt(messages, tools, answerStart: start)
                .map { writer.tokens.text(of: $0) }.joined()
        }
    }

    /// What a named template begins answers with, such as the mark of thoughts; nothing where the template is the model's own.
    package func answerStart(variables: [String: JSONValue] = [:]) -> String {
        if case .named(let writer) = writer { writer.told(variables).answerStart } else { "" }
    }

    /// The ids of the text that a model continues with its answer.
    ///
    /// - Parameter answerStart: What the answer begins with, instead of a named template's own mark; nil leaves that.
    package func generationPrompt(
        _ messages: [Message], tools: [JSONValue]? = nil, variables: [String: JSONValue] = [:],
        answerStart: String? = nil
    ) throws -> [Int32] {
        guard case .named(let writer) = writer else {
            return try tokenize(prompt(messages, tools: tools, variables: variables)) + tokenize(answerStart ?? "")
        }
        let pieces = try writer.told(variables).prompt(messages, tools, answerStart: answerStart)
        return try joined(pieces).flatMap { try ids(of: $0) }
    }

    /// The ids of a whole conversation, each marked as trained or not.
    ///
    /// - Throws: `JinjaError`, `ChatBoundaryError` naming the message whose answer cannot be delimited, or
    ///   `ChatTrainingError` for what the template cannot write.
    package func encoded(
        _ messages: [Message], tools: [JSONValue]? = nil, variables: [String: JSONValue] = [:],
        training: LossScale = .everyAnswer
    ) throws -> EncodedConversation {
        let template: ChatTemplate
        switch writer {
        case .jinja(let own): template = own
        case .named(let writer): return try encoded(messages, tools, training, writer.told(variables))
        }
        let (pieces, notes) = try written(messages, tools, variables, training, with: template)
        var result = EncodedConversation(ids: [], weights: [], notes: notes)
        for piece in pieces {
            let ids = try tokenize(piece.text)
            result.ids += ids
            result.weights += repeatElement(piece.weight, count: ids.count)
        }
        if !result.weights.isEmpty { result.weights[0] = 0 }
        return result
    }

    /// The text of a conversation, cut where training begins and ends.
    ///
    /// The pieces joined are the rendered text.
    package func pieces(
        _ messages: [Message], tools: [JSONValue]? = nil, variables: [String: JSONValue] = [:],
        training: LossScale = .everyAnswer
    ) throws -> [Piece] {
        switch writer {
        case .jinja(let template): return try written(messages, tools, variables, training, with: template).pieces
        case .named(let writer):
            let writer = writer.told(variables)
            return try joined(writer.pieces(messages, tools: tools ?? [], training: training)).map {
                Piece(text: writer.tokens.text(of: $0), weight: $0.weight)
            }
        }
    }

    /// The same of a Jinja template, with what the user should hear of.
    private func written(
        _ messages: [Message], _ tools: [JSONValue]?, _ variables: [String: JSONValue], _ training: LossScale,
        with template: ChatTemplate
    ) throws -> (pieces: [Piece], notes: [String]) {
        let prepared = try ChatPreparation(messages, tools: tools, variables: variables, template: template)
        let otherText: Float = training.base == .all ? 1 : 0
        let weights = try weights(of: prepared.messages, training: training.base)
        // Where parts of answers have weights of their own, every answer that is trained is looked for.
        let outside = training.modifiers.isEmpty || otherText == 0 ? otherText : -1
        let (finder, spans) = try prepared.naming {
            let finder = try ChatBoundaryFinder(template: template, context: prepared.context, tokenize: tokenize)
            return (finder, try finder.spans(of: weights, otherText: outside))
        }
        let bytes = finder.text
        if let name = try finder.missingCall() {
            // It would be learned as an empty answer.
            throw ChatTrainingError(
                description: "the chat template writes no tool calls, and \"\(name)\" is called; "
                    + "take a model whose template does, or leave such rows out")
        }
        var notes: [String] = []
        if let tools, !tools.isEmpty, !finder.showsTools {
            notes.append("tools left out (the chat template writes none)")
        }
        if Self.lacksThoughts(bytes, spans, of: prepared.messages, weights) {
            notes.append("thoughts left out (the chat template does not write them there)")
        }
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
        for span in spans {
            add(position..<span.range.lowerBound, otherText)
            position = span.range.upperBound
            let message = span.turn.map { prepared.messages[$0] }
            // A message that says its own weight has it everywhere.
            guard span.weight != 0, message?.weight ?? 1 == 1, !training.modifiers.isEmpty else {
                add(span.range, span.weight)
                continue
            }
            let query = span.turn.flatMap { $0 > 0 ? prepared.messages[$0 - 1].text : nil }
            // A thought that the prompt opens may be empty too.
            let start = Self.openedThought(endOf: bytes[..<span.range.lowerBound])
            var before = span.range.lowerBound - start
            let text = String(decoding: bytes[start..<span.range.upperBound], as: UTF8.self)
            for part in training.modifiers.parts(of: text, content: message?.text, query: query) {
                let shown = part.text.utf8.dropFirst(before)
                before -= part.text.utf8.count - shown.count
                add(String(decoding: shown, as: UTF8.self), part.weight * span.weight)
            }
        }
        add(position..<bytes.count, otherText)
        return (pieces, notes)
    }

    /// Where the mark begins that opens a thought at the end of a text; its end where there is none.
    private static func openedThought(endOf text: ArraySlice<UInt8>) -> Int {
        let mark = Array("<think>".utf8)
        var end = text.endIndex
        while end > text.startIndex, [0x20, 0x0A, 0x0D, 0x09].contains(text[end - 1]) { end -= 1 }
        return text[..<end].suffix(mark.count).elementsEqual(mark) ? end - mark.count : text.endIndex
    }

    /// Whether a thought of an answer that is trained is not in the text, of which the answers have their spans.
    private static func lacksThoughts(
        _ text: [UInt8], _ spans: [ChatBoundaryFinder.Span], of messages: [Message], _ weights: [Int: Float]
    ) -> Bool {
        weights.contains { turn, weight in
            guard weight != 0, let thought = messages[turn].thought else { return false }
            let place = spans.first { $0.turn == turn }?.range ?? 0..<text.count
            return JinjaText(text).firstOffset(of: Array(thought.utf8), in: place) == nil
        }
    }

    /// What the loss of each assistant's turn is multiplied by, by the position of its message.
    private func weights(of messages: [Message], training: TrainedTurns) throws -> [Int: Float] {
        let lastUser = messages.lastIndex { $0.role == "user" } ?? -1
        var weights: [Int: Float] = [:]
        for (turn, message) in messages.enumerated() {
            if message.role == "assistant" {
                let isTrained = message.isTrained ?? (training != .lastRound || turn > lastUser)
                weights[turn] = isTrained ? message.weight : 0
            } else {
                try checkIsUnmarked(message, training)
            }
        }
        return weights
    }

    /// - Throws: `ChatTrainingError` for a message that is no answer and says that it is trained in a way of its own.
    private func checkIsUnmarked(_ message: Message, _ training: TrainedTurns) throws {
        guard message.weight != 1 || message.isTrained.map({ $0 != (training == .all) }) ?? false else { return }
        throw ChatTrainingError(
            description: "a message of role \"\(message.role)\" says how it is trained (\"loss\", \"train\" or "
                + "\"weight\"), which only the assistant's can; leave the key out there")
    }
}

// MARK: - Named templates

extension ChatEncoder {
    /// Neighbours of one weight as one text, because they are tokenised together.
    private func joined(_ pieces: [NamedTemplateWriter.Piece]) -> [NamedTemplateWriter.Piece] {
        var result: [NamedTemplateWriter.Piece] = []
        for piece in pieces {
            if let text = piece.text, let before = result.last?.text, result.last?.weight == piece.weight {
                result[result.count - 1].content = .text(before + text)
            } else {
                result.append(piece)
            }
        }
        return result
    }

    private func ids(of piece: NamedTemplateWriter.Piece) throws -> [Int32] {
        switch piece.content {
        case .text(let text): try tokenize(text)
        case .ids(let ids): ids
        }
    }

    private func encoded(
        _ messages: [Message], _ tools: [JSONValue]?, _ training: LossScale, _ writer: NamedTemplateWriter
    ) throws -> EncodedConversation {
        for message in messages where !NamedTemplateWriter.isAnswer(message) {
            try checkIsUnmarked(message, training.base)
        }
        var result = EncodedConversation(ids: [], weights: [])
        if writer.leavesOut(roundsOf: messages) {
            result.notes.append("earlier rounds left out (only the last question and its answer are written)")
        }
        for piece in joined(try writer.pieces(messages, tools: tools ?? [], training: training)) {
            let ids = try ids(of: piece)
            result.ids += ids
            result.weights += repeatElement(piece.weight, count: ids.count)
        }
        let suffix = try joined(try writer.suffix).flatMap { try ids(of: $0) }
        result.learnEnds(suffix)
        if !result.weights.isEmpty { result.weights[0] = 0 }
        return result
    }
}

extension EncodedConversation {
    /// Learns the end of an answer also where the next question follows: text behind trained text that begins with the suffix.
    ///
    /// What ms-swift does; the first tokens of the untrained text get weight 1.
    fileprivate mutating func learnEnds(_ suffix: [Int32]) {
        guard !suffix.isEmpty else { return }
        var start = 0
        for end in 1...max(1, weights.count) where end <= weights.count {
            if weights[end - 1] > 0, end < weights.count, weights[end] == 0 {
                start = end
            } else if start > 0, weights[end - 1] == 0, end == weights.count || weights[end] > 0 {
                if end - start >= suffix.count, Array(ids[start..<start + suffix.count]) == suffix {
                    for place in start..<start + suffix.count { weights[place] = 1 }
                }
            }
        }
    }
}
