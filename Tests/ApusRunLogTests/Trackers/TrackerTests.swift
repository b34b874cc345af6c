import ApusFiles
import ApusFilesTesting
import ApusJSON
import Foundation
import SwiftProtobuf
import Testing

@testable import ApusRunLog

/// The files of trackers are, to the byte, what the services' own programs write (Scripts/fixtures/make_trackers.py).
@Suite struct TrackerTests {
    private static let start = Date(timeIntervalSince1970: 1.75e9)
    private static let rows: [(step: Int, points: [(name: String, value: Double)])] = [
        (1, [("train/loss", 2.5), ("train/epoch", 0.1)]),
        (5, [("train/loss", .nan), ("eval/loss", .infinity), ("train/epoch", 0.5)]),
    ]

    private func run(_ folder: String, project: String) -> TrackedRun {
        TrackedRun(
            id: "abcd1234", project: project, owner: "team", name: "trial", folder: folder,
            config: [
                "learning_rate": 0.0001, "model": "Qwen2.5 千问", "target_modules": ["q_proj"],
                "long": .string(String(repeating: "x", count: 40_000)),
            ])
    }

    private func fixture(_ name: String) throws -> Data {
        try Data(
            contentsOf: URL(filePath: #filePath).deletingLastPathComponent().appending(
                path: "../../Fixtures/trackers/\(name)"))
    }

    private func report(_ tracker: any RunTracker, fails: Bool) throws {
        for (place, row) in Self.rows.enumerated() {
            try tracker.report(row.points, step: row.step, date: Self.start + 0.5 * Double(place + 1))
        }
        try tracker.finish(fails ? .failed("it broke") : .finished, date: Self.start + 3)
    }

    @Test(arguments: [false, true]) func wandb(isResumed: Bool) throws {
        let disk = SimulatedDisk()
        let tracker = try WandbTracker(
            run("/wandb", project: "huggingface"), reported: isResumed ? 2 : nil, date: Self.start, timeZone: .gmt,
            host: "machine", fileSystem: disk)
        try report(tracker, fails: isResumed)
        let folder = "/wandb/offline-run-20250615_150640-abcd1234"
        #expect(try disk.contentsOfDirectory(folder) == ["files", "run-abcd1234.wandb"])
        let written = try disk.contents(of: "\(folder)/run-abcd1234.wandb")
        #expect(written == (try fixture(isResumed ? "resumed.wandb" : "run.wandb")))
        #expect(tracker.advice.contains("`wandb sync \(folder)`"))
        let config = String(decoding: try disk.contents(of: "\(folder)/files/config.yaml"), as: UTF8.self)
        #expect(config.hasPrefix("\"learning_rate\":\n  value: 0.0001\n\"model\":\n  value: \"Qwen2.5 千问\"\n"))
        let summary = try JSONValue(parsing: disk.contents(of: "\(folder)/files/wandb-summary.json"))
        #expect(summary["train/global_step"]?.intValue == 5)
        #expect(summary["train/epoch"]?.doubleValue == 0.5)
    }

