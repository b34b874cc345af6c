import ApusFiles
import ApusTraining
import Foundation

/// Where a run takes up: a checkpoint and the run folder it lies in, or nothing.
struct ResumePoint {
    let checkpoint: String?
    let folder: String?

    /// - Throws: `TrainingError` when a named checkpoint is not there.
    init(_ settings: SFTSettings, console: Console) throws {
        guard let wanted = settings.resumeFromCheckpoint else {
            (checkpoint, folder) = (nil, nil)
            return
        }
        if wanted == "last" || wanted == "auto" {
            for candidate in try Self.runFolders(in: settings.outputDirectory) {
                let (newest, refused) = try CheckpointStore.newest(in: candidate)
                for reason in refused { console.print("checkpoint refused: \(reason)") }
                if let newest {
                    console.print("resuming from \(newest)")
                    (checkpoint, folder) = (newest, candidate)
                    return
                }
            }
            console.print(
                "--resume_from_checkpoint \(wanted): no checkpoint in \(settings.outputDirectory); starting anew")
            (checkpoint, folder) = (nil, nil)
            return
        }
        guard FileManager.default.fileExists(atPath: wanted) else {
            throw TrainingError(
                .resume,
                "--resume_from_checkpoint \(wanted): there is no such folder. Give a checkpoint-<step> folder, or `last`."
            )
        }
        checkpoint = wanted
        folder = FilePath.parent(of: wanted)
    }

    /// The folders of runs, newest first: `v<N>-<time>` below the output folder, and the output folder itself.
    private static func runFolders(in output: String) throws -> [String] {
        let files = LocalFileSystem()
        guard try files.status(output)?.kind == .directory else { return [] }
        func version(_ name: String) -> Int? {
            guard name.hasPrefix("v"), let dash = name.firstIndex(of: "-") else { return nil }
            return Int(name[name.index(after: name.startIndex)..<dash])
        }
        let versions = try files.contentsOfDirectory(output).compactMap { name in version(name).map { ($0, name) } }
        return versions.sorted { $0.0 > $1.0 }.map { FilePath.join(output, $0.1) } + [output]
    }
}
