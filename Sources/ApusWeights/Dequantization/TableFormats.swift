// Four-bit formats whose codes name entries of a table. The low nibbles of a run of bytes hold the first half of its
// elements, the high nibbles the second.

/// The values that the codes of IQ4 stand for: close together around zero, where most weights lie.
private let nonlinear = SIMD16<Int8>(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)

/// Twice the values of a float with one sign bit, two of exponent and one of fraction (E2M1, OCP Microscaling Formats).
private let doubledE2M1 = SIMD16<Int8>(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)

@inline(__always)
private func decode<Out: DequantizedElement>(
    _ nibbles: UnsafePointer<UInt8>, _ bytes: Int, scale: Float, table: SIMD16<Int8>,
    into out: UnsafeMutablePointer<Out>
) {
    for i in 0..<bytes { out[i] = .rounding(scale * Float(table[Int(nibbles[i] & 15)])) }
    for i in 0..<bytes { out[i + bytes] = .rounding(scale * Float(table[Int(nibbles[i] >> 4)])) }
}

/// d · table[q], q of four bits, in blocks of 32.
enum IQ4_NLFormat: BlockFormat {
    static var tensorType: GGUFTensorType { .iq4_NL }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        ApusWeights.decode(block + 2, 16, scale: half(block), table: nonlinear, into: out)
    }
}

/// d · (scale − 32) · table[q] in 8 sub-blocks of 32.
///
/// Of the six bits of a scale the low four are nibbles of four bytes, the upper two share a word.
enum IQ4_XSFormat: BlockFormat {
    static var tensorType: GGUFTensorType { .iq4_XS }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        let d = half(block)
        let upper = UInt16(block[2]) | UInt16(block[3]) << 8
        for sub in 0..<8 {
            let low = block[4 + sub / 2] &>> UInt8(sub % 2 * 4) & 15
            let high = UInt8(truncatingIfNeeded: upper &>> UInt16(2 * sub) & 3)
            let scale = d * Float(Int32(low | high << 4) - 32)
            ApusWeights.decode(block + 8 + 16 * sub, 16, scale: scale, table: nonlinear, into: out + 32 * sub)
        }
    }
}

/// 2^(e − 127) · E2M1 in blocks of 32, e a byte.
enum MXFP4Format: BlockFormat {
    static var tensorType: GGUFTensorType { .mxfp4 }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        let exponent = UInt32(block[0])
        // Half the scale, as the table is doubled; the smallest two are subnormal.
        let scale = Float(bitPattern: exponent < 2 ? 0x20_0000 << exponent : (exponent - 1) << 23)
        ApusWeights.decode(block + 1, 16, scale: scale, table: doubledE2M1, into: out)
    }
}

/// scale · E2M1 in four sub-blocks of 16, each scale a float of four exponent bits and three of fraction without a sign.
enum NVFP4Format: BlockFormat {
    static var tensorType: GGUFTensorType { .nvfp4 }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        for sub in 0..<4 {
            ApusWeights.decode(
                block + 4 + 8 * sub, 8, scale: halfScale(block[sub]), table: doubledE2M1, into: out + 16 * sub)
        }
    }

    /// Half the scale; the pattern of all ones is none.
    @inline(__always)
    private static func halfScale(_ byte: UInt8) -> Float {
        guard byte != 0x7F else { return 0 }
        let (exponent, fraction) = (Int(byte >> 3 & 15), Float(Int32(byte & 7)))
        return exponent == 0
            ? fraction * 0x1p-10 : Float(sign: .plus, exponent: exponent - 8, significand: 1 + fraction / 8)
    }
}
