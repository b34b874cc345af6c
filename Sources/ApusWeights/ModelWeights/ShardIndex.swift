import ApusJSON

/// The `model.safetensors.index.json` of a model in several files: which file holds which tensor.
struct ShardIndex {
    /// Tensor name and shard file name, in the order of the index.
    let weightMap: [(tensor: String, shard: String)]
    /// `metadata.total_size`, the bytes of all tensors, where the writer gave it.
    let totalSize: Int?

    /// Reads an index.
    ///
    /// - Throws: `WeightsError` when it is not strict JSON, has no `weight_map`, names a tensor twice, or names a shard
    ///   outside its own folder.
    init(path: String, ending: String = ".safetensors") throws {
        let file = try MappedFile(path: path)
        let root: JSONValue
        do {
            root = try file.withUnsafeBytes { try JSONValue(parsing: $0, duplicateKeys: .refuse, maximumDepth: 16) }
        } catch let error as JSONError {
            if let other = FileSort.error(file.bytes, path: path, wanted: .json) { throw other }
            throw WeightsError(path, "is \(error)", advice: WeightsError.downloadAgain)
        }
        guard let map = root["weight_map"]?.objectValue, !map.isEmpty else {
            throw WeightsError(path, "has no \"weight_map\" object that lists the tensors")
        }
        totalSize = root["metadata"]?["total_size"]?.intValue
        weightMap = try map.map { name, value in
            guard let shard = value.stringValue else {
                throw WeightsError(path, item: name, "its shard is not given as a file name")
            }
            guard Self.isInsideFolder(shard, ending: ending) else {
                throw WeightsError(
                    path, item: name,
                    "the shard \(WeightsError.printable(shard)) is not a \(ending) file in this folder",
                    advice: "do not use this download")
            }
            return (name, shard)
        }
    }

    /// Whether `name` is a relative path that cannot leave the folder it is resolved in. (What a link inside the folder
    /// points at is its owner's choice: download caches are made of links.)
    static func isInsideFolder(_ name: String, ending: String = ".safetensors") -> Bool {
        name.hasSuffix(ending) && !name.utf8.contains(0) && !name.utf8.contains(UInt8(ascii: "\\"))
            && name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
                !["", ".", ".."].contains($0)
            }
    }

    /// The text that transformers writes: keys sorted, two spaces of indentation, a final line feed.
    static func text(weightMap: [String: String], totalSize: Int) -> String {
        var map = JSONObject()
        for (name, shard) in weightMap { map[name] = .string(shard) }
        let root: JSONValue = [
            "metadata": ["total_size": .int(totalSize)],
            "weight_map": .object(map),
        ]
        return root.serialized(indent: 2, sortedKeys: true, escapeNonASCII: true) + "\n"
    }
}
