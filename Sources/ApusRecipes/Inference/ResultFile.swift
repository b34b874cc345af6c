import ApusDatasets
import ApusFiles
import ApusJSON
import Foundation

/// The rows of results of one run, or behind those of others where that is asked for.
final class ResultFile {
    let path: String
    private let file: any OpenFile

    /// Opens a new file, or one that is there already as `existing` says.
    ///
    /// A file is replaced where the links to it end; a device or a pipe is written to, and stays what it is.
    ///
    /// - Throws: `SettingsError` for a file with results that is neither to be continued nor overwritten.
    init(_ path: String, existing: ExistingResult) throws {
        self.path = path
        try Self.check(path, existing: existing)
        let files = LocalFileSystem()
        switch OutputTarget(path) {
        case .absent(let place):
            try files.createDirectories(FilePath.parent(of: place))
            try files.writeAtomically(Data(), to: place)
            file = try files.open(place, .append)
        case .file(let place):
            if existing == .overwrite { try files.writeAtomically(Data(), to: place) }
            let isTorn = try Self.isTorn(place)
            file = try files.open(place, .append)
            if isTorn { try Data("\n".utf8).withUnsafeBytes { try file.write($0) } }
        case .folder, .stream:
            file = try files.open(path, .append)
        }
    }

    /// Whether the last line has no end, as that of a run which was cut off while it wrote.
    private static func isTorn(_ path: String) throws -> Bool {
        let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? handle.close() }
        let size = try handle.seekToEnd()
        guard size > 0 else { return false }
        try handle.seek(toOffset: size - 1)
        return try handle.read(upToCount: 1) != Data("\n".utf8)
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
        switch OutputTarget(path) {
        case .absent(let place): return try OutputPlace.check(FilePath.parent(of: place), "result_path")
        case .folder:
            throw SettingsError("--result_path \(path): is a folder. Name a file, as in \(path)/result.jsonl.")
        case .stream: return
        case .file(let place):
            let size = try FileManager.default.attributesOfItem(atPath: place)[.size] as? Int ?? 0
            guard existing == .refuse, size > 0 else { return }
        }
        throw SettingsError(
            "--result_path \(path): holds results already, and those of two runs are not mixed. Name another file, or "
                + "give --existing_result append or overwrite.")
    }

    /// Refuses to write over, or behind, the rows that are to be answered.
    static func checkApart(_ settings: InferSettings) throws {
        guard let path = settings.resultPath else { return }
        let (option, words) =
            settings.data.isSplit ? ("dataset", settings.data.dataset) : ("val_dataset", settings.data.valDataset)
        guard let file = try DatasetLoader.files(words).first(where: { OutputTarget.isSame($0, path) }) else { return }
        throw SettingsError(
            "--result_path \(path): is the file \(file) of --\(option), whose rows would be lost. Name another file for "
                + "the answers.")
    }

    /// A folder for pictures beside the file; nil beside a device, where there is no place for any.
    var imagesFolder: String? {
        if case .stream = OutputTarget(path) { return nil }
        return URL(fileURLWithPath: path).deletingPathExtension().path + "-images"
    }

    /// The name with the first number that no file has; two runs may begin in the same second.
    private static func unused(_ stem: String) throws -> String {
        let names = ["\(stem).jsonl"] + (2...99).map { "\(stem)-\($0).jsonl" }
        return names.first { !FileManager.default.fileExists(atPath: $0) } ?? names[0]
    }

    func append(_ row: JSONObject) throws {
        try Data((JSONValue.object(row).serialized() + "\n").utf8).withUnsafeBytes { try file.write($0) }
    }
}
