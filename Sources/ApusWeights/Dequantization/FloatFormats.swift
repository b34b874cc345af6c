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
