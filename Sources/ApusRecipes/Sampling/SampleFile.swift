import ApusFiles
import ApusJSON
import Foundation

/// The output of `sample`, which grows beside its place and takes it when it is complete.
///
/// After each batch a small file says how many rows are done and how long the output was then, so that a run that was cut off
/// at any moment goes on behind the last whole batch.
final class SampleFile {
    let path: String
    /// The rows that were done before this run.
    private(set) var done = 0
    private let settings: JSONObject
    private let output: FileHandle
    private let completions: FileHandle?

    /// What may differ in a run that goes on.
    private static let free: Set<String> = [
        "output_dir", "output_file", "resume", "override_exist_file", "num_sampling_batches", "num_sampling_batch_size",
        "reward_timeout", "dataset_num_proc", "device", "use_cpu", "ignore_args_error", "hub_token", "apus_version",
    ]

    static func partial(_ path: String) -> String { path + ".resume" }
    static func state(_ path: String) -> String { path + ".state.json" }
    static func completions(_ path: String) -> String {
        (path.hasSuffix(".jsonl") ? String(path.dropLast(6)) : path) + "-completions.jsonl"
    }

    /// - Throws: `SettingsError` for the output of a run that was cut off, where it is neither to go on nor to begin anew, and
    ///   for one that other settings have made.
    init(_ path: String, _ settings: SampleSettings) throws {
        self.path = path
        let current = settings.argsJSON().reduce(into: JSONObject()) { kept, entry in
            if !Self.free.contains(entry.key) { kept[entry.key] = entry.value }
        }
        self.settings = current
        let files = LocalFileSystem()
        try files.createDirectories(FilePath.parent(of: path))
        let (partial, completions) = (Self.partial(path), Self.completions(path))
        let hasBegun = FileManager.default.fileExists(atPath: partial)
        guard !hasBegun || settings.resume || settings.overrideExistFile else {
            throw SettingsError(
                "--output_file \(path): a run into it was cut off, and \(partial) holds what it wrote. Give --resume true to go on, "
                    + "or --override_exist_file true to begin anew.")
        }
        var sizes: (output: Int, completions: Int) = (0, 0)
        if hasBegun, settings.resume {
            let state = try Self.read(path)
            if let old = state["settings"]?.objectValue, old != current {
                let names = current.keys.filter { old[$0] != current[$0] }
                throw SettingsError(
                    "--resume true: \(partial) was begun with other settings: "
                        + names.map { "--\($0) \((old[$0] ?? .null).serialized())" }.joined(separator: ", ")
                        + ". Give the same, or --override_exist_file true to begin anew.")
            }
            done = state["rows"]?.intValue ?? 0
            sizes = (state["bytes"]?.intValue ?? 0, state["completion_bytes"]?.intValue ?? 0)
        }
        output = try Self.open(partial, size: sizes.output)
        self.completions = settings.logCompletions ? try Self.open(completions, size: sizes.completions) : nil
    }

    private static func read(_ path: String) throws -> JSONObject {
        guard let data = FileManager.default.contents(atPath: state(path)) else { return [:] }
        guard let object = try JSONValue(parsing: data).objectValue else {
            throw SettingsError("\(state(path)): is no JSON object. --override_exist_file true begins anew.")
        }
        return object
    }

    /// A file to write behind its first bytes.
    private static func open(_ path: String, size: Int) throws -> FileHandle {
        if !FileManager.default.fileExists(atPath: path) { try LocalFileSystem().writeAtomically(Data(), to: path) }
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        guard try handle.seekToEnd() >= UInt64(size) else {
            throw SettingsError("\(path): is shorter than it was left. --override_exist_file true begins anew.")
        }
        try handle.truncate(atOffset: UInt64(size))
        return handle
    }

    /// Writes what came of some rows.
    ///
    /// - Parameter done: The rows that are done now.
    func append(_ rows: [JSONObject], completions all: [JSONObject], done: Int) throws {
        func write(_ rows: [JSONObject], to handle: FileHandle) throws {
            let text = rows.map { JSONValue.object($0).serialized() + "\n" }.joined()
            try handle.write(contentsOf: Data(text.utf8))
            try handle.synchronize()
        }
        try write(rows, to: output)
        if let completions { try write(all, to: completions) }
        self.done = done
        let state: JSONObject = [
            "rows": .int(done), "bytes": .int(Int(try output.offset())),
            "completion_bytes": .int(Int(try completions?.offset() ?? 0)), "settings": .object(settings),
        ]
        try LocalFileSystem().writeAtomically(
            Data(JSONValue.object(state).serialized().utf8), to: Self.state(path))
    }

    /// Puts the output in its place; one that is there already gets the time behind its name, as in ms-swift.
    func finish() throws {
        try output.close()
        try completions?.close()
        let files = LocalFileSystem()
        if FileManager.default.fileExists(atPath: path) {
            try files.rename(path, to: "\(path).\(Int(Date().timeIntervalSince1970))")
        }
        try files.rename(Self.partial(path), to: path)
        if FileManager.default.fileExists(atPath: Self.state(path)) { try files.removeFile(Self.state(path)) }
        try files.synchronizeDirectory(FilePath.parent(of: path))
    }
}
