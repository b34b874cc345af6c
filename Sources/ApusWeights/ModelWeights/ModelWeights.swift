import Foundation

/// The tensors of a model folder, whether in one `model.safetensors` or in shards with an index.
package final class ModelWeights: Sendable {
    /// The files, each once, in the order of the index.
    package let files: [SafetensorsFile]
    /// The names of all tensors, sorted by their bytes.
    package let names: [String]
    /// Tensors that a shard holds and the index does not list.
    ///
    /// They are not part of the model.
    package let unlistedNames: [String]
    private let places: [String: (file: Int, entry: SafetensorsEntry)]

    /// Opens the weights in `folder`, mapping every file; reads no weights.
    ///
    /// As in transformers, one whole file comes before an index.
    ///
    /// - Parameter stem: The file name without its ending.
    /// - Throws: `WeightsError` when there are none, or the index and its shards do not agree.
    package convenience init(folder: String, stem: String = "model") throws {
        let whole = folder + "/" + stem + ".safetensors"
        let index = whole + ".index.json"
        if FileManager.default.fileExists(atPath: whole) {
            try self.init(file: whole)
        } else if FileManager.default.fileExists(atPath: index) {
            try self.init(index: index, folder: folder)
        } else {
            throw WeightsError(
                folder, "holds neither \(stem).safetensors nor \(stem).safetensors.index.json",
                advice: "is this the folder of a model, and is its download complete?")
        }
    }

    /// Opens a single file.
    package convenience init(file path: String) throws {
        try self.init(files: [path])
    }

    /// Opens files of which each holds other tensors.
    ///
    /// - Throws: `WeightsError` when a file cannot be read, or two hold the same tensor.
    package init(files paths: [String]) throws {
        let files = try paths.map(SafetensorsFile.init)
        var places: [String: (file: Int, entry: SafetensorsEntry)] = [:]
        for (position, file) in files.enumerated() {
            for entry in file.entries {
                guard places.updateValue((position, entry), forKey: entry.name) == nil else {
                    throw WeightsError(
                        file.path, item: entry.name, "this tensor is also in another of the \(files.count) files",
                        advice: "they come from different saves: download or save them again")
                }
            }
        }
        self.files = files
        self.places = places
        names = places.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        unlistedNames = []
    }

    private init(index path: String, folder: String) throws {
        let index = try ShardIndex(path: path)
        var files: [SafetensorsFile] = []
        var positions: [String: Int] = [:]
        var places: [String: (file: Int, entry: SafetensorsEntry)] = [:]
        for (name, shard) in index.weightMap {
            let position: Int
            if let known = positions[shard] {
                position = known
            } else {
                position = files.count
                positions[shard] = position
                files.append(try Self.openShard(folder + "/" + shard, index: path))
            }
            guard let entry = files[position][name] else {
                throw WeightsError(
                    path, item: name, "the shard \(shard) does not hold this tensor",
                    advice: "index and shards come from different saves: download or save them again")
            }
            places[name] = (position, entry)
        }
        var unlisted: [String] = []
        for (position, file) in files.enumerated() {
            for entry in file.entries {
                guard let place = places[entry.name] else {
                    unlisted.append(entry.name)
                    continue
                }
                guard place.file == position else {
                    throw WeightsError(
                        file.path, item: entry.name, "this tensor is also in \(files[place.file].path)",
                        advice: "index and shards come from different saves: download or save them again")
                }
            }
        }
        self.files = files
        self.places = places
        names = places.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        unlistedNames = unlisted
    }

    private static func openShard(_ path: String, index: String) throws -> SafetensorsFile {
        guard FileManager.default.fileExists(atPath: path) else {
            throw WeightsError(path, "is listed in \(index), but is missing", advice: "download the model again")
        }
        return try SafetensorsFile(path: path)
    }

    /// Tensors that are another under a second name, with the name of that one.
    package var aliases: [String: String] {
        files.reduce(into: [:]) { all, file in
            all.merge(file.aliases.filter { places[$0.key] == nil && places[$0.value] != nil }) { first, _ in first }
        }
    }

    package subscript(name: String) -> (file: SafetensorsFile, entry: SafetensorsEntry)? {
        places[name].map { (files[$0.file], $0.entry) }
    }
}
