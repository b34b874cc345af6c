import Synchronization

/// Working memory of one encode at a time, with the word cache that outlives it.
final class EncodingScratch {
    let firstNormalized = ByteBuffer()
    let secondNormalized = ByteBuffer()
    let firstRewrite = ByteBuffer()
    let secondRewrite = ByteBuffer()
    /// The pieces of the text at hand.
    var pieces: [Stretch] = []
    var sparePieces: [Stretch] = []
    let cache = WordCache()
    let word = WordSymbols()
    let lattice = UnigramLattice()
}

/// Hands each running encode a scratch of its own, so that threads share nothing but one short lock per call.
final class ScratchPool: Sendable {
    private let free = Mutex<[Box]>([])

    /// The mutex hands a scratch to one thread at a time, which is what makes sending it safe.
    private struct Box: @unchecked Sendable {
        let scratch: EncodingScratch
    }

    func withScratch<Result>(_ body: (EncodingScratch) -> Result) -> Result {
        let box = free.withLock { $0.popLast() } ?? Box(scratch: EncodingScratch())
        defer { free.withLock { $0.append(box) } }
        return body(box.scratch)
    }
}
