import ApusFiles
import ApusJSON
import Foundation

/// The rows of results of one run, or behind those of others where that is asked for.
final class ResultFile {
    let path: String
    private let handle: FileHandle

    /// Opens a new file, or one that is there already as `existing` says.
    ///
    /// - Throws: `SettingsError` for a file with results that is neither to be continued nor overwritten.
    init(_ path: String, existing: ExistingResult) throws {
        self.path = path
        try Self.check(path, existing: existing)
        try LocalFileSystem().createDirectories(FilePath.parent(of: path))
        if existing == .overwrite || !FileManager.default.fileExists(atPath: path) {
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
        let new = try Self.unused("\(Self.folder(settings))/\(stamp)")
        try self.init(settings.resultPath ?? new, existing: settings.existingResult)
    }

    /// Where a new file goes.
    private static func folder(_ settings: InferSettings) -> String {
        let parent = settings.model.adapters.first ?? "result/\(ModelName.short(settings.model.name ?? "model"))"
        return "\(parent)/infer_result"
    }

    /// Refuses a place that nothing can be written to, and a file with results of another run, before there is any work
    /// to lose.
    static func check(_ settings: InferSettings) throws {
        guard let path = settings.resultPath else {
            do {
                return try OutputPlace.check(folder(settings), "result_path")
            } catch let error as SettingsError {
                throw SettingsError(
                    "\(error) Without --result_path answers go beside the checkpoint; name a file elsewhere.")
            }
        }
        try check(path, existing: settings.existingResult)
    }

    /// Refuses a file with results of another run, before there is any work to lose.
    static func check(_ path: String, existing: ExistingResult) throws {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            return try OutputPlace.check(FilePath.parent(of: path), "result_path")
        }
        guard !isFolder.boolValue else {
            throw SettingsError("--result_path \(path): is a folder. Name a file, as in \(path)/result.jsonl.")
        }
        let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
        guard existing == .refuse, size > 0 else { return }
        throw SettingsError(
            "--result_path \(path): holds results already, and those of two runs are not mixed. Name another file, or "
                + "give --existing_result append or overwrite.")
    }

    /// The name with the first number that no file has; two runs may begin in the same second.
    private static func unused(_ stem: String) throws -> String {
        let names = ["\(stem).jsonl"] + (2...99).map { "\(stem)-\($0).jsonl" }
        return names.first { !FileManager.default.fileExists(atPath: $0) } ?? names[0]
    }

    func append(_ row: JSONObject) throws {
        try handle.write(contentsOf: Data((JSONValue.object(row).serialized() + "\n").utf8))
    }
}
