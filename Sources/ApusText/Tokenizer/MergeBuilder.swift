import Foundation

/// Collects merges, and looks their tokens up when all are there.
struct MergeBuilder: Sendable {
    let source: String

    /// Where in `texts` the parts of a merge begin; the next merge follows.
    private struct Entry {
        let left: UInt32
        let right: UInt32
    }

    private var texts: [UInt8] = []
    private var entries: [Entry] = []
    private var leftStart = 0
    private var emptyTable: MergeTable?

    /// - Parameter byteCount: The bytes that the merges are written in, or more: room that is not used is never touched.
    init(source: String, byteCount: Int) {
        self.source = source
        entries.reserveCapacity(byteCount / 16)
        texts.reserveCapacity(byteCount)
    }

    mutating func append(line: UnsafeBufferPointer<UInt8>) throws {
        guard let space = line.firstIndex(of: 0x20), !line[(space + 1)...].contains(0x20) else {
            throw TokenizerError(
                source,
                "merge \(entries.count + 1), \(BytePairFiles.describe(line)), is not two tokens with a space between")
        }
        start(UnsafeBufferPointer(rebasing: line[..<space]))
        try finish(UnsafeBufferPointer(rebasing: line[(space + 1)...]))
    }

    /// Takes the left part of a merge.
    mutating func start(_ left: UnsafeBufferPointer<UInt8>) {
        leftStart = texts.count
        texts.append(contentsOf: left)
    }

    /// Takes the right part of the merge that was started.
    mutating func finish(_ right: UnsafeBufferPointer<UInt8>) throws {
        guard entries.count < MergeTable.limit else {
            throw TokenizerError(source, "more than \(MergeTable.limit) merges; no such model is supported")
        }
        guard let left = UInt32(exactly: leftStart), let middle = UInt32(exactly: texts.count) else {
            throw TokenizerError(source, "merges of more than \(UInt32.max) bytes; no such model is supported")
        }
        texts.append(contentsOf: right)
        entries.append(Entry(left: left, right: middle))
    }

    /// Makes the table before the vocabulary is there: filling its memory takes as long as looking tokens up.
    mutating func prepareTable() { emptyTable = MergeTable(expectedCount: entries.count + 1) }

    /// - Parameters:
    ///   - vocabulary: The tokens that are merged.
    ///   - prefixLength: The bytes of the continuing prefix, which the right part of a merge loses.
    /// - Throws: `TokenizerError` naming the first merge of a token that the vocabulary lacks.
    mutating func table(_ vocabulary: Vocabulary, prefixLength: Int = 0) throws -> MergeTable {
        let parts = try resolved(vocabulary, prefixLength)
        // Taken, as what two hold is copied when it is filled.
        var table = emptyTable.take() ?? MergeTable(expectedCount: entries.count + 1)
        for part in parts { table.append(contentsOf: part) }
        return table
    }

    // MARK: - Looking up

    private typealias Merge = (left: Int32, right: Int32, result: Int32)

    /// The ids of all merges, looked up by several threads, as most of the time is spent waiting for memory.
    private func resolved(_ vocabulary: Vocabulary, _ prefixLength: Int) throws -> [[Merge]] {
        let size = 1 << 14
        let parts = Parts<[Merge]>(count: (entries.count + size - 1) / size)
        DispatchQueue.concurrentPerform(iterations: parts.count) { index in
            let range = index * size..<min((index + 1) * size, entries.count)
            parts.set(index, Result { try resolved(range, vocabulary, prefixLength) })
        }
        return try parts.all()
    }

    private func resolved(
        _ range: Range<Int>, _ vocabulary: Vocabulary, _ prefixLength: Int
    ) throws -> [Merge] {
        var recent = RecentTokens()
        var merges: [Merge] = []
        merges.reserveCapacity(range.count)
        return try texts.withUnsafeBufferPointer { texts in
            for index in range {
                let (start, middle) = (Int(entries[index].left), Int(entries[index].right))
                let end = index + 1 < entries.count ? Int(entries[index + 1].left) : texts.count
                let left = UnsafeBufferPointer(rebasing: texts[start..<middle])
                let right = UnsafeBufferPointer(rebasing: texts[middle..<end])
                // Vocabularies are numbered in the order in which merges made their tokens.
                let guess = (merges.last?.result ?? -1) &+ 1
                let result: Int32?
                if prefixLength == 0 {
                    result = vocabulary.id(
                        of: UnsafeBufferPointer(rebasing: texts[start..<end]), guess: guess)
                } else {
                    result = vocabulary.id(of: Array(left) + right.dropFirst(prefixLength))
                }
                guard let leftID = recent.id(of: left, vocabulary), let rightID = recent.id(of: right, vocabulary),
                    let result
                else {
                    let joined = Array(left) + right.dropFirst(prefixLength)
                    let missing =
                        vocabulary.id(of: left) == nil
                        ? Array(left) : vocabulary.id(of: right) == nil ? Array(right) : joined
                    throw TokenizerError(
                        source,
                        "merge \(index + 1) needs the token \(BytePairFiles.describe(missing)), "
                            + "which is not in the vocabulary")
                }
                merges.append((leftID, rightID, result))
            }
            return merges
        }
    }

}

/// The ids of the short tokens that were looked up last: most parts of merges come again and again.
private struct RecentTokens {
    private static let bits = 12
    /// By some bits of a hash: a spelling and its id.
    private var entries = [(spelling: UInt64, id: Int32)](repeating: (0, 0), count: 1 << bits)

    /// A token of up to seven bytes with its length, which makes it other than 0; nil for a longer one.
    @inline(__always)
    private static func spelling(of token: UnsafeBufferPointer<UInt8>) -> UInt64? {
        guard token.count < 8 else { return nil }
        var spelling = UInt64(token.count + 1)
        for byte in token { spelling = spelling << 8 | UInt64(byte) }
        return spelling
    }

    @inline(__always)
    private static func place(_ spelling: UInt64) -> Int {
        Int(truncatingIfNeeded: (spelling &* 0x9E37_79B9_7F4A_7C15) >> (64 - bits))
    }

    @inline(__always)
    mutating func id(of token: UnsafeBufferPointer<UInt8>, _ vocabulary: Vocabulary) -> Int32? {
        guard let spelling = Self.spelling(of: token) else { return vocabulary.id(of: token) }
        let place = Self.place(spelling)
        if entries[place].spelling == spelling { return entries[place].id }
        let id = vocabulary.id(of: token)
        if let id { entries[place] = (spelling, id) }
        return id
    }
}

/// What several threads found, in order.
final class Parts<Element>: @unchecked Sendable {
    private let lock = NSLock()
    private var results: [Result<Element, any Error>?]

    init(count: Int) { results = Array(repeating: nil, count: count) }

    var count: Int { results.count }

    func set(_ index: Int, _ result: Result<Element, any Error>) { lock.withLock { results[index] = result } }

    /// - Throws: The error of the first part that failed.
    func all() throws -> [Element] { try lock.withLock { try results.compactMap { try $0?.get() } } }
}
