/// The merges of a byte-pair encoding: which two tokens become which third, and how early.
struct MergeTable: Sendable {
    /// The rank of a pair that does not merge.
    static let none = UInt32.max
    /// Ranks stay below this to fit the packed keys.
    static let limit = 1 << 22 - 1

    /// Open addressing; left id in bits 43…63, right id in bits 22…42, rank in bits 0…21.
    ///
    /// All ones is empty.
    private var slots: [UInt64]
    private let mask: Int
    private var merged: [Int32] = []

    init(expectedCount: Int) {
        var capacity = 64
        while capacity < expectedCount * 2 { capacity *= 2 }
        slots = [UInt64](repeating: .max, count: capacity)
        mask = capacity - 1
        merged.reserveCapacity(expectedCount)
    }

    var count: Int { merged.count }

    /// The pairs that merge, the first to be merged first.
    var pairs: [(left: Int32, right: Int32)] {
        let ids = UInt64(1 << 21 - 1)
        return slots.filter { $0 != .max }.sorted { $0 & 0x3F_FFFF < $1 & 0x3F_FFFF }.map {
            (Int32(truncatingIfNeeded: $0 >> 43 & ids), Int32(truncatingIfNeeded: $0 >> 22 & ids))
        }
    }

    /// Adds the next merges; of two merges of one pair the later counts, as in `tokenizers`.
    ///
    /// - Precondition: Fewer merges than `expectedCount` and `limit` are there then.
    mutating func append(contentsOf merges: [(left: Int32, right: Int32, result: Int32)]) {
        precondition(merged.count + merges.count <= Self.limit && (merged.count + merges.count) * 2 <= slots.count)
        let size = 64
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: size) { found in
            for start in stride(from: 0, to: merges.count, by: size) {
                let batch = start..<min(start + size, merges.count)
                // Reads that do not depend on each other run side by side; most of the time is spent waiting for memory.
                for index in batch {
                    let key = Self.key(merges[index].left, merges[index].right)
                    found[index - start] = slots[Self.hash(key) & mask]
                }
                for index in batch {
                    let key = Self.key(merges[index].left, merges[index].right)
                    var slot = Self.hash(key) & mask
                    if found[index - start] != .max || slots[slot] != .max {
                        while slots[slot] != .max, slots[slot] >> 22 != key { slot = (slot + 1) & mask }
                    }
                    slots[slot] = key << 22 | UInt64(merged.count)
                    merged.append(merges[index].result)
                }
            }
        }
    }

    @inline(__always)
    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 21 | UInt64(UInt32(bitPattern: right))
    }

    @inline(__always)
    private static func hash(_ key: UInt64) -> Int {
        let mixed = key &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: mixed >> 40 ^ mixed >> 20)
    }

    /// When the pair merges, or `none`.
    @inline(__always)
    func rank(_ left: Int32, _ right: Int32) -> UInt32 {
        let key = Self.key(left, right)
        var slot = Self.hash(key) & mask
        return slots.withUnsafeBufferPointer { slots in
            while true {
                let packed = slots[slot]
                if packed >> 22 == key, packed != .max { return UInt32(truncatingIfNeeded: packed) & 0x3F_FFFF }
                if packed == .max { return Self.none }
                slot = (slot + 1) & mask
            }
        }
    }

    /// What the merge of a rank makes.
    @inline(__always)
    func result(_ rank: UInt32) -> Int32 {
        merged.withUnsafeBufferPointer { $0[Int(rank)] }
    }
}
