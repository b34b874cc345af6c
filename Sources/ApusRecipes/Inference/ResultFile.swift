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

    /// The file that the settings name, or a new one beside the checkpoint.
    convenience init(_ settings: InferSettings) throws {
        let parts = Calendar(identifier: .gregorian).dateComponents(
            [.year, .month, .day, .hour, .minute, .second], from: Date())
        let stamp = String(
            format: "%04d%02d%02d-%02d%02d%02d", parts.year ?? 0, parts.month ?? 0, parts.day ?? 0, parts.hour ?? 0,
            parts.minute ?? 0, parts.second ?? 0)
        let folder = settings.adapters.first ?? "result/\(ModelName.short(settings.model ?? "model"))"
        try self.init(settings.resultPath ?? "\(folder)/infer_result/\(stamp).jsonl")
    }

    func append(_ row: JSONObject) throws {
        try handle.write(contentsOf: Data((JSONValue.object(row).serialized() + "\n").utf8))
    }
}
