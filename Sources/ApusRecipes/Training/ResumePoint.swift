import ApusFiles
import ApusJSON
import ApusRunLog
import ApusTraining
import Foundation

/// Where a run takes up: a checkpoint and the run folder it lies in, or nothing.
struct ResumePoint {
    /// The checkpoint, verified.
    let checkpoint: String?
    /// The folder of the run that goes on; nil for a run that begins a folder of its own.
    let folder: String?
    /// The folder of the run whose state is taken up, whichever folder is written into; nil where none is.
    let origin: String?
    /// What the checkpoint was saved with, and the mark of its run; nil where its state is not taken up.
    let saved: (identity: JSONValue, runID: String, step: Int)?

    private static let advice =
        "Give a checkpoint-<step> folder, the folder of a run, or `last` for the newest in --output_dir."

    /// - Throws: `TrainingError` when a named checkpoint is not there, damaged, or cannot be resumed.
    init(_ settings: SFTSettings, console: Console) throws {
        let point = try Self.find(settings, console: console)
        checkpoint = point?.checkpoint
        guard let point, !settings.evaluation.resumeOnlyModel else {
            (folder, origin, saved) = (nil, nil, nil)
            return
        }
        origin = point.folder
        folder = Self.goesOn(in: point.folder, settings.output.outputDirectory) ? point.folder : nil
        saved = try CheckpointStore.verified(point.checkpoint)
        if folder == nil {
            console.print(
                "resuming: what follows \(point.checkpoint) is written into \(settings.outputDirectory); what was saved before "
                    + "stays in \(point.folder), and the best checkpoint is sought anew")
        }
    }

    /// Whether a run goes on in its own folder: where no other is asked for than that, or the one that holds it.
    private static func goesOn(in folder: String, _ output: String?) -> Bool {
        func place(_ path: String) -> String {
            URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
        }
        guard let output else { return true }
        let run = place(folder)
        // The folder of a run may be a link.
        return [run, FilePath.parent(of: run), place(FilePath.parent(of: folder))].contains(place(output))
    }

    /// - Throws: `TrainingError` when the run is not the one that saved the checkpoint.
    func check(_ identity: RunIdentity) throws {
        guard let saved, let checkpoint else { return }
        let differences = identity.differences(from: saved.identity)
        guard !differences.isEmpty else { return }
        throw TrainingError(
            .resume,
            "--resume_from_checkpoint: \(checkpoint) belongs to another run:\n  "
                + differences.joined(separator: "\n  ")
                + "\nUse the settings of that run, or --resume_only_model true to take only its weights.")
    }

    private static func find(
        _ settings: SFTSettings, console: Console
    ) throws -> (checkpoint: String, folder: String)? {
        guard let wanted = settings.evaluation.resumeFromCheckpoint else { return nil }
        switch wanted.lowercased() {
        case "false", "none", "": return nil
        case "last", "auto", "true":
            // A run without a version goes on where it would be written.
            let folders = try runFolders(in: settings.outputDirectory)
            let ordered =
                settings.output.addVersion ? folders + [settings.outputDirectory] : [settings.outputDirectory] + folders
            if let found = try newest(in: ordered, console: console) { return found }
            console.print(
                "--resume_from_checkpoint \(wanted): no checkpoint in \(settings.outputDirectory); starting anew")
            return nil
        default: break
        }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: wanted, isDirectory: &isFolder), isFolder.boolValue else {
            throw TrainingError(.resume, "--resume_from_checkpoint \(wanted): there is no such folder. \(advice)")
        }
        // `last` and `best` are links to the folder that has the name.
        let path = try resolved(wanted)
        if FilePath.lastComponent(of: path).hasPrefix("checkpoint-") { return (path, FilePath.parent(of: path)) }
        let isModel = ["MANIFEST.json", "adapter_config.json", "config.json"].contains {
            FileManager.default.fileExists(atPath: FilePath.join(path, $0))
        }
        if isModel { return (path, FilePath.parent(of: path)) }
        if let found = try newest(in: [path] + runFolders(in: path), console: console) { return found }
        throw TrainingError(
            .resume, "--resume_from_checkpoint \(wanted): there is no checkpoint in this folder. \(advice)")
    }

    private static func newest(
        in folders: [String], console: Console
    ) throws -> (checkpoint: String, folder: String)? {
        for folder in folders {
            let (newest, refused) = try CheckpointStore.newest(in: folder)
            for reason in refused { console.print("checkpoint refused: \(reason)") }
            guard let newest else { continue }
            console.print("resuming from \(newest)")
            return (newest, folder)
        }
        return nil
    }

    private static func resolved(_ path: String) throws -> String {
        let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        guard try LocalFileSystem().status(path)?.kind == .symbolicLink else { return path }
        let target = try FileManager.default.destinationOfSymbolicLink(atPath: path)
        return target.hasPrefix("/") ? target : FilePath.join(FilePath.parent(of: path), target)
    }

    /// The folders `v<N>-<time>` of runs, newest first.
    private static func runFolders(in output: String) throws -> [String] {
        let files = LocalFileSystem()
        guard let kind = try files.status(output)?.kind, kind == .directory || kind == .symbolicLink else { return [] }
        func version(_ name: String) -> Int? {
            guard name.hasPrefix("v"), let dash = name.firstIndex(of: "-") else { return nil }
            return Int(name[name.index(after: name.startIndex)..<dash])
        }
        let versions = try files.contentsOfDirectory(output).compactMap { name in version(name).map { ($0, name) } }
        return versions.sorted { $0.0 > $1.0 }.map { FilePath.join(output, $0.1) }
    }
}
