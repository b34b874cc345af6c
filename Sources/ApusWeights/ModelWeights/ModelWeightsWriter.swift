import Foundation

/// Writes a model's tensors into a folder as transformers does: one file, or shards with an index.
package enum ModelWeightsWriter {
    package static let defaultMaximumShardSize = 5_000_000_000

    /// Writes `tensors` and removes what an earlier save with another number of shards left in `folder`.
    ///
    /// Tensors fill shards in the order given; a tensor larger than a shard gets one of its own. Each file appears
    /// atomically, the index after its shards; the set as a whole is only as atomic as the folder the caller gives.
    ///
    /// - Parameters:
    ///   - folder: An existing folder.
    ///   - stem: The file name without its ending.
    ///   - maximumShardSize: In bytes of tensor data.
    /// - Returns: The names of the files written.
    /// - Throws: `WeightsError`, what a source throws, or what Foundation throws for a file that cannot be removed.
    @discardableResult
    package static func write(
        _ tensors: [WeightSource], to folder: String, stem: String = "model",
        maximumShardSize: Int = defaultMaximumShardSize,
        metadata: [String: String]? = SafetensorsWriter.defaultMetadata
    ) throws -> [String] {
        let (shards, totalSize) = try split(tensors, maximumShardSize: maximumShardSize, path: folder)
        let shardNames = (1...shards.count).map { number in
            shards.count == 1
                ? stem + ".safetensors" : "\(stem)-\(digits(number))-of-\(digits(shards.count)).safetensors"
        }
        // Every name is checked before the first old file is replaced.
        var weightMap: [String: String] = [:]
        for (shard, name) in zip(shards, shardNames) {
            for tensor in shard {
                guard weightMap.updateValue(name, forKey: tensor.name) == nil else {
                    throw WeightsError(folder, item: tensor.name, "two tensors have this name")
                }
            }
        }
        for (shard, name) in zip(shards, shardNames) {
            try SafetensorsWriter.write(shard, metadata: metadata, to: folder + "/" + name)
        }
        var written = shardNames
        if shards.count > 1 {
            let name = stem + ".safetensors.index.json"
            let index = try ReplacementFile(replacing: folder + "/" + name)
            var text = ShardIndex.text(weightMap: weightMap, totalSize: totalSize)
            try text.withUTF8 { try index.write(UnsafeRawBufferPointer($0)) }
            try index.commit()
            written.append(name)
        }
        try removeOlderFiles(in: folder, stem: stem, keeping: Set(written))
        return written
    }

    private static func split(
        _ tensors: [WeightSource], maximumShardSize: Int, path: String
    ) throws -> (shards: [[WeightSource]], totalSize: Int) {
        var shards: [[WeightSource]] = []
        var (current, currentSize, totalSize): ([WeightSource], Int, Int) = ([], 0, 0)
        for tensor in tensors {
            guard let size = tensor.dtype.byteCount(shape: tensor.shape), size <= Int.max - totalSize else {
                throw WeightsError(path, item: tensor.name, "impossible shape \(tensor.shape) for \(tensor.dtype.name)")
            }
            totalSize += size
            if size > maximumShardSize {
                shards.append([tensor])
                continue
            }
            if currentSize + size > maximumShardSize {
                shards.append(current)
                (current, currentSize) = ([], 0)
            }
            current.append(tensor)
            currentSize += size
        }
        if !current.isEmpty || shards.isEmpty { shards.append(current) }
        return (shards, totalSize)
    }

    private static func digits(_ number: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }

    /// Removes the files that this writer would have made for another number of shards: they would shadow the new ones.
    private static func removeOlderFiles(in folder: String, stem: String, keeping: Set<String>) throws {
        let shardName = "\(stem)-00000-of-00000.safetensors"
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) where !keeping.contains(name) {
            // A shard is recognised by the shape of its name: every digit replaced by 0 after the stem.
            let suffix =
                name.hasPrefix(stem) ? name.dropFirst(stem.count).map { $0.isASCII && $0.isNumber ? "0" : $0 } : []
            let isOlder =
                name == stem + ".safetensors" || name == stem + ".safetensors.index.json"
                || stem + String(suffix) == shardName
            if isOlder { try FileManager.default.removeItem(atPath: folder + "/" + name) }
        }
    }
}
