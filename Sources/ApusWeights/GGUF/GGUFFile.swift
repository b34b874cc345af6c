/// One tensor of a GGUF file.
package struct GGUFTensor: Sendable, Equatable {
    package let name: String
    package let type: GGUFTensorType
    /// Row-major, the slowest dimension first: the reverse of the order in the file.
    package let shape: [Int]
    /// Where the blocks lie, counted from the start of the file.
    package let byteRange: Range<Int>

    package var elementCount: Int { byteRange.count / type.block.bytes * type.block.elements }
}

/// A GGUF file of version 2 or 3, mapped and checked (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
///
/// A file that opens is sound: every tensor lies inside the file with exactly the bytes its shape and type need, no two
/// overlap, and names and keys are unique.
package final class GGUFFile: Sendable {
    package let mapping: MappedFile
    package let version: Int
    package let alignment: Int
    package let metadata: [String: GGUFValue]
    /// In the order of the file's table.
    package let tensors: [GGUFTensor]
    private let positions: [String: Int]

    /// Maps the file, reads its metadata and checks its table of tensors; reads no weights.
    ///
    /// - Throws: `WeightsError` naming the first fault.
    package init(path: String) throws {
        mapping = try MappedFile(path: path)
        let header = try mapping.withUnsafeBytes { try GGUFHeader(parsing: $0, path: path) }
        version = header.version
        alignment = header.alignment
        metadata = header.metadata
        tensors = header.tensors
        positions = Dictionary(
            header.tensors.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    package var path: String { mapping.path }

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
