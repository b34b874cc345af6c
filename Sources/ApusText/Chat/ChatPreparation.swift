import ApusJSON

/// A conversation in the form in which a template is asked for it.
///
/// - A conversation that opens with the assistant gets an empty user's turn in front, as in ms-swift: plain text and
///   greetings can be written by templates that know only pairs of question and answer.
/// - An empty system text means that there is none, not even the template's own, as in ms-swift. The message is left
///   out where that gives a text without one; else the block that the template writes for it is cut off.
struct ChatPreparation {
    let messages: [Message]
    let context: ChatContext
    /// By how much the positions of messages in `messages` are greater than in what was given.
    private let shift: Int

    /// - Throws: `JinjaError`, or `ChatTrainingError` when the template cannot do without a system text.
    init(_ given: [Message], tools: [JSONValue]?, variables: [String: JSONValue], template: ChatTemplate) throws {
        var messages = given
        let opening = messages.firstIndex { $0.role != "system" }
        let opensWithAnswer = opening.map { messages[$0].role == "assistant" } ?? false
        if let opening, opensWithAnswer { messages.insert(Message(role: "user", content: ""), at: opening) }
        var context = try ChatContext(messages: messages, tools: tools, variables: variables)
        var dropped = 0
        if messages.first?.isEmptySystem == true, messages.count > 1 {
            context.hiddenHead = try HiddenHead(emptySystemOf: context, template: template)
            if context.hiddenHead == nil {
                messages.removeFirst()
                context.messages.removeFirst()
                dropped = 1
            }
        }
        (self.messages, self.context, shift) = (messages, context, (opensWithAnswer ? 1 : 0) - dropped)
    }

    /// Runs `body`; the messages that its errors name are counted as the user wrote them.
    func naming<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch var error as ChatBoundaryError {
            error.turn = max(0, error.turn - shift)
            throw error
        }
    }
}

/// Text at the beginning of every rendering that is to be left out.
struct HiddenHead {
    private let written: [UInt8]
    private let kept: [UInt8]

    /// The block that a template writes for an empty system message in the first place; nil where leaving the message
    /// out gives a text without it.
    ///
    /// With H and T the texts before and after the content of a system message, a template with a system text D of its
    /// own writes H + D + T without such a message. Then the rendering of the system message alone is what it puts
    /// before the others.
    init?(emptySystemOf context: ChatContext, template: ChatTemplate) throws {
        let rest = Array(context.messages.dropFirst())
        func text(_ messages: [JinjaValue]) throws -> [UInt8] {
            try template.rendering(
                of: context, messages, addGenerationPrompt: false, clock: template.clock.stopped
            ).bytes
        }
        guard let empty = try? text(context.messages) else { return nil }
        guard let without = try? text(rest) else {
            (written, kept) = ([], [])
            return
        }
        if without == empty { return nil }
        let marker = "Xq7Zk3Vw9J"
        let system = Message(role: "system", content: marker)
        guard let marked = try? text([JinjaValue(.object(system.fields))] + rest),
            let place = JinjaText(marked).firstOffset(of: Array(marker.utf8), in: 0..<marked.count)
        else { return nil }
        let tail = marked[(place + marker.utf8.count)...]
        let hasOwn =
            without.count > place + tail.count && without.starts(with: marked[..<place])
            && without.reversed().starts(with: tail.reversed())
        guard hasOwn else { return nil }
        // Tools stand in the same block, which stays without the template's own words.
        if case .list = context.tools {
            (written, kept) = ([], [])
            return
        }
        guard let alone = try? text([context.messages[0]]), alone.count >= place, empty.starts(with: alone) else {
            throw ChatTrainingError(
                description: "the system text is empty, and the chat template cannot write a conversation without one; "
                    + "give a system text, or leave the column out for the template's own")
        }
        written = alone
        kept = template.beginning(of: alone)
    }

    func removed(from rendering: JinjaTemplate.Rendering) throws -> JinjaTemplate.Rendering {
        guard !written.isEmpty else { return rendering }
        guard rendering.bytes.starts(with: written) else {
            throw JinjaError(.raised, "the system block changes with what follows, so that it cannot be left out")
        }
        let shift = written.count - kept.count
        return JinjaTemplate.Rendering(
            bytes: kept + rendering.bytes[written.count...],
            generations: rendering.generations?.map {
                max(0, $0.lowerBound - shift)..<max(0, $0.upperBound - shift)
            })
    }
}

extension ChatTemplate {
    /// The same template at another date.
    package func with(_ clock: TemplateClock) -> ChatTemplate {
        var copy = self
        copy.clock = clock
        return copy
    }

    /// Whether a prompt ends with an empty thought where thinking is off, and not where it is on.
    ///
    /// That is what ms-swift calls a hybrid model: one that can think, with a text for answers without a thought.
    var thinksOnRequest: Bool {
        func isEmpty(thinks: Bool) -> Bool? {
            let prompt = try? rendered(
                [Message(role: "user", content: "Hello")], tools: nil, addGenerationPrompt: true,
                variables: ["enable_thinking": .bool(thinks), "thinking": .bool(thinks)])
            return prompt.map(LossModifier.endsWithEmptyThought)
        }
        return isEmpty(thinks: false) == true && isEmpty(thinks: true) == false
    }

    /// A rendering without what the conversation hides.
    func rendering(
        of context: ChatContext, _ messages: [JinjaValue], addGenerationPrompt: Bool, clock: TemplateClock? = nil
    ) throws -> JinjaTemplate.Rendering {
        let whole = try rendering(context, messages, addGenerationPrompt: addGenerationPrompt, clock: clock)
        return try context.hiddenHead.map { try $0.removed(from: whole) } ?? whole
    }

    /// The token that begins a sequence, if the text begins with it.
    fileprivate func beginning(of bytes: [UInt8]) -> [UInt8] {
        let token = Array((constants["bos_token"] ?? "").utf8)
        return bytes.starts(with: token) ? token : []
    }
}
