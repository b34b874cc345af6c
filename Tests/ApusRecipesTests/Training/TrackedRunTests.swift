import Foundation
import Testing

@testable import ApusRecipes
@testable import ApusRunLog

/// What trackers are told of whole runs.
@Suite(.serialized) struct TrackedRunTests {
    /// A folder that cannot be written is refused before any data are looked at.
    @Test(arguments: [(ReportTarget.wandb, "WANDB_DIR"), (.swanlab, "SWANLAB_LOG_DIR")])
    func aFolderThatCannotBeWrittenIsRefusedFirst(target: ReportTarget, name: String) throws {
        let tiny = try TinyRun()
        var settings = tiny.settings
        settings.output.reportTo = [target]
        settings.data.dataset = ["\(tiny.folder.path)/nowhere.jsonl"]
        let surroundings = Surroundings(environment: [name: "\(tiny.folder.path)/rows.jsonl"])
        let error = #expect(throws: SettingsError.self) { try FineTuning(settings, surroundings: surroundings)() }
        let text = error.map { "\($0)" } ?? ""
        #expect(text.hasPrefix("--report_to \(target.rawValue), which writes into its folder (\(name)) "), "\(text)")
        #expect(text.contains("rows.jsonl is a file, not a folder"), "\(text)")
    }

    /// A run that a signal ends is told as such, and as finished when it goes on to its end.
    ///
    /// In a process of its own: a signal would end what other tests train beside it.
    @Test func aSignalIsTold() async {
        await #expect(processExitsWith: .exitCode(0)) { exit(try Self.fault()) }
    }

    /// Which part of it does not hold; 0 where all do.
    private static func fault() throws -> Int32 {
        let tiny = try TinyRun()
        var settings = tiny.settings
        settings.output.reportTo = [.swanlab]
        let folder = "\(tiny.folder.path)/swan"
        let surroundings = Surroundings(environment: ["SWANLAB_LOG_DIR": folder])
        var run = try FineTuning(settings, surroundings: surroundings)
        run.onRecord = { step, _, _ in
            guard step == 3 else { return }
            // To the process: threads of a pool take no signals.
            kill(getpid(), SIGTERM)
            let end = Date(timeIntervalSinceNow: 10)
            while StopSignal.pending == nil, Date() < end { usleep(1000) }
        }
        guard try run().signal == SIGTERM else { return 1 }
        StopSignal.reset()
        settings.evaluation.resumeFromCheckpoint = "last"
        guard try FineTuning(settings, surroundings: surroundings)().signal == nil else { return 2 }
        let ends = try FileManager.default.contentsOfDirectory(atPath: folder).sorted().map { name in
            let id = name.split(separator: "-").last ?? ""
            return try Data(contentsOf: URL(filePath: "\(folder)/\(name)/run-\(id).swanlab"))
        }
        guard ends.count == 2 else { return 3 }
        guard ends[0].range(of: Data("SIGTERM".utf8)) != nil else { return 4 }
        return ends[1].range(of: Data("SIGTERM".utf8)) == nil ? 0 : 5
    }
}
