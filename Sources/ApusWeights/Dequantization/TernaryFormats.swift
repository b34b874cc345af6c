// Blocks of 256 elements that are −1, 0 or 1 times one half-precision scale d.

/// Five elements to a byte, as the digits of a fraction in base three: multiplied by a power of three, its first digit is
/// the product with 3 shifted down by eight bits.
///
/// The digits of 32 bytes are the elements 0–159, those of 16 the next 80, and four of each of the last four the rest.
enum TQ1_0Format: BlockFormat {
    static var tensorType: GGUFTensorType { .tq1_0 }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        let d = half(block + 52)
        digits(block, 32, count: 5, d, into: out)
        digits(block + 32, 16, count: 5, d, into: out + 160)
        digits(block + 48, 4, count: 4, d, into: out + 240)
    }

    @inline(__always)
    private static func digits<Out: DequantizedElement>(
        _ source: UnsafePointer<UInt8>, _ bytes: Int, count: Int, _ d: Float, into out: UnsafeMutablePointer<Out>
    ) {
        var power: UInt8 = 1
        for digit in 0..<count {
            for i in 0..<bytes {
                let value = (UInt16(source[i] &* power) * 3) >> 8
                out[digit * bytes + i] = .rounding(d * Float(Int32(value) - 1))
            }
            power &*= 3
        }
    }
}

/// Two bits each; the four pairs of bits of 32 bytes are four runs of 32 elements.
enum TQ2_0Format: BlockFormat {
    static var tensorType: GGUFTensorType { .tq2_0 }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        let d = half(block + 64)
        for run in 0..<8 {
            let (source, shift) = (block + 32 * (run >> 2), UInt8(run & 3) * 2)
            for i in 0..<32 { out[32 * run + i] = .rounding(d * Float(Int32(source[i] &>> shift & 3) - 1)) }
        }
    }
}
