import ApusFiles
import ApusJSON
import Foundation

/// Rows of results, appended to what the file holds already.
final class ResultFile {
    let path: String
    private let handle: FileHandle

    init(_ path: String) throws {
        self.path = path
        try LocalFileSystem().createDirectories(FilePath.parent(of: path))
        if !FileManager.default.fileExists(atPath: path) {
            try LocalFileSystem().writeAtomically(Data(), to: path)
        }
        handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try handle.seekToEnd()
    }

    func append(_ row: JSONObject) throws {
        try handle.write(contentsOf: Data((JSONValue.object(row).serialized() + "\n").utf8))
    }
}
