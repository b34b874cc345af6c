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
                merges.append(contentsOf: [
                    (.random(in: 0..<result, using: &generator), .random(in: 0..<result, using: &generator), result)
                ])
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
        merges.append(contentsOf: (Int32(0)..<8).map { ($0, $0, $0 + 1) })
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
        merges.append(contentsOf: [(0, 1, 2), (0, 0, 3), (0, 1, 4)])
        #expect(merges.rank(0, 1) == 2)
        #expect(merges.result(2) == 4)
        #expect(merges.rank(1, 0) == MergeTable.none)
    }

    /// Equal spellings and ids given twice, next to each other and far apart, beside a dictionary of either direction.
    @Test(arguments: [16, 400]) func waitingTokensGetWhatOneByOneGives(distinct: Int32) {
        var generator = SeededGenerator(seed: 3)
        var together = Vocabulary(expectedCount: 16)
        var single = together
        var (ids, spellings): ([String: Int32], [Int32: String]) = ([:], [:])
        for _ in 0..<2000 {
            let spelling = "token \(Int32.random(in: 0..<distinct, using: &generator))"
            let id = Int32.random(in: 0..<distinct * 2, using: &generator)
            let isFree = spellings[id] == nil || spellings[id] == spelling
            if isFree {
                if let old = ids.updateValue(id, forKey: spelling) { spellings[old] = nil }
                spellings[id] = spelling
            }
            Array(spelling.utf8).withUnsafeBufferPointer {
                #expect(together.insertLater($0, id: id) == isFree)
                #expect(single.insert($0, id: id) == isFree)
            }
        }
        together.settle()
        for vocabulary in [together, single] {
            #expect(vocabulary.count == ids.count)
            for number in 0..<distinct {
                let spelling = "token \(number)"
                #expect(vocabulary.id(of: Array(spelling.utf8)) == ids[spelling])
            }
            for id in 0..<distinct * 2 {
                #expect(vocabulary.token(of: id).map { String(decoding: $0, as: UTF8.self) } == spellings[id])
            }
        }
    }
}
