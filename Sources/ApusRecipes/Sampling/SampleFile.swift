import ApusDatasets
import ApusFiles
import ApusJSON
import Crypto
import Foundation

/// The output of `sample`, which grows beside its place and takes it when it is complete.
///
/// After each batch a small file says how many rows are done and how long the output was then, so that a run that was cut off
/// at any moment goes on behind the last whole batch. One run at a time has an output.
final class SampleFile {
    let path: String
    /// The rows that are done, by earlier runs and this one.
    private(set) var done = 0
    /// Those of them that could not be asked or judged.
    private(set) var failed = 0
    private let settings: JSONObject
    private let output: FileHandle
    private let completions: FileHandle?
    private let lock: (any FileLock)?
    /// Over the rows that are done.
    private var digest = SHA256()

    /// What may differ in a run that goes on.
    private static let free: Set<String> = [
        "output_dir", "output_file", "resume", "override_exist_file", "num_sampling_batches", "num_sampling_batch_size",
        "reward_timeout", "strict", "dataset_num_proc", "device", "use_cpu", "ignore_args_error", "hub_token",
        "apus_version",
    ]

    static func partial(_ path: String) -> String { path + ".apus-partial" }
    static func state(_ path: String) -> String { path + ".apus-state.json" }
    static func completions(_ path: String) -> String {
        (path.hasSuffix(".jsonl") ? String(path.dropLast(6)) : path) + "-completions.jsonl"
    }

    /// - Parameters:
    ///   - sources: What else decides the rows, under names of options.
    ///   - rowID: The id of a row by its place in the run; asked of those that are done.
    /// - Throws: `SettingsError` for the output of a run that was cut off, where it is neither to go on nor to begin anew, for
    ///   one that other settings or data have made, and for one that another run is writing.
    init(_ path: String, _ settings: SampleSettings, sources: JSONObject, rowID: (Int) throws -> String) throws {
        self.path = path
        var current = settings.argsJSON().filter { !Self.free.contains($0.key) }.reduce(into: JSONObject()) {
            $0[$1.key] = $1.value
        }
        for (name, value) in sources { current[name] = value }
        self.settings = current
        let files = LocalFileSystem()
        try files.createDirectories(FilePath.parent(of: path))
        lock = try Self.lock(path)
        let (partial, completions) = (Self.partial(path), Self.completions(path))
        let hasBegun = FileManager.default.fileExists(atPath: partial)
        guard !hasBegun || settings.resume || settings.overrideExistFile else {
            throw SettingsError(
                "--output_file \(path): a run into it was cut off, and \(partial) holds what it wrote. Give --resume true to go on, "
                    + "or --override_exist_file true to begin anew.")
        }
        var sizes: (output: Int, completions: Int) = (0, 0)
        if hasBegun, settings.resume, !settings.overrideExistFile {
            let state = try Self.read(path)
            try Self.compare(state["settings"]?.objectValue, current, partial)
            done = state["rows"]?.intValue ?? 0
            failed = state["failed"]?.intValue ?? 0
            for row in 0..<done { digest.update(data: Data(try rowID(row).utf8)) }
            guard done == 0 || state["rows_sha256"]?.stringValue == Self.text(of: digest) else {
                throw SettingsError(
                    "--resume true: \(partial) was begun with other rows: the first \(done) of --dataset are no longer those "
                        + "that were done. Give the same data, or --override_exist_file true to begin anew.")
            }
            sizes = (state["bytes"]?.intValue ?? 0, state["completion_bytes"]?.intValue ?? 0)
            // A run that ended between the two last renamings left it in its place.
            if sizes.completions > 0, !FileManager.default.fileExists(atPath: Self.partial(completions)),
                FileManager.default.fileExists(atPath: completions)
            {
                try files.rename(completions, to: Self.partial(completions))
            }
        } else if FileManager.default.fileExists(atPath: Self.state(path)) {
            // What an earlier run had done says nothing of this one, which may be cut off before it has done anything.
            try files.removeFile(Self.state(path))
        }
        if settings.logCompletions, !settings.overrideExistFile, FileManager.default.fileExists(atPath: completions) {
            throw SettingsError(
                "--log_completions true: \(completions) is there already, and is not written over. Give another --output_file, or "
                    + "--override_exist_file true, which gives the old file another name.")
        }
        output = try Self.open(partial, size: sizes.output)
        self.completions =
            settings.logCompletions ? try Self.open(Self.partial(completions), size: sizes.completions) : nil
    }

