/// A safetensors file, mapped and strictly checked (https://huggingface.co/docs/safetensors).
///
/// A file that opens is sound: names are unique, every tensor lies inside the file with exactly the bytes its shape and
/// dtype need, and no byte belongs to two tensors or to none.
package final class SafetensorsFile: Sendable {
    package let mapping: MappedFile
    package let metadata: [String: String]
    /// In the order of their bytes in the file.
    package let entries: [SafetensorsEntry]
    /// Tensors that the metadata says to be another under a second name, with the name of that one.
    package let aliases: [String: String]
    private let positions: [String: Int]

    /// Maps the file and checks its header; reads no weights.
    ///
    /// - Throws: `WeightsError` naming the first fault.
    package init(path: String) throws {
        mapping = try MappedFile(path: path)
        let header = try mapping.withUnsafeBytes { try SafetensorsHeader(parsing: $0, path: path) }
        metadata = header.metadata
        entries = header.entries
        let positions = Dictionary(
            header.entries.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.positions = positions
        aliases = header.metadata.filter { positions[$0.key] == nil && positions[$0.value] != nil }
    }

    package var path: String { mapping.path }

    package subscript(name: String) -> SafetensorsEntry? {
        positions[name].map { entries[$0] }
    }

    /// The entry called `name`.
    ///
    /// - Throws: `WeightsError` when there is none.
    package func entry(named name: String) throws -> SafetensorsEntry {
        guard let entry = self[name] else {
            throw WeightsError(path, item: name, "no such tensor among the \(entries.count) of this file")
        }
        return entry
    }

    /// The stored bytes of `entry`, valid while `mapping` is retained.
    ///
    /// - Throws: `WeightsError` when Apus does not compute with the entry's dtype.
    package func bytes(of entry: SafetensorsEntry) throws -> UnsafeRawBufferPointer {
        guard entry.dtype.isSupported else {
            throw WeightsError(
                path, item: entry.name, "dtype \(entry.dtype.name) is not supported",
                advice: "convert the model to BF16, F16 or F32")
        }
        guard entry.byteRange.upperBound <= mapping.count else {
            throw WeightsError(path, item: entry.name, "this entry belongs to another file")
        }
        return UnsafeRawBufferPointer(rebasing: mapping.bytes[entry.byteRange])
    }

    package func withUnsafeBytes<R>(
        of entry: SafetensorsEntry, _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
        try withExtendedLifetime(mapping) { try body(bytes(of: entry)) }
    }
}
