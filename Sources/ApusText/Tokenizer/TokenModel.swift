/// The stage that turns pieces of text into ids.
protocol TokenModel: Sendable {
    var vocabulary: Vocabulary { get }

    /// Appends the ids of the pieces of `text`, none of which is empty.
    func encode(
        _ text: UnsafeBufferPointer<UInt8>, pieces: [Stretch], into ids: inout [Int32], scratch: EncodingScratch)
}

extension TokenModel {
    /// Appends the ids of pieces, each encoded by `encodeWord` unless it was lately.
    @inline(__always)
    func encodeCached(
        _ text: UnsafeBufferPointer<UInt8>, pieces: [Stretch], into ids: inout [Int32], cache: WordCache,
        _ encodeWord: (UnsafeBufferPointer<UInt8>, inout [Int32]) -> Void
    ) {
        guard let base = text.baseAddress else { return }
        for piece in pieces {
            let word = UnsafeBufferPointer(start: base + piece.start, count: piece.end - piece.start)
            guard word.count <= WordCache.longestWord else {
                encodeWord(word, &ids)
                continue
            }
            let key = WordCache.Key(base + piece.start, count: word.count)
            let slot = key.slot
            if cache.appendIDs(of: key, slot: slot, to: &ids) { continue }
            let start = ids.count
            encodeWord(word, &ids)
            cache.store(ids[start...], for: key, slot: slot)
        }
    }
}
