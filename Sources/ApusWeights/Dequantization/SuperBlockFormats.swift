// "K" formats: super-blocks of 256 elements whose sub-blocks have small integer scales, themselves scaled by
// half-precision numbers.

/// Scale and minimum of sub-block `index` (0–7), six bits each, packed into 12 bytes: the first four of each lie in the
/// low six bits of bytes 0–3 and 4–7; of the last four, the low nibbles lie in bytes 8–11 and the upper two bits on top
/// of bytes 0–7.
@inline(__always)
private func scaleAndMinimum(_ packed: UnsafePointer<UInt8>, _ index: Int) -> (scale: Float, minimum: Float) {
    if index < 4 {
        return (Float(Int32(packed[index] & 63)), Float(Int32(packed[index + 4] & 63)))
    }
    let scale = packed[index + 4] & 15 | (packed[index - 4] >> 6) << 4
    let minimum = packed[index + 4] >> 4 | (packed[index] >> 6) << 4
    return (Float(Int32(scale)), Float(Int32(minimum)))
}

/// (d · scale) · q − (dmin · minimum), q of two bits, in 16 sub-blocks of 16 with four bits for each scale and minimum.
///
/// The four pairs of bits of 32 bytes are four runs of 32 elements.
enum Q2_KFormat: BlockFormat {
    static var tensorType: GGUFTensorType { .q2_K }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        let (d, dmin) = (half(block + 80), half(block + 82))
        for sub in 0..<16 {
            let scale = d * Float(Int32(block[sub] & 15))
            let minimum = dmin * Float(Int32(block[sub] >> 4))
            let (run, side) = (sub >> 1, sub & 1)
            let (source, shift) = (block + 16 + 32 * (run >> 2) + 16 * side, UInt8(run & 3) * 2)
            let destination = out + 16 * sub
            for i in 0..<16 { destination[i] = .rounding(scale * Float(Int32(source[i] &>> shift & 3)) - minimum) }
        }
    }
}

/// d · (scale − 32) · (q − 4), q of three bits, in 16 sub-blocks of 16 with scales of six bits.
///
/// Two bits of each element lie as in Q2_K, the third is bit k of byte i for element i of run k. Of the scales, the low
/// nibbles of eight bytes and then their high ones are the low four bits; the pairs of bits of four more the upper two.
enum Q3_KFormat: BlockFormat {
    static var tensorType: GGUFTensorType { .q3_K }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        let d = half(block + 108)
        let packed = block + 96
        for sub in 0..<16 {
            let low = packed[sub & 7] &>> (UInt8(sub >> 3) * 4) & 15
            let high = packed[8 + (sub & 3)] &>> (UInt8(sub >> 2) * 2) & 3
            let scale = d * Float(Int32(low | high << 4) - 32)
            let (run, side) = (sub >> 1, sub & 1)
            let (source, shift) = (block + 32 + 32 * (run >> 2) + 16 * side, UInt8(run & 3) * 2)
            let third = block + 16 * side
            let destination = out + 16 * sub
            for i in 0..<16 {
                let q = source[i] &>> shift & 3 | (third[i] &>> UInt8(run) & 1) << 2
                destination[i] = .rounding(scale * Float(Int32(q) - 4))
            }
        }
    }
}

/// (d · scale) · q − (dmin · minimum), q of four bits, in 8 sub-blocks of 32.
///
/// Each 32 bytes hold one sub-block in their low nibbles and the next in their high ones.
enum Q4_KFormat: BlockFormat {
    static var tensorType: GGUFTensorType { .q4_K }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        let (d, dmin) = (half(block), half(block + 2))
        for pair in 0..<4 {
            let nibbles = block + 16 + 32 * pair
            let low = scaleAndMinimum(block + 4, 2 * pair)
            let high = scaleAndMinimum(block + 4, 2 * pair + 1)
            let (lowScale, lowMinimum) = (d * low.scale, dmin * low.minimum)
            let (highScale, highMinimum) = (d * high.scale, dmin * high.minimum)
            let destination = out + 64 * pair
            for i in 0..<32 { destination[i] = .rounding(lowScale * Float(Int32(nibbles[i] & 15)) - lowMinimum) }
            for i in 0..<32 { destination[i + 32] = .rounding(highScale * Float(Int32(nibbles[i] >> 4)) - highMinimum) }
        }
    }
}

/// As Q4_K with a fifth bit: bit k of byte i belongs to element i of sub-block k.
enum Q5_KFormat: BlockFormat {
    static var tensorType: GGUFTensorType { .q5_K }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        let (d, dmin) = (half(block), half(block + 2))
        let fifthBits = block + 16
        for pair in 0..<4 {
            let nibbles = block + 48 + 32 * pair
            let low = scaleAndMinimum(block + 4, 2 * pair)
            let high = scaleAndMinimum(block + 4, 2 * pair + 1)
            let (lowScale, lowMinimum) = (d * low.scale, dmin * low.minimum)
            let (highScale, highMinimum) = (d * high.scale, dmin * high.minimum)
            let (lowShift, highShift) = (UInt8(2 * pair), UInt8(2 * pair + 1))
            let destination = out + 64 * pair
            for i in 0..<32 {
                let q = nibbles[i] & 15 | (fifthBits[i] &>> lowShift & 1) << 4
                destination[i] = .rounding(lowScale * Float(Int32(q)) - lowMinimum)
            }
            for i in 0..<32 {
                let q = nibbles[i] >> 4 | (fifthBits[i] &>> highShift & 1) << 4
                destination[i + 32] = .rounding(highScale * Float(Int32(q)) - highMinimum)
            }
        }
    }
}

/// (d · scale) · (q − 32), q of six bits, with a signed byte as scale for every 16 elements.
///
/// Each half of 128 elements is four groups of 32: the low four bits of groups 0 and 1 are the low nibbles of 64 bytes,
/// those of groups 2 and 3 the high ones; the upper two bits of all groups share 32 bytes.
enum Q6_KFormat: BlockFormat {
    static var tensorType: GGUFTensorType { .q6_K }

    @inline(__always)
    static func decode<Out: DequantizedElement>(_ block: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>) {
        let d = half(block + 208)
        for group in 0..<8 {
            let (side, place) = (group >> 2, group & 3)
            let low = block + 64 * side + 32 * (place & 1)
            let high = block + 128 + 32 * side
            let (lowShift, highShift) = (UInt8(place >> 1) * 4, UInt8(place) * 2)
            for sub in 0..<2 {
                let scale = d * Float(Int32(Int8(bitPattern: block[192 + 2 * group + sub])))
                let destination = out + 32 * group + 16 * sub
                let (low, high) = (low + 16 * sub, high + 16 * sub)
                for i in 0..<16 {
                    let q = low[i] &>> lowShift & 15 | (high[i] &>> highShift & 3) << 4
                    destination[i] = .rounding(scale * Float(Int32(q) &- 32))
                }
            }
        }
    }
}
