/// A type that dequantised values are written as.
protocol DequantizedElement: BitwiseCopyable, SendableMetatype {
    static func rounding(_ value: Float) -> Self
}

extension Float: DequantizedElement {
    @inline(__always)
    static func rounding(_ value: Float) -> Float { value }
}

/// A bfloat16, as its bit pattern.
struct BFloat16Bits: DequantizedElement {
    let bits: UInt16

    /// Rounds to nearest, ties to even; every NaN becomes the quiet one that PyTorch writes.
    @inline(__always)
    static func rounding(_ value: Float) -> BFloat16Bits {
        let bits = value.bitPattern
        let rounded = (bits &+ (0x7FFF &+ ((bits >> 16) & 1))) >> 16
        return BFloat16Bits(bits: UInt16(truncatingIfNeeded: (bits & 0x7FFF_FFFF) > 0x7F80_0000 ? 0x7FC0 : rounded))
    }
}

/// The value of an IEEE half-precision bit pattern.
///
/// Branch-free, so that loops over it vectorise: the exponent and fraction move to their places in a `Float` whose
/// exponent is then 112 too small, which one exact product mends, for subnormal numbers too. (Swift's `Float16` is
/// missing on some platforms and calls a library routine per element on others.)
@inline(__always)
func float(halfBits half: UInt16) -> Float {
    let magnitude = UInt32(half & 0x7FFF) << 13
    let scaled = (Float(bitPattern: magnitude) * 0x1p112).bitPattern
    let isFinite = magnitude < 0x0F80_0000
    let sign = UInt32(half & 0x8000) << 16
    return Float(bitPattern: sign | (isFinite ? scaled : magnitude | 0x7F80_0000))
}

/// The IEEE half-precision bit pattern nearest to a value, ties to even; beyond the largest it is infinity.
@inline(__always)
func halfBits(_ value: Float) -> UInt16 {
    let sign = UInt16(truncatingIfNeeded: value.bitPattern >> 16) & 0x8000
    let magnitude = value.bitPattern & 0x7FFF_FFFF
    let rounded: UInt32
    if magnitude >= 0x477F_F000 {
        rounded = magnitude > 0x7F80_0000 ? 0x7E00 : 0x7C00
    } else if magnitude < 0x3880_0000 {
        // Next to one half, a float's last bit is the smallest half-precision number.
        rounded = (Float(bitPattern: magnitude) + 0.5).bitPattern - 0x3F00_0000
    } else {
        rounded = (magnitude + 0xFFF + (magnitude >> 13 & 1) - 0x3800_0000) >> 13
    }
    return sign | UInt16(truncatingIfNeeded: rounded)
}
