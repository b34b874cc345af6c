/// Finds where the answers of a conversation begin and end in its rendered text.
///
/// The beginning of turn *i* is the end of the prompt that the model would get, the rendering of the messages before
/// it with the generation prompt, when that is a prefix of the whole text. The end is the end of the rendering up to
/// and with turn *i* under the same condition.
///
/// Many templates rewrite history: they drop earlier thoughts, move the system text into the last user turn, or end
/// the whole text with a token of its own. Then the two texts are aligned at one message instead: its content is
/// replaced by a marker in both, and what stays the same from the end backwards begins, in both, right behind that
/// content. What the shorter text has from there on must be what the whole text has there.
///
/// Nothing is guessed. A change to the message before a turn must leave the text from the turn's beginning on as it
/// is, and a change to the message after it the text up to its end. Where any of this fails, an error names the
/// message.
struct ChatBoundaryFinder {
    /// Text of one answer.
    struct Span {
        let range: Range<Int>
        /// What the loss of its tokens is multiplied by.
        let weight: Float
        /// The position of the message; nil where the template marks several places in a turn.
        let turn: Int?
    }

    private let template: ChatTemplate
    private let context: ChatContext
    private let tokenize: (String) throws -> [Int32]
    private let clock: TemplateClock
    private let full: JinjaTemplate.Rendering
    private let marker: JinjaText

    /// The rendered conversation.
    var text: [UInt8] { full.bytes }

    init(
        template: ChatTemplate, context: ChatContext, tokenize: @escaping (String) throws -> [Int32]
    ) throws {
        self.template = template
        self.context = context
        self.tokenize = tokenize
        // One date for all renderings: they are compared with each other.
        clock = template.clock.stopped
        full = try template.rendering(of: context, context.messages, addGenerationPrompt: false, clock: clock)
        let text = JinjaText(full.bytes)
        var marker: JinjaText = "Xq7Zk3Vw9J"
        while text.contains(marker) { marker = JinjaText(marker.bytes + "Q7".utf8) }
        self.marker = marker
    }

    /// The byte ranges, in order, of the answers that differ from the text around them.
    ///
    /// - Parameters:
    ///   - weights: What the loss of each answer is multiplied by, by the position of its message; 0 is not trained.
    ///   - otherText: The same of the text between the answers.
    func spans(of weights: [Int: Float], otherText: Float) throws -> [Span] {
        let turns = weights.keys.filter { weights[$0] != otherText }.sorted()
        if turns.isEmpty { return [] }
        let blocks = outermost(full.generations ?? [])
        if !blocks.isEmpty { return try spans(of: weights, blocks: blocks) }
        var spans: [Span] = []
        for turn in turns {
            let start = try beginning(of: turn)
            let end = try end(of: turn)
            guard (spans.last?.range.upperBound ?? 0) <= start, start <= end else {
                throw ChatBoundaryError(turn: turn, reason: "its text overlaps that of another message")
            }
            try verify(start..<end, of: turn)
            spans.append(Span(range: start..<end, weight: weights[turn] ?? 0, turn: turn))
        }
        return spans
    }

    // MARK: - Generation blocks

    private func spans(of weights: [Int: Float], blocks: [Range<Int>]) throws -> [Span] {
        let turns = weights.keys.sorted()
        if blocks.count == turns.count {
            return zip(blocks, turns).map { Span(range: $0, weight: weights[$1] ?? 0, turn: $1) }
        }
        if Set(weights.values).count == 1, let weight = weights.values.first {
            return blocks.map { Span(range: $0, weight: weight, turn: nil) }
        }
        // A turn may write several blocks or none: count them in the renderings up to each turn.
        var result: [Span] = []
        for turn in turns {
            let count = try outermost(rendering(upTo: turn + 1, turn: turn).generations ?? []).count
            guard count >= result.count, count <= blocks.count else {
                throw ChatBoundaryError(turn: turn, reason: "its generation blocks change with what follows")
            }
            result += blocks[result.count..<count].map { Span(range: $0, weight: weights[turn] ?? 0, turn: nil) }
        }
        return result
    }

