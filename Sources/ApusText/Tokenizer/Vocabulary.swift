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
    /// Open addressing: the upper half of a token's hash and below it the id; all ones is empty.
    ///
    /// Most tokens that only share a slot are told apart without a look at their bytes.
    private var slots: [UInt64]
    /// How many different tokens there are.
    private(set) var count = 0

    init(expectedCount: Int) {
        let expectedCount = max(16, min(expectedCount, Self.idLimit))
        slots = [UInt64](repeating: Self.empty, count: Self.capacity(for: expectedCount))
        bytes.reserveCapacity(expectedCount * 8)
        starts.reserveCapacity(expectedCount)
        lengths.reserveCapacity(expectedCount)
    }

    private static let empty = UInt64.max

    private static func packed(_ hash: UInt64, _ id: Int32) -> UInt64 {
        hash & ~0xFFFF_FFFF | UInt64(UInt32(bitPattern: id))
    }

    private static func id(in slot: UInt64) -> Int32 { Int32(truncatingIfNeeded: slot) }

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
        let hash = Self.hash(token)
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] != Self.empty {
            if (slots[slot] ^ hash) >> 32 == 0, isToken(Self.id(in: slots[slot]), token) {
                let old = Int(Self.id(in: slots[slot]))
                let start = starts[old]
                lengths[old] = -1
                slots[slot] = Self.packed(hash, id)
                place(id, start: start, length: Int32(token.count))
                return true
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        slots[slot] = Self.packed(hash, id)
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
        slots = [UInt64](repeating: Self.empty, count: slots.count * 2)
        for id in starts.indices where lengths[id] >= 0 {
            let hash = withToken(Int32(id), Self.hash)
            var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
            while slots[slot] != Self.empty { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = Self.packed(hash, Int32(id))
        }
    }

    func id(of token: UnsafeBufferPointer<UInt8>) -> Int32? {
        let hash = Self.hash(token)
        return slots.withUnsafeBufferPointer { slots in
            var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
            while slots[slot] != Self.empty {
                if (slots[slot] ^ hash) >> 32 == 0, isToken(Self.id(in: slots[slot]), token) {
                    return Self.id(in: slots[slot])
                }
                slot = (slot + 1) & (slots.count - 1)
            }
            return nil
        }
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

    /// Multiplies in eight bytes at a time, the last of them filled up with zeros.
    private static func hash(_ token: UnsafeBufferPointer<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325 ^ UInt64(token.count)
        let raw = UnsafeRawBufferPointer(token)
        var offset = 0
        while offset + 8 <= raw.count {
            hash = (hash ^ raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 29
            offset += 8
        }
        var rest: UInt64 = 0
        while offset < raw.count {
            rest = rest << 8 | UInt64(raw[offset])
            offset += 1
        }
        hash = (hash ^ rest) &* 0x9E37_79B9_7F4A_7C15
        return hash ^ hash >> 32
    }
}
