/// The tokens of a WordPiece vocabulary, for finding the longest one that a word goes on with.
///
/// Steps are looked up in one hash table, `node << 8 | byte` to node, whose memory is written once and then only read.
final class WordPieceTrie: @unchecked Sendable {
    /// Where a word begins, and where it goes on after its first token.
    static let wordStart: UInt32 = 0
    let wordRest: UInt32

    private struct Edge {
        /// `node << 8 | byte`, plus one; 0 is empty.
        var key: UInt64 = 0
        var node: UInt32 = 0
    }

    private var edges: UnsafeMutablePointer<Edge>
    private var mask: Int
    private var ids: [Int32]
    private var edgeCount = 0

    /// - Parameter prefix: What the vocabulary writes before tokens that continue a word.
    init(_ vocabulary: Vocabulary, prefix: [UInt8]) {
        wordRest = prefix.isEmpty ? Self.wordStart : 1
        ids = prefix.isEmpty ? [-1] : [-1, -1]
        mask = 1 << 12 - 1
        edges = .allocate(capacity: mask + 1)
        edges.initialize(repeating: Edge(), count: mask + 1)
        for id in 0..<Int32(vocabulary.idBound) {
            guard let token = vocabulary.token(of: id), !token.isEmpty else { continue }
            insert(token, id, from: Self.wordStart)
            if !prefix.isEmpty, token.count > prefix.count, token.starts(with: prefix) {
                insert(token.dropFirst(prefix.count), id, from: wordRest)
            }
        }
    }

    deinit { edges.deallocate() }

    private func insert(_ token: ArraySlice<UInt8>, _ id: Int32, from root: UInt32) {
        var node = root
        for byte in token {
            if let next = step(node, byte) {
                node = next
                continue
            }
            if (edgeCount + 1) * 2 > mask { grow() }
            let next = UInt32(ids.count)
            place(Edge(key: Self.key(node, byte), node: next))
            edgeCount += 1
            ids.append(-1)
            node = next
        }
        ids[Int(node)] = id
    }

    private func place(_ edge: Edge) {
        var slot = Self.hash(edge.key) & mask
        while edges[slot].key != 0 { slot = (slot + 1) & mask }
        edges[slot] = edge
    }

    private func grow() {
        let (old, oldCount) = (edges, mask + 1)
        mask = mask * 2 + 1
        edges = .allocate(capacity: mask + 1)
        edges.initialize(repeating: Edge(), count: mask + 1)
        for index in 0..<oldCount where old[index].key != 0 { place(old[index]) }
        old.deallocate()
    }

    @inline(__always)
    private static func key(_ node: UInt32, _ byte: UInt8) -> UInt64 { (UInt64(node) << 8 | UInt64(byte)) + 1 }

    @inline(__always)
    private static func hash(_ key: UInt64) -> Int {
        let mixed = key &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: mixed >> 32)
    }

    @inline(__always)
    private func step(_ node: UInt32, _ byte: UInt8) -> UInt32? {
        let key = Self.key(node, byte)
        var slot = Self.hash(key) & mask
        while edges[slot].key != 0 {
            if edges[slot].key == key { return edges[slot].node }
            slot = (slot + 1) & mask
        }
        return nil
    }

    /// The longest token at the front of some bytes, and how many of them it takes.
    func longestToken(_ bytes: UnsafeBufferPointer<UInt8>, from root: UInt32) -> (id: Int32, length: Int)? {
        var node = root
        var longest: (Int32, Int)?
        for (index, byte) in bytes.enumerated() {
            guard let next = step(node, byte) else { break }
            node = next
            if ids[Int(node)] >= 0 { longest = (ids[Int(node)], index + 1) }
        }
        return longest
    }
}
