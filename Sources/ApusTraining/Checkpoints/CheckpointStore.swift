package import ApusFiles
package import ApusJSON
package import ApusOptimizers
import ApusTorch
import ApusWeights
import Foundation

/// The checkpoints of one run folder: saved whole or not at all, verified before they are trusted.
package final class CheckpointStore {
    private let runFolder: String
    private let contents: any CheckpointContents
    private let identity: JSONValue
    private let limit: Int?
    private let savesState: Bool
    private let makesLinks: Bool
    private let totalSteps: Int
    private let fileSystem: any FileSystem

    /// - Parameters:
    ///   - identity: What must be the same for a run to be resumed: model, data, seed, settings.
    ///   - limit: How many checkpoints stay; the best one always does.
    ///   - savesState: Whether the optimizer's state goes in, without which a run cannot be resumed.
    ///   - makesLinks: Whether to keep `last` and `best`.
    package init(
        runFolder: String, contents: any CheckpointContents, identity: JSONValue, limit: Int? = nil,
        savesState: Bool = true, makesLinks: Bool = false, totalSteps: Int,
        fileSystem: any FileSystem = LocalFileSystem()
    ) throws {
        self.runFolder = runFolder
        self.contents = contents
        self.identity = identity
        self.limit = limit
        self.savesState = savesState
        self.makesLinks = makesLinks
        self.totalSteps = totalSteps
        self.fileSystem = fileSystem
        _ = try fileSystem.sweepStaging(in: runFolder)
    }

    /// Saves one checkpoint and only then removes old ones.
    ///
    /// - Returns: The folder `checkpoint-<step>`.
    func save(
        progress: TrainingProgress, states: [any ResumableState], epoch: Double, history: [JSONObject]
    ) throws -> String {
        let name = "checkpoint-\(progress.step)"
        let path = FilePath.join(runFolder, name)
        var progress = progress
        progress.noteSaved(path)
        let folder = try AtomicDirectory(path, fileSystem: fileSystem)
        try contents.write(into: folder)
        if savesState {
            let state = states.flatMap(\.state)
            if !state.isEmpty {
                try SafetensorsWriter.write(
                    state.map { WeightSource($0.name, $0.tensor) }, to: folder.path(for: Self.optimizerFile))
            }
            try folder.write(Data(progress.json.serialized(indent: 2).utf8), as: Self.progressFile)
        }
        try folder.write(
            Data(trainerState(progress, epoch: epoch, history: history).serialized(indent: 2).utf8),
            as: "trainer_state.json")
        try folder.commit(
            identity: [
                "step": .int(progress.step), "resumable": .bool(savesState), "run": identity,
            ])
        try fileSystem.replaceSymbolicLink(FilePath.join(runFolder, "last-checkpoint"), to: name)
        if makesLinks {
            try fileSystem.replaceSymbolicLink(FilePath.join(runFolder, "last"), to: name)
            if let best = progress.best {
                try fileSystem.replaceSymbolicLink(
                    FilePath.join(runFolder, "best"), to: FilePath.lastComponent(of: best.path))
            }
        }
        try removeOld(keeping: [path, progress.best?.path].compactMap { $0 })
        return path
    }

    /// Hugging Face's record of a run, for programs that look into it.
    private func trainerState(_ progress: TrainingProgress, epoch: Double, history: [JSONObject]) -> JSONValue {
        [
            "best_global_step": progress.best.map { .int($0.step) } ?? .null,
            "best_metric": progress.best.map { .double($0.metric) } ?? .null,
            "best_model_checkpoint": progress.best.map { .string($0.path) } ?? .null,
            "epoch": .double(epoch), "global_step": .int(progress.step), "is_hyper_param_search": false,
            "is_local_process_zero": true, "is_world_process_zero": true,
            "log_history": .array(history.map(JSONValue.object)), "max_steps": .int(totalSteps),
        ]
    }

    private func removeOld(keeping kept: [String]) throws {
        guard let limit else { return }
        let paths = try Self.checkpoints(in: runFolder, fileSystem: fileSystem).map(\.path)
        var surplus = paths.count - max(limit, 1)
        for path in paths where surplus > 0 && !kept.contains(path) {
            try fileSystem.removeTree(path)
            surplus -= 1
        }
    }
}

