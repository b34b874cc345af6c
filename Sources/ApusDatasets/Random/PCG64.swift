/// `numpy.random.default_rng(seed)`, as far as `datasets` uses it to shuffle and split.
///
/// PCG XSL-RR 128/64 (O'Neill, 2014), seeded through NumPy's `SeedSequence`. The 128-bit state is kept in two words
/// because `UInt128` needs a newer macOS than Apus does.
struct PCG64 {
    private struct Wide {
        var high: UInt64
        var low: UInt64

        static func + (lhs: Wide, rhs: Wide) -> Wide {
            let (low, carry) = lhs.low.addingReportingOverflow(rhs.low)
            return Wide(high: lhs.high &+ rhs.high &+ (carry ? 1 : 0), low: low)
        }

        static func * (lhs: Wide, rhs: Wide) -> Wide {
            let product = lhs.low.multipliedFullWidth(by: rhs.low)
            return Wide(high: product.high &+ lhs.high &* rhs.low &+ lhs.low &* rhs.high, low: product.low)
        }
    }

    private static let multiplier = Wide(high: 0x2360_ED05_1FC6_5DA4, low: 0x4385_DF64_9FCC_F645)
    private var state: Wide
    private let increment: Wide
    private var storedHalf: UInt32?

    init(seed: UInt32) {
        let words = SeedSequence(seed: seed).words(4)
        increment = Wide(high: words[2] << 1 | words[3] >> 63, low: words[3] << 1 | 1)
        state = increment + Wide(high: words[0], low: words[1])
        state = state * Self.multiplier + increment
    }

    /// `permutation(count)`: Fisher–Yates from the end, positions drawn by masked rejection.
    mutating func permutation(_ count: Int) -> [Int] {
        var indices = Array(0..<count)
        for last in stride(from: count - 1, to: 0, by: -1) {
            indices.swapAt(last, Int(below(UInt32(truncatingIfNeeded: last))))
        }
        return indices
    }

    /// `random()`: a number from 0 below 1.
    mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    private mutating func next() -> UInt64 {
        state = state * Self.multiplier + increment
        let rotation = state.high >> 58
        let word = state.high ^ state.low
        return word >> rotation | word << ((64 - rotation) & 63)
    }

    private mutating func nextHalf() -> UInt32 {
        if let half = storedHalf {
            storedHalf = nil
            return half
        }
        let word = next()
        storedHalf = UInt32(word >> 32)
        return UInt32(truncatingIfNeeded: word)
    }

    /// A number in `0...maximum`.
    private mutating func below(_ maximum: UInt32) -> UInt32 {
        let mask = UInt32.max >> UInt32(maximum.leadingZeroBitCount)
        while true {
            let candidate = nextHalf() & mask
            if candidate <= maximum { return candidate }
        }
    }
}

/// NumPy's `SeedSequence` for a seed of one 32-bit word.
private struct SeedSequence {
    private var pool: [UInt32]

    init(seed: UInt32) {
        var constant: UInt32 = 0x43B0_D7E5
        func hash(_ input: UInt32) -> UInt32 {
            var value = input ^ constant
            constant = constant &* 0x931E_8875
            value = value &* constant
            return value ^ value >> 16
        }
        func mix(_ x: UInt32, _ y: UInt32) -> UInt32 {
            let value = 0xCA01_F9DD &* x &- 0x4973_F715 &* y
            return value ^ value >> 16
        }
        pool = [seed, 0, 0, 0].map(hash)
        for source in 0..<4 {
            for target in 0..<4 where target != source {
                pool[target] = mix(pool[target], hash(pool[source]))
            }
        }
    }

    /// `generate_state(count, numpy.uint64)`.
    func words(_ count: Int) -> [UInt64] {
        var constant: UInt32 = 0x8B51_F9DD
        let halves = (0..<2 * count).map { index in
            var value = pool[index % 4] ^ constant
            constant = constant &* 0x58F3_8DED
            value = value &* constant
            return value ^ value >> 16
        }
        return (0..<count).map { UInt64(halves[2 * $0]) | UInt64(halves[2 * $0 + 1]) << 32 }
    }
}