    /// Blocks without those inside another one.
    private func outermost(_ blocks: [Range<Int>]) -> [Range<Int>] {
        blocks.sorted { ($0.lowerBound, -$0.upperBound) < ($1.lowerBound, -$1.upperBound) }
            .reduce(into: []) { if $1.lowerBound >= ($0.last?.upperBound ?? 0) { $0.append($1) } }
    }

    // MARK: - Beginning and end of a turn

    private func beginning(of turn: Int) throws -> Int {
        let prompt = try rendering(upTo: turn, addGenerationPrompt: true, turn: turn).bytes
        if text.starts(with: prompt) { return prompt.count }
        guard turn > 0 else {
            throw ChatBoundaryError(turn: turn, reason: "no message precedes it, and the prompt is not its beginning")
        }
        let (rest, tail) = try alignment(at: turn - 1, short: prompt, addGenerationPrompt: true, turn: turn)
        if text[rest...].starts(with: tail) { return rest + tail.count }
        // The prompt opens or closes a thought that the text of a finished turn leaves out.
        let common = commonPrefix(text[rest...], tail)
        if let thought = startOfThought(in: tail), common >= thought { return rest + thought }
        throw ChatBoundaryError(turn: turn, reason: "the generation prompt does not stand before it")
    }

    private func end(of turn: Int) throws -> Int {
        if turn == context.messages.count - 1 { return text.count }
        let part = try rendering(upTo: turn + 1, turn: turn).bytes
        if text.starts(with: part) { return part.count }
        let (rest, tail) = try alignment(at: turn, short: part, addGenerationPrompt: false, turn: turn)
        if text[rest...].starts(with: tail) { return rest + tail.count }
        // The template ends a conversation differently from a turn. Both ways have the end of the turn in common,
        // and perhaps the first characters of different special tokens.
        let common = commonPrefix(text[rest...], tail)
        let candidates = (max(1, common - Self.longestSharedMarker)..<common + 1).reversed()
        guard let length = try candidates.first(where: { try isTokenBoundary(rest + $0, from: rest) }) else {
            throw ChatBoundaryError(turn: turn, reason: "the text of the next message does not begin at a token")
        }
        return rest + length
    }

    /// Bytes that two special tokens may have in common before they differ.
    private static let longestSharedMarker = 32

    /// True when cutting the text does not change its tokens.
    private func isTokenBoundary(_ offset: Int, from start: Int) throws -> Bool {
        var end = min(offset + 64, text.count)
        while end < text.count, JinjaText.isContinuation(text[end]) { end += 1 }
        if offset < text.count, JinjaText.isContinuation(text[offset]) { return false }
        func tokens(_ range: Range<Int>) throws -> [Int32] {
            try tokenize(String(decoding: text[range], as: UTF8.self))
        }
        return try tokens(start..<end) == tokens(start..<offset) + tokens(offset..<end)
    }

    /// How generation prompts begin or end a thought.
    private static let thoughts: [JinjaText] = [
        "<think>", "</think>", "<|channel>", "<|channel|>", "[THINK]", "<seed:think>", "<|START_THINKING|>",
        "<thought>", "<|begin_of_thought|>",
    ]

    private func startOfThought(in tail: [UInt8]) -> Int? {
        let tail = JinjaText(tail)
        return Self.thoughts.compactMap { tail.firstOffset(of: $0.bytes, in: 0..<tail.bytes.count) }.min()
    }

    /// Changes the neighbours of a turn and looks whether the text changes only outside of it.
    private func verify(_ span: Range<Int>, of turn: Int) throws {
        if turn > 0, let changed = try textWithChange(in: turn - 1, turn: turn),
            commonSuffix(text, changed) < text.count - span.lowerBound
        {
            throw ChatBoundaryError(turn: turn, reason: "its text depends on the message before it")
        }
        if turn + 1 < context.messages.count, let changed = try textWithChange(in: turn + 1, turn: turn),
            commonPrefix(text, changed) < span.upperBound
        {
            throw ChatBoundaryError(turn: turn, reason: "its text depends on the message after it")
        }
    }

