import ApusFiles
import ApusWeights

extension ModelSource {
    /// The files that hold the weights, in the order of their names.
    func weightFiles() throws -> [String] {
        switch form {
        case .gguf(let model): model.file.mappings.map(\.path)
        case .folder: try WeightsFolder(path).files
        }
    }

    /// Tells weights of one shape apart without reading them whole: a digest of the sizes of their files and of 1 MiB of each in
    /// pieces from its start to its end, or of all where there is no more.
    ///
    /// The names do not count, so that a model can be moved.
    func weightsMark() throws -> String {
        let (pieces, size) = (256, 4096)
        var hash = DigestHasher()
        for path in try weightFiles() {
            try MappedFile(path: path).withUnsafeBytes { bytes in
                hash.update("\(bytes.count)")
                guard bytes.count > pieces * size else { return hash.update(bytes) }
                for piece in 0..<pieces {
                    let start = (bytes.count - size) * piece / (pieces - 1)
                    hash.update(UnsafeRawBufferPointer(rebasing: bytes[start..<start + size]))
                }
            }
        }
        return hash.finish().sha256
    }
}
