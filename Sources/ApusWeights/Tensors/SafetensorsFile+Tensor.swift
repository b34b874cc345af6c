package import ApusTorch

extension SafetensorsFile: TensorStore {
    package var tensorNames: [String] { entries.map(\.name) }

    package func shape(of name: String) throws -> [Int] { try entry(named: name).shape }

    package func dtype(of name: String) throws -> DType {
        let entry = try entry(named: name)
        if EightBitFloats.values(of: entry.dtype) != nil { return .float32 }
        guard let dtype = DType(entry.dtype) else {
            throw WeightsError(
                path, item: name, "dtype \(entry.dtype.name) is not supported",
                advice: "convert the model to BF16, F16 or F32")
        }
        return dtype
    }

    /// The stored values where they lie in the file, or a converted copy.
    package func tensor(_ name: String, dtype: DType, device: Device) throws -> (tensor: Tensor, isBorrowed: Bool) {
        let entry = try entry(named: name)
        let stored = try self.dtype(of: name)
        guard !entry.byteRange.isEmpty, let address = try bytes(of: entry).baseAddress else {
            return (try Tensor.zeros(entry.shape, dtype: dtype, device: device), false)
        }
        if let values = EightBitFloats.values(of: entry.dtype) {
            let numbers = try Tensor.empty(entry.shape, dtype: .float32)
            try withUnsafeBytes(of: entry) { bytes in
                try numbers.withUnsafeMutableBytes {
                    EightBitFloats.decode(bytes, by: values, into: $0.bindMemory(to: Float.self))
                }
            }
            return (try numbers.to(dtype).to(device), false)
        }
        let mapped = try Tensor.borrowing(address, shape: entry.shape, dtype: stored, owner: mapping)
        if stored == dtype && device == .cpu { return (mapped, true) }
        return (try mapped.to(dtype).to(device), false)
    }

    package func forget(_ name: String) {
        if let entry = self[name] { mapping.forget(entry.byteRange) }
    }
}

extension ModelWeights: TensorStore {
    package var tensorNames: [String] { names }

    private func file(of name: String) throws -> SafetensorsFile {
        guard let (file, _) = self[name] else {
            throw WeightsError(files.first?.path ?? "model.safetensors", item: name, "no such tensor")
        }
        return file
    }

    package func shape(of name: String) throws -> [Int] { try file(of: name).shape(of: name) }

    package func dtype(of name: String) throws -> DType { try file(of: name).dtype(of: name) }

    package func tensor(_ name: String, dtype: DType, device: Device) throws -> (tensor: Tensor, isBorrowed: Bool) {
        try file(of: name).tensor(name, dtype: dtype, device: device)
    }

    package func forget(_ name: String) { self[name]?.file.forget(name) }
}

extension WeightSource {
    /// A tensor to be written under a name.
    package init(_ name: String, _ tensor: Tensor) {
        self.init(name: name, dtype: tensor.dtype.stored, shape: tensor.shape) { sink in
            try tensor.withUnsafeBytes { try sink($0) }
        }
    }
}
