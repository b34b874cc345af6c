/// Floats of four bits in blocks of 32 with an exponent each (MXFP4), two neighbours a byte.
///
/// GGUF's blocks of the same numbers hold their exponent in front and the halves of a block in the halves of its bytes.
enum FourBitFloats {
    /// One sign bit, two of exponent and one of fraction (E2M1).
    private static let values: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]

    /// The numbers of blocks of 16 bytes, into room for 32 of each.
    ///
    /// - Parameter scales: Exponents of two, a byte for each block.
    static func decode(
        _ blocks: UnsafeRawBufferPointer, scales: UnsafeRawBufferPointer, into out: UnsafeMutableBufferPointer<Float>
    ) {
        guard let source = blocks.bindMemory(to: UInt8.self).baseAddress, let target = out.baseAddress,
            let exponents = scales.bindMemory(to: UInt8.self).baseAddress, blocks.count == 16 * scales.count,
            out.count == 32 * scales.count
        else { return }
        // Safe to share: the bytes are only read, and each call writes its own part of the output.
        nonisolated(unsafe) let (from, powers, to) = (source, exponents, target)
        inParallel(scales.count, chunk: 1 << 12) { part in
            values.withUnsafeBufferPointer { values in
                for block in part {
                    let power = EightBitFloats.power(powers[block])
                    for index in 0..<16 {
                        let byte = from[16 * block + index]
                        to[32 * block + 2 * index] = values[Int(byte & 15)] * power
                        to[32 * block + 2 * index + 1] = values[Int(byte >> 4)] * power
                    }
                }
            }
        }
    }
}