    /// The whole text with the marker in the middle of one message; nil where the message has no text to change, or
    /// the template does not take the change.
    private func textWithChange(in message: Int, turn: Int) throws -> [UInt8]? {
        guard case .dictionary(let fields) = context.messages[message], let content = fields["content"]?.text,
            content.count > 1
        else { return nil }
        // The ends stay: templates look at them to recognise tool responses, for example.
        let middle = content.byteOffset(ofScalar: content.count / 2)
        let changed = JinjaText(content.bytes[..<middle] + marker.bytes + content.bytes[middle...])
        var messages = context.messages
        messages[message] = try setting("content", to: .text(changed), in: messages[message])
        return try? rendering(messages, addGenerationPrompt: false, turn: turn).bytes
    }

    // MARK: - Alignment

    /// Aligns the whole text and a shorter rendering behind the content of one message.
    ///
    /// - Parameters:
    ///   - message: The message whose content is replaced by the marker.
    ///   - short: The rendering of the messages up to this one, with or without generation prompt.
    /// - Returns: The offset of the whole text, and the rest of the shorter one.
    private func alignment(
        at message: Int, short: [UInt8], addGenerationPrompt: Bool, turn: Int
    ) throws -> (offset: Int, tail: [UInt8]) {
        for variant in try markedMessages(context.messages[message]) {
            var marked = context.messages
            marked[message] = variant
            // A template may refuse one way to mark a message and take another.
            guard let markedFull = try? rendering(marked, addGenerationPrompt: false, turn: turn).bytes,
                let markedShort = try? rendering(
                    Array(marked[...message]), addGenerationPrompt: addGenerationPrompt, turn: turn
                ).bytes
            else { continue }
            let fullSuffix = commonSuffix(text, markedFull)
            let shortSuffix = commonSuffix(short, markedShort)
            // The common rest must begin at the marker, at the same place of it in both texts.
            if let fullPlace = placeInMarker(markedFull, suffix: fullSuffix),
                let shortPlace = placeInMarker(markedShort, suffix: shortSuffix), fullPlace == shortPlace
            {
                return (text.count - fullSuffix, Array(short.suffix(shortSuffix)))
            }
        }
        throw ChatBoundaryError(
            turn: turn, reason: "the template writes message \(message + 1) in a way that depends on its content")
    }

    /// The bytes of the marker that lie before the common rest; nil where the rest begins elsewhere.
    private func placeInMarker(_ marked: [UInt8], suffix: Int) -> Int? {
        guard let start = JinjaText(marked).lastOffset(of: marker.bytes, in: 0..<marked.count) else { return nil }
        let place = marked.count - suffix - start
        return (0...marker.bytes.count).contains(place) ? place : nil
    }

    /// The message with the marker in place of its last text, and with the marker as the name of its last tool call.
    private func markedMessages(_ message: JinjaValue) throws -> [JinjaValue] {
        guard case .dictionary(let fields) = message else { return [] }
        let marker = JinjaValue.text(marker)
        var variants: [JinjaValue] = []
        if case .list(let parts) = fields["content"] {
            let last = parts.items.lastIndex { part in
                if case .dictionary(let fields) = part { fields["text"]?.text != nil } else { false }
            }
            if let last {
                let replaced = try replacing(last, of: parts) { try setting("text", to: marker, in: $0) }
                variants.append(try setting("content", to: replaced, in: message))
            }
        } else {
            variants.append(try setting("content", to: marker, in: message))
        }
        if let last = calls(of: message).indices.last {
            variants.append(try renaming(last, of: message, to: self.marker))
        }
        return variants
    }

    private func replacing(
        _ index: Int, of list: JinjaList, _ change: (JinjaValue) throws -> JinjaValue
    ) rethrows -> JinjaValue {
        var items = list.items
        items[index] = try change(items[index])
        return .list(JinjaList(items, depth: list.depth))
    }

