/// WordPiece as BERT runs it: each word is cut, from its front, into the longest tokens that the vocabulary has.
final class WordPieceModel: TokenModel {
    let vocabulary: Vocabulary
    let options: Options
    private let unknownID: Int32
    private let longestWord: Int
    private let trie: PrefixTrie

    struct Options: Sendable {
        /// What a word becomes that cannot be cut into tokens.
        var unknown = "[UNK]"
        /// Stands before every token of a word but the first.
        var continuingPrefix = "##"
        /// Words of more scalars are unknown.
        var longestWord = 100
    }

    /// - Throws: `TokenizerError` where the vocabulary lacks the unknown token, without which not every text has ids.
    init(_ vocabulary: Vocabulary, _ options: Options, source: String) throws {
        guard let unknownID = vocabulary.id(of: Array(options.unknown.utf8)) else {
            throw TokenizerError(
                source,
                "the vocabulary lacks the unknown token \(options.unknown.debugDescription), which WordPiece needs for "
                    + "words that it cannot spell; name another \"unk_token\" or add this one")
        }
        self.vocabulary = vocabulary
        self.unknownID = unknownID
        self.options = options
        longestWord = options.longestWord
        trie = PrefixTrie(vocabulary, prefix: Array(options.continuingPrefix.utf8))
    }

    func encode(
        _ text: UnsafeBufferPointer<UInt8>, pieces: [Stretch], into ids: inout [Int32], scratch: EncodingScratch
    ) {
        encodeCached(text, pieces: pieces, into: &ids, cache: scratch.cache) { encodeWord($0, into: &$1) }
    }

    private func encodeWord(_ word: UnsafeBufferPointer<UInt8>, into ids: inout [Int32]) {
        let start = ids.count
        if word.count > longestWord, word.count(where: { $0 & 0xC0 != 0x80 }) > longestWord {
            ids.append(unknownID)
            return
        }
        var position = 0
        while position < word.count {
            let rest = UnsafeBufferPointer(rebasing: word[position...])
            let root = position == 0 ? PrefixTrie.wordStart : trie.wordRest
            guard let (id, length) = trie.longestToken(rest, from: root) else {
                ids.removeSubrange(start...)
                ids.append(unknownID)
                return
            }
            ids.append(id)
            position += length
        }
    }
}
