import ApusFiles
import ApusFilesTesting
import ApusJSON
import ApusOptimizers
import ApusRunLog
import Foundation
import Testing

@testable import ApusTraining

private struct Note: CheckpointContents {
    let text: String
    func write(into folder: AtomicDirectory, history: [JSONObject]) throws {
        try folder.write(Data(text.utf8), as: "note.txt")
    }
}

@Suite struct CheckpointStoreTests {
    private let folder: TemporaryFolder
    private let files = LocalFileSystem()

    init() throws {
        folder = try TemporaryFolder()
    }

    private func store(
        _ run: String, limit: Int? = nil, savesState: Bool = true, makesLinks: Bool = false
    ) throws -> CheckpointStore {
        try CheckpointStore(
            runFolder: folder.path, contents: Note(text: run), identity: ["seed": 42], runID: run, limit: limit,
            savesState: savesState, makesLinks: makesLinks, totalSteps: 100)
    }

    @discardableResult
    private func save(_ store: CheckpointStore, _ step: Int, _ progress: inout TrainingProgress) throws -> String {
        progress.step = step
        let path = try store.save(progress: progress, states: [SGD([])], epoch: 0, history: [])
        progress.noteSaved(path)
        return path
    }

    private func names() throws -> Set<String> {
        try Set(SavedCheckpoint.all(in: folder.path).map { FilePath.lastComponent(of: $0.path) })
    }

    @Test func savesAndResumes() throws {
        var progress = TrainingProgress()
        progress.targets = 77
        let path = try save(store("a"), 3, &progress)
        let verified = try CheckpointStore.verified(path)
        #expect(verified.identity == ["seed": 42])
        #expect(verified.runID == "a" && verified.step == 3)
        let resumed = try CheckpointStore.resume(path, states: [SGD([])])
        #expect(resumed.step == 3 && resumed.targets == 77)
        #expect(try !files.contentsOfDirectory(folder.path).contains { $0.hasPrefix("last") })
    }

    @Test func theLimitCountsOwnCheckpoints() throws {
        var (first, second) = (TrainingProgress(), TrainingProgress())
        let one = try store("one")
        for step in [10, 20, 30] { try save(one, step, &first) }
        let two = try store("two", limit: 1)
        for step in [1, 2, 3] { try save(two, step, &second) }
        #expect(try names() == ["checkpoint-10", "checkpoint-20", "checkpoint-30", "checkpoint-3"])
    }

