/// A language of byte strings: rules that may call each other, as a graph of nodes.
///
/// It is what an answer may be held to: a choice of texts, a regular expression, a JSON schema. Rules make it context-free, so
/// that schemas may refer to themselves.
package struct ByteGrammar: Sendable {
    enum Node: Sendable {
        /// One byte of a range, and on.
        case byte(ClosedRange<UInt8>, next: Int32)
        /// On at any of some nodes.
        case split([Int32])
        /// What a rule says, and on.
        case call(rule: Int, next: Int32)
        /// The end of a rule.
        case end
    }

    /// What a rule says.
    indirect enum Pattern: Sendable {
        case byte(ClosedRange<UInt8>)
        case sequence([Pattern])
        case choice([Pattern])
        /// At least `from` and at most `upTo` times; nil sets no limit.
        case repeated(Pattern, from: Int, upTo: Int?)
        case rule(Int)

        static let nothing = Pattern.sequence([])

        static func text(_ text: some StringProtocol) -> Pattern { .sequence(text.utf8.map { .byte($0...$0) }) }
        static func optional(_ pattern: Pattern) -> Pattern { .repeated(pattern, from: 0, upTo: 1) }
    }

    private(set) var nodes: [Node] = []
    /// The first node of each rule; the first rule says what the whole may be.
    private(set) var rules: [Int32] = []

    /// The most nodes, which bounds what counts such as `{1,1000}` of counts unfold to.
    static let nodeLimit = 200_000

    /// - Throws: `GrammarError` where the rules unfold to too much.
    init(_ patterns: [Pattern]) throws {
        for pattern in patterns {
            let end = try add(.end)
            rules.append(try add(pattern, before: end))
        }
    }

    /// One of some texts.
    package init(choices: [String]) throws {
        guard !choices.isEmpty, choices.allSatisfy({ !$0.isEmpty }) else {
            throw GrammarError("wanted at least one text, and none that is empty")
        }
        try self.init([.choice(choices.map { .text($0) })])
    }

    private mutating func add(_ node: Node) throws -> Int32 {
        guard nodes.count < Self.nodeLimit else {
            throw GrammarError("unfolds to more than \(Self.nodeLimit) steps; make its counts smaller")
        }
        nodes.append(node)
        return Int32(nodes.count - 1)
    }

    /// Adds the nodes of a pattern that goes on at `next`.
    ///
    /// - Returns: Its first node.
    private mutating func add(_ pattern: Pattern, before next: Int32) throws -> Int32 {
        switch pattern {
        case .byte(let range): return try add(.byte(range, next: next))
        case .sequence(let parts): return try parts.reversed().reduce(next) { try add($1, before: $0) }
        case .choice(let parts): return try add(.split(parts.map { try add($0, before: next) }))
        case .rule(let rule): return try add(.call(rule: rule, next: next))
        case .repeated(let part, let from, let upTo):
            var start = next
            if let upTo {
                for _ in from..<max(from, upTo) { start = try add(.split([add(part, before: start), next])) }
            } else {
                let loop = try add(.end)
                nodes[Int(loop)] = .split([try add(part, before: loop), next])
                start = loop
            }
            for _ in 0..<from {
                let before = start
                start = try add(part, before: before)
                // A part of no bytes is the same however often.
                if start == before { break }
            }
            return start
        }
    }
}

/// A description of answers that cannot be followed.
package struct GrammarError: Error, CustomStringConvertible, Sendable {
    package let description: String

    init(_ description: String) { self.description = description }
}