// MARK: - Reading

extension CheckpointStore {
    static let optimizerFile = "optimizer.safetensors"
    static let progressFile = "apus_state.json"

    /// The checkpoints of a run folder, oldest step first.
    package static func checkpoints(
        in folder: String, fileSystem: any FileSystem = LocalFileSystem()
    ) throws -> [(path: String, step: Int)] {
        guard try fileSystem.status(folder)?.kind == .directory else { return [] }
        return try fileSystem.contentsOfDirectory(folder).compactMap { name in
            guard name.hasPrefix("checkpoint-"), let step = Int(name.dropFirst("checkpoint-".count)) else { return nil }
            return (FilePath.join(folder, name), step)
        }.sorted { $0.step < $1.step }
    }

    /// The newest checkpoint of a run folder that verifies, and why newer ones were refused.
    package static func newest(
        in folder: String, fileSystem: any FileSystem = LocalFileSystem()
    ) throws -> (path: String?, refused: [String]) {
        var refused: [String] = []
        for (path, _) in try checkpoints(in: folder, fileSystem: fileSystem).reversed() {
            do {
                let verified = try fileSystem.verifyDirectory(path)
                if verified.identity["resumable"]?.boolValue == true { return (path, refused) }
                refused.append("\(path) was saved with --save_only_model")
            } catch {
                refused.append("\(error)")
            }
        }
        return (nil, refused)
    }

    /// Verifies a checkpoint and that it belongs to this run, before anything of it is read.
    ///
    /// - Parameter identity: What this run is; differences are listed.
    package static func check(
        _ path: String, identity: JSONValue, fileSystem: any FileSystem = LocalFileSystem()
    ) throws {
        let verified: VerifiedDirectory
        do {
            verified = try fileSystem.verifyDirectory(path)
        } catch {
            throw TrainingError(.resume, "--resume_from_checkpoint: \(error). Take an older checkpoint.")
        }
        guard verified.identity["resumable"]?.boolValue == true else {
            throw TrainingError(
                .resume,
                "--resume_from_checkpoint: \(path) was saved with --save_only_model and holds no optimizer state")
        }
        let differences = Self.differences(verified.identity["run"] ?? .null, identity)
        guard differences.isEmpty else {
            throw TrainingError(
                .resume,
                "--resume_from_checkpoint: \(path) belongs to another run:\n  "
                    + differences.joined(separator: "\n  ")
                    + "\nUse the settings of that run, or --resume_only_model true to take only its weights.")
        }
    }

    /// Takes up a checkpoint that was checked: fills what the run changes and says how far it was.
    package static func resume(
        _ path: String, states: [any ResumableState], fileSystem: any FileSystem = LocalFileSystem()
    ) throws -> TrainingProgress {
        let file = FilePath.join(path, progressFile)
        let progress = try TrainingProgress(json: JSONValue(parsing: fileSystem.contents(of: file)), file: file)
        try fill(states, from: FilePath.join(path, optimizerFile))
        return progress
    }

    private static func fill(_ states: [any ResumableState], from path: String) throws {
        let state = states.flatMap(\.state)
        guard !state.isEmpty else { return }
        let store = try SafetensorsFile(path: path)
        let names = Set(state.map(\.name))
        guard names == Set(store.tensorNames) else {
            throw TrainingError(.resume, "\(path): the optimizer's state belongs to other parameters")
        }
        try withoutGradients {
            for (name, tensor) in state {
                let (stored, _) = try store.tensor(name, dtype: tensor.dtype, device: tensor.device)
                try tensor.copy(from: stored)
            }
        }
    }

    /// The keys whose values differ, with both values.
    private static func differences(_ saved: JSONValue, _ wanted: JSONValue) -> [String] {
        let keys = Set((saved.objectValue?.keys ?? []) + (wanted.objectValue?.keys ?? []))
        return keys.sorted().compactMap { key in
            let (old, new) = (saved[key] ?? .null, wanted[key] ?? .null)
            return old == new ? nil : "\(key): \(old.serialized()) there, \(new.serialized()) here"
        }
    }
}
