package import ApusJSON

/// A GGUF file seen as a Hugging Face model: its configuration, and its tensors under their names there.
package final class GGUFModel: Sendable {
    /// A tensor of the model.
    package struct Entry: Sendable {
        /// In the Hugging Face model.
        package let name: String
        package var shape: [Int] { source.shape }
        package let source: GGUFTensor
        /// The heads over which the rows are permuted in the file.
        let permutedHeads: Int?
        /// What the file's values are above the model's.
        let offset: Float
    }

    package let file: GGUFFile
    package let architecture: GGUFArchitecture
    /// What the model's `config.json` says.
    package let config: JSONValue
    /// In the order of the file.
    package let entries: [Entry]
    /// Hyperparameters of the file that found no place in `config`, for a notice to the user.
    package let unusedKeys: [String]
    private let positions: [String: Int]

    /// Translates `file`; reads no weights.
    ///
    /// - Throws: `WeightsError` when the architecture is not supported, a hyperparameter is missing or impossible, or
    ///   the file holds a tensor that the architecture does not have.
    package init(_ file: GGUFFile) throws {
        self.file = file
        let name = try file.requiredValue("general.architecture", \.stringValue)
        guard let architecture = GGUFArchitecture(rawValue: name) else {
            let known = GGUFArchitecture.allCases.map(\.rawValue).joined(separator: ", ")
            throw WeightsError(
                file.path, "the architecture \(WeightsError.printable(name)) is not supported as GGUF (\(known) are)",
                advice: "use the model's safetensors files")
        }
        self.architecture = architecture
        let configuration = try GGUFConfiguration(file, architecture: architecture)
        config = .object(configuration.json)
        unusedKeys = configuration.unusedKeys
        entries = try file.tensors.compactMap { tensor in
            switch architecture.place(of: tensor.name) {
            case .derived?: nil
            case .tensor(let name)?:
                Entry(
                    name: name, source: tensor,
                    permutedHeads: try Self.permutedHeads(of: tensor, architecture, configuration, path: file.path),
                    offset: name.hasSuffix("norm.weight") ? architecture.normOffset : 0)
            case nil:
                throw WeightsError(
                    file.path, item: tensor.name, "this tensor has no place in a \(architecture.modelClass)",
                    advice: "use the model's safetensors files")
            }
        }
        positions = Dictionary(entries.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    private static func permutedHeads(
        of tensor: GGUFTensor, _ architecture: GGUFArchitecture, _ configuration: GGUFConfiguration, path: String
    ) throws -> Int? {
        guard architecture.permutesQueriesAndKeys else { return nil }
        let heads: Int
        if tensor.name.contains(".attn_q.") {
            heads = configuration.headCount
        } else if tensor.name.contains(".attn_k.") {
            heads = configuration.keyValueHeadCount
        } else {
            return nil
        }
        guard let rows = tensor.shape.first, rows % (2 * heads) == 0 else {
            throw WeightsError(path, item: tensor.name, "shape \(tensor.shape) does not divide into \(heads) heads")
        }
        return heads
    }

    package subscript(name: String) -> Entry? {
        positions[name].map { entries[$0] }
    }

    private func entry(named name: String) throws -> Entry {
        guard let entry = self[name] else {
            throw WeightsError(file.path, item: name, "no such tensor among the \(entries.count) of this model")
        }
        return entry
    }

    /// The elements of the tensor called `name` as numbers, rows in the order of Hugging Face.
    ///
    /// - Throws: `WeightsError` when there is no such tensor or its type cannot be dequantised.
    package func dequantized(_ name: String) throws -> [Float] {
        let entry = try entry(named: name)
        let values = try file.dequantized(entry.source, sourceRow: entry.sourceRow)
        return entry.offset == 0 ? values : values.map { $0 - entry.offset }
    }

    /// Writes the elements of the tensor called `name` to `out`, whose count must be the tensor's.
    package func dequantize(_ name: String, into out: UnsafeMutableBufferPointer<Float>) throws {
        let entry = try entry(named: name)
        try file.dequantize(entry.source, into: out.baseAddress, count: out.count, sourceRow: entry.sourceRow)
        if entry.offset != 0 { for index in out.indices { out[index] -= entry.offset } }
    }

    /// As `dequantize`, rounded to bfloat16 bit patterns (nearest, ties to even).
    package func dequantizeBFloat16(_ name: String, into out: UnsafeMutableBufferPointer<UInt16>) throws {
        let entry = try entry(named: name)
        guard entry.offset == 0 else {
            let values = try dequantized(name)
            guard values.count == out.count else {
                throw WeightsError(
                    file.path, item: name, "has \(values.count) elements, the buffer has room for \(out.count)")
            }
            for (index, value) in values.enumerated() { out[index] = BFloat16Bits.rounding(value).bits }
            return
        }
        try out.withMemoryRebound(to: BFloat16Bits.self) {
            try file.dequantize(entry.source, into: $0.baseAddress, count: $0.count, sourceRow: entry.sourceRow)
        }
    }
}

extension GGUFModel.Entry {
    /// For each row of the model the row of the file, where they differ.
    ///
    /// Row (head, half, i) of the model is row (head, i, half) of the file.
    fileprivate var sourceRow: (@Sendable (Int) -> Int)? {
        guard let permutedHeads, let rows = shape.first else { return nil }
        let width = rows / permutedHeads
        return { row in
            let (head, place) = row.quotientAndRemainder(dividingBy: width)
            let (half, i) = place.quotientAndRemainder(dividingBy: width / 2)
            return head * width + 2 * i + half
        }
    }
}
