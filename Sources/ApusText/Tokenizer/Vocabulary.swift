/// The tokens of a model, by id and by their bytes.
///
/// Tokens are compared byte by byte: `String` would treat canonically equal spellings as one token.
struct Vocabulary: Sendable {
    /// Ids below this fit into the merge table's packed keys; the largest vocabularies in use are a tenth of it.
    static let idLimit = 1 << 21

    /// Spellings together are shorter than this, so that their places fit into 32 bits.
    static let byteLimit = Int(Int32.max)

    /// Where a token lies in `bytes`; an empty slot has length -1.
    private struct Place {
        static let none = Place(start: 0, length: -1)

        var start: UInt32
        var length: Int32

        var range: Range<Int> { Int(start)..<Int(start) + Int(length) }
    }

    private var bytes: [UInt8] = []
    /// Per id.
    private var places: [Place] = []
    /// Open addressing: an id in bits 0…20, above it some bits of its token's hash; all ones is empty.
    ///
    /// Most tokens that only share a slot are told apart without a look at their bytes, and the whole table stays near
    /// the processor.
    private var slots: [UInt32]
    /// Tokens that are stored and have no slot yet.
    private var waiting: [(hash: UInt64, id: Int32)] = []
    /// Whether tokens of different ids are spelled alike.
    private(set) var hasEquals = false
    /// How many tokens there are.
    private(set) var count = 0

    init(expectedCount: Int) {
        let expectedCount = max(16, min(expectedCount, Self.idLimit))
        slots = [UInt32](repeating: Self.empty, count: Self.capacity(for: expectedCount))
        bytes.reserveCapacity(expectedCount * 8)
        places.reserveCapacity(expectedCount)
        waiting.reserveCapacity(Self.batchSize)
    }

    private static let empty = UInt32.max
    private static let batchSize = 64
    private static let idMask = UInt32(idLimit - 1)

    /// The bits of a hash that are kept beside an id; never all ones, which would look like an empty slot.
    private static func tag(_ hash: UInt64) -> UInt32 {
        let bits = UInt32(truncatingIfNeeded: hash >> 32) & ~idMask
        return bits == ~idMask ? 0 : bits
    }

    private static func id(in slot: UInt32) -> Int32 { Int32(bitPattern: slot & idMask) }

    private static func capacity(for count: Int) -> Int {
        var capacity = 64
        while capacity * 3 / 4 < count { capacity *= 2 }
        return capacity
    }

    /// One more than the largest id.
    var idBound: Int { places.count }

    /// Whether there is room for one more spelling.
    func hasRoom(for token: UnsafeBufferPointer<UInt8>) -> Bool { bytes.count + token.count < Self.byteLimit }

    /// Adds a token, or gives a known token another id, as the last of two equal keys in a JSON object wins.
    ///
    /// - Parameters:
    ///   - id: 0 or more, below `idLimit`.
    ///   - keepsEquals: Whether the other id of a known token keeps its spelling.
    /// - Precondition: There is room for it.
    /// - Returns: Whether the id was free; if not, nothing changes.
    mutating func insert(_ token: UnsafeBufferPointer<UInt8>, id: Int32, keepsEquals: Bool = false) -> Bool {
        if isTaken(id) { return isToken(id, token) }
        store(token, id)
        if count + 1 > slots.count * 3 / 4 { grow() }
        link(id, Self.hash(token), keepsEquals: keepsEquals)
        return true
    }

    /// The same, but the slot is looked for together with those of the next tokens, as most of the time of many tokens is
    /// spent waiting for memory.
    ///
    /// - Postcondition: The token is not found by its spelling before `settle` was called.
    mutating func insertLater(_ token: UnsafeBufferPointer<UInt8>, id: Int32) -> Bool {
        if isTaken(id) {
            // An equal token may free it.
            settle()
            return insert(token, id: id)
        }
        store(token, id)
        waiting.append((Self.hash(token), id))
        if waiting.count == Self.batchSize { settle() }
        return true
    }

