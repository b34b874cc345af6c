package import ApusTorch

/// Writes a Hugging Face model as a GGUF file.
package struct GGUFConversion {
    private let description: GGUFDescription
    private let tensors: [Item]
    private let path: String

    /// A tensor of the model with its place in the file.
    private struct Item {
        let name: String
        /// The tensor, or those of all experts, in their order.
        let tensors: [Tensor]
        /// In the file.
        let shape: [Int]
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
        let places = try Self.places(of: tensors, description.architecture, path: path)
        let facts = GGUFFileType.Facts(
            layers: description.sizes.layers, isTied: !places.contains { $0.name == "output.weight" },
            sharesKeys: description.sizes.keyValueHeads < description.sizes.heads,
            experts: places.first { $0.form == .stacked }?.tensors.count ?? 0,
            isFalcon: description.architecture.name == "falcon")
        self.tensors = places.map { place in
            let own = place.tensors[0].shape
            let isTransposed = place.form == .transposed && own.count == 2
            let shape =
                switch place.form {
                case .transposed: isTransposed ? own.reversed() : own
                case .stacked: [place.tensors.count] + own
                case .lastRows: [description.sizes.context] + own.dropFirst()
                default: own
                }
            return Item(
                name: place.name, tensors: place.tensors, shape: shape,
                type: type.type(of: place.name, shape: shape, facts),
                form: place.form == .transposed && !isTransposed ? .plain : place.form)
        }
        self.description = description
        self.path = path
    }

    private typealias Place = (name: String, form: GGUFArchitecture.Form, tensors: [Tensor])

    /// Where the tensors go; those of all experts go to one place.
    private static func places(
        of tensors: [(name: String, tensor: Tensor)], _ architecture: GGUFArchitecture, path: String
    ) throws -> [Place] {
        var places: [Place] = []
        var positions: [String: Int] = [:]
        for (name, tensor) in tensors {
            guard let place = architecture.fileName(of: name) else {
                throw WeightsError(
                    path, item: name, "this tensor has no place in a GGUF file of \(architecture.name)",
                    advice: "export the model as safetensors")
            }
            guard let expert = place.expert else {
                places.append((place.name, place.form, [tensor]))
                continue
            }
            let position = positions[place.name] ?? places.count
            if position == places.count {
                positions[place.name] = position
                places.append((place.name, place.form, []))
            }
            guard places[position].tensors.count == expert,
                places[position].tensors.first.map({ $0.shape == tensor.shape }) ?? true
            else {
                throw WeightsError(
                    path, item: name, "comes after \(places[position].tensors.count) experts of another shape or number"
                )
            }
            places[position].tensors.append(tensor)
        }
        return places
    }

    /// Writes the file atomically, one tensor after the other.
    ///
    /// - Parameters:
    ///   - general: What stands before the hyperparameters, `general.*`.
    ///   - tokenizer: What stands behind them.
    package func write(
        general: [(key: String, value: GGUFTypedValue)], tokenizer: [(key: String, value: GGUFTypedValue)]
    ) throws {
        let sources =
            description.frequencyDivisors.map { Self.source($0.name, of: $0.values) } + tensors.map { source($0) }
        try GGUFWriter.write(
            metadata: [("general.architecture", .string(description.architecture.name))] + general
                + description.metadata + tokenizer + [
                    ("general.quantization_version", .uint32(Self.quantizationVersion))
                ],
            tensors: sources, to: path)
    }

    private static func source(_ name: String, of divisors: [Float]) -> GGUFTensorSource {
        GGUFTensorSource(name: name, type: .f32, shape: [divisors.count]) { sink in
            try divisors.map(\.bitPattern.littleEndian).withUnsafeBytes(sink)
        }
    }

    private func source(_ item: Item) -> GGUFTensorSource {
        GGUFTensorSource(name: item.name, type: item.type, shape: item.shape) { sink in
            for tensor in item.tensors {
                for piece in try pieces(tensor, item) {
                    let numbers = try piece.to(.cpu).to(.float32)
                    // A name of its own: a temporary would be freed while its bytes are read.
                    let values = try (item.form == .raised ? numbers + 1 : numbers).contiguous()
                    try values.withUnsafeBytes { bytes in
                        try encode(bytes.bindMemory(to: Float.self), item, to: sink)
                    }
                }
            }
        }
    }

    /// A tensor in the order of the file, cut along its rows.
    private func pieces(_ tensor: Tensor, _ item: Item) throws -> [Tensor] {
        switch item.form {
        case .plain, .first, .raised, .stacked, .row:
            guard let rows = tensor.shape.first, rows > 0, tensor.count > Self.pieceElements else { return [tensor] }
            let length = max(1, Self.pieceElements / (tensor.count / rows))
            return try stride(from: 0, to: rows, by: length).map {
                try tensor.narrowed(0, start: $0, length: min(length, rows - $0))
            }
        case .lastRows:
            let (rows, kept) = (tensor.shape[0], description.sizes.context)
            return [try tensor.narrowed(0, start: rows - kept, length: kept)]
        case .transposed: return [try tensor.transposed(0, 1)]
        case .groups:
            let (heads, groups) = (description.sizes.heads, description.sizes.keyValueHeads)
            guard let rows = tensor.shape.first, rows % (heads + 2 * groups) == 0 else {
                throw WeightsError(path, item: item.name, "shape \(tensor.shape) does not divide into heads")
            }
            let order = HeadGroups(heads: heads, groups: groups, width: rows / (heads + 2 * groups))
            return [try reordered(tensor) { order.rowInModel($0) }]
        case .queries: return [try permuted(tensor, item, heads: description.sizes.heads)]
        case .keys: return [try permuted(tensor, item, heads: description.sizes.keyValueHeads)]
        case .buffer, .latentKeys, .latentValues:
            throw WeightsError(path, item: item.name, "is of a form that is read and not written")
        }
    }

    private func permuted(_ tensor: Tensor, _ item: Item, heads: Int) throws -> Tensor {
        guard let rows = tensor.shape.first, rows % (2 * heads) == 0 else {
            throw WeightsError(path, item: item.name, "shape \(tensor.shape) does not divide into \(heads) heads")
        }
        let permutation = HeadPermutation(width: rows / heads)
        return try reordered(tensor) { permutation.rowInModel($0) }
    }

    private func reordered(_ tensor: Tensor, by rowInModel: (Int) -> Int) throws -> Tensor {
        let order = (0..<tensor.shape[0]).map { Int64(rowInModel($0)) }
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
