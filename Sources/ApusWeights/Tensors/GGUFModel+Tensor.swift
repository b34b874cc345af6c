package import ApusTorch

extension GGUFModel: TensorStore {
    package var tensorNames: [String] { entries.map(\.name) }

    private func entry(_ name: String) throws -> Entry {
        guard let entry = self[name] else {
            throw WeightsError(file.path, item: name, "no such tensor")
        }
        return entry
    }

    package func shape(of name: String) throws -> [Int] { try entry(name).shape }

    /// Quantised weights are computed in float32 unless the run says otherwise.
    package func dtype(of name: String) throws -> DType {
        switch try entry(name).source.type {
        case .f16: .float16
        case .bf16: .bfloat16
        default: .float32
        }
    }

    /// The dequantised values; never the file's own memory.
    package func tensor(_ name: String, dtype: DType, device: Device) throws -> (tensor: Tensor, isBorrowed: Bool) {
        let shape = try shape(of: name)
        let isShort = dtype == .bfloat16
        let values = try Tensor.empty(shape, dtype: isShort ? .bfloat16 : .float32)
        try values.withUnsafeMutableBytes { bytes in
            if isShort {
                try dequantizeBFloat16(name, into: bytes.bindMemory(to: UInt16.self))
            } else {
                try dequantize(name, into: bytes.bindMemory(to: Float.self))
            }
        }
        return (try values.to(dtype).to(device), false)
    }
}
