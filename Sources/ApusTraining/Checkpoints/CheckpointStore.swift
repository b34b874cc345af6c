package import ApusFiles
package import ApusJSON
package import ApusNN
import ApusRunLog
import ApusTorch
import ApusWeights
import Foundation

/// The checkpoints of one run folder: saved whole or not at all, verified before they are trusted.
package final class CheckpointStore {
    private let runFolder: String
    private let contents: any CheckpointContents
    private let identity: JSONValue
    private let runID: String
    private let limit: Int?
    private let savesState: Bool
    private let makesLinks: Bool
    private let totalSteps: Int
    private let record: JSONObject
    private let fileSystem: any FileSystem
    /// The place of the next checkpoint among all that were ever saved into the folder.
    private var sequence: Int

    /// - Parameters:
    ///   - identity: What must be the same for a run to be resumed: model, data, seed, settings.
    ///   - runID: Marks the checkpoints of this run; one that resumes goes on under the name of the run it resumes.
    ///   - limit: How many checkpoints of the run stay; the best one always does. Those of other runs are left alone.
    ///   - savesState: Whether the optimizer's state goes in, without which a run cannot be resumed.
    ///   - makesLinks: Whether to keep `last` and `best`.
    ///   - record: What `trainer_state.json` says of the run's plan beside its steps.
    package init(
        runFolder: String, contents: any CheckpointContents, identity: JSONValue, runID: String, limit: Int? = nil,
        savesState: Bool = true, makesLinks: Bool = false, totalSteps: Int,
        record: JSONObject = [:], fileSystem: any FileSystem = LocalFileSystem()
    ) throws {
        self.runFolder = runFolder
        self.contents = contents
        self.identity = identity
        self.runID = runID
        self.limit = limit
        self.savesState = savesState
        self.makesLinks = makesLinks
        self.totalSteps = totalSteps
        self.record = record
        self.fileSystem = fileSystem
        _ = try fileSystem.sweepStaging(in: runFolder)
        sequence =
            1 + (try SavedCheckpoint.all(in: runFolder, fileSystem: fileSystem).compactMap(\.sequence).max() ?? 0)
    }

    /// Whether a run can go on from its checkpoints.
    var isResumable: Bool { savesState }

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
        try contents.write(into: folder, history: history)
        if savesState {
            let state = try states.flatMap { try $0.state }
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
                "step": .int(progress.step), "resumable": .bool(savesState), "run_id": .string(runID),
                "sequence": .int(sequence), "run": identity,
            ])
        sequence += 1
        if makesLinks {
            try fileSystem.replaceSymbolicLink(FilePath.join(runFolder, "last"), to: name)
            if let best = progress.best {
                try fileSystem.replaceSymbolicLink(
                    FilePath.join(runFolder, "best"), to: FilePath.lastComponent(of: best.path))
            }
        }
        try removeOld(keeping: Set([path, progress.best?.path].compactMap { $0.map(FilePath.lastComponent(of:)) }))
        return path
    }

    /// Hugging Face's record of a run, for programs that look into it.
    private func trainerState(_ progress: TrainingProgress, epoch: Double, history: [JSONObject]) -> JSONValue {
        var state: JSONObject = [
            "best_global_step": progress.best.map { .int($0.step) } ?? .null,
            "best_metric": progress.best.map { .double($0.metric) } ?? .null,
            "best_model_checkpoint": progress.best.map { .string($0.path) } ?? .null,
            "epoch": .double(epoch), "global_step": .int(progress.step), "is_hyper_param_search": false,
            "is_local_process_zero": true, "is_world_process_zero": true,
            "log_history": .array(history.map(JSONValue.object)), "max_steps": .int(totalSteps),
        ]
        for (name, value) in record { state[name] = value }
        return .object(state)
    }

    /// - Parameter kept: Names of folders; a run folder may have been moved since they were noted.
    private func removeOld(keeping kept: Set<String>) throws {
        guard let limit else { return }
        let own = try SavedCheckpoint.all(in: runFolder, fileSystem: fileSystem).filter { $0.runID == runID }
        var surplus = own.count - max(limit, 1)
        for checkpoint in own where surplus > 0 && !kept.contains(FilePath.lastComponent(of: checkpoint.path)) {
            try fileSystem.removeTree(checkpoint.path)
            surplus -= 1
        }
    }
}

// MARK: - Reading

extension CheckpointStore {
    static let optimizerFile = "optimizer.safetensors"
    static let progressFile = "apus_state.json"

    /// The newest checkpoint of a run folder that verifies, and why newer ones were refused.
    ///
    /// Newest is what was saved last, whatever its step: a run may have gone back and taken another way.
    package static func newest(
        in folder: String, fileSystem: any FileSystem = LocalFileSystem()
    ) throws -> (path: String?, refused: [String]) {
        var refused: [String] = []
        for checkpoint in try SavedCheckpoint.all(in: folder, fileSystem: fileSystem).reversed() {
            let path = checkpoint.path
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

    /// Verifies a checkpoint, before anything of it is read.
    ///
    /// - Returns: What it is the checkpoint of: `identity` as it was saved, and the run's mark.
    package static func verified(
        _ path: String, fileSystem: any FileSystem = LocalFileSystem()
    ) throws -> (identity: JSONValue, runID: String, step: Int) {
        let verified: VerifiedDirectory
        do {
            verified = try fileSystem.verifyDirectory(path)
        } catch {
            throw TrainingError(
                .resume,
                "--resume_from_checkpoint: \(error). Take an older checkpoint, or --resume_only_model true to take "
                    + "only the weights of this one.")
        }
        guard verified.identity["resumable"]?.boolValue == true else {
            throw TrainingError(
                .resume,
                "--resume_from_checkpoint: \(path) was saved with --save_only_model and holds no optimizer state. "
                    + "--resume_only_model true takes its weights.")
        }
        return (
            verified.identity["run"] ?? .null, verified.identity["run_id"]?.stringValue ?? "",
            verified.identity["step"]?.intValue ?? 0
        )
    }

    /// Takes up a checkpoint that was verified: fills the optimizer and says how far the run was.
    package static func resume(
        _ path: String, states: [any ResumableState], fileSystem: any FileSystem = LocalFileSystem()
    ) throws -> TrainingProgress {
        let file = FilePath.join(path, progressFile)
        var progress = try TrainingProgress(json: JSONValue(parsing: fileSystem.contents(of: file)), file: file)
        progress.noteMoved(to: FilePath.parent(of: path))
        try fill(states, from: FilePath.join(path, optimizerFile))
        return progress
    }

    private static func fill(_ states: [any ResumableState], from path: String) throws {
        let expected = try states.map { ($0, try $0.state) }.filter { !$1.isEmpty }
        guard !expected.isEmpty else { return }
        let store = try SafetensorsFile(path: path)
        guard Set(expected.flatMap(\.1).map(\.name)) == Set(store.tensorNames) else {
            throw TrainingError(.resume, "\(path): the optimizer's state belongs to other parameters")
        }
        try withoutGradients {
            for (owner, state) in expected {
                let growing = owner as? any GrowingState
                var stored: [String: Tensor] = [:]
                for (name, tensor) in state {
                    let (read, _) = try store.tensor(name, dtype: tensor.dtype, device: tensor.device)
                    if growing == nil { try tensor.copy(from: read) } else { stored[name] = read }
                }
                try growing?.restore(stored)
            }
        }
    }
}