    @Test(arguments: [false, true]) func swanLab(isResumed: Bool) throws {
        let disk = SimulatedDisk()
        let tracker = try SwanLabTracker(
            run("/swanlog", project: "ms-swift"), reported: isResumed ? 2 : nil, date: Self.start, timeZone: .gmt,
            fileSystem: disk)
        try report(tracker, fails: isResumed)
        let folder = "/swanlog/run-20250615_150640-abcd1234"
        let written = try disk.contents(of: "\(folder)/run-abcd1234.swanlab")
        #expect(written == (try fixture(isResumed ? "resumed.swanlab" : "run.swanlab")))
        let config = String(decoding: try disk.contents(of: "\(folder)/files/config.yaml"), as: UTF8.self)
        #expect(
            config.hasPrefix("\"learning_rate\":\n  desc: ''\n  sort: 0\n  value: 0.0001\n\"model\":\n  desc: ''\n"))
    }

    /// A reader of YAML 1.1 takes `1e-08` for a word.
    @Test func numbersAreNumbersInYAML() {
        var run = run("/", project: "p")
        run.config = ["a": 1e-8, "b": [.double(.nan), 1e30, ["c": .double(-.infinity)]], "d": 0.5, "e": 3]
        #expect(
            String(decoding: run.yaml(), as: UTF8.self) == """
                "a":
                  value: 1.0e-08
                "b":
                  value: [.nan, 1.0e+30, {"c": -.inf}]
                "d":
                  value: 0.5
                "e":
                  value: 3

                """)
    }

    /// Two runs of one second have folders of their own.
    @Test func foldersAreNew() throws {
        let disk = SimulatedDisk()
        for _ in 0..<3 {
            _ = try WandbTracker(
                run("/wandb", project: "p"), reported: nil, date: Self.start, timeZone: .gmt, fileSystem: disk)
        }
        #expect(
            try disk.contentsOfDirectory("/wandb")
                == (40...42).map { "offline-run-20250615_1506\($0)-abcd1234" })
    }

    /// The log of a run tells trackers what it tells TensorBoard, and a run that goes on keeps counting.
    @Test func runsAreReported() throws {
        let disk = SimulatedDisk()
        func log(resumingAfter step: Int?, steps: [Int]) throws {
            var options = RunLog.Options(maxSteps: 10, resumingAfter: step)
            options.writesTensorBoard = false
            options.drawsCurves = false
            options.wandb = run("/wandb", project: "p")
            options.swanLab = run("/swanlog", project: "p")
            try disk.createDirectories("/run")
            let folder = try RunFolder(existing: "/run", fileSystem: disk)
            let log = try RunLog(folder, options, console: Console(style: ConsoleStyle()), fileSystem: disk)
            for step in steps { log.record(step: step, epoch: 0.5, metrics: [("loss", 1), ("eval_loss", 2)]) }
            log.finish(summary: [:])
            folder.lock.release()
        }
        try log(resumingAfter: nil, steps: [1, 2, 3])
        try log(resumingAfter: 2, steps: [3, 4])
        let folders = try disk.contentsOfDirectory("/wandb")
        #expect(folders.count == 2)
        let files = try folders.map { try disk.contents(of: "/wandb/\($0)/run-abcd1234.wandb") }
        let records = try files.map { try Self.records($0).map { try WandbRecord(serializedBytes: $0) } }
        let places = records.map { $0.compactMap { $0.recordType.flatMap(Self.place) } }
        // The row of step 3 is forgotten with what the checkpoint does not have.
        #expect(places == [[0, 1, 2], [2, 3]])
        #expect(records[1].contains { $0.run.resumed && $0.run.startingStep == 2 })
        let names = Set(records[0].flatMap(\.history.item).flatMap(\.nestedKey))
        #expect(names.isSuperset(of: ["train/loss", "eval/loss", "train/epoch", "train/global_step", "_step"]))
        let swan = try disk.contentsOfDirectory("/swanlog").map { name in
            try Self.records(disk.contents(of: "/swanlog/\(name)/run-abcd1234.swanlab")).map {
                try SwanLabRecord(serializedBytes: $0)
            }
        }
        #expect(swan.map { $0.filter { $0.scalar.key == "train/loss" }.map(\.scalar.step) } == [[1, 2, 3], [3, 4]])
        #expect(swan.allSatisfy { $0.last?.finish.state == .finished })
    }

    /// A signal is neither an end nor a failure.
    @Test func whatASignalEndsIsSaidSo() throws {
        let disk = SimulatedDisk()
        let (wandb, swan) = (run("/wandb", project: "p"), run("/swanlog", project: "p"))
        try WandbTracker(wandb, reported: nil, date: Self.start, timeZone: .gmt, fileSystem: disk)
            .finish(.stopped(signal: SIGTERM), date: Self.start)
        try SwanLabTracker(swan, reported: nil, date: Self.start, timeZone: .gmt, fileSystem: disk)
            .finish(.stopped(signal: SIGTERM), date: Self.start)
        func last(_ path: String) throws -> [UInt8] { try #require(Self.records(disk.contents(of: path)).last) }
        let exit = try WandbRecord(
            serializedBytes: last("/wandb/offline-run-20250615_150640-abcd1234/run-abcd1234.wandb"))
        #expect(exit.exit.exitCode == 255)
        let end = try SwanLabRecord(serializedBytes: last("/swanlog/run-20250615_150640-abcd1234/run-abcd1234.swanlab"))
        #expect(end.finish.state == .aborted && end.finish.error == "SIGTERM")
    }

    /// A write that stops halfway leaves nothing, and what it was to write follows with the next.
    @Test(arguments: ["wandb", "swanlab", "tensorboard"]) func aFullDiskCostsNoRecord(service: String) throws {
        let place = try TemporaryFolder()
        let runs = place("runs")
        /// What lies in the file after each of the calls, and which of them failed.
        func written(failingAtCall call: Int) throws -> (calls: Int, files: [Data], failures: [Bool])? {
            try LocalFileSystem().removeTree(runs)
            let disk = FaultyFileSystem(LocalFileSystem(), failing: .once(ENOSPC), atCall: call)
            let run = run(runs, project: "p")
            let path: String
            var parts: [() throws -> Void] = []
            switch service {
            case "tensorboard":
                guard let writer = try? TensorBoardWriter(runs, date: Self.start, fileSystem: disk) else {
                    return nil
                }
                path = writer.path
                parts = (1...4).map { step in
                    {
                        try writer.scalar("train/loss", 0.5, step: step, date: Self.start)
                        try writer.flush()
                    }
                }
            default:
                let tracker: (any RunTracker)? =
                    service == "wandb"
                    ? try? WandbTracker(
                        run, reported: nil, date: Self.start, timeZone: .gmt, host: "m", fileSystem: disk)
                    : try? SwanLabTracker(run, reported: nil, date: Self.start, timeZone: .gmt, fileSystem: disk)
                guard let tracker else { return nil }
                path = FilePath.join(
                    runs,
                    service == "wandb"
                        ? "offline-run-20250615_150640-abcd1234/run-abcd1234.wandb"
                        : "run-20250615_150640-abcd1234/run-abcd1234.swanlab")
                parts = (1...3).map { step in
                    { try tracker.report([("train/loss", 0.5)], step: step, date: Self.start) }
                }
                parts.append { try tracker.finish(.finished, date: Self.start) }
            }
            var (files, failures) = ([try LocalFileSystem().contents(of: path)], [Bool]())
            for part in parts {
                do {
                    try part()
                    failures.append(false)
                } catch {
                    failures.append(true)
                }
                files.append(try LocalFileSystem().contents(of: path))
            }
            return (disk.callCount, files, failures)
        }
        let whole = try #require(try written(failingAtCall: .max))
        #expect(whole.failures == [false, false, false, false] && Set(whole.files).count == 5)
        var places: Set<Int> = []
        for call in 1...whole.calls {
            guard let broken = try written(failingAtCall: call) else { continue }
            for (number, hasFailed) in broken.failures.enumerated() {
                if hasFailed { places.insert(number) }
                #expect(broken.files[number + 1] == whole.files[hasFailed ? number : number + 1], "call \(call)")
            }
        }
        #expect(places == [0, 1, 2, 3])
    }

    /// What a tracker cannot write at the end is said, and the log ends as it would.
    @Test func aRunThatTrainedDoesNotFailAtTheEnd() throws {
        let terminal = FakeTerminal(columns: nil)
        func log(failingAtCall call: Int) throws -> (log: RunLog, disk: FaultyFileSystem) {
            let disk = SimulatedDisk()
            try disk.createDirectories("/run")
            let faulty = FaultyFileSystem(disk, failing: .persistent(ENOSPC), atCall: call)
            var options = RunLog.Options(maxSteps: 1)
            options.wandb = run("/wandb", project: "p")
            options.drawsCurves = false
            let log = try RunLog(
                RunFolder(existing: "/run", fileSystem: disk), options,
                console: Console(output: terminal, style: ConsoleStyle(), now: terminal.now), fileSystem: faulty)
            return (log, faulty)
        }
        let opening = try log(failingAtCall: .max).disk.callCount
        // The log ends with a row, and then come TensorBoard, which has nothing more to say, and the tracker.
        let row = try log(failingAtCall: opening + 3).log.finish(summary: ["best_metric": 0.5])
        #expect(row["best_metric"] == 0.5)
        #expect(terminal.written.contains("warning: what a tracker is told cannot be completed"))
        #expect(!terminal.written.contains("warning: logging.jsonl"))
    }

    private static func place(_ record: WandbRecord.OneOf_RecordType) -> Int64? {
        if case .history(let history) = record { history.step.num } else { nil }
    }

    /// The records of a log whose fragments are whole or parts.
    private static func records(_ data: Data) throws -> [[UInt8]] {
        let bytes = Array(data)
        var (records, part, place): ([[UInt8]], [UInt8], Int) = ([], [], 7)
        while place < bytes.count {
            if 32768 - place % 32768 < 7 { place += 32768 - place % 32768 }
            let length = Int(bytes[place + 4]) | Int(bytes[place + 5]) << 8
            part += bytes[place + 7..<place + 7 + length]
            if [1, 4].contains(bytes[place + 6]) {
                records.append(part)
                part = []
            }
            place += 7 + length
        }
        return records
    }
}
