/// A tensor to be written: its description, and a way to produce its blocks when its turn comes.
package struct GGUFTensorSource {
    package let name: String
    package let type: GGUFTensorType
    /// Row-major, the slowest dimension first.
    package let shape: [Int]
    /// Sends the blocks, in as many pieces as it likes.
    package let write: (ByteSink) throws -> Void

    package init(
        name: String, type: GGUFTensorType, shape: [Int], write: @escaping (ByteSink) throws -> Void
    ) {
        self.name = name
        self.type = type
        self.shape = shape
        self.write = write
    }
}

/// Writes GGUF files of version 3, byte for byte as PyPI `gguf` writes the same metadata and tensors
/// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
package enum GGUFWriter {
    package static let alignment = 32
    private static let version: UInt32 = 3
    /// What llama.cpp accepts of a tensor's name.
    private static let maximumNameLength = 63

    /// Writes a file to `path` atomically; tensors are asked for their blocks one after the other.
    ///
    /// - Parameter metadata: In the order of the file. It leaves out `general.alignment`, which is the default.
    /// - Throws: `WeightsError`, or what a source throws; what was at `path` is then untouched.
    package static func write(
        metadata: [(key: String, value: GGUFTypedValue)], tensors: [GGUFTensorSource], to path: String
    ) throws {
        let placed = try place(tensors, path: path)
        let header = try header(metadata, placed, path: path)
        let file = try ReplacementFile(replacing: path)
        try header.withUnsafeBytes(file.write)
        for (source, byteCount, _) in placed {
            var sent = 0
            try source.write { bytes in
                sent += bytes.count
                guard sent <= byteCount else { return }
                try file.write(bytes)
            }
            guard sent == byteCount else {
                throw WeightsError(
                    path, item: source.name,
                    "\(source.type.name) of shape \(source.shape) takes \(byteCount) bytes, its source gave \(sent)")
            }
            try [UInt8](repeating: 0, count: padding(after: byteCount)).withUnsafeBytes(file.write)
        }
        try file.commit()
    }

    private typealias Placed = [(source: GGUFTensorSource, byteCount: Int, offset: Int)]

    private static func padding(after count: Int) -> Int { (alignment - count % alignment) % alignment }

    private static func place(_ tensors: [GGUFTensorSource], path: String) throws -> Placed {
        var names: Set<String> = []
        var placed: Placed = []
        var offset = 0
        for tensor in tensors {
            func failure(_ problem: String) -> WeightsError { WeightsError(path, item: tensor.name, problem) }
            guard names.insert(tensor.name).inserted else { throw failure("two tensors have this name") }
            guard tensor.name.utf8.count <= maximumNameLength else {
                throw failure("GGUF files take names of at most \(maximumNameLength) bytes")
            }
            guard tensor.shape.count <= GGUFHeader.maximumDimensions,
                let byteCount = tensor.type.byteCount(shape: tensor.shape)
            else { throw failure("impossible shape \(tensor.shape) for \(tensor.type.name)") }
            placed.append((tensor, byteCount, offset))
            let (end, overflow) = offset.addingReportingOverflow(byteCount + padding(after: byteCount))
            guard !overflow else { throw failure("the file would exceed 2^63 bytes") }
            offset = end
        }
        return placed
    }

    private static func header(
        _ metadata: [(key: String, value: GGUFTypedValue)], _ tensors: Placed, path: String
    ) throws -> [UInt8] {
        var encoder = GGUFEncoder()
        for byte in "GGUF".utf8 { encoder.append(byte) }
        encoder.append(version)
        encoder.append(UInt64(tensors.count))
        encoder.append(UInt64(metadata.count))
        var keys: Set<String> = []
        for (key, value) in metadata {
            guard keys.insert(key).inserted else { throw WeightsError(path, item: key, "this key is given twice") }
            encoder.append(key)
            encoder.append(value.type.rawValue)
            encoder.append(value)
        }
        for (source, _, offset) in tensors {
            encoder.append(source.name)
            encoder.append(UInt32(source.shape.count))
            for dimension in source.shape.reversed() { encoder.append(UInt64(dimension)) }
            encoder.append(source.type.rawValue)
            encoder.append(UInt64(offset))
        }
        encoder.pad(to: alignment)
        guard encoder.bytes.count <= GGUFHeader.maximumLength else {
            throw WeightsError(path, "the metadata would take \(encoder.bytes.count) bytes, more than are read again")
        }
        return encoder.bytes
    }
}
