/// SplitMix64 (Steele, Lea and Flood, 2014) as a counter-based generator: word `n` of a stream depends on nothing but
/// the key and `n`.
package struct SplitMix64 {
    private static let gamma: UInt64 = 0x9E37_79B9_7F4A_7C15
    private var counter: UInt64

    /// A stream keyed by two numbers; streams of different keys start at unrelated places.
    package init(_ first: UInt64, _ second: UInt64) {
        counter = Self.mix((Self.mix(first &+ Self.gamma) ^ second) &+ Self.gamma)
    }

    package mutating func next() -> UInt64 {
        counter &+= Self.gamma
        return Self.mix(counter)
    }

    /// A number in `0..<bound`, without bias (Lemire, 2019).
    package mutating func next(below bound: UInt64) -> UInt64 {
        var product = next().multipliedFullWidth(by: bound)
        if product.low < bound {
            let threshold = (0 &- bound) % bound
            while product.low < threshold { product = next().multipliedFullWidth(by: bound) }
        }
        return product.high
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var word = value
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }
}
