package import ApusTorch

/// How the matrices of a model are brought into fewer bits, as bitsandbytes does it.
package struct QuantizationSettings: Sendable, Equatable {
    package enum Format: Sendable, Equatable {
        /// Blocks of so many numbers, each in four bits; `isDouble` quantises their absmax too.
        case fourBits(FourBitType, block: Int, isDouble: Bool)
        /// Rows of int8.
        case eightBits
    }

    package let format: Format
    /// The type that products are computed in; nil takes that of their input.
    package let computeType: DType?

    package init(_ format: Format, computeType: DType?) {
        (self.format, self.computeType) = (format, computeType)
    }

    /// The sizes of blocks that bitsandbytes has.
    package static let blocks = [32, 64, 128, 256, 512, 1024, 2048, 4096]
    /// The size that `transformers` takes.
    package static let standardBlock = 64

    /// What ms-swift computes 4-bit layers in when nothing is said: float32, or bfloat16 where the model has it.
    package static func standardComputeType(of model: DType) -> DType { model == .bfloat16 ? .bfloat16 : .float32 }

    package var bits: Int {
        switch format {
        case .fourBits: 4
        case .eightBits: 8
        }
    }

    /// Bytes that a matrix will take.
    package func byteCount(rows: Int, columns: Int) -> Int {
        let count = rows * columns
        switch format {
        case .fourBits(_, let block, let isDouble):
            let blocks = (count + block - 1) / block
            return (count + 1) / 2 + 64 + (isDouble ? blocks + 4 * ((blocks + 255) / 256) + 1024 : 4 * blocks)
        case .eightBits: return count + 4 * rows
        }
    }
}
