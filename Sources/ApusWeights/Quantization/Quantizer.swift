/// Brings numbers into the blocks of a format on all cores.
package struct Quantizer {
    private let type: GGUFTensorType

    /// The elements one thread encodes before it asks for more.
    private static let chunkElements = 1 << 14

    /// - Returns: nil for a type that is read and not written.
    package init?(_ type: GGUFTensorType) {
        guard Self.types.contains(type) else { return nil }
        self.type = type
    }

    /// The types that are written.
    package static let types: [GGUFTensorType] = [
        .f32, .f16, .bf16, .q8_0, .q4_0, .q4_1, .q5_0, .q5_1, .q4_K, .q5_K, .q6_K,
    ]

    /// Writes the blocks of the elements at `x` to `blocks`, which has room for exactly these.
    ///
    /// - Returns: The place of an element that is not finite, or beyond what the half-precision numbers of the type hold;
    ///   nothing is written then.
    package func encode(_ x: UnsafeBufferPointer<Float>, into blocks: UnsafeMutableRawBufferPointer) -> Int? {
        let largest: Float = type == .f32 || type == .bf16 ? .greatestFiniteMagnitude : 65_519
        if let wrong = x.firstIndex(where: { !(abs($0) <= largest) }) { return wrong }
        switch type {
        case .f32: run(F32Format.self, x, blocks)
        case .f16: run(F16Format.self, x, blocks)
        case .bf16: run(BF16Format.self, x, blocks)
        case .q4_0: run(Q4_0Format.self, x, blocks)
        case .q4_1: run(Q4_1Format.self, x, blocks)
        case .q5_0: run(Q5_0Format.self, x, blocks)
        case .q5_1: run(Q5_1Format.self, x, blocks)
        case .q8_0: run(Q8_0Format.self, x, blocks)
        case .q4_K: run(Q4_KFormat.self, x, blocks)
        case .q5_K: run(Q5_KFormat.self, x, blocks)
        case .q6_K: run(Q6_KFormat.self, x, blocks)
        default: preconditionFailure("\(type.name) has no encoder")
        }
        return nil
    }

    private func run<Format: EncodableFormat>(
        _ format: Format.Type, _ x: UnsafeBufferPointer<Float>, _ blocks: UnsafeMutableRawBufferPointer
    ) {
        let (elements, bytes) = Format.tensorType.block
        precondition(x.count % elements == 0 && blocks.count == x.count / elements * bytes)
        guard let x = x.baseAddress, let start = blocks.bindMemory(to: UInt8.self).baseAddress else { return }
        // Safe to share: the elements are only read, and each call below writes its own blocks.
        nonisolated(unsafe) let (source, out) = (x, start)
        inParallel(blocks.count / bytes, chunk: max(1, Self.chunkElements / elements)) { units in
            Self.encode(format, source + units.lowerBound * elements, into: out + units.lowerBound * bytes, units.count)
        }
    }

    @inline(never)
    private static func encode<Format: EncodableFormat>(
        _ format: Format.Type, _ x: UnsafePointer<Float>, into out: UnsafeMutablePointer<UInt8>, _ count: Int
    ) {
        let (elements, bytes) = Format.tensorType.block
        for block in 0..<count { Format.encode(x + block * elements, into: out + block * bytes) }
    }
}
