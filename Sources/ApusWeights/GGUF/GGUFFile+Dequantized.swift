extension GGUFFile {
    /// The elements of the tensor called `name` as numbers, row-major.
    ///
    /// The values are those of PyPI `gguf`'s `dequantize`, bit for bit.
    ///
    /// - Throws: `WeightsError` when there is no such tensor or its type cannot be dequantised.
    package func dequantized(_ name: String) throws -> [Float] {
        try dequantized(tensor(named: name))
    }

    /// Writes the elements of the tensor called `name` to `out`, whose count must be the tensor's.
    package func dequantize(_ name: String, into out: UnsafeMutableBufferPointer<Float>) throws {
        try dequantize(tensor(named: name), into: out.baseAddress, count: out.count)
    }

    /// As `dequantize`, with every number rounded to bfloat16 (nearest, ties to even) and written as its bit pattern:
    /// no copy in full precision is ever made.
    package func dequantizeBFloat16(_ name: String, into out: UnsafeMutableBufferPointer<UInt16>) throws {
        try out.withMemoryRebound(to: BFloat16Bits.self) {
            try dequantize(tensor(named: name), into: $0.baseAddress, count: $0.count)
        }
    }

    func dequantized(_ tensor: GGUFTensor, sourceRow: (@Sendable (Int) -> Int)? = nil) throws -> [Float] {
        try Array(unsafeUninitializedCapacity: tensor.elementCount) { buffer, count in
            try dequantize(tensor, into: buffer.baseAddress, count: tensor.elementCount, sourceRow: sourceRow)
            count = tensor.elementCount
        }
    }

    /// - Parameter sourceRow: For each row of the output the row of the file, where they differ. Rows are counted along
    ///   the first dimension.
    func dequantize<Out: DequantizedElement>(
        _ tensor: GGUFTensor, into out: UnsafeMutablePointer<Out>?, count: Int,
        sourceRow: (@Sendable (Int) -> Int)? = nil
    ) throws {
        guard count == tensor.elementCount else {
            throw WeightsError(
                path, item: tensor.name, "has \(tensor.elementCount) elements, the buffer has room for \(count)")
        }
        guard let out, count > 0 else { return }
        let mapping = mappings[tensor.part]
        var work = Dequantizer(
            type: tensor.type, blocks: UnsafeRawBufferPointer(rebasing: mapping.bytes[tensor.byteRange]))
        if let sourceRow, let rows = tensor.shape.first {
            let (blocksPerRow, rest) = (count / rows).quotientAndRemainder(dividingBy: tensor.type.block.elements)
            guard rest == 0 else {
                throw WeightsError(
                    path, item: tensor.name, "\(tensor.type.name) blocks span rows that must be reordered")
            }
            work.rowOrder = (blocksPerRow, sourceRow)
        }
        guard withExtendedLifetime(mapping, { work.run(into: out) }) else {
            throw WeightsError(
                path, item: tensor.name, "type \(tensor.type.name) cannot be dequantised",
                advice:
                    "use a file of type F32, F16, BF16, Q8_0, Q2_K to Q6_K, Q4_0 to Q5_1, IQ4_NL, IQ4_XS, MXFP4, NVFP4, "
                    + "TQ1_0 or TQ2_0")
        }
    }
}
