/// A direct-mapped cache from short words to their ids.
///
/// Words of up to 16 bytes with up to three ids, which are nearly all that repeat in running text; a newer word takes
/// the place of an older one. 1 MB.
final class WordCache {
    /// The bytes of a word of 1…16 bytes, packed so that words of equal length are equal where their keys are.
    struct Key: Equatable {
        let low: UInt64
        let high: UInt64
        let length: UInt8

        @inline(__always)
        init(_ bytes: UnsafePointer<UInt8>, count: Int) {
            let raw = UnsafeRawPointer(bytes)
            length = UInt8(truncatingIfNeeded: count)
            if count >= 8 {
                low = raw.loadUnaligned(as: UInt64.self)
                high = raw.loadUnaligned(fromByteOffset: count - 8, as: UInt64.self)
            } else if count >= 4 {
                low = UInt64(raw.loadUnaligned(as: UInt32.self))
                high = UInt64(raw.loadUnaligned(fromByteOffset: count - 4, as: UInt32.self))
            } else {
                low = UInt64(bytes[0]) | UInt64(bytes[count >> 1]) << 8
                high = UInt64(bytes[count - 1])
            }
        }

        @inline(__always)
        var slot: Int {
            let mixed = (low ^ (high &* 0x9E37_79B9_7F4A_7C15) ^ UInt64(length)) &* 0xD6E8_FEB8_6659_FD93
            return Int(truncatingIfNeeded: (mixed ^ mixed >> 32) & UInt64(WordCache.slotCount - 1))
        }
    }

    static let longestWord = 16
    static let mostIDs = 3
    private static let slotCount = 1 << 15

    private struct Entry {
        var low: UInt64 = 0
        var high: UInt64 = 0
        var first: Int32 = 0
        var second: Int32 = 0
        var third: Int32 = 0
        /// 0 marks an empty entry.
        var length: UInt8 = 0
        var count: UInt8 = 0
    }

    private let entries: UnsafeMutablePointer<Entry>

    init() {
        entries = .allocate(capacity: Self.slotCount)
        entries.initialize(repeating: Entry(), count: Self.slotCount)
    }

    deinit { entries.deallocate() }

    /// Appends the ids of a word, or returns `false` where it is not known.
    @inline(__always)
    func appendIDs(of key: Key, slot: Int, to ids: inout [Int32]) -> Bool {
        let entry = entries + slot
        guard entry.pointee.low == key.low, entry.pointee.high == key.high, entry.pointee.length == key.length else {
            return false
        }
        ids.append(entry.pointee.first)
        if entry.pointee.count > 1 {
            ids.append(entry.pointee.second)
            if entry.pointee.count > 2 { ids.append(entry.pointee.third) }
        }
        return true
    }

    func store(_ ids: ArraySlice<Int32>, for key: Key, slot: Int) {
        guard let first = ids.first, ids.count <= Self.mostIDs else { return }
        let start = ids.startIndex
        entries[slot] = Entry(
            low: key.low, high: key.high, first: first, second: ids.count > 1 ? ids[start + 1] : 0,
            third: ids.count > 2 ? ids[start + 2] : 0, length: key.length, count: UInt8(ids.count))
    }
}
