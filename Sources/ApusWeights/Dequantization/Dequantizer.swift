import Dispatch

/// Decodes the blocks of one tensor on all cores.
struct Dequantizer {
    let type: GGUFTensorType
    let blocks: UnsafeRawBufferPointer
    /// Blocks per row, and for each row written the row read.
    ///
    /// `nil` leaves the order as it is.
    var rowOrder: (blocksPerRow: Int, sourceRow: @Sendable (Int) -> Int)?

    /// The elements one thread decodes before it asks for more: enough to hide the cost of asking.
    private static let chunkElements = 1 << 17

    /// Writes every element to `out`, which has room for all of them.
    ///
    /// - Returns: Whether the type is one that can be decoded; `out` is untouched otherwise.
    func run<Out: DequantizedElement>(into out: UnsafeMutablePointer<Out>) -> Bool {
        switch type {
        case .f32: run(F32Format.self, into: out)
        case .f16: run(F16Format.self, into: out)
        case .bf16: run(BF16Format.self, into: out)
        case .q4_0: run(Q4_0Format.self, into: out)
        case .q4_1: run(Q4_1Format.self, into: out)
        case .q5_0: run(Q5_0Format.self, into: out)
        case .q5_1: run(Q5_1Format.self, into: out)
        case .q8_0: run(Q8_0Format.self, into: out)
        case .q2_K: run(Q2_KFormat.self, into: out)
        case .q3_K: run(Q3_KFormat.self, into: out)
        case .q4_K: run(Q4_KFormat.self, into: out)
        case .q5_K: run(Q5_KFormat.self, into: out)
        case .q6_K: run(Q6_KFormat.self, into: out)
        case .iq4_NL: run(IQ4_NLFormat.self, into: out)
        case .iq4_XS: run(IQ4_XSFormat.self, into: out)
        case .mxfp4: run(MXFP4Format.self, into: out)
        case .nvfp4: run(NVFP4Format.self, into: out)
        case .tq1_0: run(TQ1_0Format.self, into: out)
        case .tq2_0: run(TQ2_0Format.self, into: out)
        default: return false
        }
        return true
    }

    private func run<Format: BlockFormat, Out: DequantizedElement>(
        _ format: Format.Type, into out: UnsafeMutablePointer<Out>
    ) {
        let (elements, bytes) = Format.tensorType.block
        let unit = rowOrder?.blocksPerRow ?? 1
        guard let start = blocks.bindMemory(to: UInt8.self).baseAddress else { return }
        // Safe to share: the blocks are only read, and each call below writes its own part of the output.
        nonisolated(unsafe) let (base, out) = (start, out)
        let count = blocks.count / bytes
        inParallel(count / unit, chunk: max(1, Self.chunkElements / (unit * elements))) { [rowOrder] units in
            guard let rowOrder else {
                Self.decode(
                    format, base + units.lowerBound * bytes, into: out + units.lowerBound * elements, units.count)
                return
            }
            for row in units {
                let source = base + rowOrder.sourceRow(row) * unit * bytes
                Self.decode(format, source, into: out + row * unit * elements, unit)
            }
        }
    }

    @inline(never)
    private static func decode<Format: BlockFormat, Out: DequantizedElement>(
        _ format: Format.Type, _ source: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Out>, _ count: Int
    ) {
        let (elements, bytes) = Format.tensorType.block
        for block in 0..<count {
            Format.decode(source + block * bytes, into: out + block * elements)
        }
    }
}

/// Calls `body` with ranges that cover `0..<count`, on all cores when there is more than one.
func inParallel(_ count: Int, chunk: Int, _ body: @Sendable (Range<Int>) -> Void) {
    let chunks = (count + chunk - 1) / chunk
    if chunks <= 1 {
        body(0..<count)
    } else {
        DispatchQueue.concurrentPerform(iterations: chunks) { index in
            body(index * chunk..<min(count, (index + 1) * chunk))
        }
    }
}