    /// Refuses what cannot be replaced by a file, and what is read, before there is any work to lose.
    static func check(_ path: String, _ settings: SampleSettings) throws {
        switch OutputTarget(path) {
        case .stream:
            throw SettingsError(
                "--output_file \(path): is a device or a pipe, and the output is a file that takes its place when it is "
                    + "complete. Give the name of a file.")
        case .folder: throw SettingsError("--output_file \(path): is a folder. Give the name of a file.")
        case .absent: return
        case .file: break
        }
        for (option, words) in [("dataset", settings.answering.data.dataset), ("cache_files", settings.cacheFiles)] {
            let files = option == "dataset" ? try DatasetLoader.files(words) : words
            guard let file = files.first(where: { OutputTarget.isSame($0, path) }) else { continue }
            throw SettingsError(
                "--output_file \(path): is the file \(file) of --\(option). Give another name, so that it stays what it is."
            )
        }
    }

    /// Keeps other runs away from an output as long as the lock is there; the system drops it however a run ends.
    private static func lock(_ path: String) throws -> (any FileLock)? {
        let file = FilePath.join(FilePath.parent(of: path), ".\(FilePath.lastComponent(of: path)).apus-lock")
        let files = LocalFileSystem()
        try files.open(file, .append).close()
        do {
            guard let lock = try files.lock(file) else {
                throw SettingsError(
                    "--output_file \(path): another run is writing it. Wait for that to end, or give another name.")
            }
            return lock
        } catch let error as FileError where error.code == ENOTSUP {
            // On a disk without locks nobody is kept out.
            return nil
        }
    }

    /// - Throws: `SettingsError` naming what differs.
    private static func compare(_ old: JSONObject?, _ new: JSONObject, _ partial: String) throws {
        guard let old, old != new else { return }
        let names = Set(old.keys).union(new.keys).filter { old[$0] != new[$0] }.sorted()
        guard !names.isEmpty else { return }
        throw SettingsError(
            "--resume true: \(partial) was begun with other settings: "
                + names.map { "--\($0) \((old[$0] ?? .null).serialized())" }.joined(separator: ", ")
                + ". Give the same, or --override_exist_file true to begin anew.")
    }

    private static func text(of digest: SHA256) -> String {
        digest.finalize().prefix(16).map { String(format: "%02x", $0) }.joined()
    }

    private static func read(_ path: String) throws -> JSONObject {
        // Without it the run was cut off in its first batch.
        guard let data = FileManager.default.contents(atPath: state(path)) else { return [:] }
        guard let object = try? JSONValue(parsing: data).objectValue else {
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
    /// - Parameters:
    ///   - ids: Of these rows.
    ///   - done: The rows that are done now.
    ///   - failed: Those of them that could not be asked or judged.
    func append(
        _ rows: [JSONObject], completions all: [JSONObject], ids: [String], done: Int, failed: Int
    ) throws {
        func write(_ rows: [JSONObject], to handle: FileHandle) throws {
            let text = rows.map { JSONValue.object($0).serialized() + "\n" }.joined()
            try handle.write(contentsOf: Data(text.utf8))
            try handle.synchronize()
        }
        try write(rows, to: output)
        if let completions { try write(all, to: completions) }
        (self.done, self.failed) = (done, failed)
        for id in ids { digest.update(data: Data(id.utf8)) }
        let state: JSONObject = [
            "rows": .int(done), "failed": .int(failed), "rows_sha256": .string(Self.text(of: digest)),
            "bytes": .int(Int(try output.offset())), "completion_bytes": .int(Int(try completions?.offset() ?? 0)),
            "settings": .object(settings),
        ]
        try LocalFileSystem().writeAtomically(
            Data(JSONValue.object(state).serialized().utf8), to: Self.state(path))
    }

    /// Puts the output in its place; one that is there already gets the time behind its name, as in ms-swift.
    func finish() throws {
        try output.close()
        try completions?.close()
        let files = LocalFileSystem()
        for place in (completions == nil ? [] : [Self.completions(path)]) + [path] {
            if FileManager.default.fileExists(atPath: place) { try files.rename(place, to: Self.older(place)) }
            try files.rename(Self.partial(place), to: place)
        }
        if FileManager.default.fileExists(atPath: Self.state(path)) { try files.removeFile(Self.state(path)) }
        try files.synchronizeDirectory(FilePath.parent(of: path))
        lock?.release()
    }

    /// A name for an old output that no file has.
    private static func older(_ path: String) -> String {
        let time = Int(Date().timeIntervalSince1970)
        let names = (0...).lazy.map { "\(path).\(time)" + ($0 == 0 ? "" : "-\($0)") }
        return names.first { !FileManager.default.fileExists(atPath: $0) } ?? "\(path).\(time)"
    }
}
