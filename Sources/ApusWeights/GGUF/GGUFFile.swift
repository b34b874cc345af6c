/// One tensor of a GGUF file.
package struct GGUFTensor: Sendable, Equatable {
    package let name: String
    package let type: GGUFTensorType
    /// Row-major, the slowest dimension first: the reverse of the order in the file.
    package let shape: [Int]
    /// Where the blocks lie, counted from the start of the file.
    package let byteRange: Range<Int>
    /// Which of the model's files they lie in.
    package var part = 0

    package var elementCount: Int { byteRange.count / type.block.bytes * type.block.elements }

    /// Of a matrix, or of each in a stack of them; a vector may be a matrix of one row.
    var rows: Int { shape.count > 1 ? shape[shape.count - 2] : 1 }
}

/// A GGUF file of version 2 or 3, mapped and checked (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
///
/// A file that opens is sound: every tensor lies inside the file with exactly the bytes its shape and type need, no two
/// overlap, and names and keys are unique. Of a model in several parts any one may be given; all are read.
package final class GGUFFile: Sendable {
    /// The file, or the parts of a split one in their order.
    package let mappings: [MappedFile]
    /// As the caller gave it.
    package let path: String
    package let version: Int
    package let alignment: Int
    package let metadata: [String: GGUFValue]
    /// In the order of the tables of the files.
    package let tensors: [GGUFTensor]
    private let positions: [String: Int]

    /// Maps the file, reads its metadata and checks its table of tensors; reads no weights.
    ///
    /// - Throws: `WeightsError` naming the first fault.
    package init(path: String) throws {
        self.path = path
        let (given, header) = try Self.open(path)
        (version, alignment) = (header.version, header.alignment)
        guard let split = try GGUFSplit(header.metadata, path: path) else {
            (mappings, metadata, tensors) = ([given], header.metadata, header.tensors)
            positions = Dictionary(
                header.tensors.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
            return
        }
        var (mappings, tensors, positions): ([MappedFile], [GGUFTensor], [String: Int]) = ([], [], [:])
        var metadata = header.metadata
        for (number, part) in try split.paths(beside: path).enumerated() {
            let (mapping, header) = part == path ? (given, header) : try Self.open(part)
            guard let own = try GGUFSplit(header.metadata, path: part), own.number == number, own.count == split.count
            else {
                throw WeightsError(
                    part, "is not part \(number + 1) of \(split.count), as its name says",
                    advice: "download all parts of one model again")
            }
            // The first part describes the model; the others only say which they are.
            if number == 0 { metadata = header.metadata }
            for var tensor in header.tensors {
                guard positions.updateValue(tensors.count, forKey: tensor.name) == nil else {
                    throw WeightsError(part, item: tensor.name, "this tensor is in another part too")
                }
                tensor.part = number
                tensors.append(tensor)
            }
            mappings.append(mapping)
        }
        if let wanted = split.tensorCount, wanted != tensors.count {
            throw WeightsError(
                path, "the \(split.count) parts hold \(tensors.count) tensors instead of \(wanted)",
                advice: "download all parts of one model again")
        }
        (self.mappings, self.metadata, self.tensors, self.positions) = (mappings, metadata, tensors, positions)
    }

    private static func open(_ path: String) throws -> (mapping: MappedFile, header: GGUFHeader) {
        let mapping = try MappedFile(path: path)
        return (mapping, try mapping.withUnsafeBytes { try GGUFHeader(parsing: $0, path: path) })
    }

    package subscript(name: String) -> GGUFTensor? {
        positions[name].map { tensors[$0] }
    }

    /// The tensor called `name`.
    ///
    /// - Throws: `WeightsError` when there is none.
    package func tensor(named name: String) throws -> GGUFTensor {
        guard let tensor = self[name] else {
            throw WeightsError(path, item: name, "no such tensor among the \(tensors.count) of this file")
        }
        return tensor
    }

    /// The metadata value under `key` as the type that `get` reads, or `nil` when the key is absent.
    ///
    ///     let layers = try file.value("llama.block_count", \.intValue)
    ///
    /// - Throws: `WeightsError` when the value has another type.
    package func value<T>(_ key: String, _ get: (GGUFValue) -> T?) throws -> T? {
        guard let value = metadata[key] else { return nil }
        guard let result = get(value) else {
            throw WeightsError(path, item: key, "holds \(value.kind), not \(T.self)")
        }
        return result
    }

    /// As `value`, for a key that must be there.
    package func requiredValue<T>(_ key: String, _ get: (GGUFValue) -> T?) throws -> T {
        guard let result = try value(key, get) else {
            throw WeightsError(path, item: key, "this metadata key is missing")
        }
        return result
    }
}
