/// A set of Unicode scalars as ranges in order, none of which touch.
struct ScalarSet: Equatable {
    private(set) var ranges: [ClosedRange<UInt32>]

    static let all = ScalarSet([0...0xD7FF, 0xE000...0x10FFFF])
    static let digits = ScalarSet([0x30...0x39])
    static let word = ScalarSet([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
    static let space = ScalarSet([0x09...0x0D, 0x20...0x20])
    static let controls = ScalarSet([0...0x1F])

    init(_ ranges: [ClosedRange<UInt32>]) {
        var joined: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = joined.last, range.lowerBound <= last.upperBound &+ 1 {
                joined[joined.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
        self.ranges = joined
    }

    init(_ scalar: Unicode.Scalar) { self.init([scalar.value...scalar.value]) }

    var isEmpty: Bool { ranges.isEmpty }

    func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

    func subtracting(_ other: ScalarSet) -> ScalarSet {
        ScalarSet(
            other.ranges.reduce(ranges) { left, cut in
                left.flatMap { range -> [ClosedRange<UInt32>] in
                    guard range.overlaps(cut) else { return [range] }
                    var parts: [ClosedRange<UInt32>] = []
                    if range.lowerBound < cut.lowerBound { parts.append(range.lowerBound...cut.lowerBound - 1) }
                    if range.upperBound > cut.upperBound { parts.append(cut.upperBound + 1...range.upperBound) }
                    return parts
                }
            })
    }

    func intersection(_ other: ScalarSet) -> ScalarSet { subtracting(ScalarSet.all.subtracting(other)) }

    var inverted: ScalarSet { ScalarSet.all.subtracting(self) }

    // MARK: - UTF-8

    /// The scalars as their bytes in UTF-8.
    var pattern: ByteGrammar.Pattern { .choice(ranges.flatMap(Self.encoded)) }

    /// A range of scalars as sequences of ranges of bytes: it is cut where the number of bytes changes, and where a byte does
    /// not go through all its values.
    private static func encoded(_ range: ClosedRange<UInt32>) -> [ByteGrammar.Pattern] {
        for limit in [0x7F, 0x7FF, 0xFFFF] as [UInt32] where range.contains(limit) && range.upperBound > limit {
            return encoded(range.lowerBound...limit) + encoded(limit + 1...range.upperBound)
        }
        if range.upperBound > 0x7F {
            for bits in [6, 12, 18] as [UInt32] {
                let mask = UInt32(1) << bits - 1
                guard range.lowerBound & ~mask != range.upperBound & ~mask else { break }
                if range.lowerBound & mask != 0 {
                    let end = range.lowerBound | mask
                    return encoded(range.lowerBound...end) + encoded(end + 1...range.upperBound)
                }
                if range.upperBound & mask != mask {
                    let start = range.upperBound & ~mask
                    return encoded(range.lowerBound...start - 1) + encoded(start...range.upperBound)
                }
            }
        }
        let (first, last) = (bytes(range.lowerBound), bytes(range.upperBound))
        return [.sequence(zip(first, last).map { .byte($0...$1) })]
    }

    private static func bytes(_ value: UInt32) -> [UInt8] {
        Unicode.Scalar(value).map { Array(String($0).utf8) } ?? []
    }
}
