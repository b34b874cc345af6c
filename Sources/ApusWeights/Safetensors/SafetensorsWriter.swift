import ApusJSON

/// Writes safetensors files, byte for byte as Python's `safetensors` 0.8 writes the same tensors.
package enum SafetensorsWriter {
    /// What transformers expects to find in every file that PyTorch is to read.
    package static let defaultMetadata = ["format": "pt"]

    /// Writes `tensors` to `path` atomically: a reader, or this process's own mapping of an older file at `path`, never
    /// sees a mixture.
    ///
    /// - Throws: `WeightsError`, or what a source throws; the file at `path` is then untouched.
    package static func write(
        _ tensors: [WeightSource], metadata: [String: String]? = defaultMetadata, to path: String
    ) throws {
        let file = try ReplacementFile(replacing: path)
        try write(tensors, metadata: metadata, path: path, to: file.write)
        try file.commit()
    }

    /// Sends the whole file to `sink`, one tensor after the other.
    ///
    /// - Parameter path: The name that errors carry.
    package static func write(
        _ tensors: [WeightSource], metadata: [String: String]? = defaultMetadata, path: String, to sink: ByteSink
    ) throws {
        let placed = try place(tensors, path: path)
        try header(placed, metadata: metadata, path: path).withUnsafeBytes(sink)
        for (source, byteCount) in placed {
            var sent = 0
            try source.write { bytes in
                sent += bytes.count
                guard sent <= byteCount else { return }
                try sink(bytes)
            }
            guard sent == byteCount else {
                throw WeightsError(
                    path, item: source.name,
                    "\(source.dtype.name) of shape \(source.shape) takes \(byteCount) bytes, its source gave \(sent)")
            }
        }
    }

    private typealias Placed = [(source: WeightSource, byteCount: Int)]

    /// The tensors in the order of the file: larger alignment first, then by the bytes of the name.
    private static func place(_ tensors: [WeightSource], path: String) throws -> Placed {
        var names: Set<String> = []
        var placed: Placed = []
        for tensor in tensors {
            guard let byteCount = tensor.dtype.byteCount(shape: tensor.shape) else {
                throw WeightsError(path, item: tensor.name, "impossible shape \(tensor.shape) for \(tensor.dtype.name)")
            }
            guard tensor.name != "__metadata__" else {
                throw WeightsError(path, item: tensor.name, "no tensor can have this name")
            }
            guard names.insert(tensor.name).inserted else {
                throw WeightsError(path, item: tensor.name, "two tensors have this name")
            }
            placed.append((tensor, byteCount))
        }
        return placed.sorted {
            $0.source.dtype == $1.source.dtype
                ? $0.source.name.utf8.lexicographicallyPrecedes($1.source.name.utf8)
                : $0.source.dtype > $1.source.dtype
        }
    }

    private static func header(_ tensors: Placed, metadata: [String: String]?, path: String) throws -> [UInt8] {
        var fields: [String] = []
        if let metadata {
            let pairs = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            fields.append(
                "\"__metadata__\":{" + pairs.map { quoted($0) + ":" + quoted($1) }.joined(separator: ",") + "}")
        }
        var offset = 0
        for (source, byteCount) in tensors {
            let (end, overflow) = offset.addingReportingOverflow(byteCount)
            guard !overflow else { throw WeightsError(path, item: source.name, "the file would exceed 2^63 bytes") }
            let shape = source.shape.map(String.init).joined(separator: ",")
            fields.append(
                "\(quoted(source.name)):{\"dtype\":\"\(source.dtype.name)\",\"shape\":[\(shape)],"
                    + "\"data_offsets\":[\(offset),\(end)]}")
            offset = end
        }
        var text = Array(("{" + fields.joined(separator: ",") + "}").utf8)
        text.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - text.count % 8) % 8))
        guard text.count <= SafetensorsHeader.maximumLength else {
            throw WeightsError(
                path, "the header would take \(text.count) bytes, more than the format's limit",
                advice: "split the tensors over several files")
        }
        return withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text
    }

    private static func quoted(_ text: String) -> String {
        JSONValue.string(text).serialized()
    }
}
