/// A model that knows whole pieces only: each is one token, or unknown.
final class WordLevelModel: TokenModel {
    let vocabulary: Vocabulary
    private let unknownID: Int32

    /// - Throws: `TokenizerError` where the vocabulary lacks the unknown token, without which not every text has ids.
    init(_ vocabulary: Vocabulary, unknown: String, source: String) throws {
        guard let unknownID = vocabulary.id(of: Array(unknown.utf8)) else {
            throw TokenizerError(
                source,
                "the vocabulary lacks the unknown token \(unknown.debugDescription), which WordLevel needs for words that "
                    + "it does not have; name another \"unk_token\" or add this one")
        }
        self.vocabulary = vocabulary
        self.unknownID = unknownID
    }

    func encode(
        _ text: UnsafeBufferPointer<UInt8>, pieces: [Stretch], into ids: inout [Int32], scratch: EncodingScratch
    ) {
        for piece in pieces {
            ids.append(vocabulary.id(of: UnsafeBufferPointer(rebasing: text[piece.start..<piece.end])) ?? unknownID)
        }
    }
}
