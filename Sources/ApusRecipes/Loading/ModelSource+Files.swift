import ApusFiles
import Foundation

extension ModelSource {
    /// The files that hold the weights, in the order of their names.
    func weightFiles() throws -> [String] {
        var folder = path
        var isOwn: (String) -> Bool = { name in
            [".safetensors", ".bin", ".pt", ".pth", ".gguf"].contains(where: name.lowercased().hasSuffix)
        }
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue {
            // A file may be the first of several parts.
            folder = FilePath.parent(of: path)
            let name = FilePath.lastComponent(of: path)
            let stem = name.firstMatch(of: /-\d+-of-\d+\.gguf$/).map { String(name[..<$0.range.lowerBound]) }
            isOwn = { other in
                other == name || stem.map { other.hasPrefix("\($0)-") && other.hasSuffix(".gguf") } == true
            }
        }
        return try LocalFileSystem().contentsOfDirectory(folder).filter(isOwn).sorted().map {
            FilePath.join(folder, $0)
        }
    }

    /// Tells weights of one shape apart without reading them whole: a digest of the sizes of their files and of pieces of each.
    ///
    /// The names do not count, so that a model can be moved.
    func weightsMark() throws -> String {
        let (pieces, size) = (256 as UInt64, 4096)
        var hash = DigestHasher()
        for path in try weightFiles() {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? file.close() }
            let end = try file.seekToEnd()
            hash.update("\(end)")
            for piece in 0..<min(pieces, end / UInt64(size) + 1) {
                try file.seek(toOffset: end / pieces * piece)
                try (file.read(upToCount: size) ?? Data()).withUnsafeBytes { hash.update($0) }
            }
        }
        return hash.finish().sha256
    }
}
