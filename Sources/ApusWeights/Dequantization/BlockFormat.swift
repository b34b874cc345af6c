/// A storage format whose elements come in blocks of a fixed size.
protocol BlockFormat: SendableMetatype {
    static var tensorType: GGUFTensorType { get }

    /// Writes the elements of the block at `block` to `out`.
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>)
}

/// The half-precision number at `bytes`, which need not be aligned.
@inline(__always)
func half(_ bytes: UnsafePointer<UInt8>) -> Float {
    float(halfBits: UInt16(bytes[0]) | UInt16(bytes[1]) << 8)
}

/// The little-endian word at `bytes`, which need not be aligned.
@inline(__always)
func word(_ bytes: UnsafePointer<UInt8>) -> UInt32 {
    UInt32(littleEndian: UnsafeRawPointer(bytes).loadUnaligned(as: UInt32.self))
}
