/// The tokens of a vocabulary by their first bytes, for finding those that a text goes on with.
///
/// Steps are looked up in one hash table, `node << 8 | byte` to node, whose memory is written once and then only read.
final class PrefixTrie: @unchecked Sendable {
    /// Where a word begins, and where it goes on after its first token.
    static let wordStart: UInt32 = 0
    let wordRest: UInt32

    private struct Edge {
        /// `node << 8 | byte`, plus one; 0 is empty.
        var key: UInt64 = 0
        var node: UInt32 = 0
        /// The token that ends at the node, or -1.
        var id: Int32 = -1
    }

    private var edges: UnsafeMutablePointer<Edge>
    private var mask: Int
    private var nodeCount: UInt32
    private var edgeCount = 0

    /// - Parameter prefix: What the vocabulary writes before tokens that continue a word.
    init(_ vocabulary: Vocabulary, prefix: [UInt8] = []) {
        wordRest = prefix.isEmpty ? Self.wordStart : 1
        nodeCount = prefix.isEmpty ? 1 : 2
        var capacity = 1 << 12
        // A token has three nodes of its own, by and large.
        while capacity < vocabulary.count * 4 { capacity *= 2 }
        mask = capacity - 1
        edges = .allocate(capacity: capacity)
        edges.initialize(repeating: Edge(), count: capacity)
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
        var slot = 0
        token.withUnsafeBufferPointer { token in
            for byte in token {
                let key = Self.key(node, byte)
                slot = Self.hash(key) & mask
                while edges[slot].key != 0, edges[slot].key != key { slot = (slot + 1) & mask }
                if edges[slot].key == 0 {
                    if (edgeCount + 1) * 2 > mask {
                        grow()
                        slot = Self.hash(key) & mask
                        while edges[slot].key != 0 { slot = (slot + 1) & mask }
                    }
                    edges[slot] = Edge(key: key, node: nodeCount)
                    edgeCount += 1
                    nodeCount += 1
                }
                node = edges[slot].node
            }
        }
        edges[slot].id = id
    }

    private func grow() {
        let (old, oldCount) = (edges, mask + 1)
        mask = mask * 2 + 1
        edges = .allocate(capacity: mask + 1)
        edges.initialize(repeating: Edge(), count: mask + 1)
        for index in 0..<oldCount where old[index].key != 0 {
            var slot = Self.hash(old[index].key) & mask
            while edges[slot].key != 0 { slot = (slot + 1) & mask }
            edges[slot] = old[index]
        }
        old.deallocate()
    }

    @inline(__always)
    private static func key(_ node: UInt32, _ byte: UInt8) -> UInt64 { (UInt64(node) << 8 | UInt64(byte)) + 1 }

    @inline(__always)
    private static func hash(_ key: UInt64) -> Int {
        let mixed = key &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: mixed >> 32)
    }

    /// Calls `body` with every token at the front of some bytes, from short to long: its id and how many bytes it takes.
    @inline(__always)
    func forEachToken(
        _ bytes: UnsafePointer<UInt8>, count: Int, from root: UInt32 = wordStart, _ body: (Int32, Int) -> Void
    ) {
        var node = root
        var length = 0
        while length < count {
            let key = Self.key(node, bytes[length])
            var slot = Self.hash(key) & mask
            while edges[slot].key != key {
                if edges[slot].key == 0 { return }
                slot = (slot + 1) & mask
            }
            node = edges[slot].node
            length += 1
            if edges[slot].id >= 0 { body(edges[slot].id, length) }
        }
    }

    /// The longest token at the front of some bytes, and how many of them it takes.
    func longestToken(_ bytes: UnsafeBufferPointer<UInt8>, from root: UInt32) -> (id: Int32, length: Int)? {
        guard let base = bytes.baseAddress else { return nil }
        var longest: (Int32, Int)?
        forEachToken(base, count: bytes.count, from: root) { longest = ($0, $1) }
        return longest
    }
}
