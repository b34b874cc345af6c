import Testing

@testable import ApusText

@Suite struct BytePairModelTests {
    /// Merges by the book: the pair of lowest rank, the leftmost of equals, until none is left.
    private func reference(_ symbols: [Int32], _ merges: MergeTable) -> [Int32] {
        var ids = symbols
        while true {
            let ranks = ids.indices.dropLast().map { merges.rank(ids[$0], ids[$0 + 1]) }
            guard let best = ranks.min(), best != MergeTable.none, let index = ranks.firstIndex(of: best) else {
                return ids
            }
            ids.replaceSubrange(index...index + 1, with: [merges.result(best)])
        }
    }

    @Test func scanningAndQueueingMergeByTheBook() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<40 {
            // Five symbols, and merges of random earlier tokens into new ones.
            var merges = MergeTable(expectedCount: 40)
            for result in Int32(5)..<Int32.random(in: 6...40, using: &generator) {
                merges.append(
                    .random(in: 0..<result, using: &generator), .random(in: 0..<result, using: &generator),
                    becomes: result)
            }
            for _ in 0..<50 {
                let count = Int.random(in: 1...WordSymbols.shortLimit, using: &generator)
                let symbols = (0..<count).map { _ in Int32.random(in: 0..<5, using: &generator) }
                let expected = reference(symbols, merges)
                var short: [Int32] = []
                WordSymbols().mergeShort(
                    count: count, merges: merges, into: &short, symbol: { symbols[$0] },
                    pairRank: { merges.rank(symbols[$0], symbols[$0 + 1]) })
                var long: [Int32] = []
                WordSymbols.mergeLong(symbols, merges: merges, into: &long)
                #expect(short == expected)
                #expect(long == expected)
            }
        }
    }

    @Test func longRunsAreNotQuadratic() {
        var merges = MergeTable(expectedCount: 8)
        for id in Int32(0)..<8 { merges.append(id, id, becomes: id + 1) }
        var ids: [Int32] = []
        WordSymbols.mergeLong([Int32](repeating: 0, count: 200_000), merges: merges, into: &ids)
        // 200,000 = 781 · 256 + 64
        #expect(ids == [Int32](repeating: 8, count: 781) + [6])
    }

    @Test func cacheTellsWordsApart() {
        let cache = WordCache()
        var generator = SeededGenerator(seed: 5)
        var known: [[UInt8]: [Int32]] = [:]
        for number in 0..<5000 {
            let word = (0..<Int.random(in: 1...16, using: &generator)).map { _ in
                UInt8.random(in: 97...99, using: &generator)
            }
            let key = word.withUnsafeBufferPointer { WordCache.Key($0.baseAddress!, count: $0.count) }
            var ids: [Int32] = []
            if cache.appendIDs(of: key, slot: key.slot, to: &ids) {
                #expect(ids == known[word])
            } else {
                let fresh = (0...number % 3).map { Int32(number * 3 + $0) }
                cache.store(fresh[...], for: key, slot: key.slot)
                known[word] = fresh
            }
        }
    }

    @Test func laterMergeOfAPairCounts() {
        var merges = MergeTable(expectedCount: 4)
        merges.append(0, 1, becomes: 2)
        merges.append(0, 0, becomes: 3)
        merges.append(0, 1, becomes: 4)
        #expect(merges.rank(0, 1) == 2)
        #expect(merges.result(2) == 4)
        #expect(merges.rank(1, 0) == MergeTable.none)
    }
}
