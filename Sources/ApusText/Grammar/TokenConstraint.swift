/// Holds answers to a grammar: says which tokens may come next.
///
/// The grammar reads bytes. A token may come where all its bytes may, and the end where the grammar may end.
package final class TokenConstraint {
    private let automaton: ByteAutomaton
    private let vocabulary: TokenBytes
    /// What may come after a state.
    private var allowed: [Int32: [Int32]] = [:]

    /// - Throws: `GrammarError` when no token of the tokenizer can begin such an answer.
    package init(_ grammar: ByteGrammar, tokenizer: Tokenizer) throws {
        automaton = ByteAutomaton(grammar)
        vocabulary = TokenBytes(tokenizer)
        guard automaton.isEnd(start) || !tokens(after: start).isEmpty else {
            throw GrammarError("no token of the model's vocabulary can begin such an answer")
        }
    }

    /// The state before the first token.
    package var start: Int32 { automaton.start }

    package func mayEnd(_ state: Int32) -> Bool { automaton.isEnd(state) }

    /// The tokens that may come, in no order.
    package func tokens(after state: Int32) -> [Int32] {
        if let known = allowed[state] { return known }
        let found = vocabulary.tokens(after: state, in: automaton)
        // Counts such as {1,10000} have a state for each; those that were passed are not needed again.
        if allowed.count >= 1024 { allowed = [:] }
        allowed[state] = found
        return found
    }

    package func next(_ state: Int32, _ token: Int32) -> Int32 {
        vocabulary.bytes(of: token).reduce(state) { automaton.next($0, $1) }
    }
}

/// The bytes that tokens stand for within a text, in the order of the bytes.
struct TokenBytes {
    private let bytes: [UInt8]
    /// Where the bytes of each begin, and the end.
    private let starts: [Int]
    /// How many bytes each has in common with the one before.
    private let common: [Int]
    private let ids: [Int32]
    private let places: [Int32: Int]

    init(_ tokenizer: Tokenizer) {
        let tokens = tokenizer.tokenBytes().sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        var (bytes, starts, common): ([UInt8], [Int], [Int]) = ([], [0], [])
        var last: [UInt8] = []
        for token in tokens {
            bytes += token.bytes
            starts.append(bytes.count)
            common.append(zip(last, token.bytes).prefix { $0 == $1 }.count)
            last = token.bytes
        }
        (self.bytes, self.starts, self.common) = (bytes, starts, common)
        ids = tokens.map(\.id)
        places = Dictionary(uniqueKeysWithValues: zip(ids, ids.indices))
    }

    func bytes(of token: Int32) -> ArraySlice<UInt8> {
        guard let place = places[token] else { return [] }
        return bytes[starts[place]..<starts[place + 1]]
    }

    /// The tokens whose bytes an automaton can read after a state.
    func tokens(after state: Int32, in automaton: ByteAutomaton) -> [Int32] {
        var found: [Int32] = []
        // The states along the bytes of the token before, as far as they could be read.
        var path = [state]
        for place in ids.indices {
            // What did not get past these bytes once does not get past them again.
            guard common[place] < path.count else { continue }
            path.removeSubrange((common[place] + 1)...)
            let token = bytes[starts[place] + common[place]..<starts[place + 1]]
            var state = path[common[place]]
            for byte in token {
                state = automaton.next(state, byte)
                if state < 0 { break }
                path.append(state)
            }
            if state >= 0 { found.append(ids[place]) }
        }
        return found
    }
}

extension Tokenizer {
    /// What each token adds to a text that has begun; special tokens and those that add nothing are left out.
    func tokenBytes() -> [(id: Int32, bytes: [UInt8])] {
        let bound = max(Int32(parts.model.vocabulary.idBound), (addedTokens.keys.max() ?? -1) + 1)
        let ids = (0..<min(bound, Int32(clamping: rows ?? .max))).filter { !specialIDs.contains($0) }
        // Some decoders treat the first token of a text in another way.
        var begun = firstPipeline
        for id in ids {
            var text: [UInt8] = []
            push(id, true, through: &begun, into: &text)
            if !text.isEmpty { break }
            begun = firstPipeline
        }
        let spellsBytes = parts.decoders?.contains { if case .byteFallback = $0 { true } else { false } } ?? false
        return ids.compactMap { id in
            if spellsBytes,
                let byte = parts.model.vocabulary.token(of: id).flatMap({ DecoderPipeline.fallbackByte(Array($0)) })
            {
                return (id, [byte])
            }
            var (pipeline, bytes): (DecoderPipeline, [UInt8]) = (begun, [])
            push(id, true, through: &pipeline, into: &bytes)
            return bytes.isEmpty ? nil : (id, bytes)
        }
    }
}
