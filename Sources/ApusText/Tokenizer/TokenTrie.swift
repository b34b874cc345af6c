/// Finds any of a set of byte strings: the leftmost first, and of those the longest.
struct TokenTrie: Sendable {
    /// A node's children are a chain of siblings; node 0 means none.
    private struct Node {
        var byte: UInt8
        var firstChild: Int32 = 0
        var nextSibling: Int32 = 0
        var id: Int32 = -1
    }

    private var nodes = [Node(byte: 0)]
    private var roots = [Int32](repeating: 0, count: 256)
    private(set) var isEmpty = true

    /// Adds a byte string; the same one with another id and an empty one change nothing.
    mutating func insert(_ token: [UInt8], id: Int32) {
        guard let first = token.first else { return }
        if roots[Int(first)] == 0 { roots[Int(first)] = append(Node(byte: first)) }
        var node = Int(roots[Int(first)])
        for byte in token.dropFirst() {
            if let next = child(of: node, byte) {
                node = next
            } else {
                let next = append(Node(byte: byte, nextSibling: nodes[node].firstChild))
                nodes[node].firstChild = next
                node = Int(next)
            }
        }
        if nodes[node].id < 0 { nodes[node].id = id }
        isEmpty = false
    }

    private mutating func append(_ node: Node) -> Int32 {
        nodes.append(node)
        return Int32(nodes.count - 1)
    }

    private func child(of node: Int, _ byte: UInt8) -> Int? {
        var child = Int(nodes[node].firstChild)
        while child != 0 {
            if nodes[child].byte == byte { return child }
            child = Int(nodes[child].nextSibling)
        }
        return nil
    }

    /// The first match at or after `position`.
    func firstMatch(in text: UnsafeBufferPointer<UInt8>, from position: Int) -> (start: Int, end: Int, id: Int32)? {
        var start = position
        return roots.withUnsafeBufferPointer { roots in
            while start < text.count {
                let root = Int(roots[Int(text[start])])
                if root != 0, let (end, id) = longestMatch(in: text, at: start, root: root) { return (start, end, id) }
                start += 1
            }
            return nil
        }
    }

    private func longestMatch(in text: UnsafeBufferPointer<UInt8>, at start: Int, root: Int) -> (Int, Int32)? {
        var longest: (Int, Int32)?
        var node: Int? = root
        var position = start + 1
        while let current = node {
            if nodes[current].id >= 0 { longest = (position, nodes[current].id) }
            node = position < text.count ? child(of: current, text[position]) : nil
            position += 1
        }
        return longest
    }
}
