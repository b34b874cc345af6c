package import ApusTorch

/// Writes a Hugging Face model as a GGUF file.
package struct GGUFConversion {
    private let description: GGUFDescription
    private let tensors: [Item]
    private let path: String

    /// A tensor of the model with its place in the file.
    private struct Item {
        let name: String
        let tensor: Tensor
        let type: GGUFTensorType
        let form: GGUFArchitecture.Form
    }

    /// Of ggml's formats for blocks.
    private static let quantizationVersion: UInt32 = 2
    /// Elements that are brought to float32 at once, where rows need no reordering.
    private static let pieceElements = 1 << 24

    /// Decides what goes where; reads no values.
    ///
    /// - Parameter tensors: All of the model, under the names of Hugging Face.
    /// - Throws: `WeightsError` for a tensor that the architecture does not have.
    package init(
        _ tensors: [(name: String, tensor: Tensor)], _ description: GGUFDescription, type: GGUFFileType, to path: String
    ) throws {
        let architecture = description.architecture
        let places = try tensors.map { name, tensor in
            guard let place = architecture.fileName(of: name) else {
                throw WeightsError(
                    path, item: name, "this tensor has no place in a GGUF file of \(architecture.name)",
                    advice: "export the model as safetensors")
            }
            return (tensor: tensor, name: place.name, form: place.form)
        }
        let facts = GGUFFileType.Facts(
            layers: description.sizes.layers, isTied: !places.contains { $0.name == "output.weight" },
            sharesKeys: description.sizes.keyValueHeads < description.sizes.heads)
        self.tensors = places.map { place in
            let isTransposed = place.form == .transposed && place.tensor.rank == 2
            let shape = isTransposed ? place.tensor.shape.reversed() : place.tensor.shape
            return Item(
                name: place.name, tensor: place.tensor, type: type.type(of: place.name, shape: shape, facts),
                form: place.form == .transposed && !isTransposed ? .plain : place.form)
        }
        self.description = description
        self.path = path
    }

    /// Writes the file atomically, one tensor after the other.
    ///
    /// - Parameters:
    ///   - general: What stands before the hyperparameters, `general.*`.
    ///   - tokenizer: What stands behind them.
    package func write(
        general: [(key: String, value: GGUFTypedValue)], tokenizer: [(key: String, value: GGUFTypedValue)]
    ) throws {
        var sources = description.frequencyDivisors.map { [Self.source(of: $0)] } ?? []
        sources += tensors.map(source)
        try GGUFWriter.write(
            metadata: [("general.architecture", .string(description.architecture.name))] + general
                + description.metadata + tokenizer + [
                    ("general.quantization_version", .uint32(Self.quantizationVersion))
                ],
            tensors: sources, to: path)
    }

    private static func source(of divisors: [Float]) -> GGUFTensorSource {
        GGUFTensorSource(name: "rope_freqs.weight", type: .f32, shape: [divisors.count]) { sink in
            try divisors.map(\.bitPattern.littleEndian).withUnsafeBytes(sink)
        }
    }

    private func source(_ item: Item) -> GGUFTensorSource {
        let shape = item.form == .transposed ? item.tensor.shape.reversed() : item.tensor.shape
        return GGUFTensorSource(name: item.name, type: item.type, shape: shape) { sink in
            for piece in try pieces(item) {
                // A name of its own: a temporary would be freed while its bytes are read.
                let values = try piece.to(.cpu).to(.float32).contiguous()
                try values.withUnsafeBytes { bytes in
                    try encode(bytes.bindMemory(to: Float.self), item, to: sink)
                }
            }
        }
    }

    /// The tensor in the order of the file, cut along its rows.
    private func pieces(_ item: Item) throws -> [Tensor] {
        switch item.form {
        case .plain:
            guard let rows = item.tensor.shape.first, rows > 0, item.tensor.count > Self.pieceElements else {
                return [item.tensor]
            }
            let length = max(1, Self.pieceElements / (item.tensor.count / rows))
            return try stride(from: 0, to: rows, by: length).map {
                try item.tensor.narrowed(0, start: $0, length: min(length, rows - $0))
            }
        case .transposed: return [try item.tensor.transposed(0, 1)]
        case .raised: return [try item.tensor.to(.float32) + 1]
        case .queries: return [try permuted(item.tensor, item, heads: description.sizes.heads)]
        case .keys: return [try permuted(item.tensor, item, heads: description.sizes.keyValueHeads)]
        }
    }

    private func permuted(_ tensor: Tensor, _ item: Item, heads: Int) throws -> Tensor {
        guard let rows = tensor.shape.first, rows % (2 * heads) == 0 else {
            throw WeightsError(path, item: item.name, "shape \(tensor.shape) does not divide into \(heads) heads")
        }
        let permutation = HeadPermutation(width: rows / heads)
        let order = (0..<rows).map { Int64(permutation.rowInModel($0)) }
        return try tensor.indexed(0, Tensor(order, device: tensor.device))
    }

    private func encode(_ values: UnsafeBufferPointer<Float>, _ item: Item, to sink: ByteSink) throws {
        let (elements, bytes) = item.type.block
        guard let quantizer = Quantizer(item.type) else {
            throw WeightsError(path, item: item.name, "type \(item.type.name) is read and not written")
        }
        let blocks = UnsafeMutableRawBufferPointer.allocate(
            byteCount: values.count / elements * bytes, alignment: MemoryLayout<Float>.alignment)
        defer { blocks.deallocate() }
        if let wrong = quantizer.encode(values, into: blocks) {
            throw WeightsError(
                path, item: item.name, "holds \(values[wrong]), which \(item.type.name) cannot hold",
                advice: values[wrong].isFinite ? "write it as BF16 or F32" : "the model is damaged")
        }
        try sink(UnsafeRawBufferPointer(blocks))
    }
}
