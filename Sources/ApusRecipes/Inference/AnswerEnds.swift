import ApusText
import Foundation

/// Where answers end.
struct AnswerEnds {
    /// A text that ends an answer.
    struct Stop: Equatable {
        let text: String
        /// Whether the text belongs to the answer.
        let isKept: Bool
    }

    /// An answer ends before any of these.
    private(set) var tokens: Set<Int32>
    private(set) var stops: [Stop] = []
    /// Ids that end an answer where they come one after the other: stop words with special tokens, which are no text.
    private(set) var sequences: [[Int32]] = []
    private let tokenizer: Tokenizer

    /// Whether anything but a token ends an answer, so that its text is looked at while it comes.
    var watchesText: Bool { !stops.isEmpty || !sequences.isEmpty }

    /// - Parameters:
    ///   - tokens: The ends that the model's files name.
    ///   - words: Texts that end an answer and belong to it.
    init(tokens: Set<Int32>, words: [String] = [], tokenizer: Tokenizer) {
        self.tokens = tokens
        self.tokenizer = tokenizer
        for word in words where !word.isEmpty { add(word: word) }
    }

    /// Adds what a chat template writes behind the assistant's answers, which is what training on it teaches.
    ///
    /// Found by rendering a conversation: the trained text behind its last answer, or, where there is none, behind one in
    /// the middle.
    ///
    /// The words of a named template that are special tokens of the model end answers too.
    mutating func addSuffix(of encoder: ChatEncoder) {
        for word in encoder.stopWords {
            let ids = tokenizer.encode(word, addSpecialTokens: false)
            if ids.count == 1, tokenizer.addedTokens[ids[0]] != nil { tokens.insert(ids[0]) }
        }
        let answer = "Wv4Tn8Rb2K"
        let turns = [Message(role: "user", content: "Hm7Pd3Lc5F"), Message(role: "assistant", content: answer)]
        for messages in [turns, turns + turns] {
            // Some templates need a list of tools; one that takes no such conversation teaches nothing here.
            let rendered = (try? encoder.pieces(messages)) ?? (try? encoder.pieces(messages, tools: []))
            let suffixes = (rendered ?? []).filter(\.isTrained).compactMap { piece -> String? in
                guard let end = piece.text.range(of: answer, options: .backwards)?.upperBound else { return nil }
                let suffix = piece.text[end...].trimmingCharacters(in: .whitespacesAndNewlines)
                return suffix.isEmpty ? nil : suffix
            }
            guard let suffix = suffixes.last else { continue }
            return addSuffix(suffix)
        }
    }

    /// Adds the first token of a suffix where that is a special one, else the text before the first of them.
    private mutating func addSuffix(_ suffix: String) {
        let ids = tokenizer.encode(suffix, addSpecialTokens: false)
        let text = tokenizer.decode(Array(ids.prefix { tokenizer.addedTokens[$0] == nil }))
            .trimmingCharacters(in: .whitespacesAndNewlines)
        if let first = ids.first, tokenizer.addedTokens[first] != nil {
            tokens.insert(first)
        } else if !text.isEmpty, !stops.contains(where: { $0.text == text }) {
            stops.append(Stop(text: text, isKept: false))
        }
    }

    /// Adds a word of the user or of the model's files.
    private mutating func add(word text: String) {
        let ids = tokenizer.encode(text, addSpecialTokens: false)
        let isMarker = ids.map { tokenizer.addedTokens[$0] != nil }
        if isMarker == [true] {
            tokens.insert(ids[0])
        } else if isMarker.contains(true) {
            if !sequences.contains(ids) { sequences.append(ids) }
        } else if !stops.contains(where: { $0.text == text }) {
            stops.append(Stop(text: text, isKept: true))
        }
    }
}
