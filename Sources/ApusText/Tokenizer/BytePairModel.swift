/// Byte-pair encoding (Sennrich et al.
///
/// 2016, arXiv:1508.07909) as `tokenizers` runs it.
final class BytePairModel: TokenModel {
    let vocabulary: Vocabulary
    let merges: MergeTable
    let options: Options
    private let alphabet: Alphabet

    struct Options: Sendable {
        var unknownID: Int32?
        /// Whether neighbouring unknown symbols become one.
        var fusesUnknown = false
        /// Whether a scalar outside the vocabulary becomes `<0x00>`… tokens.
        var fallsBackToBytes = false
        /// Whether a piece that is a token is that token, whatever the merges say.
        var ignoresMerges = false
        /// Stands before every symbol of a word but the first.
        var continuingPrefix: [UInt8] = []
        /// Stands after the last symbol of a word.
        var endSuffix: [UInt8] = []
    }

    /// What the first symbols of a piece are.
    private enum Alphabet: Sendable {
        /// Each byte is a symbol; -1 in `ids` marks one that the vocabulary lacks, which is left out. `pairRanks` holds
        /// the rank of every pair of bytes; `words`, where merges are ignored for whole tokens, the tokens by the bytes
        /// they stand for.
        case bytes(ids: [Int32], lacksSome: Bool, pairRanks: [UInt32], words: Vocabulary?)
        /// Each scalar of the piece is looked up. `bytes` holds the ids of `<0x00>`… for the byte fallback.
        case scalars(bytes: [Int32?])
    }

    /// Whether pieces arrive as plain bytes.
    var takesBytes: Bool {
        if case .bytes = alphabet { true } else { false }
    }

    /// Whether the model can take the bytes of a text itself instead of their spelling in the byte alphabet.
    static func takesBytes(_ vocabulary: Vocabulary, _ options: Options) -> Bool {
        guard options.continuingPrefix.isEmpty, options.endSuffix.isEmpty else { return false }
        return (options.unknownID == nil && !options.fallsBackToBytes) || knowsAllBytes(vocabulary)
    }

    /// Whether every byte has a token; vocabularies made from little text lack the rarest.
    static func knowsAllBytes(_ vocabulary: Vocabulary) -> Bool { !byteIDs(vocabulary).contains(-1) }

    private static func byteIDs(_ vocabulary: Vocabulary) -> [Int32] {
        (0...255).map { byte in
            var spelling: [UInt8] = []
            ByteAlphabet.spell(UInt8(byte), into: &spelling)
            return vocabulary.id(of: spelling) ?? -1
        }
    }

    /// - Parameter takesBytes: Whether pieces arrive as plain bytes; if not, as text to be looked up by scalars.
    init(vocabulary: Vocabulary, merges: MergeTable, options: Options, takesBytes: Bool) {
        self.vocabulary = vocabulary
        self.merges = merges
        self.options = options
        guard takesBytes else {
            alphabet = .scalars(
                bytes: (0...255).map { byte in
                    let digits = String(byte, radix: 16, uppercase: true)
                    return vocabulary.id(of: Array("<0x\(byte < 16 ? "0" : "")\(digits)>".utf8))
                })
            return
        }
        let ids = Self.byteIDs(vocabulary)
        var pairRanks = [UInt32](repeating: MergeTable.none, count: 1 << 16)
        for left in 0...255 where ids[left] >= 0 {
            for right in 0...255 where ids[right] >= 0 {
                pairRanks[left << 8 | right] = merges.rank(ids[left], ids[right])
            }
        }
        var words: Vocabulary?
        if options.ignoresMerges {
            var spelled = Vocabulary(expectedCount: vocabulary.count)
            for id in 0..<Int32(vocabulary.idBound) {
                var bytes: [UInt8] = []
                guard let token = vocabulary.token(of: id), ByteAlphabet.append(bytesSpelledBy: token, to: &bytes)
                else {
                    continue
                }
                _ = bytes.withUnsafeBufferPointer { spelled.insert($0, id: id) }
            }
            words = spelled
        }
        alphabet = .bytes(ids: ids, lacksSome: ids.contains(-1), pairRanks: pairRanks, words: words)
    }

