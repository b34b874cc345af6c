package import ApusTorch
import Foundation

/// The tensors of several pickles that together are one model: `pytorch_model-00001-of-00002.bin` and so on.
package final class PyTorchShards: TensorStore, Sendable {
    package let tensorNames: [String]
    private let files: [PyTorchFile]
    private let places: [String: Int]

    /// Opens the shards that an index lists, mapping every file; reads no weights.
    ///
    /// - Throws: `WeightsError` when the index and its shards do not agree.
    package convenience init(index path: String, folder: String) throws {
        let index = try ShardIndex(path: path, ending: ".bin")
        var names: [String] = []
        for (_, shard) in index.weightMap where names.last != shard { names.append(shard) }
        var seen: Set<String> = []
        names = names.filter { seen.insert($0).inserted }
        try self.init(files: names, folder: folder, index: path)
        for (name, shard) in index.weightMap {
            guard let place = places[name], names[place] == shard else {
                throw WeightsError(
                    path, item: name, "the shard \(shard) does not hold this tensor",
                    advice: "index and shards come from different saves: download or save them again")
            }
        }
    }

    /// Opens files of which each holds other tensors.
    ///
    /// - Parameter index: What lists them, for errors.
    package init(files names: [String], folder: String, index: String? = nil) throws {
        var (files, places, order): ([PyTorchFile], [String: Int], [String]) = ([], [:], [])
        for name in names {
            let path = folder + "/" + name
            guard FileManager.default.fileExists(atPath: path) else {
                throw WeightsError(
                    path, "is listed in \(index ?? folder), but is missing", advice: "download the model again")
            }
            let file = try PyTorchFile(path: path)
            for tensor in file.tensorNames {
                if let other = places.updateValue(files.count, forKey: tensor) {
                    throw WeightsError(
                        path, item: tensor, "this tensor is also in \(names[other])",
                        advice: "index and shards come from different saves: download or save them again")
                }
                order.append(tensor)
            }
            files.append(file)
        }
        (self.files, self.places, tensorNames) = (files, places, order)
    }

    private func file(of name: String) throws -> PyTorchFile {
        guard let place = places[name] else {
            throw WeightsError(
                files.first?.path ?? "pytorch_model.bin", item: name,
                "no such tensor among the \(places.count) of this model")
        }
        return files[place]
    }

    package func shape(of name: String) throws -> [Int] { try file(of: name).shape(of: name) }

    package func dtype(of name: String) throws -> DType { try file(of: name).dtype(of: name) }

    package func tensor(_ name: String, dtype: DType, device: Device) throws -> (tensor: Tensor, isBorrowed: Bool) {
        try file(of: name).tensor(name, dtype: dtype, device: device)
    }
}
