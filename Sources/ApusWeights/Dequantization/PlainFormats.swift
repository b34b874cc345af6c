// Formats without blocks: each element stands alone.

enum F32Format: BlockFormat {
    static var tensorType: GGUFTensorType { .f32 }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        out[0] = .rounding(Float(bitPattern: word(block)))
    }
}

enum F16Format: BlockFormat {
    static var tensorType: GGUFTensorType { .f16 }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        out[0] = .rounding(half(block))
    }
}

enum BF16Format: BlockFormat {
    static var tensorType: GGUFTensorType { .bf16 }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        out[0] = .rounding(Float(bitPattern: (UInt32(block[0]) | UInt32(block[1]) << 8) << 16))
    }
}
