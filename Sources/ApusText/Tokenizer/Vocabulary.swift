/// The tokens of a model, by id and by their bytes.
///
/// Tokens are compared byte by byte: `String` would treat canonically equal spellings as one token.
struct Vocabulary: Sendable {
    /// Ids below this fit into the merge table's packed keys; the largest vocabularies in use are a tenth of it.
    static let idLimit = 1 << 21

    private var bytes: [UInt8] = []
    /// Per id, where its token lies in `bytes`; an empty slot has length -1.
    private var starts: [Int] = []
    private var lengths: [Int32] = []
    /// Open addressing, ids by the hash of their tokens; -1 is empty.
    private var slots: [Int32]
    /// How many different tokens there are.
    private(set) var count = 0

    init(expectedCount: Int) {
        let expectedCount = max(16, min(expectedCount, Self.idLimit))
        slots = [Int32](repeating: -1, count: Self.capacity(for: expectedCount))
        bytes.reserveCapacity(expectedCount * 8)
        starts.reserveCapacity(expectedCount)
        lengths.reserveCapacity(expectedCount)
    }

    private static func capacity(for count: Int) -> Int {
        var capacity = 64
        while capacity < count * 2 { capacity *= 2 }
        return capacity
    }

    /// One more than the largest id.
    var idBound: Int { starts.count }

    /// Adds a token, or gives a known token another id, as the last of two equal keys in a JSON object wins.
    ///
    /// - Parameter id: 0 or more, below `idLimit`.
    /// - Returns: Whether the id was free; if not, nothing changes.
    mutating func insert(_ token: UnsafeBufferPointer<UInt8>, id: Int32) -> Bool {
        let isTaken = Int(id) < lengths.count && lengths[Int(id)] >= 0
        if isTaken { return isToken(id, token) }
        if (count + 1) * 2 > slots.count { grow() }
        var slot = Int(truncatingIfNeeded: Self.hash(token)) & (slots.count - 1)
        while slots[slot] >= 0 {
            if isToken(slots[slot], token) {
                let old = Int(slots[slot])
                let start = starts[old]
                lengths[old] = -1
                slots[slot] = id
                place(id, start: start, length: Int32(token.count))
                return true
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        slots[slot] = id
        count += 1
        let start = bytes.count
        bytes.append(contentsOf: token)
        place(id, start: start, length: Int32(token.count))
        return true
    }

    private mutating func place(_ id: Int32, start: Int, length: Int32) {
        while starts.count <= Int(id) {
            starts.append(0)
            lengths.append(-1)
        }
        starts[Int(id)] = start
        lengths[Int(id)] = length
    }

    private mutating func grow() {
        slots = [Int32](repeating: -1, count: slots.count * 2)
        for id in starts.indices where lengths[id] >= 0 {
            var slot = withToken(Int32(id)) { Int(truncatingIfNeeded: Self.hash($0)) } & (slots.count - 1)
            while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = Int32(id)
        }
    }

    func id(of token: UnsafeBufferPointer<UInt8>) -> Int32? {
        var slot = Int(truncatingIfNeeded: Self.hash(token)) & (slots.count - 1)
        while slots[slot] >= 0 {
            if isToken(slots[slot], token) { return slots[slot] }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    func id(of token: [UInt8]) -> Int32? { token.withUnsafeBufferPointer { id(of: $0) } }

    /// The bytes of a token's spelling.
    func token(of id: Int32) -> ArraySlice<UInt8>? {
        let index = Int(id)
        guard starts.indices.contains(index), lengths[index] >= 0 else { return nil }
        return bytes[starts[index]..<starts[index] + Int(lengths[index])]
    }

    private func withToken<Result>(_ id: Int32, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        let index = Int(id)
        return bytes.withUnsafeBufferPointer {
            body(UnsafeBufferPointer(rebasing: $0[starts[index]..<starts[index] + Int(lengths[index])]))
        }
    }

    @inline(__always)
    private func isToken(_ id: Int32, _ token: UnsafeBufferPointer<UInt8>) -> Bool {
        let index = Int(id)
        guard Int(lengths[index]) == token.count else { return false }
        let start = starts[index]
        return bytes.withUnsafeBufferPointer { bytes in
            for offset in 0..<token.count where bytes[start + offset] != token[offset] { return false }
            return true
        }
    }

    /// Multiplies in eight bytes at a time, then the rest one by one.
    private static func hash(_ token: UnsafeBufferPointer<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325 ^ UInt64(token.count)
        let raw = UnsafeRawBufferPointer(token)
        var offset = 0
        while offset + 8 <= raw.count {
            hash = (hash ^ raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 29
            offset += 8
        }
        while offset < raw.count {
            hash = (hash ^ UInt64(raw[offset])) &* 0x0000_0100_0000_01B3
            offset += 1
        }
        return hash ^ hash >> 32
    }
}
