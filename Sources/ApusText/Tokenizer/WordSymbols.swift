/// The symbols of one word while its pairs merge.
struct WordSymbols {
    /// Words of up to this many symbols merge by scanning, which beats a queue for them.
    static let shortLimit = 64

    private let storage = Storage()

    /// Ids and, for each, the rank of its merge with the next one.
    private final class Storage {
        let ids = UnsafeMutablePointer<Int32>.allocate(capacity: WordSymbols.shortLimit)
        let ranks = UnsafeMutablePointer<UInt32>.allocate(capacity: WordSymbols.shortLimit)

        deinit {
            ids.deallocate()
            ranks.deallocate()
        }
    }

    /// Merges a short word, always the pair of lowest rank and the leftmost of equals, and appends what remains.
    ///
    /// - Parameters:
    ///   - count: The number of symbols, 1…`shortLimit`.
    ///   - symbol: The id of the symbol at an index.
    ///   - pairRank: The rank of the pair of an index and the next one, before any merge.
    @inline(__always)
    func mergeShort(
        count: Int, merges: MergeTable, into output: inout [Int32], symbol: (Int) -> Int32,
        pairRank: (Int) -> UInt32
    ) {
        let (ids, ranks) = (storage.ids, storage.ranks)
        var count = count
        for index in 0..<count { ids[index] = symbol(index) }
        for index in 0..<count - 1 { ranks[index] = pairRank(index) }
        while count > 1 {
            var best = MergeTable.none
            var position = 0
            for index in 0..<count - 1 where ranks[index] < best {
                best = ranks[index]
                position = index
            }
            if best == MergeTable.none { break }
            ids[position] = merges.result(best)
            for index in position + 1..<count - 1 {
                ids[index] = ids[index + 1]
                ranks[index] = ranks[index + 1]
            }
            count -= 1
            if position + 1 < count { ranks[position] = merges.rank(ids[position], ids[position + 1]) }
            if position > 0 { ranks[position - 1] = merges.rank(ids[position - 1], ids[position]) }
        }
        output.append(contentsOf: UnsafeBufferPointer(start: ids, count: count))
    }

    /// Merges a word of any length with a queue, in O(n log n), and appends what remains.
    ///
    /// The queue keeps entries whose pair has changed since; like `tokenizers`, one is still taken where the new pair
    /// becomes the same token.
    static func mergeLong(_ symbols: [Int32], merges: MergeTable, into output: inout [Int32]) {
        let removed = Int32(-1)
        var ids = symbols
        var previous = ids.indices.map { $0 - 1 }
        var next = ids.indices.map { $0 + 1 }
        var queue = MinimumHeap()
        func enqueue(_ left: Int, _ right: Int) {
            let rank = merges.rank(ids[left], ids[right])
            if rank != MergeTable.none { queue.push(UInt64(rank) << 40 | UInt64(left)) }
        }
        for index in ids.indices.dropLast() { enqueue(index, index + 1) }
        while let top = queue.pop() {
            let left = Int(top & 0xFF_FFFF_FFFF)
            let right = next[left]
            guard ids[left] != removed, right < ids.count else { continue }
            let result = merges.result(UInt32(truncatingIfNeeded: top >> 40))
            let current = merges.rank(ids[left], ids[right])
            guard current != MergeTable.none, merges.result(current) == result else { continue }
            ids[left] = result
            ids[right] = removed
            next[left] = next[right]
            if next[left] < ids.count { previous[next[left]] = left }
            if previous[left] >= 0 { enqueue(previous[left], left) }
            if next[left] < ids.count { enqueue(left, next[left]) }
        }
        for id in ids where id != removed { output.append(id) }
    }
}

/// A binary heap that pops its smallest element first.
struct MinimumHeap {
    private var elements: [UInt64] = []

    mutating func push(_ element: UInt64) {
        elements.append(element)
        var child = elements.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            if elements[parent] <= element { break }
            elements[child] = elements[parent]
            child = parent
        }
        elements[child] = element
    }

    mutating func pop() -> UInt64? {
        guard let top = elements.first, let last = elements.popLast() else { return nil }
        guard !elements.isEmpty else { return top }
        var parent = 0
        while true {
            var child = 2 * parent + 1
            if child >= elements.count { break }
            if child + 1 < elements.count, elements[child + 1] < elements[child] { child += 1 }
            if last <= elements[child] { break }
            elements[parent] = elements[child]
            parent = child
        }
        elements[parent] = last
        return top
    }
}