    /// Gives slots to the tokens that wait for them.
    mutating func settle() {
        while count + waiting.count > slots.count * 3 / 4 { grow() }
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: Self.batchSize) { found in
            let mask = slots.count - 1
            // Reads that do not depend on each other run side by side.
            for (index, entry) in waiting.enumerated() {
                found[index] = slots[Int(truncatingIfNeeded: entry.hash) & mask]
            }
            for (index, entry) in waiting.enumerated() {
                let slot = Int(truncatingIfNeeded: entry.hash) & mask
                if found[index] == Self.empty, slots[slot] == Self.empty {
                    fill(slot, entry.id, entry.hash)
                } else {
                    link(entry.id, entry.hash, keepsEquals: false)
                }
            }
        }
        waiting.removeAll(keepingCapacity: true)
    }

    private func isTaken(_ id: Int32) -> Bool { Int(id) < places.count && places[Int(id)].length >= 0 }

    private mutating func store(_ token: UnsafeBufferPointer<UInt8>, _ id: Int32) {
        let place = Place(start: UInt32(bytes.count), length: Int32(token.count))
        bytes.append(contentsOf: token)
        put(id, at: place)
    }

    /// Looks for the slot of a stored token, where an equal one may be.
    private mutating func link(_ id: Int32, _ hash: UInt64, keepsEquals: Bool) {
        let tag = Self.tag(hash)
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] != Self.empty {
            let old = Self.id(in: slots[slot])
            if slots[slot] & ~Self.idMask == tag, areEqual(old, id) {
                if keepsEquals {
                    count += 1
                    hasEquals = true
                } else {
                    places[Int(old)] = .none
                }
                slots[slot] = tag | UInt32(bitPattern: id)
                return
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        fill(slot, id, hash)
    }

    @inline(__always)
    private mutating func fill(_ slot: Int, _ id: Int32, _ hash: UInt64) {
        slots[slot] = Self.tag(hash) | UInt32(bitPattern: id)
        count += 1
    }

    private func areEqual(_ first: Int32, _ second: Int32) -> Bool {
        bytes.withUnsafeBufferPointer { isToken(first, UnsafeBufferPointer(rebasing: $0[places[Int(second)].range])) }
    }

    private mutating func put(_ id: Int32, at place: Place) {
        if places.count == Int(id) { return places.append(place) }
        while places.count <= Int(id) { places.append(.none) }
        places[Int(id)] = place
    }

    private mutating func grow() {
        let old = slots
        slots = [UInt32](repeating: Self.empty, count: old.count * 2)
        for entry in old where entry != Self.empty {
            let place = places[Int(Self.id(in: entry))]
            let hash = bytes.withUnsafeBufferPointer { Self.hash(UnsafeBufferPointer(rebasing: $0[place.range])) }
            var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
            while slots[slot] != Self.empty { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = entry
        }
    }

    func id(of token: UnsafeBufferPointer<UInt8>) -> Int32? {
        let hash = Self.hash(token)
        let tag = Self.tag(hash)
        return slots.withUnsafeBufferPointer { slots in
            var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
            while slots[slot] != Self.empty {
                if slots[slot] & ~Self.idMask == tag, isToken(Self.id(in: slots[slot]), token) {
                    return Self.id(in: slots[slot])
                }
                slot = (slot + 1) & (slots.count - 1)
            }
            return nil
        }
    }

    func id(of token: [UInt8]) -> Int32? { token.withUnsafeBufferPointer { id(of: $0) } }

    /// The same with a guess, which costs little where it is right.
    @inline(__always)
    func id(of token: UnsafeBufferPointer<UInt8>, guess: Int32) -> Int32? {
        let isRight = places.indices.contains(Int(guess)) && isToken(guess, token)
        return isRight ? guess : id(of: token)
    }

    /// The bytes of a token's spelling.
    func token(of id: Int32) -> ArraySlice<UInt8>? {
        let index = Int(id)
        guard places.indices.contains(index), places[index].length >= 0 else { return nil }
        return bytes[places[index].range]
    }

    @inline(__always)
    private func isToken(_ id: Int32, _ token: UnsafeBufferPointer<UInt8>) -> Bool {
        let place = places.withUnsafeBufferPointer { $0[Int(id)] }
        guard Int(place.length) == token.count else { return false }
        return bytes.withUnsafeBufferPointer { bytes in
            for offset in 0..<token.count where bytes[Int(place.start) + offset] != token[offset] { return false }
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
