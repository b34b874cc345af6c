/// A format that numbers can be brought into.
protocol EncodableFormat: BlockFormat {
    /// Writes the block of the elements at `x` to `block`.
    ///
    /// The elements are finite.
    static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutablePointer<UInt8>)
}

/// Writes a half-precision number, which need not be aligned.
@inline(__always)
func store(half value: Float, at bytes: UnsafeMutablePointer<UInt8>) {
    store(halfBits(value), at: bytes)
}

/// Writes a little-endian word, which need not be aligned.
@inline(__always)
func store<Word: FixedWidthInteger & BitwiseCopyable>(_ word: Word, at bytes: UnsafeMutablePointer<UInt8>) {
    UnsafeMutableRawPointer(bytes).storeBytes(of: word.littleEndian, as: Word.self)
}

extension F32Format: EncodableFormat {
    @inline(__always)
    static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutablePointer<UInt8>) {
        store(x[0].bitPattern, at: block)
    }
}

extension F16Format: EncodableFormat {
    @inline(__always)
    static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutablePointer<UInt8>) {
        store(half: x[0], at: block)
    }
}

extension BF16Format: EncodableFormat {
    @inline(__always)
    static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutablePointer<UInt8>) {
        store(BFloat16Bits.rounding(x[0]).bits, at: block)
    }
}
