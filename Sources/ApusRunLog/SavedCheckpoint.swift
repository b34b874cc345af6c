package import ApusFiles
import ApusJSON

/// A folder `checkpoint-<step>`, and what its manifest says without a look at the other files.
package struct SavedCheckpoint: Sendable, Equatable {
    package let path: String
    package let step: Int
    /// The run that saved it; empty for one of an Apus that had no such mark, nil for a folder without a manifest.
    package let runID: String?
    /// Grows with every checkpoint that is saved into a folder, by whichever run; nil for a folder without a manifest,
    /// which may be the newest.
    package let sequence: Int?

    /// The checkpoints in a run folder in the order they were saved.
    package static func all(
        in folder: String, fileSystem: any FileSystem = LocalFileSystem()
    ) throws -> [SavedCheckpoint] {
        guard let kind = try fileSystem.status(folder)?.kind, kind == .directory || kind == .symbolicLink else {
            return []
        }
        return try fileSystem.contentsOfDirectory(folder).compactMap { name -> SavedCheckpoint? in
            guard name.hasPrefix("checkpoint-"), let step = Int(name.dropFirst("checkpoint-".count)) else { return nil }
            let path = FilePath.join(folder, name)
            let identity = try? fileSystem.manifest(of: path).identity
            return SavedCheckpoint(
                path: path, step: step, runID: identity.map { $0["run_id"]?.stringValue ?? "" },
                sequence: identity.map { $0["sequence"]?.intValue ?? 0 })
        }.sorted { ($0.sequence ?? .max, $0.step) < ($1.sequence ?? .max, $1.step) }
    }
}