    func encode(
        _ text: UnsafeBufferPointer<UInt8>, pieces: [Stretch], into ids: inout [Int32], scratch: EncodingScratch
    ) {
        guard let base = text.baseAddress else { return }
        let cache = scratch.cache
        for piece in pieces {
            let bytes = base + piece.start
            let count = piece.end - piece.start
            guard count <= WordCache.longestWord else {
                encodeWord(UnsafeBufferPointer(start: bytes, count: count), into: &ids, scratch)
                continue
            }
            let key = WordCache.Key(bytes, count: count)
            let slot = key.slot
            if cache.appendIDs(of: key, slot: slot, to: &ids) { continue }
            let start = ids.count
            encodeWord(UnsafeBufferPointer(start: bytes, count: count), into: &ids, scratch)
            cache.store(ids[start...], for: key, slot: slot)
        }
    }

    private func encodeWord(
        _ word: UnsafeBufferPointer<UInt8>, into ids: inout [Int32], _ scratch: EncodingScratch
    ) {
        switch alphabet {
        case .bytes(let byteIDs, let lacksSome, let pairRanks, let words):
            if let words, let id = words.id(of: word) {
                ids.append(id)
            } else if lacksSome, word.contains(where: { byteIDs[Int($0)] < 0 }) {
                WordSymbols.mergeLong(
                    word.map { byteIDs[Int($0)] }.filter { $0 >= 0 }, merges: merges, into: &ids)
            } else if word.count <= WordSymbols.shortLimit {
                byteIDs.withUnsafeBufferPointer { byteIDs in
                    pairRanks.withUnsafeBufferPointer { pairRanks in
                        scratch.word.mergeShort(
                            count: word.count, merges: merges, into: &ids,
                            symbol: { byteIDs[Int(word[$0])] },
                            pairRank: { pairRanks[Int(word[$0]) << 8 | Int(word[$0 + 1])] })
                    }
                }
            } else {
                WordSymbols.mergeLong(word.map { byteIDs[Int($0)] }, merges: merges, into: &ids)
            }
        case .scalars(let bytes):
            if options.ignoresMerges, let id = vocabulary.id(of: word) {
                ids.append(id)
            } else {
                WordSymbols.mergeLong(symbols(of: word, byteFallback: bytes), merges: merges, into: &ids)
            }
        }
    }

    /// The first symbols of a word, scalar by scalar.
    private func symbols(of word: UnsafeBufferPointer<UInt8>, byteFallback: [Int32?]) -> [Int32] {
        guard let base = word.baseAddress else { return [] }
        var symbols: [Int32] = []
        // An unknown symbol waits for the next one, with which it may be fused. As in `tokenizers`, it lets bytes
        // of the fallback overtake it.
        var waitsUnknown = false
        var position = 0
        while position < word.count {
            let next = decodeScalar(base, position).next
            var spelling = position > 0 ? options.continuingPrefix : []
            spelling += word[position..<next]
            if next == word.count { spelling += options.endSuffix }
            position = next
            if let id = vocabulary.id(of: spelling) {
                if waitsUnknown, let unknownID = options.unknownID { symbols.append(unknownID) }
                waitsUnknown = false
                symbols.append(id)
                continue
            }
            if options.fallsBackToBytes {
                let ids = spelling.compactMap { byteFallback[Int($0)] }
                if ids.count == spelling.count {
                    symbols += ids
                    continue
                }
            }
            if let unknownID = options.unknownID {
                if waitsUnknown, !options.fusesUnknown { symbols.append(unknownID) }
                waitsUnknown = true
            }
        }
        if waitsUnknown, let unknownID = options.unknownID { symbols.append(unknownID) }
        return symbols
    }
}
