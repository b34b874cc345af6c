/// The tokens on top of a model's vocabulary, found in the text before and after it is normalised.
struct AddedVocabulary: Sendable {
    private(set) var tokens: [Int32: AddedToken] = [:]
    private var ids: [[UInt8]: Int32] = [:]
    /// Spellings of the tokens whose normal form differs; they decode from it.
    private var normalForms: [Int32: [UInt8]] = [:]
    /// Contents that were special when they were added, which they stay.
    private var specialContents: Set<[UInt8]> = []
    private var plainTrie = TokenTrie()
    private var normalizedTrie = TokenTrie()
    /// Whether special tokens in a text are taken apart like other text (`split_special_tokens`).
    var splitsSpecialTokens = false

    func id(of content: [UInt8]) -> Int32? { ids[content] }

    /// The spelling that decoders see.
    func spelling(of id: Int32) -> [UInt8]? {
        normalForms[id] ?? tokens[id].map { Array($0.content.utf8) }
    }

    func isSpecial(spelling: [UInt8]) -> Bool { specialContents.contains(spelling) }

    /// Adds tokens in order.
    ///
    /// One whose content the model or this vocabulary knows keeps that id and takes on the new properties; the others
    /// are numbered on from the end, whatever a file says.
    ///
    /// Of tokens that are the same after normalisation, the one with the lowest id is found in a text; `tokenizers`
    /// finds any one of them, another in each run.
    ///
    /// - Throws: `TokenizerError` where ids run out.
    mutating func add(
        _ added: [AddedToken], to vocabulary: Vocabulary, normalizers: [TextNormalizer], source: String
    ) throws {
        var nextID = Int32(vocabulary.count)
        if let last = tokens.keys.max(), last >= nextID || vocabulary.count == 0 { nextID = last + 1 }
        for token in added where !token.content.isEmpty {
            let content = Array(token.content.utf8)
            let id: Int32
            if let known = ids[content] ?? vocabulary.id(of: content) {
                id = known
            } else {
                guard Int(nextID) < Vocabulary.idLimit else {
                    throw TokenizerError(source, "more than \(Vocabulary.idLimit) tokens; no such model is supported")
                }
                id = nextID
                nextID += 1
            }
            if token.isNormalized {
                let normalForm = normalizers.normalized(content)
                if normalForm != content { normalForms[id] = normalForm }
            }
            ids[content] = id
            tokens[id] = token
            if token.isSpecial { specialContents.insert(content) }
        }
        buildTries()
    }

    private mutating func buildTries() {
        plainTrie = TokenTrie()
        normalizedTrie = TokenTrie()
        // A trie keeps the first id of a byte string.
        for (id, token) in tokens.sorted(by: { $0.key < $1.key }) {
            if token.isNormalized {
                normalizedTrie.insert(spelling(of: id) ?? [], id: id)
            } else {
                plainTrie.insert(Array(token.content.utf8), id: id)
            }
        }
    }

    /// Which of the two searches: over the given text, or over the normalised one.
    enum Stage {
        case plain, normalized
    }

    /// Whether `split` would only hand on the whole text.
    func findsNothing(at stage: Stage) -> Bool {
        stage == .plain ? plainTrie.isEmpty : normalizedTrie.isEmpty
    }

    /// Cuts the tokens of a stage out of a text: calls `onText` for the stretches between, `onToken` for each token.
    func split(
        _ text: UnsafeBufferPointer<UInt8>, at stage: Stage, onText: (UnsafeBufferPointer<UInt8>) -> Void,
        onToken: (Int32) -> Void
    ) {
        guard let base = text.baseAddress else { return }
        let trie = stage == .plain ? plainTrie : normalizedTrie
        let classified = ClassifiedText(base, end: text.count)
        var covered = 0
        var position = 0
        while let match = trie.firstMatch(in: text, from: position) {
            position = match.end
            guard let token = tokens[match.id] else { continue }
            if splitsSpecialTokens, specialContents.contains(Array(token.content.utf8)) { continue }
            var (start, end) = (match.start, match.end)
            if token.isSingleWord {
                let wordBefore = start > 0 && lastScalar(before: start, of: classified).scalarClass.contains(.word)
                let wordAfter = end < text.count && classified.scalar(at: end).scalarClass.contains(.word)
                if wordBefore || wordAfter { continue }
            }
            if token.stripsLeft {
                while start > 0 {
                    let before = lastScalar(before: start, of: classified)
                    guard before.scalarClass.contains(.space) else { break }
                    start = before.start
                }
                start = max(start, covered)
            }
            if token.stripsRight { end = classified.run(of: .space, from: end) }
            // White space that the token before took along is no token once more.
            guard start < end else { continue }
            if covered < start { onText(UnsafeBufferPointer(rebasing: text[covered..<start])) }
            onToken(match.id)
            covered = end
        }
        if covered < text.count { onText(UnsafeBufferPointer(rebasing: text[covered...])) }
    }

    private func lastScalar(
        before position: Int, of text: ClassifiedText
    ) -> (scalarClass: ScalarClass, start: Int) {
        var start = position - 1
        while start > 0, text.bytes[start] & 0xC0 == 0x80 { start -= 1 }
        return (text.scalar(at: start).scalarClass, start)
    }
}
