// Blocks of 32 elements with one half-precision scale d and, in the formats ending in 1, a minimum m.
// Four-bit formats keep elements 0–15 in the low nibbles of 16 bytes and elements 16–31 in the high ones.

/// d · q, q a signed byte.
enum Q8_0Format: BlockFormat {
    static var tensorType: GGUFTensorType { .q8_0 }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        let d = half(block)
        let quants = block + 2
        for i in 0..<32 { out[i] = .rounding(Float(Int32(Int8(bitPattern: quants[i]))) * d) }
    }
}

/// d · (q − 8), q of four bits.
enum Q4_0Format: BlockFormat {
    static var tensorType: GGUFTensorType { .q4_0 }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        let d = half(block)
        let nibbles = block + 2
        for i in 0..<16 { out[i] = .rounding(d * Float(Int32(nibbles[i] & 15) &- 8)) }
        for i in 0..<16 { out[i + 16] = .rounding(d * Float(Int32(nibbles[i] >> 4) &- 8)) }
    }
}

/// d · q + m, q of four bits.
enum Q4_1Format: BlockFormat {
    static var tensorType: GGUFTensorType { .q4_1 }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        let (d, m) = (half(block), half(block + 2))
        let nibbles = block + 4
        for i in 0..<16 { out[i] = .rounding(d * Float(Int32(nibbles[i] & 15)) + m) }
        for i in 0..<16 { out[i + 16] = .rounding(d * Float(Int32(nibbles[i] >> 4)) + m) }
    }
}

/// d · (q − 16), q of five bits; the fifth bits of all 32 elements lie in one word.
enum Q5_0Format: BlockFormat {
    static var tensorType: GGUFTensorType { .q5_0 }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        let d = half(block)
        let high = word(block + 2)
        let nibbles = block + 6
        for i in 0..<16 {
            let q = UInt32(nibbles[i] & 15) | ((high >> UInt32(i)) & 1) << 4
            out[i] = .rounding(d * Float(Int32(bitPattern: q) &- 16))
        }
        for i in 0..<16 {
            let q = UInt32(nibbles[i] >> 4) | ((high >> UInt32(i + 16)) & 1) << 4
            out[i + 16] = .rounding(d * Float(Int32(bitPattern: q) &- 16))
        }
    }
}

/// d · q + m, q of five bits.
enum Q5_1Format: BlockFormat {
    static var tensorType: GGUFTensorType { .q5_1 }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        let (d, m) = (half(block), half(block + 2))
        let high = word(block + 4)
        let nibbles = block + 8
        for i in 0..<16 {
            let q = UInt32(nibbles[i] & 15) | ((high >> UInt32(i)) & 1) << 4
            out[i] = .rounding(d * Float(Int32(bitPattern: q)) + m)
        }
        for i in 0..<16 {
            let q = UInt32(nibbles[i] >> 4) | ((high >> UInt32(i + 16)) & 1) << 4
            out[i + 16] = .rounding(d * Float(Int32(bitPattern: q)) + m)
        }
    }
}