    @Test func theBestOutlivesTheLimit() throws {
        var progress = TrainingProgress()
        let store = try store("a", limit: 1, makesLinks: true)
        for (step, loss) in [(1, 0.5), (2, 0.25), (3, 0.75), (4, 0.5)] {
            progress.step = step
            try progress.noteEvaluation([("loss", loss)], best: "loss")
            try save(store, step, &progress)
        }
        #expect(try names() == ["checkpoint-2", "checkpoint-4"])
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder("best")) == "checkpoint-2")
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder("last")) == "checkpoint-4")
    }

    @Test(arguments: [true, false])
    func whichWayIsBest(greater: Bool) throws {
        var progress = TrainingProgress()
        progress.greaterIsBetter = greater
        for (step, value) in [(1, 0.5), (2, 0.9), (3, .nan), (4, 0.1)] {
            progress.step = step
            try progress.noteEvaluation([("loss", 1), ("acc", value)], best: "acc")
            progress.noteSaved("checkpoint-\(step)")
        }
        #expect(progress.best?.step == (greater ? 2 : 4))
        #expect(throws: TrainingError.self) { try progress.noteEvaluation([("loss", 1)], best: "f1") }
    }

    /// What an early stop goes by is known behind a resumption too, also where a signal asked for the first checkpoint.
    @Test func progressGoesOn() throws {
        func next(_ progress: inout TrainingProgress, _ loss: Double, saves: Bool = true) throws {
            progress.step += 1
            try progress.noteEvaluation([("loss", loss)], best: "loss")
            if saves { progress.noteSaving() }
        }
        for interruption in 1...4 {
            var progress = TrainingProgress()
            for (number, loss) in [1.0, 1.5, 1.2, 0.9].enumerated() {
                try next(&progress, loss, saves: number > 0)
                if number + 1 == interruption { progress = try TrainingProgress(json: progress.json, file: "state") }
                #expect(progress.checkpointsWithoutProgress == [0, 0, 1, 0][number], "\(interruption) \(number)")
            }
        }
    }

    /// Newest is what was saved last: a run that went back to step 2 is newer than its old step 6.
    @Test func newestIsWhatWasSavedLast() throws {
        var progress = TrainingProgress()
        let before = try store("a")
        for step in [2, 4, 6] { try save(before, step, &progress) }
        try save(store("a"), 3, &progress)
        #expect(try CheckpointStore.newest(in: folder.path).path == folder("checkpoint-3"))
    }

    @Test(arguments: ["note.txt", "MANIFEST.json"])
    func damagedCheckpointsAreRefusedWithAReason(file: String) throws {
        var progress = TrainingProgress()
        let store = try store("a")
        for step in [1, 2] { try save(store, step, &progress) }
        try Data("b".utf8).write(to: URL(fileURLWithPath: folder("checkpoint-2/\(file)")))
        let (newest, refused) = try CheckpointStore.newest(in: folder.path)
        #expect(newest == folder("checkpoint-1"))
        #expect(refused.count == 1 && refused[0].contains("checkpoint-2/\(file)"))
        #expect(throws: TrainingError.self) { try CheckpointStore.verified(folder("checkpoint-2")) }
        #expect(throws: TrainingError.self) { try CheckpointStore.verified(folder("checkpoint-9")) }
    }

    @Test func withoutStateNothingIsResumed() throws {
        var progress = TrainingProgress()
        let path = try save(store("a", savesState: false), 1, &progress)
        let (newest, refused) = try CheckpointStore.newest(in: folder.path)
        #expect(newest == nil && refused.count == 1)
        #expect { try CheckpointStore.verified(path) } throws: { "\($0)".contains("--resume_only_model") }
    }

    /// Folders that look like checkpoints and are none, or are those of an older Apus.
    @Test func foldersWithoutAManifest() throws {
        try files.createDirectory(folder("checkpoint-7"))
        try files.createDirectory(folder("checkpoint-x"))
        let old = try AtomicDirectory(folder("checkpoint-5"))
        try old.write(Data("x".utf8), as: "note.txt")
        try old.commit(identity: ["step": 5, "resumable": true])
        let all = try SavedCheckpoint.all(in: folder.path)
        #expect(all.map(\.step) == [5, 7])
        #expect(all.map(\.runID) == ["", nil])
        #expect(try SavedCheckpoint.all(in: folder("nowhere")).isEmpty)
        var progress = TrainingProgress()
        // The run that goes on from the older one owns it; the other folder is nobody's.
        try save(store("", limit: 1), 8, &progress)
        #expect(try names() == ["checkpoint-7", "checkpoint-8"])
    }

    /// Checkpoints behind evaluations that measured no number bring nothing, wherever the run is cut.
    @Test func metricsThatAreNoNumbersBringNothing() throws {
        for interruption in 0..<4 {
            var progress = TrainingProgress()
            // Before the first evaluation nothing is missing.
            progress.noteSaving()
            #expect(progress.checkpointsWithoutProgress == 0)
            for (number, metric) in [Double.nan, .infinity, nil, 2].enumerated() {
                if number == interruption { progress = try TrainingProgress(json: progress.json, file: "state") }
                if let metric { try progress.noteEvaluation([("loss", metric)], best: "loss") }
                progress.noteSaving()
                #expect(progress.checkpointsWithoutProgress == [1, 2, 3, 0][number], "\(interruption) \(number)")
            }
        }
    }
}
