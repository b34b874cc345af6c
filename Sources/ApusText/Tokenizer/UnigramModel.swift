/// The unigram language model of SentencePiece (Kudo 2018, arXiv:1804.10959) as `tokenizers` runs it.
///
/// Of all ways to cut a piece into tokens, the one with the largest sum of scores is taken; where there is no token for a
/// single scalar, it may be unknown, at the smallest score less a penalty.
final class UnigramModel: TokenModel {
    let vocabulary: Vocabulary
    let scores: [Double]
    let unknownID: Int32
    private let unknownScore: Double
    private let trie: PrefixTrie
    /// The ids of `<0x00>`… where the model falls back to bytes.
    private let byteIDs: [Int32?]?

    var fallsBackToBytes: Bool { byteIDs != nil }

    private static let unknownPenalty = 10.0

    /// - Parameters:
    ///   - pieces: Tokens with their scores, by id.
    ///   - unknownID: What scalars become that no token spells.
    /// - Throws: `TokenizerError` where the unknown token is missing, without which not every text has ids.
    init(_ pieces: ScoredVocabulary, unknownID: Int?, fallsBackToBytes: Bool, source: String) throws {
        guard let unknownID, unknownID >= 0, unknownID < pieces.scores.count else {
            throw TokenizerError(
                source,
                "Unigram needs the id of its unknown token, from 0 to \(pieces.scores.count - 1), "
                    + "not \(unknownID.map(String.init) ?? "none")")
        }
        vocabulary = pieces.vocabulary
        scores = pieces.scores
        self.unknownID = Int32(unknownID)
        unknownScore = (scores.min() ?? 0) - Self.unknownPenalty
        trie = PrefixTrie(vocabulary)
        byteIDs = fallsBackToBytes ? vocabulary.byteTokens : nil
    }

    func encode(
        _ text: UnsafeBufferPointer<UInt8>, pieces: [Stretch], into ids: inout [Int32], scratch: EncodingScratch
    ) {
        encodeCached(text, pieces: pieces, into: &ids, cache: scratch.cache) {
            encodeWord($0, into: &$1, scratch.lattice)
        }
    }

    private func encodeWord(
        _ word: UnsafeBufferPointer<UInt8>, into ids: inout [Int32], _ lattice: UnigramLattice
    ) {
        guard let bytes = word.baseAddress else { return }
        let nodes = lattice.nodes(word.count + 1)
        nodes[0].score = 0
        var position = 0
        scores.withUnsafeBufferPointer { scores in
            while position < word.count {
                let scoreHere = nodes[position].score
                let single = min(word.count, position + utf8Length(bytes[position]))
                var hasSingle = false
                trie.forEachToken(bytes + position, count: word.count - position) { id, length in
                    let end = position + length
                    let score = scores[Int(id)] + scoreHere
                    if nodes[end].start < 0 || score > nodes[end].score {
                        nodes[end] = UnigramLattice.Node(score: score, start: Int32(position), id: id)
                    }
                    if end == single { hasSingle = true }
                }
                if !hasSingle {
                    let score = unknownScore + scoreHere
                    if nodes[single].start < 0 || score > nodes[single].score {
                        nodes[single] = UnigramLattice.Node(score: score, start: Int32(position), id: unknownID)
                    }
                }
                position = single
            }
        }
        append(word, nodes, to: &ids)
    }

    /// Follows the best path back from the end; neighbouring unknown scalars are one unknown piece.
    private func append(
        _ word: UnsafeBufferPointer<UInt8>, _ nodes: UnsafeMutablePointer<UnigramLattice.Node>, to ids: inout [Int32]
    ) {
        let first = ids.count
        var end = word.count
        while end > 0 {
            var start = Int(nodes[end].start)
            if nodes[end].id == unknownID {
                while start > 0, nodes[start].id == unknownID { start = Int(nodes[start].start) }
                appendUnknown(UnsafeBufferPointer(rebasing: word[start..<end]), to: &ids)
            } else {
                ids.append(nodes[end].id)
            }
            end = start
        }
        ids[first...].reverse()
    }

    /// Appends the ids of an unknown piece, the last first.
    private func appendUnknown(_ piece: UnsafeBufferPointer<UInt8>, to ids: inout [Int32]) {
        if let id = vocabulary.id(of: piece) { return ids.append(id) }
        if let byteIDs, piece.allSatisfy({ byteIDs[Int($0)] != nil }) {
            for byte in piece.reversed() { ids.append(byteIDs[Int(byte)] ?? unknownID) }
        } else {
            ids.append(unknownID)
        }
    }
}

/// The best path to every position of a word.
final class UnigramLattice {
    struct Node {
        var score = 0.0
        /// Where the last token of the path starts; -1 where no path ends.
        var start: Int32 = -1
        var id: Int32 = -1
    }

    private var storage = UnsafeMutablePointer<Node>.allocate(capacity: 256)
    private var capacity = 256

    deinit { storage.deallocate() }

    /// So many nodes that nothing leads to; they are valid until the next call.
    @inline(__always)
    func nodes(_ count: Int) -> UnsafeMutablePointer<Node> {
        if count > capacity {
            storage.deallocate()
            capacity = count * 2
            storage = .allocate(capacity: capacity)
        }
        storage.initialize(repeating: Node(), count: count)
        return storage
    }
}

/// A vocabulary whose tokens have scores, by id; of equal tokens, text becomes the last.
struct ScoredVocabulary: Sendable {
    private(set) var vocabulary: Vocabulary
    private(set) var scores: [Double] = []

    init(expectedCount: Int) {
        vocabulary = Vocabulary(expectedCount: expectedCount)
        scores.reserveCapacity(min(expectedCount, Vocabulary.idLimit))
    }

    /// Adds the token with the next id.
    ///
    /// - Throws: `TokenizerError` where there are too many, or the score is not a number.
    mutating func append(_ token: UnsafeBufferPointer<UInt8>, score: Double, source: String) throws {
        guard score.isFinite else {
            throw TokenizerError(source, "token \(BytePairFiles.describe(token)) has the score \(score)")
        }
        try BytePairFiles(source: source).insert(token, Int32(scores.count), into: &vocabulary, keepsEquals: true)
        scores.append(score)
    }

    mutating func append(_ token: String, score: Double, source: String) throws {
        var token = token
        try token.withUTF8 { try append($0, score: score, source: source) }
    }
}

extension Vocabulary {
    /// The ids of `<0x00>` to `<0xFF>`.
    var byteTokens: [Int32?] {
        (0...255).map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return id(of: Array("<0x\(byte < 16 ? "0" : "")\(digits)>".utf8))
        }
    }
}