    private func setting(_ key: JinjaText, to value: JinjaValue, in object: JinjaValue) throws -> JinjaValue {
        let copy = JinjaDictionary()
        if case .dictionary(let fields) = object {
            for entry in fields.entries { try copy.set(entry.key, entry.value) }
        }
        try copy.set(.text(key), value)
        return .dictionary(copy)
    }

    // MARK: - Calls and tools

    /// The name of the first call of a tool that the text does not hold; nil where it holds all.
    ///
    /// The name alone says nothing: a declared tool or a question may have it. So calls get names of their own, and what
    /// the template does not write leaves the text as it was.
    func missingCall() throws -> String? {
        let named = context.messages.enumerated().flatMap { turn, message in
            calls(of: message).enumerated().compactMap { call, value in
                name(of: value).map { (turn: turn, call: call, name: $0) }
            }
        }
        guard let last = named.last else { return nil }
        func mark(_ number: Int) -> JinjaText { JinjaText(marker.bytes + "\(number)Q".utf8) }
        /// The text with other names; nil where the template refuses them, which it can only where it reads them.
        func text(renaming numbers: Range<Int>) throws -> JinjaText? {
            var messages = context.messages
            for number in numbers {
                let (turn, call, _) = named[number]
                messages[turn] = try renaming(call, of: messages[turn], to: mark(number))
            }
            return (try? rendering(messages, addGenerationPrompt: false, turn: last.turn)).map { JinjaText($0.bytes) }
        }
        let all = try text(renaming: named.indices)
        for (number, call) in named.enumerated() where all?.contains(mark(number)) != true {
            if try text(renaming: number..<number + 1)?.bytes == self.text { return call.name.string }
        }
        return nil
    }

    /// Whether the text would be another without the tools that are declared.
    var showsTools: Bool {
        var without = context
        without.tools = .none
        let other = try? template.rendering(
            of: without, without.messages, addGenerationPrompt: false, clock: clock)
        return other?.bytes != text
    }

    private func calls(of message: JinjaValue) -> [JinjaValue] {
        guard case .dictionary(let fields) = message, case .list(let calls) = fields["tool_calls"] else { return [] }
        return calls.items
    }

    private func name(of call: JinjaValue) -> JinjaText? {
        guard case .dictionary(let fields) = call else { return nil }
        if let function = fields["function"] {
            guard case .dictionary(let own) = function else { return nil }
            return own["name"]?.text
        }
        return fields["name"]?.text
    }

    private func renaming(_ call: Int, of message: JinjaValue, to name: JinjaText) throws -> JinjaValue {
        guard case .dictionary(let fields) = message, case .list(let calls) = fields["tool_calls"] else {
            return message
        }
        let renamed = try replacing(call, of: calls) { call in
            if case .dictionary(let fields) = call, let function = fields["function"] {
                return try setting("function", to: setting("name", to: .text(name), in: function), in: call)
            }
            return try setting("name", to: .text(name), in: call)
        }
        return try setting("tool_calls", to: renamed, in: message)
    }

    // MARK: - Renderings

    private func rendering(
        upTo count: Int, addGenerationPrompt: Bool = false, turn: Int
    ) throws -> JinjaTemplate.Rendering {
        try rendering(Array(context.messages[..<count]), addGenerationPrompt: addGenerationPrompt, turn: turn)
    }

    private func rendering(
        _ messages: [JinjaValue], addGenerationPrompt: Bool, turn: Int
    ) throws -> JinjaTemplate.Rendering {
        do {
            return try template.rendering(
                of: context, messages, addGenerationPrompt: addGenerationPrompt, clock: clock)
        } catch let error as JinjaError {
            throw ChatBoundaryError(turn: turn, reason: "the template refuses a part of the conversation: \(error)")
        }
    }

    private func commonPrefix(_ a: some Sequence<UInt8>, _ b: some Sequence<UInt8>) -> Int {
        zip(a, b).prefix { $0 == $1 }.reduce(0) { count, _ in count + 1 }
    }

    private func commonSuffix(_ a: [UInt8], _ b: [UInt8]) -> Int { commonPrefix(a.reversed(), b.reversed()) }
}
